/* log_fields.c - see log_fields.h. */
#include "text/log_fields.h"
#include "base/banned.h"

enum { TIME_CHARS = 24 }; /* 2026-01-31T12:00:00.123Z */

static bool is_word(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return s.len > 0 && s.len <= 40;
}

static bool digits(struct span s, size_t at, size_t n, unsigned max, int64_t *out)
{
    uint64_t value;
    if (!span_to_u64(span_slice(s, at, at + n), max, &value))
        return false;
    *out = (int64_t)value;
    return true;
}

/* Days since 1970-01-01 of the Gregorian calendar, from 1970 on. */
static int64_t day_number(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year, m = (month + 9) % 12;
    return 365 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

static bool read_time(struct span s, int64_t *at_ms)
{
    static const char pattern[] = "....-..-..T..:..:......Z";
    int64_t year, month, day, hour, minute, second, ms;
    if (s.len != TIME_CHARS || s.p[19] != '.')
        return false;
    for (size_t i = 0; i < TIME_CHARS; i++)
        if (pattern[i] != '.' && pattern[i] != s.p[i])
            return false;
    if (!digits(s, 0, 4, 9999, &year) || !digits(s, 5, 2, 12, &month) || !digits(s, 8, 2, 31, &day) ||
        !digits(s, 11, 2, 23, &hour) || !digits(s, 14, 2, 59, &minute) || !digits(s, 17, 2, 60, &second) ||
        !digits(s, 20, 3, 999, &ms) || year < 1970 || month == 0 || day == 0)
        return false;
    *at_ms = (((day_number(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms;
    return true;
}

bool log_record_parse(struct span line, struct log_record *out)
{
    *out = (struct log_record){0};
    span_cut(&line, ' ', &out->time);
    span_cut(&line, ' ', &out->role);
    span_cut(&line, ' ', &out->level);
    span_cut(&line, ' ', &out->event);
    out->fields = line;
    return read_time(out->time, &out->at_ms) && is_word(out->role) && is_word(out->level) && is_word(out->event);
}

static int hex(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind the opening quote; *end: where the closing one is. False: there is none. */
static bool find_end(struct span s, size_t *end, bool *is_escaped)
{
    *is_escaped = false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\\') {
            *is_escaped = true;
            i++;
        } else if (s.p[i] == '"') {
            *end = i;
            return true;
        }
    }
    return false;
}

static struct span unescape(struct arena *a, struct span s)
{
    char *out = arena_alloc(a, s.len);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] != '\\' || i + 1 == s.len) {
            out[n++] = s.p[i];
        } else if (s.p[i + 1] == 'x' && i + 3 < s.len && hex(s.p[i + 2]) >= 0 && hex(s.p[i + 3]) >= 0) {
            out[n++] = (char)(hex(s.p[i + 2]) << 4 | hex(s.p[i + 3]));
            i += 3;
        } else {
            out[n++] = s.p[++i];
        }
    }
    return span_of(out, n);
}

bool log_field_next(struct span *fields, struct arena *a, struct span *key, struct span *value)
{
    struct span rest = *fields;
    *fields = SPAN_NONE;
    if (!span_cut(&rest, '=', key) || !is_word(*key))
        return false;
    if (!span_starts(rest, SPAN("\""))) {
        span_cut(&rest, ' ', value);
        *fields = rest;
        return true;
    }
    size_t end;
    bool is_escaped;
    rest = span_skip(rest, 1);
    if (!find_end(rest, &end, &is_escaped))
        return false;
    *value = span_take(rest, end);
    if (is_escaped)
        *value = unescape(a, *value);
    rest = span_skip(rest, end + 1);
    if (rest.len && rest.p[0] != ' ')
        return false;
    *fields = span_skip(rest, 1);
    return true;
}

struct span log_field(struct span fields, struct arena *a, struct span wanted)
{
    struct span key, value;
    while (fields.len && log_field_next(&fields, a, &key, &value))
        if (span_eq(key, wanted))
            return value;
    return SPAN_NONE;
}
