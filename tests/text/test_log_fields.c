/* Lines of the log read again: the pairs that base/log.h wrote, whatever bytes they had, and nothing from what is no
 * line. */
#include "text/log_fields.h"
#include "base/clock.h"
#include "base/log.h"
#include "check.h"

static void test_records(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int64_t at_ms; /* -1: no record */
    } rows[] = {
        {"2026-01-31T12:00:00.123Z mx info accepted from=a@b.test", 1769860800123},
        {"1970-01-01T00:00:00.000Z a b c", 0},
        {"2000-02-29T23:59:60.999Z mail warn role-died x=y", 951868800999},
        {"2024-12-31T00:00:00.000Z a b c d", 1735603200000},
        {"", -1},
        {"2026-01-31T12:00:00.123Z", -1},
        {"2026-01-31T12:00:00.123Z mx info", -1},
        {"2026-01-31T12:00:00.123Z mx info ", -1},
        {"2026-01-31T12:00:00.123Z m\x1bx info e", -1},
        {"2026-13-31T12:00:00.123Z mx info e", -1},
        {"2026-00-31T12:00:00.123Z mx info e", -1},
        {"2026-01-31T24:00:00.123Z mx info e", -1},
        {"2026-01-31 12:00:00.123Z mx info e", -1},
        {"2026-01-31T12:00:00-123Z mx info e", -1},
        {"1969-01-31T12:00:00.123Z mx info e", -1},
        {"202a-01-31T12:00:00.123Z mx info e", -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct log_record r;
        bool is = log_record_parse(span_cstr(rows[i].line), &r);
        if (is != (rows[i].at_ms >= 0) || (is && r.at_ms != rows[i].at_ms))
            fail_msg("%s: %d %lld", rows[i].line, is, (long long)r.at_ms);
    }
}

/* "key:value;" of each pair. */
static void all_fields(const char *fields, struct strbuf *out)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span rest = span_cstr(fields), key, value;
    while (rest.len && log_field_next(&rest, &a, &key, &value))
        strbuf_addf(out, "%.*s:%.*s;", SPAN_ARG(key), SPAN_ARG(value));
}

static void test_fields(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {"a=b", "a:b;"},
        {"a=b c=d@e.test f=", "a:b;c:d@e.test;f:;"},
        {"a=\"b c\" d=\"\" e=f", "a:b c;d:;e:f;"},
        {"a=\"q\\\"\\\\ \\x1b[2J\" b=c", "a:q\"\\ \x1b[2J;b:c;"},
        {"a=\"\\x\" b=c", "a:x;b:c;"},
        {"a=\"\\x4\" b=c", "a:x4;b:c;"},
        {"a=b \"c\"=d", "a:b;"},
        {"a=\"never closed", ""},
        {"a=\"b\"c d=e", ""},
        {"=x", ""},
        {"a", ""},
        {"a=b  c=d", "a:b;"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        all_fields(rows[i].in, &out);
        check_span(rows[i].in, strbuf_span(&out), span_cstr(rows[i].out));
    }
    AUTO_ARENA a = ARENA_INIT;
    check_span("first", log_field(SPAN("a=1 b=2 b=3"), &a, SPAN("b")), SPAN("2"));
    check_span("none", log_field(SPAN("a=1"), &a, SPAN("b")), SPAN(""));
}

static struct strbuf sunk;

static void sink(struct span line)
{
    strbuf_add(&sunk, line);
    strbuf_add_char(&sunk, '\n');
}

/* What log.c writes, read again: each octet alone and among others; only lines about messages come. */
static void test_what_the_log_writes(void **state)
{
    (void)state;
    log_set_sink(sink);
    clock_fake(1769860800123, 0);
    log_set_level(LOG_INFO);
    for (unsigned c = 0; c < 256; c++) {
        AUTO_ARENA a = ARENA_INIT;
        const char value[3] = {'x', (char)c, 'y'};
        struct log_line l;
        struct log_record r;
        strbuf_clear(&sunk);
        log_begin(&l, LOG_INFO, "accepted");
        log_str(&l, "trace", "abc");
        log_span(&l, "v", span_of(value, 3));
        log_span(&l, "w", span_of(value + 1, 1));
        log_end(&l);
        struct span rest = strbuf_span(&sunk), line;
        assert_true(span_cut(&rest, '\n', &line) && rest.len == 0);
        assert_true(log_record_parse(line, &r));
        assert_int_equal(r.at_ms, 1769860800123);
        check_span("v", log_field(r.fields, &a, SPAN("v")), span_of(value, 3));
        check_span("w", log_field(r.fields, &a, SPAN("w")), span_of(value + 1, 1));
    }
    strbuf_clear(&sunk);
    log_text(LOG_INFO, "something", "trace=abc is only text");
    assert_int_equal(sunk.len, 0);
    clock_unfake();
    log_set_sink(NULL);
    strbuf_free(&sunk);
}

/* A line that had to be cut is one all the same. */
static void test_long_lines(void **state)
{
    (void)state;
    static char large[4000];
    for (unsigned fill = 0; fill < 2; fill++) {
        AUTO_ARENA a = ARENA_INIT;
        struct log_line l;
        struct log_record r;
        memset(large, fill ? '\x01' : 'z', sizeof large);
        log_begin(&l, LOG_INFO, "accepted");
        log_str(&l, "trace", "abc");
        log_span(&l, "large", span_of(large, sizeof large));
        log_str(&l, "more", "left out");
        log_set_sink(sink);
        log_end(&l);
        log_set_sink(NULL);
        struct span line = span_take(strbuf_span(&sunk), sunk.len - 1);
        assert_true(log_record_parse(line, &r));
        check_span("trace", log_field(r.fields, &a, SPAN("trace")), SPAN("abc"));
        assert_true(log_field(r.fields, &a, SPAN("large")).len > 400);
        strbuf_free(&sunk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_what_the_log_writes),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
