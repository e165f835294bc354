/* Tests of text/codec.h. */
#include "check.h"
#include "text/codec.h"

struct row {
    struct span plain, coded;
};

/* RFC 4648 §10, RFC 4616 §4. */
static const struct row base64_rows[] = {
    {SPAN_INIT(""), SPAN_INIT("")},
    {SPAN_INIT("f"), SPAN_INIT("Zg==")},
    {SPAN_INIT("fo"), SPAN_INIT("Zm8=")},
    {SPAN_INIT("foo"), SPAN_INIT("Zm9v")},
    {SPAN_INIT("foob"), SPAN_INIT("Zm9vYg==")},
    {SPAN_INIT("fooba"), SPAN_INIT("Zm9vYmE=")},
    {SPAN_INIT("foobar"), SPAN_INIT("Zm9vYmFy")},
    {SPAN_INIT("\0tim\0tanstaaftanstaaf"), SPAN_INIT("AHRpbQB0YW5zdGFhZnRhbnN0YWFm")},
    {SPAN_INIT("\xff\xef\xbe"), SPAN_INIT("/+++")},
};

static void base64_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(base64_rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        strbuf_add_cstr(&out, ">");
        base64_encode(base64_rows[i].plain, &out);
        check_span("encoded", span_skip(strbuf_span(&out), 1), base64_rows[i].coded);
        strbuf_clear(&out);
        assert_true(base64_decode_strict(base64_rows[i].coded, &out));
        check_span("decoded", strbuf_span(&out), base64_rows[i].plain);
        strbuf_clear(&out);
        base64_decode_body(base64_rows[i].coded, &out);
        check_span("decoded", strbuf_span(&out), base64_rows[i].plain);
    }
}

static void base64_all_bytes(void **state)
{
    (void)state;
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)(i * 7 + 3);
    for (size_t len = 0; len <= 256; len++) {
        AUTO_STRBUF coded = STRBUF_INIT;
        AUTO_STRBUF plain = STRBUF_INIT;
        base64_encode(span_of(bytes, len), &coded);
        assert_int_equal(coded.len, (len + 2) / 3 * 4);
        assert_true(base64_decode_strict(strbuf_span(&coded), &plain));
        check_span("decoded", strbuf_span(&plain), span_of(bytes, len));
    }
}

static void base64_strict_refuses(void **state)
{
    (void)state;
    static const struct span rows[] = {
        SPAN_INIT("Z"),    SPAN_INIT("Zg"),       SPAN_INIT("Zg="),      SPAN_INIT("Zm9"),     SPAN_INIT("Zg==\r\n"),
        SPAN_INIT("Z==="), SPAN_INIT("===="),     SPAN_INIT("="),        SPAN_INIT("Zh=="), /* bits behind the end */
        SPAN_INIT("Zm9="), SPAN_INIT("Zg==Zg=="), SPAN_INIT("Zm 9v"),    SPAN_INIT("Zm9-"),    SPAN_INIT("Zm9_"),
        SPAN_INIT("Z=9v"), SPAN_INIT("Zm9\0"),    SPAN_INIT("Zm9v Zg="), SPAN_INIT("\x80m9v"),
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        assert_false(base64_decode_strict(rows[i], &out));
        assert_int_equal(out.len, 0);
        strbuf_add_cstr(&out, "before");
        assert_false(base64_decode_strict(rows[i], &out));
        check_span("decoded", strbuf_span(&out), SPAN("before"));
    }
}

static void base64_body_is_lenient(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {SPAN_INIT("foobar"), SPAN_INIT("Zm9v\r\nYmFy\r\n")},
        {SPAN_INIT("foobar"), SPAN_INIT(" Z m!9-v_Y\0m\xff"
                                        "F\ny")},
        {SPAN_INIT("foob"), SPAN_INIT("Zm9vYg==\r\n-- \r\nfooter")},
        {SPAN_INIT("fooba"), SPAN_INIT("Zm9vYmE=Zm9v")},
        {SPAN_INIT("foob"), SPAN_INIT("Zm9vYg")},
        {SPAN_INIT("fooba"), SPAN_INIT("Zm9vYmE")},
        {SPAN_INIT("foo"), SPAN_INIT("Zm9vY")},
        {SPAN_INIT("foo"), SPAN_INIT("=Zm9v")},
        {SPAN_INIT(""), SPAN_INIT("====")},
        {SPAN_INIT(""), SPAN_INIT("\r\n")},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        base64_decode_body(rows[i].coded, &out);
        check_span("decoded", strbuf_span(&out), rows[i].plain);
    }
}

static void qp_decodes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {SPAN_INIT(""), SPAN_INIT("")},
        /* RFC 2045 §6.7 */
        {SPAN_INIT("Now's the time for all folk to come to the aid of their country."),
         SPAN_INIT("Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.")},
        {SPAN_INIT("a\fb"), SPAN_INIT("a=0Cb")},
        {SPAN_INIT("1=2\r\n"), SPAN_INIT("1=3D2\r\n")},
        {SPAN_INIT("\xc3\xa4\xc3\xb6"), SPAN_INIT("=C3=A4=c3=b6")}, /* lower case is wrong, and sent */
        {SPAN_INIT("a\r\nb"), SPAN_INIT("a \t\r\nb \t")},
        {SPAN_INIT("a \r\nb"), SPAN_INIT("a=20\r\nb")},
        {SPAN_INIT("ab"), SPAN_INIT("a= \t\r\nb")},
        {SPAN_INIT("ab\nc\n"), SPAN_INIT("a=\nb\nc\n")},
        {SPAN_INIT("a"), SPAN_INIT("a=")},
        {SPAN_INIT("a=G1=1G=4"), SPAN_INIT("a=G1=1G=4")},
        {SPAN_INIT("a=A"), SPAN_INIT("a==41")},
        {SPAN_INIT("a="), SPAN_INIT("a==\r\n")},
        {SPAN_INIT("a\rb\r\n\r\n"), SPAN_INIT("a\rb\r\n\r\n")},
        {SPAN_INIT("\0\xff"), SPAN_INIT("\0\xff")},
        {SPAN_INIT(""), SPAN_INIT("=\r\n=\r\n")},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        qp_decode_body(rows[i].coded, &out);
        check_span("decoded", strbuf_span(&out), rows[i].plain);
    }
}

/* However a body is cut, and whatever is broken in it, the pieces give what the whole gives. */
static void in_pieces(void **state)
{
    (void)state;
    static const struct span rows[] = {
        SPAN_INIT(""),
        SPAN_INIT("Zm9vYmFy"),
        SPAN_INIT("Zm9v\r\nYm\r\nE=\r\nbehind it"),
        SPAN_INIT("Zg=="),
        SPAN_INIT("a=3Db =\r\nc \t\r\nd=\n=4"),
        SPAN_INIT("=\r\n==\r\n=4=41=zz= \t\r\n= x\r\n \r\r\n\r"),
        SPAN_INIT("a  \r  \r\nb \t"),
        SPAN_INIT("=\r=\r\n=4\r\n=c3=A9\r\n="),
    };
    for (size_t i = 0; i < ROWS(rows); i++)
        for (size_t a = 0; a <= rows[i].len; a++)
            for (size_t b = a; b <= rows[i].len; b++) {
                const struct span cut[] = {span_take(rows[i], a), span_slice(rows[i], a, b), span_skip(rows[i], b)};
                AUTO_STRBUF whole = STRBUF_INIT;
                AUTO_STRBUF parts = STRBUF_INIT;
                struct base64_decoder base64 = {0};
                struct qp_decoder qp = {0};
                base64_decode_body(rows[i], &whole);
                for (size_t k = 0; k < ROWS(cut); k++)
                    base64_decode_some(&base64, cut[k], &parts);
                base64_decode_end(&base64, &parts);
                check_span("base64", strbuf_span(&parts), strbuf_span(&whole));
                strbuf_clear(&whole);
                strbuf_clear(&parts);
                qp_decode_body(rows[i], &whole);
                for (size_t k = 0; k < ROWS(cut); k++)
                    qp_decode_some(&qp, cut[k], &parts);
                qp_decode_end(&qp, &parts);
                check_span("quoted-printable", strbuf_span(&parts), strbuf_span(&whole));
            }
}

/* A line of nothing but white space cannot make the decoder hold more than its limit. */
static void qp_white_space_without_end(void **state)
{
    (void)state;
    AUTO_STRBUF in = STRBUF_INIT;
    AUTO_STRBUF out = STRBUF_INIT;
    memset(strbuf_extend(&in, 1 << 20), ' ', 1 << 20);
    strbuf_add_cstr(&in, "\r\n");
    qp_decode_body(strbuf_span(&in), &out);
    assert_true(out.len > (1 << 20) - QP_HELD_MAX - 2);
    check_span("its end", span_skip(strbuf_span(&out), out.len - 2), SPAN("\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_both_ways),
        cmocka_unit_test(base64_all_bytes),
        cmocka_unit_test(base64_strict_refuses),
        cmocka_unit_test(base64_body_is_lenient),
        cmocka_unit_test(qp_decodes),
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(qp_white_space_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
