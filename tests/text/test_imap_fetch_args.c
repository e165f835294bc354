/* Tests of text/imap_fetch_args.h. */
#include "check.h"
#include "text/imap_fetch_args.h"

static enum status parse(struct arena *a, struct span text, struct fetch_args *out)
{
    struct imap_args args;
    struct err err;
    args_init(&args, a, text);
    enum status st = fetch_args_parse(&args, out, &err);
    return st == ST_OK ? args_end(&args, &err) : st;
}

/* The labels, as the answer will show them. */
static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *in, *labels;
        bool sets_seen;
    } rows[] = {
        {"ALL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE", false},
        {"fast", "FLAGS INTERNALDATE RFC822.SIZE", false},
        {"FULL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY", false},
        {"FLAGS", "FLAGS", false},
        {"(uid flags)", "UID FLAGS", false},
        {"BODY", "BODY", false},
        {"(EMAILID threadid)", "EMAILID THREADID", false},
        {"PREVIEW", "PREVIEW", false},
        {"PREVIEW (LAZY)", "PREVIEW", false},
        {"(preview (lazy LAZY) UID)", "PREVIEW UID", false},
        {"(MODSEQ savedate)", "MODSEQ SAVEDATE", false},
        {"BODYSTRUCTURE", "BODYSTRUCTURE", false},
        {"BODY[]", "BODY[]", true},
        {"BINARY[]", "BINARY[]", true},
        {"binary[1.2]<3.4>", "BINARY[1.2]<3>", true},
        {"(BINARY.PEEK[1] BINARY.SIZE[1])", "BINARY[1] BINARY.SIZE[1]", false},
        {"BODY.PEEK[]", "BODY[]", false},
        {"body.peek[header]", "BODY[HEADER]", false},
        {"BODY[TEXT]", "BODY[TEXT]", true},
        {"BODY[1]", "BODY[1]", true},
        {"BODY[1.2.3]", "BODY[1.2.3]", true},
        {"BODY[4.1.MIME]", "BODY[4.1.MIME]", true},
        {"BODY[4.2.HEADER]", "BODY[4.2.HEADER]", true},
        {"BODY[4.2.text]", "BODY[4.2.TEXT]", true},
        {"BODY[HEADER.FIELDS (DATE From)]", "BODY[HEADER.FIELDS (DATE From)]", true},
        {"BODY.PEEK[header.fields.not (\"X Y\" \"a\\\"b\" {4}\r\nDate)]",
         "BODY[HEADER.FIELDS.NOT (\"X Y\" \"a\\\"b\" Date)]", false},
        {"BODY.PEEK[3.HEADER.FIELDS (TO)]<10.20>", "BODY[3.HEADER.FIELDS (TO)]<10>", false},
        {"BODY[]<0.2048>", "BODY[]<0>", true},
        {"BODY[]<9223372036854775807.1>", "BODY[]<9223372036854775807>", true},
        {"RFC822", "RFC822", true},
        {"RFC822.HEADER", "RFC822.HEADER", false},
        {"RFC822.TEXT", "RFC822.TEXT", true},
        {"RFC822.SIZE", "RFC822.SIZE", false},
        {"(FLAGS BODY[HEADER.FIELDS (DATE FROM)])", "FLAGS BODY[HEADER.FIELDS (DATE FROM)]",
         true}, /* RFC 3501 §6.4.5 */
        {"(BODY BODY.PEEK[] ENVELOPE)", "BODY BODY[] ENVELOPE", false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF labels = STRBUF_INIT;
        struct fetch_args f;
        if (parse(&a, span_cstr(rows[i].in), &f) != ST_OK)
            fail_msg("%s", rows[i].in);
        for (size_t k = 0; k < f.count; k++) {
            if (k)
                strbuf_add_char(&labels, ' ');
            strbuf_add(&labels, f.items[k].label);
        }
        check_span(rows[i].in, strbuf_span(&labels), span_cstr(rows[i].labels));
        assert_int_equal(f.sets_seen, rows[i].sets_seen);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "()",
        "(ALL)",
        "(FLAGS ALL)",
        "ALLES",
        "FLAGS UID",
        "(FLAGS UID",
        "(FLAGS  UID)",
        "(FLAGS )",
        "BODY[",
        "BODY]",
        "BODY[]x",
        "BODY [HEADER]",
        "BODY.PEEK",
        "BODY.PEEK[X]",
        "BODY[0]",
        "BODY[1.]",
        "BODY[1.0]",
        "BODY[.1]",
        "BODY[MIME]",
        "BODY[HEADER.FIELDS]",
        "BODY[HEADER.FIELDS ()]",
        "BODY[HEADER.FIELDS (A]",
        "BODY[HEADER.FIELDS(A)]",
        "BODY[HEADERS]",
        "BODY[HEADER.1]",
        "BODY[]<>",
        "BODY[]<1>",
        "BODY[]<1.0>",
        "BODY[]<1.2",
        "BODY[]<-1.2>",
        "BODY[]<1.9223372036854775808>",
        "BODY<0.1>",
        "RFC822[]",
        "RFC822<0.1>",
        "ENVELOPE[]",
        "BODYSTRUCTURE[]",
        "BODY[4294967296]",
        "X",
        "1",
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct fetch_args f;
        if (parse(&a, span_cstr(rows[i]), &f) != ST_SYNTAX)
            fail_msg("%s", rows[i]);
    }
}

static void sections(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct fetch_args f;
    assert_int_equal(parse(&a, SPAN("(BODY[1.2.HEADER.FIELDS.NOT (A B)]<3.4> RFC822.TEXT)"), &f), ST_OK);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.items[0].kind, FETCH_SECTION);
    assert_int_equal(f.items[0].section, MIME_SECTION_HEADER);
    assert_int_equal(f.items[0].fields_mode, FETCH_FIELDS_NOT);
    assert_int_equal(f.items[0].field_count, 2);
    assert_int_equal(f.items[0].depth, 2);
    assert_int_equal(f.items[0].numbers[1], 2);
    assert_true(f.items[0].is_partial);
    assert_int_equal(f.items[0].offset, 3);
    assert_int_equal(f.items[0].size, 4);
    assert_int_equal(f.items[1].section, MIME_SECTION_TEXT);
    assert_int_equal(f.items[1].depth, 0);
}

static enum status repeated(const char *before, const char *piece, int count, const char *after)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct fetch_args f;
    strbuf_add_cstr(&text, before);
    for (int i = 0; i < count; i++)
        strbuf_add_cstr(&text, piece);
    strbuf_add_cstr(&text, after);
    return parse(&a, strbuf_span(&text), &f);
}

static void modifiers(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool is_good, is_vanished_wanted;
        uint64_t changed_since;
    } rows[] = {
        {"", true, false, 0},
        {" (CHANGEDSINCE 12345)", true, false, 12345},
        {" (changedsince 9223372036854775807 VANISHED)", true, true, INT64_MAX},
        {" (VANISHED CHANGEDSINCE 1)", true, true, 1},
        {" (CHANGEDSINCE 0)", false, false, 0},
        {" (CHANGEDSINCE 9223372036854775808)", false, false, 0},
        {" (VANISHED)", false, false, 0},
        {" ()", false, false, 0},
        {" (CHANGEDSINCE)", false, false, 0},
        {" (CHANGEDSINCE 1", false, false, 0},
        {" CHANGEDSINCE 1", false, false, 0},
        {"(CHANGEDSINCE 1)", false, false, 0},
        {" (CHANGED 1)", false, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct imap_args args;
        struct fetch_modifiers m;
        struct err err;
        args_init(&args, &a, span_cstr(rows[i].in));
        bool is_good = fetch_modifiers_parse(&args, &m, &err) == ST_OK;
        if (is_good != rows[i].is_good)
            fail_msg("%s", rows[i].in);
        if (!is_good)
            continue;
        assert_true(args_at_end(&args));
        assert_int_equal(m.has_changed_since, rows[i].changed_since > 0);
        assert_int_equal(m.changed_since, rows[i].changed_since);
        assert_int_equal(m.is_vanished_wanted, rows[i].is_vanished_wanted);
    }
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(repeated("(UID", " FLAGS", FETCH_ITEMS_MAX - 1, ")"), ST_OK);
    assert_int_equal(repeated("(UID", " FLAGS", FETCH_ITEMS_MAX, ")"), ST_LIMIT);
    assert_int_equal(repeated("BODY[1", ".1", FETCH_SECTION_DEPTH_MAX - 1, "]"), ST_OK);
    assert_int_equal(repeated("BODY[1", ".1", FETCH_SECTION_DEPTH_MAX, "]"), ST_LIMIT);
    assert_int_equal(repeated("BODY[HEADER.FIELDS (A", " A", FETCH_FIELDS_MAX - 1, ")]"), ST_OK);
    assert_int_equal(repeated("BODY[HEADER.FIELDS (A", " A", FETCH_FIELDS_MAX, ")]"), ST_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),  cmocka_unit_test(refused), cmocka_unit_test(sections),
        cmocka_unit_test(modifiers), cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
