/*
 * date.c - see date.h. The forms of IMAP are read strictly; dates of header fields are cut into numbers, words and
 * signs first, and then read in whatever order mail programs have put them.
 */
#include "text/date.h"
#include "text/lexical.h"
#include "base/banned.h"

enum {
    DAY_SECONDS = 86400,
    TOKENS_MAX = 16,                 /* a date has at most 13: Tue 31 - Jan - 2026 12 : 00 : 00 + 0100 */
    ZONE_MINUTES_MAX = 99 * 60 + 59, /* four digits */
};
static const int64_t utc_min = -62167219200; /* 0000-01-01T00:00:00Z */
static const int64_t utc_max = 253402300799; /* 9999-12-31T23:59:59Z */

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* Days from 1970-01-01 to that day; years are counted from March, so that the leap day is their last. */
static int64_t days_of(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t from_march = (month + 9) % 12;
    int64_t leap_days = (y + 400) / 4 - (y + 400) / 100 + (y + 400) / 400 - 97; /* y >= -1: never a negative quotient */
    return y * 365 + leap_days + (from_march * 153 + 2) / 5 + (day - 1) - 719468;
}

struct civil {
    int year, month, day; /* month 1..12 */
};

static struct civil civil_of(int64_t days)
{
    int64_t year = (days + 719468) * 400 / 146097; /* years of the mean length since 0000-03-01: one off at most */
    while (days_of(year, 3, 1) > days)
        year--;
    while (days_of(year + 1, 3, 1) <= days)
        year++;
    int of_year = (int)(days - days_of(year, 3, 1));
    int from_march = (of_year * 5 + 2) / 153;
    int month = from_march < 10 ? from_march + 3 : from_march - 9;
    int day = of_year - (from_march * 153 + 2) / 5 + 1;
    return (struct civil){(int)year + (month <= 2), month, day};
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool day_exists(int64_t year, int month, uint64_t day)
{
    static const uint8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return day >= 1 && day <= (uint64_t)lengths[month - 1] + (month == 2 && is_leap(year));
}

/* 1..12 by the first three letters; 0: no month. */
static int month_of(struct span word)
{
    for (int i = 0; i < 12; i++)
        if (word.len >= 3 && span_ieq(span_take(word, 3), span_of(months[i], 3)))
            return i + 1;
    return 0;
}

/* --- RFC 5322 --- */

struct token {
    enum { END, NUMBER, WORD, SIGN } kind; /* SIGN: one of : + - */
    struct span text;
};

struct tokens {
    struct token list[TOKENS_MAX + 1]; /* the last is END */
    size_t at;
};

static size_t run_length(struct span s, bool (*is_in)(char))
{
    size_t n = 0;
    while (n < s.len && is_in(s.p[n]))
        n++;
    return n;
}

static void tokenise(struct span s, struct tokens *out)
{
    size_t count = 0;
    while (s.len && count < TOKENS_MAX) {
        char c = s.p[0];
        size_t n = 1;
        struct token *t = &out->list[count];
        t->kind = END;
        if (c == '(') {
            n = comment_length(s);
        } else if (ascii_is_digit(c)) {
            t->kind = NUMBER;
            n = run_length(s, ascii_is_digit);
        } else if (ascii_is_alpha(c)) {
            t->kind = WORD;
            n = run_length(s, ascii_is_alpha);
        } else if (c == ':' || c == '+' || c == '-') {
            t->kind = SIGN;
        }
        t->text = span_take(s, n);
        count += t->kind != END;
        s = span_skip(s, n);
    }
    out->list[count] = (struct token){END, SPAN_NONE};
    out->at = 0;
}

static bool take_number(struct tokens *t, uint64_t max, uint64_t *value)
{
    const struct token *now = &t->list[t->at];
    if (now->kind != NUMBER || !span_to_u64(now->text, max, value))
        return false;
    t->at++;
    return true;
}

static bool take_sign(struct tokens *t, char sign)
{
    const struct token *now = &t->list[t->at];
    if (now->kind != SIGN || now->text.p[0] != sign)
        return false;
    t->at++;
    return true;
}

static bool take_month(struct tokens *t, int *month)
{
    const struct token *now = &t->list[t->at];
    if (now->kind != WORD || (*month = month_of(now->text)) == 0)
        return false;
    t->at++;
    return true;
}

/* RFC 5322 §4.3: two digits are 2000-2049 or 1950-1999, three are years since 1900. */
static bool take_year(struct tokens *t, uint64_t *year)
{
    size_t digits = t->list[t->at].text.len;
    if (digits < 2 || !take_number(t, 9999, year))
        return false;
    if (digits == 2)
        *year += *year < 50 ? 2000 : 1900;
    else if (digits == 3)
        *year += 1900;
    return true;
}

static bool take_time(struct tokens *t, int64_t *seconds)
{
    uint64_t hour, minute, second = 0;
    if (!take_number(t, 23, &hour) || !take_sign(t, ':') || !take_number(t, 59, &minute))
        return false;
    if (take_sign(t, ':') && !take_number(t, 60, &second))
        return false;
    *seconds = (int64_t)(hour * 3600 + minute * 60 + second);
    return true;
}

/* RFC 5322 §4.3. Names that it does not give, the military letters among them, say nothing: -0000. */
static int named_zone(struct span name)
{
    static const struct {
        char name[4];
        int hours;
    } zones[] = {{"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6},
                 {"MDT", -6}, {"MST", -7}, {"PDT", -7}, {"PST", -8}};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        if (span_ieq(name, span_cstr(zones[i].name)))
            return zones[i].hours * 60;
    return 0;
}

/* "+0100", also "+01:00" and "+1"; what is no zone is 0. */
static int take_zone(struct tokens *t)
{
    int named = 0;
    if (t->list[t->at].kind == WORD)
        named = named_zone(t->list[t->at++].text);
    bool is_west = take_sign(t, '-');
    if (!is_west && !take_sign(t, '+'))
        return named;
    size_t digits = t->list[t->at].text.len;
    uint64_t value, minutes = 0;
    if (!take_number(t, 9999, &value))
        return named;
    if (digits > 2) {
        minutes = value % 100;
        value /= 100;
    } else if (take_sign(t, ':') && !take_number(t, 59, &minutes)) {
        return named;
    }
    if (minutes > 59)
        return named;
    int zone = (int)(value * 60 + minutes);
    return is_west ? -zone : zone;
}

bool date_parse_rfc5322(struct span text, struct mail_date *out)
{
    struct tokens t;
    tokenise(text, &t);
    if (t.list[0].kind == WORD && t.list[1].kind != END && month_of(t.list[0].text) == 0)
        t.at++; /* the weekday, right or wrong */

    uint64_t day, year = 0;
    int month;
    int64_t seconds;
    if (take_month(&t, &month)) { /* as asctime(3) writes: Jan 31 12:00:00 [zone] 2026 */
        if (!take_number(&t, 31, &day) || !take_time(&t, &seconds))
            return false;
        out->zone_minutes = t.list[t.at].kind == NUMBER ? 0 : take_zone(&t);
        if (!take_year(&t, &year))
            return false;
    } else {
        if (!take_number(&t, 31, &day))
            return false;
        (void)take_sign(&t, '-');
        if (!take_month(&t, &month))
            return false;
        (void)take_sign(&t, '-');
        if (!take_year(&t, &year) || !take_time(&t, &seconds))
            return false;
        out->zone_minutes = take_zone(&t);
    }
    if (!day_exists((int64_t)year, month, day))
        return false;
    out->utc = days_of((int64_t)year, month, (int)day) * DAY_SECONDS + seconds - (int64_t)out->zone_minutes * 60;
    return true;
}

/* --- writing --- */

struct moment {
    struct civil date;
    int hour, minute, second, weekday;
    int zone_hours, zone_minutes;
    char zone_sign;
};

/* Out of range is drawn to the edge: four digits of year, four digits of zone. */
static struct moment moment_of(int64_t utc, int zone_minutes)
{
    if (zone_minutes > ZONE_MINUTES_MAX || zone_minutes < -ZONE_MINUTES_MAX)
        zone_minutes = 0;
    if (utc > utc_max)
        utc = utc_max;
    if (utc < utc_min)
        utc = utc_min;
    int64_t local = utc + (int64_t)zone_minutes * 60;
    if (local > utc_max || local < utc_min) {
        local = utc;
        zone_minutes = 0;
    }
    int64_t days = date_day(local, 0);
    int of_day = (int)(local - days * DAY_SECONDS);
    int zone = zone_minutes < 0 ? -zone_minutes : zone_minutes;
    return (struct moment){
        .date = civil_of(days),
        .hour = of_day / 3600,
        .minute = of_day / 60 % 60,
        .second = of_day % 60,
        .weekday = (int)(((days + 4) % 7 + 7) % 7), /* 1970-01-01 was a Thursday */
        .zone_hours = zone / 60,
        .zone_minutes = zone % 60,
        .zone_sign = zone_minutes < 0 ? '-' : '+',
    };
}

void date_write_rfc5322(int64_t utc, int zone_minutes, struct strbuf *out)
{
    struct moment m = moment_of(utc, zone_minutes);
    strbuf_addf(out, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d", weekdays[m.weekday], m.date.day,
                months[m.date.month - 1], m.date.year, m.hour, m.minute, m.second, m.zone_sign, m.zone_hours,
                m.zone_minutes);
}

void date_write_imap(int64_t utc, int zone_minutes, struct strbuf *out)
{
    struct moment m = moment_of(utc, zone_minutes);
    strbuf_addf(out, "%2d-%s-%04d %02d:%02d:%02d %c%02d%02d", m.date.day, months[m.date.month - 1], m.date.year, m.hour,
                m.minute, m.second, m.zone_sign, m.zone_hours, m.zone_minutes);
}

/* --- IMAP --- */

/* Exactly `digits` decimal digits at the start of *s. */
static bool cut_digits(struct span *s, size_t digits, uint64_t max, uint64_t *value)
{
    if (s->len < digits || !span_to_u64(span_take(*s, digits), max, value))
        return false;
    *s = span_skip(*s, digits);
    return true;
}

static bool cut_char(struct span *s, char c)
{
    if (!s->len || s->p[0] != c)
        return false;
    *s = span_skip(*s, 1);
    return true;
}

/* "31-Jan-2026" with one or two digits of day. */
static bool cut_day(struct span *s, int64_t *days)
{
    size_t dash = span_find_byte(*s, '-', 0);
    uint64_t day, year;
    if (dash != 1 && dash != 2)
        return false;
    if (!cut_digits(s, dash, 31, &day) || !cut_char(s, '-'))
        return false;
    int month = month_of(span_take(*s, 3));
    *s = span_skip(*s, 3);
    if (month == 0 || !cut_char(s, '-') || !cut_digits(s, 4, 9999, &year))
        return false;
    if (!day_exists((int64_t)year, month, day))
        return false;
    *days = days_of((int64_t)year, month, (int)day);
    return true;
}

bool date_parse_imap(struct span text, struct mail_date *out)
{
    int64_t days;
    uint64_t hour, minute, second, zone_hours, zone_minutes;
    (void)cut_char(&text, ' ');
    if (!cut_day(&text, &days) || !cut_char(&text, ' '))
        return false;
    if (!cut_digits(&text, 2, 23, &hour) || !cut_char(&text, ':') || !cut_digits(&text, 2, 59, &minute) ||
        !cut_char(&text, ':') || !cut_digits(&text, 2, 60, &second) || !cut_char(&text, ' '))
        return false;
    bool is_west = cut_char(&text, '-');
    if (!is_west && !cut_char(&text, '+'))
        return false;
    if (!cut_digits(&text, 2, 99, &zone_hours) || !cut_digits(&text, 2, 59, &zone_minutes) || text.len)
        return false;
    int zone = (int)(zone_hours * 60 + zone_minutes);
    out->zone_minutes = is_west ? -zone : zone;
    out->utc = days * DAY_SECONDS + (int64_t)(hour * 3600 + minute * 60 + second) - (int64_t)out->zone_minutes * 60;
    return true;
}

bool date_parse_imap_day(struct span text, int64_t *day)
{
    int64_t days;
    if (!cut_day(&text, &days) || text.len)
        return false;
    *day = days;
    return true;
}

int64_t date_day(int64_t utc, int zone_minutes)
{
    /* Whole days first, so that no sum can overflow. */
    int64_t days = utc / DAY_SECONDS, rest = utc % DAY_SECONDS + (int64_t)zone_minutes * 60;
    days += rest / DAY_SECONDS;
    return rest % DAY_SECONDS < 0 ? days - 1 : days;
}

/* --- RFC 3339 --- */

/* "Z", "+01:00", "-08:00": minutes east. */
static bool cut_offset(struct span *s, int64_t *minutes)
{
    uint64_t h, m;
    *minutes = 0;
    if (cut_char(s, 'Z') || cut_char(s, 'z'))
        return true;
    bool is_west = cut_char(s, '-');
    if ((!is_west && !cut_char(s, '+')) || !cut_digits(s, 2, 23, &h) || !cut_char(s, ':') || !cut_digits(s, 2, 59, &m))
        return false;
    *minutes = (int64_t)(h * 60 + m) * (is_west ? -1 : 1);
    return true;
}

bool date_parse_rfc3339(struct span text, int64_t *utc)
{
    uint64_t year, month, day, h, m, sec;
    int64_t minutes;
    if (!cut_digits(&text, 4, 9999, &year) || !cut_char(&text, '-') || !cut_digits(&text, 2, 12, &month) || month == 0 ||
        !cut_char(&text, '-') || !cut_digits(&text, 2, 31, &day) || !day_exists((int64_t)year, (int)month, day))
        return false;
    if ((!cut_char(&text, 'T') && !cut_char(&text, 't')) || !cut_digits(&text, 2, 23, &h) || !cut_char(&text, ':') ||
        !cut_digits(&text, 2, 59, &m) || !cut_char(&text, ':') || !cut_digits(&text, 2, 60, &sec))
        return false;
    if (cut_char(&text, '.')) {
        uint64_t digit;
        if (!cut_digits(&text, 1, 9, &digit))
            return false;
        while (cut_digits(&text, 1, 9, &digit))
            ;
    }
    if (!cut_offset(&text, &minutes) || text.len)
        return false;
    *utc = days_of((int64_t)year, (int)month, (int)day) * DAY_SECONDS + (int64_t)(h * 3600 + m * 60 + sec) - minutes * 60;
    return true;
}

void date_write_rfc3339(int64_t utc, struct strbuf *out)
{
    struct moment m = moment_of(utc, 0);
    strbuf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", m.date.year, m.date.month, m.date.day, m.hour, m.minute, m.second);
}
