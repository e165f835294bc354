/* Tests of text/imap_lexer.h. */
#include "check.h"
#include "text/imap_lexer.h"

static struct imap_args args_of(struct arena *a, struct span text)
{
    struct imap_args args;
    args_init(&args, a, text);
    return args;
}

typedef enum status reader(struct imap_args *, struct span *, struct err *);

static const struct {
    const char *name;
    reader *read;
    struct span in;
    const char *value; /* NULL: ST_SYNTAX */
    const char *rest;
} value_rows[] = {
    {"tag", args_tag, SPAN_INIT("a1 NOOP"), "a1", " NOOP"},
    {"tag", args_tag, SPAN_INIT("A]x.1-"), "A]x.1-", ""},
    {"tag", args_tag, SPAN_INIT("+ x"), NULL, NULL},
    {"tag", args_tag, SPAN_INIT(""), NULL, NULL},
    {"atom", args_atom, SPAN_INIT("FETCH 1"), "FETCH", " 1"},
    {"atom", args_atom, SPAN_INIT("a]b"), "a", "]b"},
    {"atom", args_atom, SPAN_INIT("a(b"), "a", "(b"},
    {"atom", args_atom, SPAN_INIT("\\Seen"), NULL, NULL},
    {"atom", args_atom, SPAN_INIT("\xc3\xa4"), NULL, NULL},
    {"atom", args_atom, SPAN_INIT("\"a\""), NULL, NULL},
    {"string", args_string, SPAN_INIT("\"\""), "", ""},
    {"string", args_string, SPAN_INIT("\"a b\" c"), "a b", " c"},
    {"string", args_string, SPAN_INIT("\"a\\\"b\\\\c\")"), "a\"b\\c", ")"},
    {"string", args_string, SPAN_INIT("\"a\\b\""), NULL, NULL},
    {"string", args_string, SPAN_INIT("\"a\\\""), NULL, NULL},
    {"string", args_string, SPAN_INIT("\"a\r\nb\""), NULL, NULL},
    {"string", args_string, SPAN_INIT("\"a\0b\""), NULL, NULL},
    {"string", args_string, SPAN_INIT("\"gr\xc3\xbc\xc3\x9f\""), "gr\xc3\xbc\xc3\x9f", ""},
    {"string", args_string, SPAN_INIT("\"open"), NULL, NULL},
    {"string", args_string, SPAN_INIT("atom"), NULL, NULL},
    {"string", args_string, SPAN_INIT("{5}\r\nhello)"), "hello", ")"},
    {"string", args_string, SPAN_INIT("{5+}\r\nhello"), "hello", ""},
    {"string", args_string, SPAN_INIT("{0}\r\n x"), "", " x"},
    {"string", args_string, SPAN_INIT("{4}\r\na\r\nb c"), "a\r\nb", " c"},
    {"string", args_string, SPAN_INIT("{6}\r\nhello"), NULL, NULL},
    {"string", args_string, SPAN_INIT("{5}\nhello"), NULL, NULL},
    {"string", args_string, SPAN_INIT("{5}hello"), NULL, NULL},
    {"string", args_string, SPAN_INIT("{}\r\n"), NULL, NULL},
    {"string", args_string, SPAN_INIT("{+}\r\n"), NULL, NULL},
    {"string", args_string, SPAN_INIT("{-1}\r\n"), NULL, NULL},
    {"string", args_string, SPAN_INIT("{1}\r\n\0"), NULL, NULL},
    {"string", args_string, SPAN_INIT("{99999999999999999999999}\r\nx"), NULL, NULL},
    {"string", args_string, SPAN_INIT("{5"), NULL, NULL},
    {"astring", args_astring, SPAN_INIT("a]b c"), "a]b", " c"},
    {"astring", args_astring, SPAN_INIT("\"a b\""), "a b", ""},
    {"astring", args_astring, SPAN_INIT("{1}\r\nx"), "x", ""},
    {"astring", args_astring, SPAN_INIT("a%"), "a", "%"},
    {"astring", args_astring, SPAN_INIT("(x)"), NULL, NULL},
    {"astring", args_astring, SPAN_INIT(""), NULL, NULL},
    {"mailbox", args_mailbox, SPAN_INIT("inBox"), "INBOX", ""},
    {"mailbox", args_mailbox, SPAN_INIT("\"INBOX\""), "INBOX", ""},
    {"mailbox", args_mailbox, SPAN_INIT("INBOXES"), "INBOXES", ""},
    {"mailbox", args_mailbox, SPAN_INIT("~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
     "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", ""},
    {"mailbox", args_mailbox, SPAN_INIT("A&-B"), "A&B", ""},
    {"mailbox", args_mailbox, SPAN_INIT("A&B"), NULL, NULL},
    {"mailbox", args_mailbox, SPAN_INIT("\"\xc3\xa4\""), NULL, NULL},
    {"mailbox", args_mailbox, SPAN_INIT("a*"), "a", "*"},
    {"list", args_list_mailbox, SPAN_INIT("~/Mail/%"), "~/Mail/%", ""},
    {"list", args_list_mailbox, SPAN_INIT("* x"), "*", " x"},
    {"list", args_list_mailbox, SPAN_INIT("\"\" x"), "", " x"},
    {"list", args_list_mailbox, SPAN_INIT("(x)"), NULL, NULL},
};

static void values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(value_rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct imap_args args = args_of(&a, value_rows[i].in);
        struct span out;
        struct err err;
        enum status st = value_rows[i].read(&args, &out, &err);
        if ((st == ST_OK) != (value_rows[i].value != NULL))
            fail_msg("%s row %zu: %s", value_rows[i].name, i, status_name(st));
        if (st != ST_OK) {
            assert_int_equal(st, ST_SYNTAX);
            assert_true(err.client[0]);
            continue;
        }
        check_span(value_rows[i].name, out, span_cstr(value_rows[i].value));
        check_span(value_rows[i].name, args.rest, span_cstr(value_rows[i].rest));
    }
}

/* With IMAP4rev2 or UTF8=ACCEPT names are UTF-8 and "&" is nothing special. */
static void utf8_names(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct span name;
    struct err err;
    struct imap_args args = args_of(&a, SPAN("\"A&B \xc3\xa4\""));
    args.is_utf8 = true;
    assert_int_equal(args_mailbox(&args, &name, &err), ST_OK);
    check_span("utf8", name, SPAN("A&B \xc3\xa4"));
    args = args_of(&a, SPAN("\"\xc3\""));
    args.is_utf8 = true;
    assert_int_equal(args_mailbox(&args, &name, &err), ST_SYNTAX);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        int64_t number, nz_number, number64; /* -1: ST_SYNTAX */
    } rows[] = {
        {"0", 0, -1, 0},
        {"1", 1, 1, 1},
        {"4294967295", 4294967295, 4294967295, 4294967295},
        {"4294967296", -1, -1, 4294967296},
        {"9223372036854775807", -1, -1, INT64_MAX},
        {"9223372036854775808", -1, -1, -1},
        {"", -1, -1, -1},
        {"-1", -1, -1, -1},
        {"x", -1, -1, -1},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct err err;
        uint32_t n;
        uint64_t n64;
        struct imap_args args = args_of(&a, span_cstr(rows[i].in));
        assert_int_equal(args_number(&args, &n, &err) == ST_OK ? (int64_t)n : -1, rows[i].number);
        args = args_of(&a, span_cstr(rows[i].in));
        assert_int_equal(args_nz_number(&args, &n, &err) == ST_OK ? (int64_t)n : -1, rows[i].nz_number);
        args = args_of(&a, span_cstr(rows[i].in));
        assert_int_equal(args_number64(&args, &n64, &err) == ST_OK ? (int64_t)n64 : -1, rows[i].number64);
    }
}

static void nstrings(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct err err;
    struct span out;
    bool has;
    struct imap_args args = args_of(&a, SPAN("nil \"NIL\" NILS"));
    assert_int_equal(args_nstring(&args, &has, &out, &err), ST_OK);
    assert_false(has);
    assert_int_equal(args_sp(&args, &err), ST_OK);
    assert_int_equal(args_nstring(&args, &has, &out, &err), ST_OK);
    assert_true(has);
    check_span("nstring", out, SPAN("NIL"));
    assert_int_equal(args_sp(&args, &err), ST_OK);
    assert_int_equal(args_nstring(&args, &has, &out, &err), ST_SYNTAX);
}

static void dates(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct err err;
    struct mail_date d;
    int64_t day;
    struct imap_args args = args_of(&a, SPAN("1-Feb-1994 \"01-Feb-1994\" \" 1-Jan-1970 01:00:00 +0100\" 1-Foo-1994"));
    assert_int_equal(args_date(&args, &day, &err), ST_OK);
    assert_int_equal(day, 8797);
    assert_int_equal(args_sp(&args, &err), ST_OK);
    assert_int_equal(args_date(&args, &day, &err), ST_OK);
    assert_int_equal(day, 8797);
    assert_int_equal(args_sp(&args, &err), ST_OK);
    assert_int_equal(args_date_time(&args, &d, &err), ST_OK);
    assert_int_equal(d.utc, 0);
    assert_int_equal(d.zone_minutes, 60);
    assert_int_equal(args_sp(&args, &err), ST_OK);
    assert_int_equal(args_date(&args, &day, &err), ST_SYNTAX);
}

static void flags(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool is_bare_allowed;
        int system; /* -1: ST_SYNTAX */
        size_t keywords;
        const char *rest;
    } rows[] = {
        {"()", false, 0, 0, ""},
        {"(\\Seen)", false, IMAP_FLAG_SEEN, 0, ""},
        {"(\\seen \\DELETED $Forwarded Junk) x", false, IMAP_FLAG_SEEN | IMAP_FLAG_DELETED, 2, " x"},
        {"(\\Answered \\Flagged \\Draft)", false, IMAP_FLAG_ANSWERED | IMAP_FLAG_FLAGGED | IMAP_FLAG_DRAFT, 0, ""},
        {"\\Seen \\Deleted a", true, IMAP_FLAG_SEEN | IMAP_FLAG_DELETED, 1, ""},
        {"\\Seen", false, -1, 0, ""},
        {"(\\Recent)", false, -1, 0, ""},
        {"(\\Nothing)", false, -1, 0, ""},
        {"(\\)", false, -1, 0, ""},
        {"(a", false, -1, 0, ""},
        {"(a  b)", false, -1, 0, ""},
        {"( a)", false, -1, 0, ""},
        {"(a )", false, -1, 0, ""},
        {"\\Seen ", true, -1, 0, ""},
        {"", true, -1, 0, ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct err err;
        struct imap_flags f;
        struct imap_args args = args_of(&a, span_cstr(rows[i].in));
        enum status st = args_flags(&args, rows[i].is_bare_allowed, &f, &err);
        if ((st == ST_OK) != (rows[i].system >= 0))
            fail_msg("%s: %s", rows[i].in, status_name(st));
        if (st != ST_OK)
            continue;
        assert_int_equal(f.system, rows[i].system);
        assert_int_equal(f.count, rows[i].keywords);
        check_span(rows[i].in, args.rest, span_cstr(rows[i].rest));
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct err err;
    for (int i = 0; i <= IMAP_NESTING_MAX; i++)
        strbuf_add_char(&text, '(');
    struct imap_args args = args_of(&a, strbuf_span(&text));
    for (int i = 0; i < IMAP_NESTING_MAX; i++)
        assert_int_equal(args_list_open(&args, &err), ST_OK);
    assert_int_equal(args_list_open(&args, &err), ST_LIMIT);
}

static void words(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct imap_args args = args_of(&a, SPAN("header.fields NOTHING not"));
    assert_false(args_take_word(&args, "HEADER"));
    assert_true(args_take_word(&args, "HEADER.FIELDS"));
    assert_true(args_take(&args, ' '));
    assert_false(args_take_word(&args, "NOT"));
    assert_true(args_take_word(&args, "NOTHING"));
    assert_true(args_take(&args, ' '));
    assert_true(args_take_word(&args, "NOT"));
    assert_true(args_at_end(&args));
    assert_false(args_take_word(&args, "NOT"));
}

/* What the client is told is one line of ASCII, whatever it sent. */
static void errors_are_printable(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct err err;
    struct imap_args args = args_of(&a, SPAN("\x01\x80\0x(*\"long and longer and longer still"));
    assert_int_equal(args_expected(&args, "a thing", &err), ST_SYNTAX);
    assert_string_equal(err.client, "expected a thing, found '???x(*\"long and longer a...'");
    args = args_of(&a, SPAN(""));
    args_expected(&args, "a thing", &err);
    assert_string_equal(err.client, "expected a thing, found the end of the command");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(utf8_names),
        cmocka_unit_test(numbers),
        cmocka_unit_test(nstrings),
        cmocka_unit_test(dates),
        cmocka_unit_test(flags),
        cmocka_unit_test(words),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(errors_are_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
