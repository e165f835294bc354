/* Tests of text/preview.h. */
#include "check.h"
#include "text/charset.h"
#include "text/preview.h"

#define HEADER "From: a@example.test\r\nSubject: s\r\n"

static void previews(void **state)
{
    (void)state;
    static const struct {
        const char *message, *preview;
    } rows[] = {
        {HEADER "\r\nHello,\r\n\r\n  this is\t it.\r\n", "Hello, this is it."},
        {HEADER "\r\n", ""},
        {"", ""},
        {"only a header", ""},
        /* quotes and signatures */
        {HEADER "\r\n> you said\r\n> much\r\nI agree.\r\n-- \r\nAlice\r\n", "I agree."},
        {HEADER "\r\n> only\r\n> quotes\r\n", "> only > quotes"},
        /* charsets and encodings */
        {HEADER
         "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=\r\n"
         "=DFe\r\n",
         "Gr\xc3\xbc\xc3\x9f"
         "e"},
        {HEADER "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n4pyTIG9r\r\n",
         "\xe2\x9c\x93 ok"},
        {HEADER "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B4A;z\x1b(B\r\n",
         "\xe6\xbc\xa2\xe5\xad\x97"},
        {HEADER "Content-Type: text/plain; charset=utf-8\r\n\r\na\xff"
                "b\x00\x07 c\r\n",
         "a\xef\xbf\xbd"
         "b"},
        /* what nobody sees */
        {HEADER "Content-Type: text/plain; charset=utf-8\r\n\r\nA\xc2\xad"
                "B\xe2\x80\x8c\xc2\xa0\xe2\x80\x8c\xc2\xa0"
                "C\r\n",
         "AB C"},
        /* HTML: what is shown of it */
        {HEADER
         "Content-Type: text/html\r\n\r\n<head><style>p{}</style><title>t</title></head><p>A &amp; B</p><p>C<br>D\r\n",
         "A & B C D"},
        /* the plain one of alternatives; HTML where the plain one says nothing */
        {HEADER "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n"
                "Content-Type: text/html\r\n\r\n<p>html</p>\r\n--b--\r\n",
         "plain"},
        {HEADER "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n \r\n--b\r\n"
                "Content-Type: text/html\r\n\r\n<p>html</p>\r\n--b--\r\n",
         "html"},
        /* no attachments, no other text types */
        {HEADER
         "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/calendar\r\n\r\nBEGIN:\r\n--b\r\n"
         "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nattached\r\n--b\r\n\r\n"
         "said\r\n--b--\r\n",
         "said"},
        /* encrypted */
        {HEADER "Content-Type: multipart/encrypted; boundary=b; protocol=\"application/pgp-encrypted\"\r\n\r\n--b\r\n"
                "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n"
                "Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--b--\r\n",
         ""},
        {HEADER "\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n", ""},
        {HEADER "Content-Type: image/png\r\n\r\nxx\r\n", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct mime_message m;
        mime_parse(&a, span_cstr(rows[i].message), &m);
        preview_write(&m, span_cstr(rows[i].message), &out);
        if (!span_eq(strbuf_span(&out), span_cstr(rows[i].preview)))
            fail_msg("%zu: \"%s\", not \"%s\"", i, strbuf_cstr(&out), rows[i].preview);
    }
}

/* RFC 8970 §3.3: at most so many characters, whatever their octets. */
static void lengths(void **state)
{
    (void)state;
    for (size_t letters = 190; letters < 210; letters++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF message = STRBUF_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct mime_message m;
        strbuf_add_cstr(&message, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
        for (size_t i = 0; i < letters; i++)
            strbuf_add_cstr(&message, "\xf0\x9f\x98\x80");
        strbuf_add_cstr(&message, " and more\r\n");
        mime_parse(&a, strbuf_span(&message), &m);
        preview_write(&m, strbuf_span(&message), &out);
        size_t characters = 0;
        for (size_t i = 0; i < out.len; i++)
            characters += ((unsigned char)out.p[i] & 0xc0) != 0x80;
        assert_int_equal(characters, letters + 9 < PREVIEW_CHARACTERS ? letters + 9 : PREVIEW_CHARACTERS);
        assert_true(utf8_is_valid(strbuf_span(&out)));
    }
}

static void threads(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool is_same;
    } rows[] = {
        {"Message-ID: <1@x>\r\n", "Message-ID: <2@x>\r\nReferences: <1@x>\r\n", true},
        {"Message-ID: <1@x>\r\n", "message-id: <3@x>\r\nREFERENCES:\r\n <1@x>\r\n <2@x>\r\n", true},
        {"Message-ID: <1@x>\r\n", "Message-ID: <2@x>\r\nIn-Reply-To: your mail <1@x> of today\r\n", true},
        {"References: <1@x> <2@x>\r\n", "References: <1@x> <3@x>\r\nIn-Reply-To: <3@x>\r\n", true},
        {"Message-ID: <1@x>\r\n", "Message-ID: <1@\r\n x>\r\n", true},
        {"Message-ID: 1@x\r\n", "Message-ID: <1@x>\r\n", true},
        {"Message-ID: <1@x>\r\n", "Message-ID: <2@x>\r\n", false},
        {"Message-ID: <1@x>\r\n", "References: <2@x> <1@x>\r\n", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((thread_number(span_cstr(rows[i].a)) == thread_number(span_cstr(rows[i].b))) != rows[i].is_same)
            fail_msg("%zu", i);
    assert_int_equal(thread_number(SPAN("Subject: no id\r\n")), 0);
    assert_int_equal(thread_number(SPAN("Message-ID: \r\n")), 0);
    assert_int_not_equal(thread_number(SPAN("References: \r\nMessage-ID: <1@x>\r\n")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(previews),
        cmocka_unit_test(lengths),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
