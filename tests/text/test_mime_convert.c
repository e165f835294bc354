/*
 * test_mime_convert.c - messages for receivers that take less: what comes out fits, says the same, and is the same
 * octets where nothing had to change.
 */
#include "check.h"
#include "text/mime_convert.h"

/* LEN: the literal may have NULs in it. */
#define ROW(fit, in, out)                                                                                              \
    {                                                                                                                  \
        fit, SPAN_INIT(in), SPAN_INIT(out)                                                                             \
    }

static const struct {
    enum mime_fit fit;
    struct span in, out;
} rows[] = {
    /* What fits stays as it is. */
    ROW(MIME_FIT_8BIT, "A: b\r\n\r\nh\xc3\xa4llo\r\n", "A: b\r\n\r\nh\xc3\xa4llo\r\n"),
    ROW(MIME_FIT_7BIT, "A: b\r\n\r\nhello\r\n", "A: b\r\n\r\nhello\r\n"),
    ROW(MIME_FIT_7BIT, "A: b\r\n", "A: b\r\n"),
    ROW(MIME_FIT_7BIT, "", ""),
    ROW(MIME_FIT_7BIT, "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n",
        "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"),
    /* Text becomes quoted-printable; a label is changed in its place, or added at the header's end. */
    ROW(MIME_FIT_7BIT, "Content-Transfer-Encoding: 8bit\r\nA: b\r\n\r\nh\xc3\xa4 =\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\nA: b\r\n\r\nh=C3=A4 =3D\r\n"),
    ROW(MIME_FIT_7BIT, "A: b\r\n\r\n\xe4 \t\r\n",
        "A: b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4 =09\r\n"),
    ROW(MIME_FIT_7BIT, "\r\n\xe4", "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n"),
    /* A label that is too much is mended also where the text fits. */
    ROW(MIME_FIT_7BIT, "Content-Transfer-Encoding: 8BIT\r\n\r\nhello\r\n",
        "Content-Transfer-Encoding: 7bit\r\n\r\nhello\r\n"),
    ROW(MIME_FIT_8BIT, "Content-Transfer-Encoding: binary\r\n\r\nh\xe4\r\n",
        "Content-Transfer-Encoding: 8bit\r\n\r\nh\xe4\r\n"),
    /* Binary becomes base64. */
    ROW(MIME_FIT_8BIT, "Content-Type: image/png\r\nContent-Transfer-Encoding: BINARY\r\n\r\n\0\n\r\x80",
        "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAoNgA==\r\n"),
    ROW(MIME_FIT_8BIT, "Content-Transfer-Encoding: binary\r\n\r\na\nb",
        "Content-Transfer-Encoding: base64\r\n\r\nYQpi\r\n"),
    ROW(MIME_FIT_8BIT, "A: b\r\n\r\na\nb", "A: b\r\nContent-Transfer-Encoding: base64\r\n\r\nYQpi\r\n"),
    /* Containers are labelled by what is in them; each part for itself; what lies between is cleaned. */
    ROW(MIME_FIT_7BIT,
        "Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: "
        "8bit\r\n\r\npre\xe4mble\r\n--x\r\n\r\n\xe4\r\n"
        "--x\r\nContent-Type: a/b\r\n\r\nplain\r\n--x--\r\nepi\nlogue",
        "Content-Type: multipart/mixed; boundary=x\r\nContent-Transfer-Encoding: 7bit\r\n\r\npre?mble\r\n--x\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n--x\r\nContent-Type: "
        "a/b\r\n\r\nplain\r\n--x--\r\nepi\r\nlogue"),
    ROW(MIME_FIT_8BIT,
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\nSubject: inner\r\n"
        "Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n\0",
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: inner\r\n"
        "Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nAA=="),
    /* An encoding that is not kept to. */
    ROW(MIME_FIT_7BIT, "Content-Transfer-Encoding: quoted-printable\r\n\r\n=41\xe4\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nA=E4\r\n"),
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct err err;
        assert_int_equal(mime_convert(&a, rows[i].in, rows[i].fit, &out, &err), ST_OK);
        if (!span_eq(strbuf_span(&out), rows[i].out))
            fail_msg("row %zu:\n%.*s\nbut should be\n%.*s", i, SPAN_ARG(strbuf_span(&out)), SPAN_ARG(rows[i].out));
        assert_true(mime_fits(strbuf_span(&out), rows[i].fit));
    }
}

static void test_long_lines(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF in = STRBUF_INIT, out = STRBUF_INIT, back = STRBUF_INIT;
    struct err err;
    strbuf_add_cstr(&in, "Content-Type: text/plain\r\n\r\n");
    for (int i = 0; i < 1000; i++)
        strbuf_add_cstr(&in, "long ");
    assert_int_equal(mime_convert(&a, strbuf_span(&in), MIME_FIT_8BIT, &out, &err), ST_OK);
    assert_true(mime_fits(strbuf_span(&out), MIME_FIT_7BIT));
    struct mime_message m;
    mime_parse(&a, strbuf_span(&out), &m);
    assert_int_equal(m.parts[0].encoding, MIME_QP);
    mime_decode_part(&m, 0, strbuf_span(&out), false, SIZE_MAX, &back);
    assert_true(span_eq(span_take(strbuf_span(&back), 5000), span_skip(strbuf_span(&in), 28)));
    struct span line, rest = strbuf_span(&out);
    while (span_cut(&rest, '\n', &line))
        assert_true(line.len <= 77);
}

static void test_headers_are_not_converted(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF out = STRBUF_INIT;
    struct err err;
    struct span message = SPAN("Subject: h\xc3\xa4llo\r\n\r\nhello\r\n");
    assert_int_equal(mime_convert(&a, message, MIME_FIT_7BIT, &out, &err), ST_UNSUPPORTED);
    assert_int_equal(out.len, 0);
    assert_int_equal(mime_convert(&a, message, MIME_FIT_8BIT, &out, &err), ST_OK);
    assert_true(span_eq(strbuf_span(&out), message));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_headers_are_not_converted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
