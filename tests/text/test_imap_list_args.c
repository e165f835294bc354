/* Tests of text/imap_list_args.h. */
#include "check.h"
#include "text/imap_list_args.h"

enum {
    SUBSCRIBED = LIST_SELECT_SUBSCRIBED,
    REMOTE = LIST_SELECT_REMOTE,
    RECURSIVE = LIST_SELECT_RECURSIVEMATCH,
    SPECIAL = LIST_SELECT_SPECIAL_USE,
    R_SUBSCRIBED = LIST_RETURN_SUBSCRIBED,
    R_CHILDREN = LIST_RETURN_CHILDREN,
    R_SPECIAL = LIST_RETURN_SPECIAL_USE,
    R_STATUS = LIST_RETURN_STATUS,
    R_MYRIGHTS = LIST_RETURN_MYRIGHTS,
    EXTENDED = 256,
    ROOT = 512,
};

static enum status parse(struct arena *a, struct span in, struct list_args *out)
{
    struct imap_args args;
    struct err err;
    args_init(&args, a, in);
    return list_args_parse(&args, out, &err);
}

/* RFC 5258 §5, §6; RFC 5819 §3; RFC 6154 §5; RFC 8440 §4. */
static void grammar(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        unsigned select, returns;
        size_t patterns;
        unsigned kind;
    } rows[] = {
        {" \"\" \"*\"", 0, 0, 1, 0},
        {" \"\" *", 0, 0, 1, 0},
        {" \"\" \"\"", 0, 0, 0, ROOT},
        {" foo \"\"", 0, 0, 0, ROOT},
        {" () \"\" \"\"", 0, 0, 0, EXTENDED}, /* §3: the empty name is nothing special there */
        {" \"\" (\"\")", 0, 0, 0, EXTENDED},
        {" \"\" \"\" RETURN ()", 0, 0, 0, EXTENDED},
        {" \"\" (\"foo\" \"\" \"foo/*\")", 0, 0, 2, EXTENDED},
        {" (SUBSCRIBED) \"\" \"*\"", SUBSCRIBED, R_SUBSCRIBED, 1, EXTENDED},
        {" () \"\" \"%\" RETURN (CHILDREN)", 0, R_CHILDREN, 1, EXTENDED},
        {" (REMOTE) \"\" \"%\" return (Children)", REMOTE, R_CHILDREN, 1, EXTENDED},
        {" (REMOTE SUBSCRIBED) \"\" \"*\"", REMOTE | SUBSCRIBED, R_SUBSCRIBED, 1, EXTENDED},
        {" (subscribed RecursiveMatch) \"\" %", SUBSCRIBED | RECURSIVE, R_SUBSCRIBED, 1, EXTENDED},
        {" (RECURSIVEMATCH REMOTE SUBSCRIBED) \"\" %", SUBSCRIBED | REMOTE | RECURSIVE, R_SUBSCRIBED, 1, EXTENDED},
        {" (SUBSCRIBED SUBSCRIBED) \"\" %", SUBSCRIBED, R_SUBSCRIBED, 1, EXTENDED}, /* §3: as if once */
        {" (SPECIAL-USE) \"\" *", SPECIAL, R_SPECIAL, 1, EXTENDED},
        {" (SPECIAL-USE RECURSIVEMATCH) \"\" *", SPECIAL | RECURSIVE, R_SPECIAL, 1, EXTENDED},
        {" \"\" % RETURN (STATUS (MESSAGES UNSEEN))", 0, R_STATUS, 1, EXTENDED},
        {" \"\" % RETURN (STATUS (MESSAGES) MYRIGHTS CHILDREN)", 0, R_STATUS | R_MYRIGHTS | R_CHILDREN, 1, EXTENDED},
        {" {3}\r\nfoo {1}\r\n%", 0, 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct list_args l;
        enum status st = parse(&a, span_cstr(rows[i].in), &l);
        unsigned kind = (l.is_extended ? EXTENDED : 0u) | (l.is_root ? ROOT : 0u);
        if (st != ST_OK || l.select != rows[i].select || l.returns != rows[i].returns || kind != rows[i].kind ||
            l.pattern_count != rows[i].patterns)
            fail_msg("%s: %s %x %x %zu %x", rows[i].in, status_name(st), l.select, l.returns, l.pattern_count, kind);
    }
}

static void bad_grammar(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        " \"\"",
        " \"\" ",
        " \"\" ()",
        " \"\" (a",
        " \"\" (a  b)",
        " \"\" ((a))",
        " (SUBSCRIBED)\"\" %",
        " (RECURSIVEMATCH) \"\" %", /* §3.1 */
        " (REMOTE RECURSIVEMATCH) \"\" %",
        " (SUBSCRIBE) \"\" %",
        " (CHILDREN) \"\" %",
        " ( SUBSCRIBED) \"\" %",
        " (SUBSCRIBED \"\" %",
        " \"\" % RETURN",
        " \"\" % RETURN CHILDREN",
        " \"\" % RETURN (REMOTE)",
        " \"\" % RETURN (CHILDREN",
        " \"\" % RETURN (STATUS)",
        " \"\" % RETURN (STATUS MESSAGES)",
        " \"\" % RETURN (STATUS (MESSAGES)",
        " \"\" % RETURN (STATUS (\"MESSAGES\"))",
        " \"\" % RETURN (CHILDREN) x",
        " \"\" % RETURNS (CHILDREN)",
        " \"\" % (SUBSCRIBED)",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct list_args l;
        enum status st = parse(&a, span_cstr(rows[i]), &l);
        if (st != ST_SYNTAX)
            fail_msg("%s: %s", rows[i], status_name(st));
    }
}

static void values(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct list_args l;
    assert_int_equal(parse(&a, SPAN(" foo/ (bar % INBOX) RETURN (STATUS (UNSEEN X-Y) CHILDREN)"), &l), ST_OK);
    assert_true(span_eq(l.status_items, SPAN("(UNSEEN X-Y)")));
    assert_true(list_args_match(&l, SPAN("foo/bar")));
    assert_true(list_args_match(&l, SPAN("foo/other")));
    assert_false(list_args_match(&l, SPAN("bar")));
    assert_false(list_args_match(&l, SPAN("foo/a/b")));
    assert_true(list_args_may_match_below(&l, SPAN("foo/")));
    assert_false(list_args_may_match_below(&l, SPAN("bar/")));
    assert_string_equal(list_select_name(LIST_SELECT_SPECIAL_USE), "SPECIAL-USE");
    assert_string_equal(list_select_name(LIST_SELECT_SPECIAL_USE | LIST_SELECT_SUBSCRIBED), "SUBSCRIBED");
}

/* What no name can match is passed over; of patterns and words there is an end. */
static void limits(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct list_args l;
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_add_cstr(&text, " \"\" (");
    for (int i = 0; i < IMAP_PATTERN_MAX + 1; i++)
        strbuf_add_char(&text, 'a');
    strbuf_add_cstr(&text, " b)");
    assert_int_equal(parse(&a, strbuf_span(&text), &l), ST_OK);
    assert_int_equal(l.pattern_count, 1);

    strbuf_clear(&text);
    strbuf_add_cstr(&text, " \"\" (x");
    for (int i = 1; i < LIST_PATTERNS_MAX; i++)
        strbuf_addf(&text, " x%d", i);
    strbuf_add_char(&text, ')');
    assert_int_equal(parse(&a, strbuf_span(&text), &l), ST_OK);
    assert_int_equal(l.pattern_count, LIST_PATTERNS_MAX);
    text.len--;
    strbuf_add_cstr(&text, " y)");
    assert_int_equal(parse(&a, strbuf_span(&text), &l), ST_LIMIT);

    strbuf_clear(&text);
    strbuf_add_cstr(&text, " \"\" % RETURN (STATUS (MESSAGES");
    for (int i = 0; i < LIST_OPTION_WORDS_MAX; i++)
        strbuf_add_cstr(&text, " UNSEEN");
    strbuf_add_cstr(&text, "))");
    assert_int_equal(parse(&a, strbuf_span(&text), &l), ST_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),
        cmocka_unit_test(bad_grammar),
        cmocka_unit_test(values),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
