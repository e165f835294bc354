/* Tests of text/imap_search_return.h. */
#include "check.h"
#include "text/imap_search_return.h"

enum {
    MIN = SEARCH_RETURN_MIN,
    MAX = SEARCH_RETURN_MAX,
    ALL = SEARCH_RETURN_ALL,
    COUNT = SEARCH_RETURN_COUNT,
    SAVE = SEARCH_RETURN_SAVE,
    PARTIAL = SEARCH_RETURN_PARTIAL,
};

static void options(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        unsigned what; /* 0: ST_SYNTAX */
    } rows[] = {
        {"RETURN () ", ALL},
        {"RETURN (MIN MAX) ", MIN | MAX},
        {"return (count All save) ", COUNT | ALL | SAVE},
        {"RETURN (PARTIAL 1:500) ", PARTIAL},
        {"RETURN (SAVE PARTIAL -1:-100 COUNT) ", SAVE | PARTIAL | COUNT},
        {"RETURN (MIN)", 0}, /* a program must follow */
        {"RETURN ( MIN) ", 0},
        {"RETURN (MIN MIN) ", 0},
        {"RETURN (ALL PARTIAL 1:2) ", 0}, /* RFC 9394 §3.1 */
        {"RETURN (PARTIAL) ", 0},
        {"RETURN (PARTIAL 1) ", 0},
        {"RETURN (PARTIAL 0:1) ", 0},
        {"RETURN (PARTIAL 1:-1) ", 0},
        {"RETURN (PARTIAL -1:1) ", 0},
        {"RETURN (PARTIAL 1:*) ", 0},
        {"RETURN (UPDATE) ", 0}, /* not among those allowed */
        {"RETURN (MINI) ", 0},
        {"RETURN MIN ", 0},
        {"RETURN", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct imap_args args;
        struct search_return r;
        struct err err;
        args_init(&args, &a, span_cstr(rows[i].in));
        enum status st = search_return_parse(&args, (unsigned)(MIN | MAX | ALL | COUNT | SAVE | PARTIAL), &r, &err);
        if ((st == ST_OK ? r.what : 0) != rows[i].what)
            fail_msg("%s: %s %x", rows[i].in, status_name(st), r.what);
    }
}

static void absent(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct imap_args args;
    struct search_return r;
    struct err err;
    args_init(&args, &a, SPAN("RETURNED"));
    assert_int_equal(search_return_parse(&args, ALL, &r, &err), ST_OK);
    assert_false(r.is_given);
    assert_int_equal(args.rest.len, 8);
}

/* RFC 9394 §3.1: what lies behind the end is left out; from the end the last is -1. */
static void ranges(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        size_t total, from, to;
    } rows[] = {
        {"1:500", 23764, 0, 500},
        {"500:1", 23764, 0, 500},
        {"23500:24000", 23764, 23499, 23764},
        {"24000:24500", 23764, 23764, 23764},
        {"-1:-100", 23764, 23664, 23764},
        {"-100:-1", 23764, 23664, 23764},
        {"-3:-5", 4, 0, 2},
        {"-5:-9", 4, 0, 0},
        {"1:1", 0, 0, 0},
        {"-1:-1", 0, 0, 0},
        {"4294967295:4294967295", 3, 3, 3},
        {"1:4294967295", 3, 0, 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct imap_args args;
        struct search_return r;
        struct err err;
        size_t from, to;
        args_init(&args, &a, arena_printf(&a, "RETURN (PARTIAL %s) ", rows[i].range));
        assert_int_equal(search_return_parse(&args, PARTIAL, &r, &err), ST_OK);
        assert_true(span_eq(r.partial, span_cstr(rows[i].range)));
        search_return_range(&r, rows[i].total, &from, &to);
        if (from != rows[i].from || to != rows[i].to)
            fail_msg("%s of %zu: %zu..%zu", rows[i].range, rows[i].total, from, to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options),
        cmocka_unit_test(absent),
        cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
