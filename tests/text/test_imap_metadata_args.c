/* Tests of text/imap_metadata_args.h. */
#include "check.h"
#include "text/imap_metadata_args.h"

/* The entries as "scope path[=value]", one behind the other. */
static struct span shown(struct arena *a, const struct metadata_entries *entries, bool has_values)
{
    AUTO_STRBUF out = STRBUF_INIT;
    for (size_t i = 0; i < entries->count; i++) {
        const struct metadata_entry *e = &entries->items[i];
        strbuf_addf(&out, "%s%s%.*s", i ? " " : "", e->is_private ? "p" : "s", SPAN_ARG(e->path));
        if (has_values)
            strbuf_addf(&out, "=%s%.*s", e->has_value ? "" : "NIL", SPAN_ARG(e->value));
    }
    return arena_strbuf(a, &out);
}

/* RFC 5464 §4.2, with the options in both places. */
static void queries(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *mailbox, *entries; /* NULL: ST_SYNTAX */
        int max, depth;
    } rows[] = {
        {" \"\" /shared/comment", "", "s/comment", -1, 0},
        {" \"INBOX\" /private/comment", "INBOX", "p/comment", -1, 0},
        {" inbox (/shared/comment /Private/Comment)", "INBOX", "s/comment p/comment", -1, 0},
        {" \"INBOX\" (MAXSIZE 1024) (/shared/comment /private/comment)", "INBOX", "s/comment p/comment", 1024, 0},
        {" (MAXSIZE 1024) INBOX (/shared/comment)", "INBOX", "s/comment", 1024, 0},
        {" INBOX (DEPTH 1) (/private/filters/values)", "INBOX", "p/filters/values", -1, 1},
        {" (depth Infinity maxsize 0) INBOX /private", "INBOX", "p", 0, 2},
        {" INBOX (DEPTH 0) {15}\r\n/shared/comment", "INBOX", "s/comment", -1, 0},
        {" \"\" /shared/vendor/cmu/cyrus-imapd/color", "", "s/vendor/cmu/cyrus-imapd/color", -1, 0},
        {" \"\" \"/shared/a b\"", "", "s/a b", -1, 0},
        {"", NULL, NULL, 0, 0},
        {" INBOX", NULL, NULL, 0, 0},
        {" INBOX ()", NULL, NULL, 0, 0},
        {" INBOX comment", NULL, NULL, 0, 0}, /* §3.2: no scope */
        {" INBOX /comment", NULL, NULL, 0, 0},
        {" INBOX /sharedcomment", NULL, NULL, 0, 0},
        {" INBOX /shared/", NULL, NULL, 0, 0},
        {" INBOX /", NULL, NULL, 0, 0},
        {" INBOX \"\"", NULL, NULL, 0, 0},
        {" INBOX /shared//comment", NULL, NULL, 0, 0},
        {" INBOX \"/shared/comm*\"", NULL, NULL, 0, 0},
        {" INBOX \"/shared/%\"", NULL, NULL, 0, 0},
        {" INBOX {10}\r\n/shared/\xc3\xa4", NULL, NULL, 0, 0},
        {" INBOX {10}\r\n/shared/a\n", NULL, NULL, 0, 0},
        {" (DEPTH 2) INBOX /shared/comment", NULL, NULL, 0, 0},
        {" (DEPTH) INBOX /shared/comment", NULL, NULL, 0, 0},
        {" (MAXSIZE) INBOX /shared/comment", NULL, NULL, 0, 0},
        {" (MAXSIZE -1) INBOX /shared/comment", NULL, NULL, 0, 0},
        {" (SIZE 1) INBOX /shared/comment", NULL, NULL, 0, 0},
        {" () INBOX /shared/comment", NULL, NULL, 0, 0},
        {" (DEPTH 1) INBOX (DEPTH 1) /shared/comment", NULL, NULL, 0, 0}, /* in one place or the other */
        {" INBOX (/shared/comment) x", NULL, NULL, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct imap_args args;
        struct metadata_query q;
        struct err err;
        args_init(&args, &a, span_cstr(rows[i].in));
        enum status st = metadata_query_parse(&args, &q, &err);
        if ((st == ST_OK) != (rows[i].entries != NULL) || (st != ST_OK && st != ST_SYNTAX))
            fail_msg("%s: %s", rows[i].in, status_name(st));
        if (st != ST_OK)
            continue;
        if (!span_eq(q.mailbox, span_cstr(rows[i].mailbox)) ||
            !span_eq(shown(&a, &q.entries, false), span_cstr(rows[i].entries)) || (int)q.depth != rows[i].depth ||
            (q.has_max ? (int)q.max_size : -1) != rows[i].max)
            fail_msg("%s: %.*s", rows[i].in, SPAN_ARG(shown(&a, &q.entries, false)));
    }
}

/* RFC 5464 §4.3 */
static void changes(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *entries; /* NULL: ST_SYNTAX */
    } rows[] = {
        {" INBOX (/private/comment {5}\r\na\r\nb\n)", "p/comment=a\r\nb\n"},
        {" INBOX (/private/comment NIL)", "p/comment=NIL"},
        {" INBOX (/private/comment \"\")", "p/comment="},
        {" INBOX (/private/comment \"My \\\"new\\\" comment\" /SHARED/Comment nil)",
         "p/comment=My \"new\" comment s/comment=NIL"},
        {" INBOX (/private/comment ~{3}\r\nabc)", "p/comment=abc"},
        {" INBOX (/private/comment ~{3+}\r\nabc)", "p/comment=abc"},
        {" \"\" (/private/vendor/x/y z)", NULL}, /* a value is no atom */
        {" \"\" (/private/vendor/x/y \"z\")", "p/vendor/x/y=z"},
        {" INBOX (/private/vendor/x \"z\")", NULL}, /* §3.2: at least four levels */
        {" INBOX (/private/vendor \"z\")", NULL},
        {" INBOX (/private/vendors \"z\")", "p/vendors=z"},
        {" INBOX (/private \"z\")", NULL},
        {" INBOX (/shared/ \"z\")", NULL},
        {" INBOX ()", NULL},
        {" INBOX /private/comment \"z\"", NULL},
        {" INBOX (/private/comment)", NULL},
        {" INBOX (/private/comment ~\"x\")", NULL},
        {" INBOX (/private/comment ~{9}\r\nabc)", NULL},
        {" INBOX (/private/comment \"z\"", NULL},
        {" INBOX (/private/comment \"z\") x", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct imap_args args;
        struct metadata_entries entries;
        struct span mailbox;
        struct err err;
        args_init(&args, &a, span_cstr(rows[i].in));
        enum status st = metadata_change_parse(&args, &mailbox, &entries, &err);
        if ((st == ST_OK) != (rows[i].entries != NULL) || (st != ST_OK && st != ST_SYNTAX))
            fail_msg("%s: %s", rows[i].in, status_name(st));
        if (st == ST_OK && !span_eq(shown(&a, &entries, true), span_cstr(rows[i].entries)))
            fail_msg("%s: %.*s", rows[i].in, SPAN_ARG(shown(&a, &entries, true)));
    }
}

/* NUL is only in a literal8 (RFC 3516 §5). */
static void binary(void **state)
{
    (void)state;
    static const struct {
        struct span in;
        enum status st;
    } rows[] = {
        {SPAN_INIT(" INBOX (/private/comment ~{3}\r\na\0b)"), ST_OK},
        {SPAN_INIT(" INBOX (/private/comment {3}\r\na\0b)"), ST_SYNTAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct imap_args args;
        struct metadata_entries entries;
        struct span mailbox;
        struct err err;
        args_init(&args, &a, rows[i].in);
        assert_int_equal(metadata_change_parse(&args, &mailbox, &entries, &err), rows[i].st);
    }
}

/* RFC 5464 §4.2.2 */
static void depths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *base;
        unsigned depth;
        bool is_within;
    } rows[] = {
        {"/a", "/a", 0, true},     {"/a/b", "/a", 0, false}, {"/a/b", "/a", 1, true}, {"/a/b/c", "/a", 1, false},
        {"/a/b/c", "/a", 2, true}, {"/ab", "/a", 2, false},  {"/a", "", 1, true},     {"/a/b", "", 1, false},
        {"/a/b", "", 2, true},     {"/a", "/a/b", 2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (metadata_is_within(span_cstr(rows[i].path), span_cstr(rows[i].base), rows[i].depth) != rows[i].is_within)
            fail_msg("%s in %s, %u", rows[i].path, rows[i].base, rows[i].depth);
}

static void limits(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct imap_args args;
    struct metadata_query q;
    struct err err;
    strbuf_add_cstr(&text, " INBOX (/shared/0");
    for (int i = 1; i < METADATA_COMMAND_ENTRIES_MAX; i++)
        strbuf_addf(&text, " /shared/%d", i);
    strbuf_add_char(&text, ')');
    args_init(&args, &a, strbuf_span(&text));
    assert_int_equal(metadata_query_parse(&args, &q, &err), ST_OK);
    text.len--;
    strbuf_add_cstr(&text, " /shared/more)");
    args_init(&args, &a, strbuf_span(&text));
    assert_int_equal(metadata_query_parse(&args, &q, &err), ST_LIMIT);

    strbuf_clear(&text);
    strbuf_add_cstr(&text, " INBOX /shared/");
    for (int i = 0; i < METADATA_NAME_MAX; i++)
        strbuf_add_char(&text, 'a');
    args_init(&args, &a, strbuf_span(&text));
    assert_int_equal(metadata_query_parse(&args, &q, &err), ST_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries), cmocka_unit_test(changes), cmocka_unit_test(binary),
        cmocka_unit_test(depths),  cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
