/* Tests of text/date.h. The seconds of the tables were made with date(1). */
#include "check.h"
#include "text/date.h"

#define NO_DATE INT64_MIN

static void reads_header_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t utc;
        int zone;
    } rows[] = {
        /* RFC 5322 appendix A */
        {"Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360},
        {"Tue, 1 Jul 2003 10:52:37 +0200", 1057049557, 120},
        {"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
         -27723480, -210},
        {"21 Nov 97 09:55:06 GMT", 880106106, 0},
        {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706, -360},
        /* as they are sent */
        {"Sat, 31 Jan 2026 12:00:00 +0100", 1769857200, 60},
        {"31 Jan 2026 12:00 +0100", 1769857200, 60},
        {"Sat, 31 Jan 2026 12:00:00 EST", 1769878800, -300},
        {"Sat, 31 Jan 2026 12:00:00 pdt", 1769886000, -420},
        {"Sat, 31 Jan 2026 12:00:00 UT", 1769860800, 0},
        {"Sat, 31 Jan 2026 12:00:00 Z", 1769860800, 0},
        {"Sat, 31 Jan 2026 12:00:00 A", 1769860800, 0}, /* RFC 5322 §4.3: as -0000 */
        {"Sat, 31 Jan 2026 12:00:00 CEST", 1769860800, 0},
        {"Sat, 31 Jan 2026 12:00:00", 1769860800, 0},
        {"Sat, 31 Jan 2026 12:00:00 GMT+0100", 1769857200, 60},
        {"Sat, 31 Jan 2026 12:00:00 +01:00", 1769857200, 60},
        {"Sat, 31 Jan 2026 12:00:00 +9959", 1769500860, 5999},
        {"Sat 31 January 2026 12:00:00 +0000 (a (nested \\) comment))", 1769860800, 0},
        {"(first)31-Jan-2026 12:00:00 +0000", 1769860800, 0},
        {"Sat Jan 31 12:00:00 2026", 1769860800, 0},
        {"Sat Jan 31 12:00:00 EST 2026", 1769878800, -300},
        {"Sat Jan 31 12:00:00 2026 (comment)", 1769860800, 0},
        {"Sat, 31 Jan 26 12:00:00 +0000", 1769860800, 0},
        {"31 Jan 126 12:00:00 +0000", 1769860800, 0},
        {"1 Jan 49 00:00:00 +0000", 2493072000, 0},
        {"1 Jan 50 00:00:00 +0000", -631152000, 0},
        {"1 Jan 1970 00:00:00 +0000", 0, 0},
        {"31 Dec 1969 23:59:59 +0000", -1, 0},
        {"29 Feb 2000 23:59:60 +0000", 951868800, 0},
        {"31 Dec 9999 23:59:59 +0000", 253402300799, 0},
        /* no dates */
        {"", NO_DATE, 0},
        {"yesterday", NO_DATE, 0},
        {"Sat", NO_DATE, 0},
        {"Sat,", NO_DATE, 0},
        {"31", NO_DATE, 0},
        {"31 Jan 2026", NO_DATE, 0},
        {"32 Jan 2026 12:00:00 +0000", NO_DATE, 0},
        {"0 Jan 2026 12:00:00 +0000", NO_DATE, 0},
        {"29 Feb 2026 12:00:00 +0000", NO_DATE, 0},
        {"29 Feb 1900 12:00:00 +0000", NO_DATE, 0},
        {"31 Foo 2026 12:00:00 +0000", NO_DATE, 0},
        {"31 Jan 2026 24:00:00 +0000", NO_DATE, 0},
        {"31 Jan 2026 12:60:00 +0000", NO_DATE, 0},
        {"31 Jan 2026 12:00:61 +0000", NO_DATE, 0},
        {"31 Jan 20260 12:00:00 +0000", NO_DATE, 0},
        {"31 Jan 6 12:00:00 +0000", NO_DATE, 0},
        {"(31 Jan 2026 12:00:00 +0000", NO_DATE, 0},
        {"99999999999999999999 Jan 2026 12:00:00 +0000", NO_DATE, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mail_date d = {0, 0};
        bool is_date = date_parse_rfc5322(span_cstr(rows[i].text), &d);
        if (is_date != (rows[i].utc != NO_DATE) ||
            (is_date && (d.utc != rows[i].utc || d.zone_minutes != rows[i].zone)))
            fail_msg("%s: %d %lld %d", rows[i].text, is_date, (long long)d.utc, d.zone_minutes);
    }
}

static void reads_imap_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t utc;
        int zone;
    } rows[] = {
        {"17-Jul-1996 02:44:25 -0700", 837596665, -420}, /* RFC 3501 §7.4.2 */
        {" 7-Feb-1994 21:52:25 -0800", 760686745, -480}, /* RFC 3501 §6.3.11 */
        {"7-Feb-1994 21:52:25 -0800", 760686745, -480},
        {"07-fEB-1994 21:52:25 -0800", 760686745, -480},
        {"31-Jan-2026 12:00:00 +0000", 1769860800, 0},
        {"31-Jan-2026 12:00:00 +000", NO_DATE, 0},
        {"31-Jan-2026 12:00:00 +00000", NO_DATE, 0},
        {"31-Jan-2026 12:00:00 0000", NO_DATE, 0},
        {"31-Jan-2026 12:00:00 GMT", NO_DATE, 0},
        {"31-Jan-2026 12:00:00", NO_DATE, 0},
        {"31-Jan-2026 12:00 +0000", NO_DATE, 0},
        {"31-Jan-2026  12:00:00 +0000", NO_DATE, 0},
        {"31-January-2026 12:00:00 +0000", NO_DATE, 0},
        {"31-Jan-26 12:00:00 +0000", NO_DATE, 0},
        {"30-Feb-2026 12:00:00 +0000", NO_DATE, 0},
        {"-Feb-2026 12:00:00 +0000", NO_DATE, 0},
        {"31-Jan-2026 25:00:00 +0000", NO_DATE, 0},
        {"31-Jan-2026 12:00:00 +0060", NO_DATE, 0},
        {"", NO_DATE, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct mail_date d = {0, 0};
        bool is_date = date_parse_imap(span_cstr(rows[i].text), &d);
        if (is_date != (rows[i].utc != NO_DATE) ||
            (is_date && (d.utc != rows[i].utc || d.zone_minutes != rows[i].zone)))
            fail_msg("%s: %d %lld %d", rows[i].text, is_date, (long long)d.utc, d.zone_minutes);
    }
}

static void reads_search_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t day;
    } rows[] = {
        {"1-Jan-1970", 0},           {"31-Dec-1969", -1},       {"1-Feb-1994", 8797},     {"31-Jan-2026", 20484},
        {"01-Feb-1994", 8797},       {" 1-Feb-1994", NO_DATE},  {"1-Feb-1994 ", NO_DATE}, {"1-Feb-94", NO_DATE},
        {"1-Foo-1994", NO_DATE},     {"001-Feb-1994", NO_DATE}, {"1-Feb-19944", NO_DATE}, {"", NO_DATE},
        {"\"1-Feb-1994\"", NO_DATE},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int64_t day = 4711;
        assert_int_equal(date_parse_imap_day(span_cstr(rows[i].text), &day), rows[i].day != NO_DATE);
        assert_true(day == (rows[i].day == NO_DATE ? 4711 : rows[i].day));
    }
}

static void writes(void **state)
{
    (void)state;
    static const struct {
        int64_t utc;
        int zone;
        const char *header, *imap;
    } rows[] = {
        {1769857200, 60, "Sat, 31 Jan 2026 12:00:00 +0100", "31-Jan-2026 12:00:00 +0100"},
        {760686745, -480, "Mon, 7 Feb 1994 21:52:25 -0800", " 7-Feb-1994 21:52:25 -0800"},
        {0, 0, "Thu, 1 Jan 1970 00:00:00 +0000", " 1-Jan-1970 00:00:00 +0000"},
        {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000", "31-Dec-1969 23:59:59 +0000"},
        {951868799, 0, "Tue, 29 Feb 2000 23:59:59 +0000", "29-Feb-2000 23:59:59 +0000"},
        {253402300799, 0, "Fri, 31 Dec 9999 23:59:59 +0000", "31-Dec-9999 23:59:59 +0000"},
        {INT64_MAX, 60, "Fri, 31 Dec 9999 23:59:59 +0000", "31-Dec-9999 23:59:59 +0000"},
        {INT64_MIN, -60, "Sat, 1 Jan 0000 00:00:00 +0000", " 1-Jan-0000 00:00:00 +0000"},
        {0, INT32_MAX, "Thu, 1 Jan 1970 00:00:00 +0000", " 1-Jan-1970 00:00:00 +0000"},
        {0, -210, "Wed, 31 Dec 1969 20:30:00 -0330", "31-Dec-1969 20:30:00 -0330"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        date_write_rfc5322(rows[i].utc, rows[i].zone, &out);
        assert_string_equal(strbuf_cstr(&out), rows[i].header);
        strbuf_clear(&out);
        date_write_imap(rows[i].utc, rows[i].zone, &out);
        assert_string_equal(strbuf_cstr(&out), rows[i].imap);
    }
}

/* Every day of 1000 years, with every weekday in its turn, is read back as it was written. */
static void every_day_there_and_back(void **state)
{
    (void)state;
    static const char weekdays[] = "ThuFriSatSunMonTueWed";
    for (int64_t day = -150000; day < 215000; day++) {
        AUTO_STRBUF out = STRBUF_INIT;
        struct mail_date d;
        int64_t utc = day * 86400 + 86399, read;
        date_write_rfc5322(utc, 0, &out);
        assert_memory_equal(out.p, weekdays + ((day % 7 + 7) % 7) * 3, 3);
        assert_true(date_parse_rfc5322(strbuf_span(&out), &d));
        assert_true(d.utc == utc);
        strbuf_clear(&out);
        date_write_imap(utc, 0, &out);
        assert_true(date_parse_imap(strbuf_span(&out), &d));
        assert_true(d.utc == utc);
        assert_true(date_day(utc, 0) == day);
        strbuf_truncate(&out, 11);
        assert_true(out.p[0] == ' ' || (date_parse_imap_day(strbuf_span(&out), &read) && read == day));
    }
}

static void days_in_zones(void **state)
{
    (void)state;
    assert_int_equal(date_day(0, 0), 0);
    assert_int_equal(date_day(0, -1), -1);
    assert_int_equal(date_day(86399, 0), 0);
    assert_int_equal(date_day(86399, 1), 1);
    assert_int_equal(date_day(-86400, 0), -1);
    assert_int_equal(date_day(-86401, 0), -2);
    (void)date_day(INT64_MAX, INT32_MAX);
    (void)date_day(INT64_MIN, INT32_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_header_dates),       cmocka_unit_test(reads_imap_dates),
        cmocka_unit_test(reads_search_dates),       cmocka_unit_test(writes),
        cmocka_unit_test(every_day_there_and_back), cmocka_unit_test(days_in_zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
