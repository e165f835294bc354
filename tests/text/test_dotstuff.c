/* test_dotstuff.c - dots in and out, split at every point; and every known way to end a message twice. */
#include "check.h"
#include "base/strbuf.h"
#include "text/dotstuff.h"

struct decoded {
    struct strbuf text;
    size_t used;
    bool is_end, has_bare_cr, has_bare_lf, has_nul;
};

static void feed(struct dotstuff *d, struct span piece, struct decoded *out)
{
    size_t had = piece.len;
    while (piece.len && !dotstuff_is_end(d)) {
        struct span text;
        size_t before = piece.len;
        dotstuff_decode(d, &piece, &text);
        assert_true(piece.len < before); /* it always moves */
        strbuf_add(&out->text, text);
    }
    out->used += had - piece.len;
}

static struct decoded decode(struct span in, size_t cut1, size_t cut2)
{
    struct dotstuff d = DOTSTUFF_INIT;
    struct decoded out = {STRBUF_INIT, 0, false, false, false, false};
    feed(&d, span_slice(in, 0, cut1), &out);
    feed(&d, span_slice(in, cut1, cut2), &out);
    feed(&d, span_slice(in, cut2, in.len), &out);
    out.is_end = dotstuff_is_end(&d);
    out.has_bare_cr = d.has_bare_cr;
    out.has_bare_lf = d.has_bare_lf;
    out.has_nul = d.has_nul;
    return out;
}

static const struct {
    const char *in;
    const char *text; /* NULL: not looked at, the message is refused */
    size_t left;      /* octets behind the end */
    bool is_end, cr, lf;
} rows[] = {
    {".\r\n", "", 0, true, false, false},
    {"a\r\n.\r\n", "a\r\n", 0, true, false, false},
    {"a\r\n..b\r\n.\r\n", "a\r\n.b\r\n", 0, true, false, false},
    {"...\r\n.\r\n", "..\r\n", 0, true, false, false},
    {".a\r\n.\r\n", "a\r\n", 0, true, false, false},
    {"a.\r\n.\r\n", "a.\r\n", 0, true, false, false},
    {"\r\n\r\n.\r\nQUIT\r\n", "\r\n\r\n", 6, true, false, false},
    {"a\r\n.\r", "a\r\n", 0, false, false, false},
    {"a\r\n.", "a\r\n", 0, false, false, false},
    {"a\r\n", "a\r\n", 0, false, false, false},
    /* What other servers have taken for the end of a message; none of them ends it here. */
    {"a\n.\n\r\n.\r\n", NULL, 0, true, false, true},
    {"a\n.\r\nMAIL\r\n.\r\n", NULL, 0, true, false, true},
    {"a\r\n.\nMAIL\r\n.\r\n", NULL, 0, true, false, true},
    {"a\r.\rMAIL\r\n.\r\n", NULL, 0, true, true, false},
    {"a\r\n.\rMAIL\r\n.\r\n", NULL, 0, true, true, false},
    {"a\r.\r\nMAIL\r\n.\r\n", NULL, 0, true, true, false},
    {"a\r\r\n.\r\n", NULL, 0, true, true, false},
    {"a\r\n.\r\r\n.\r\n", NULL, 0, true, true, false},
    {"a\n\r\n.\r\n", NULL, 0, true, false, true},
    {"\n.\r\n\r\n.\r\n", NULL, 0, true, false, true},
};

static void test_decode_split_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct span in = span_cstr(rows[i].in);
        for (size_t a = 0; a <= in.len; a++)
            for (size_t b = a; b <= in.len; b++) {
                struct decoded d = decode(in, a, b);
                if (rows[i].text)
                    check_span(rows[i].in, strbuf_span(&d.text), span_cstr(rows[i].text));
                if (d.is_end != rows[i].is_end || d.has_bare_cr != rows[i].cr || d.has_bare_lf != rows[i].lf ||
                    in.len - d.used != rows[i].left)
                    fail_msg("row %zu cut at %zu, %zu: end %d cr %d lf %d left %zu", i, a, b, d.is_end, d.has_bare_cr,
                             d.has_bare_lf, in.len - d.used);
                strbuf_free(&d.text);
            }
    }
}

static void test_nul(void **state)
{
    (void)state;
    struct decoded d = decode(span_of("a\0b\r\n.\r\n", 8), 2, 3);
    assert_true(d.is_end && d.has_nul);
    strbuf_free(&d.text);
}

static void test_encode(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sent;
    } cases[] = {
        {"a\r\n", "a\r\n"},
        {".a\r\n", "..a\r\n"},
        {".\r\n.\r\n..\r\n", "..\r\n..\r\n...\r\n"},
        {"a.\r\n.b", "a.\r\n..b"},
        {"", ""},
        {"a\n.b\r\n", "a\n.b\r\n"}, /* a stored bare LF begins no line */
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        struct span rest = span_cstr(cases[i].text);
        bool at_line_start = true, needs_dot;
        while (rest.len) {
            strbuf_add(&out, dotstuff_encode(&rest, &at_line_start, &needs_dot));
            if (needs_dot)
                strbuf_add_char(&out, '.');
        }
        check_span(cases[i].text, strbuf_span(&out), span_cstr(cases[i].sent));
        assert_int_equal(at_line_start, out.len == 0 || span_ends(strbuf_span(&out), SPAN("\r\n")));
    }
}

/* A hostile text must not cost more than its size: 8 MB of CRs alone, and of dots. */
static void test_cost_is_linear(void **state)
{
    (void)state;
    static const char *const units[] = {"\r", "\n", ".", "\r.", "\r\n.", ".\r"};
    for (size_t i = 0; i < ROWS(units); i++) {
        AUTO_STRBUF in = STRBUF_INIT;
        while (in.len < 8u << 20)
            strbuf_add_cstr(&in, units[i]);
        struct decoded d = decode(strbuf_span(&in), 1, 2);
        strbuf_free(&d.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_split_everywhere),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_cost_is_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
