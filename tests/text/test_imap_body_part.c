/* Tests of text/imap_body_part.h. */
#include "check.h"
#include "text/imap_body_part.h"

#define TEXT    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 10 2)"
#define IMAGE   "(\"image\" \"png\" NIL \"<a)b>\" {6}\r\n)(\"x ) \"base64\" 164)"
#define MESSAGE "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 99 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "

static void parts(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint32_t numbers[4];
        size_t depth;
        const char *part; /* NULL: there is none */
    } rows[] = {
        {TEXT, {0}, 0, TEXT},
        {TEXT, {1}, 1, TEXT},
        {TEXT, {2}, 1, NULL},
        {TEXT, {1, 1}, 2, NULL},
        {"(" TEXT IMAGE " \"mixed\")", {0}, 0, "(" TEXT IMAGE " \"mixed\")"},
        {"(" TEXT IMAGE " \"mixed\")", {1}, 1, TEXT},
        {"(" TEXT IMAGE " \"mixed\")", {2}, 1, IMAGE},
        {"(" TEXT IMAGE " \"mixed\")", {3}, 1, NULL},
        {"(" TEXT "(" IMAGE TEXT " \"related\") \"mixed\")", {2, 1}, 2, IMAGE},
        {"(" TEXT MESSAGE TEXT " 5) \"mixed\")", {2}, 1, MESSAGE TEXT " 5)"},
        {"(" TEXT MESSAGE TEXT " 5) \"mixed\")", {2, 1}, 2, TEXT},
        {"(" TEXT MESSAGE "(" TEXT IMAGE " \"mixed\") 5) \"mixed\")", {2, 2}, 2, IMAGE},
        {"(" TEXT MESSAGE "(" TEXT IMAGE " \"mixed\") 5) \"mixed\")", {2, 2, 1}, 3, NULL},
        {MESSAGE TEXT " 5)", {1}, 1, MESSAGE TEXT " 5)"},
        {MESSAGE TEXT " 5)", {1, 1}, 2, TEXT},
        {"", {1}, 1, NULL},
        {"(\"text", {1}, 1, NULL},
        {"({9}\r\nabc)", {1}, 1, NULL},
        {"NIL", {1}, 1, NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct span part;
        bool has = imap_body_part(span_cstr(rows[i].body), rows[i].numbers, rows[i].depth, &part);
        if (has != (rows[i].part != NULL))
            fail_msg("row %zu", i);
        if (has)
            check_span(rows[i].body, part, span_cstr(rows[i].part));
    }
}

static void decoded(void **state)
{
    (void)state;
    static const struct {
        const char *part, *out;
    } rows[] = {
        {IMAGE, "(\"image\" \"png\" NIL \"<a)b>\" {6}\r\n)(\"x ) \"BINARY\" 123)"},
        {TEXT, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"BINARY\" 123 7)"},
        {MESSAGE TEXT " 5)", MESSAGE TEXT " 5)"},
        {"(" TEXT IMAGE " \"mixed\")", "(" TEXT IMAGE " \"mixed\")"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        imap_body_write_decoded(span_cstr(rows[i].part), 123, 7, &out);
        check_span(rows[i].part, strbuf_span(&out), span_cstr(rows[i].out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts),
        cmocka_unit_test(decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
