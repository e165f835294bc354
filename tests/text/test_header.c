/* Tests of text/header.h. */
#include "check.h"
#include "text/header.h"

static void finds_the_end(void **state)
{
    (void)state;
    static const struct {
        struct span message;
        size_t end;
        bool with_blank;
    } rows[] = {
        {SPAN_INIT("A: b\r\n\r\nbody"), 8, true},
        {SPAN_INIT("A: b\n\nbody"), 6, true},
        {SPAN_INIT("A: b\r\n\nbody"), 7, true},
        {SPAN_INIT("\r\nbody"), 2, true},
        {SPAN_INIT("\nbody"), 1, true},
        {SPAN_INIT("A: b\r\n"), 6, false},
        {SPAN_INIT("A: b"), 4, false},
        {SPAN_INIT(""), 0, false},
        {SPAN_INIT("A: b\r\n \r\n\r\nx"), 11, true},
        {SPAN_INIT("A: b\r\r\n\r\nx"), 9, true},
        {SPAN_INIT("A: b\r\n\r"), 7, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        bool with_blank;
        assert_int_equal(header_block_end(rows[i].message, &with_blank), rows[i].end);
        assert_int_equal(with_blank, rows[i].with_blank);
        assert_int_equal(header_block_end(rows[i].message, NULL), rows[i].end);
    }
}

static void walks_fields(void **state)
{
    (void)state;
    struct span block = SPAN("From alice Sat Jan 31 12:00:00 2026\r\n"
                             "Subject: one\r\n two\r\n\t\r\n three\r\n"
                             "no field\r\n continued\r\n"
                             "Empty:\r\n"
                             "Old \t: style\n"
                             ": nothing\r\n"
                             "N\xc3\xa4me: x\r\n"
                             "X:y\n"
                             "Last: end\r\n"
                             "\r\n"
                             "Body: not a field\r\n");
    static const struct {
        struct span name, value, whole;
    } rows[] = {
        {SPAN_INIT("Subject"), SPAN_INIT(" one\r\n two\r\n\t\r\n three"),
         SPAN_INIT("Subject: one\r\n two\r\n\t\r\n three\r\n")},
        {SPAN_INIT("Empty"), SPAN_INIT(""), SPAN_INIT("Empty:\r\n")},
        {SPAN_INIT("Old"), SPAN_INIT(" style"), SPAN_INIT("Old \t: style\n")},
        {SPAN_INIT("X"), SPAN_INIT("y"), SPAN_INIT("X:y\n")},
        {SPAN_INIT("Last"), SPAN_INIT(" end"), SPAN_INIT("Last: end\r\n")},
    };
    size_t at = 0;
    struct header_field f;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_true(header_next(block, &at, &f));
        check_span("name", f.name, rows[i].name);
        check_span("value", f.value, rows[i].value);
        check_span("whole", f.whole, rows[i].whole);
    }
    assert_false(header_next(block, &at, &f));
    assert_true(header_find(block, SPAN("LAST"), &f));
    check_span("found", f.value, SPAN(" end"));
    assert_false(header_find(block, SPAN("body"), &f));
}

/* A header that is cut off anywhere is walked without leaving it, and its fields stay pieces of it. */
static void walks_every_beginning(void **state)
{
    (void)state;
    struct span all = SPAN("A: b\r\n c\r\nD : e\n\t\r\nno\r\nF:g\r\n\r\nx");
    for (size_t len = 0; len <= all.len; len++) {
        struct span block = span_take(all, len);
        struct header_field f;
        size_t before = 0;
        for (size_t at = 0; header_next(block, &at, &f); before = at) {
            assert_true(at > before && at <= len);
            assert_true(f.whole.p >= block.p + before && f.whole.p + f.whole.len == block.p + at);
            assert_true(f.value.p + f.value.len <= f.whole.p + f.whole.len);
        }
    }
}

static void unfolds(void **state)
{
    (void)state;
    static const struct {
        struct span value, unfolded;
    } rows[] = {
        {SPAN_INIT(" a b "), SPAN_INIT("a b")},
        {SPAN_INIT(" a\r\n b"), SPAN_INIT("a b")},
        {SPAN_INIT("\r\n a\n\t b\r\n"), SPAN_INIT("a\t b")},
        {SPAN_INIT(""), SPAN_INIT("")},
        {SPAN_INIT(" \r\n \r\n "), SPAN_INIT("")},
        {SPAN_INIT("a\rb\nc"), SPAN_INIT("abc")},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        check_span("unfolded", header_unfold(&a, rows[i].value), rows[i].unfolded);
    }
}

static void decodes_words(void **state)
{
    (void)state;
    static const struct {
        struct span value, decoded;
    } rows[] = {
        /* RFC 2047 §8 */
        {SPAN_INIT("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>"), SPAN_INIT("Keith Moore <moore@cs.utk.edu>")},
        {SPAN_INIT("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>"),
         SPAN_INIT("Keld J\xc3\xb8rn Simonsen <keld@dkuug.dk>")},
        {SPAN_INIT("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n "
                   "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?="),
         SPAN_INIT("If you can read this you understand the example.")},
        {SPAN_INIT("(=?ISO-8859-1?Q?a?=)"), SPAN_INIT("(a)")},
        {SPAN_INIT("(=?ISO-8859-1?Q?a?= b)"), SPAN_INIT("(a b)")},
        {SPAN_INIT("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)"), SPAN_INIT("(ab)")},
        {SPAN_INIT("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)"), SPAN_INIT("(ab)")},
        {SPAN_INIT("(=?ISO-8859-1?Q?a_b?=)"), SPAN_INIT("(a b)")},
        {SPAN_INIT("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)"), SPAN_INIT("(a b)")},
        /* RFC 2231 §5 */
        {SPAN_INIT("=?US-ASCII*EN?Q?Keith_Moore?="), SPAN_INIT("Keith Moore")},
        /* a character cut in two */
        {SPAN_INIT("=?utf-8?Q?=C3?= =?UTF-8?Q?=A4?="), SPAN_INIT("\xc3\xa4")},
        {SPAN_INIT("=?utf-8?B?w6Q=?==?utf-8?B?w7Y=?="), SPAN_INIT("\xc3\xa4\xc3\xb6")},
        /* as they are sent */
        {SPAN_INIT("plain text"), SPAN_INIT("plain text")},
        {SPAN_INIT("a=?utf-8?q?=c3=a4?=b"), SPAN_INIT("a\xc3\xa4"
                                                      "b")},
        {SPAN_INIT("=?utf-8?Q?two words?="), SPAN_INIT("two words")},
        {SPAN_INIT("=?utf-8?Q?Really?\?="), SPAN_INIT("Really?")},
        {SPAN_INIT("=?utf-8?Q?\?= x"), SPAN_INIT(" x")},
        {SPAN_INIT("=?utf-8?Q?=4?= x"), SPAN_INIT("=4 x")},
        {SPAN_INIT("=?utf-8?Q?a=0D=0ABcc:_b=00?="), SPAN_INIT("a  Bcc: b ")},
        {SPAN_INIT("=?nonsense?Q?a=E4?="), SPAN_INIT("a\xef\xbf\xbd")},
        {SPAN_INIT("raw \xe4 and =?utf-8?Q?=C3=A4?="), SPAN_INIT("raw \xc3\xa4 and \xc3\xa4")},
        {SPAN_INIT("raw \xc3\xa4"), SPAN_INIT("raw \xc3\xa4")},
        {SPAN_INIT("raw \xe4"), SPAN_INIT("raw \xc3\xa4")},
        /* none */
        {SPAN_INIT("=?utf-8?X?abc?="), SPAN_INIT("=?utf-8?X?abc?=")},
        {SPAN_INIT("=?utf-8?Q?abc"), SPAN_INIT("=?utf-8?Q?abc")},
        {SPAN_INIT("=?utf-8?Q?abc =?utf-8?Q?d?="), SPAN_INIT("=?utf-8?Q?abc d")},
        {SPAN_INIT("=??Q?abc?="), SPAN_INIT("=??Q?abc?=")},
        {SPAN_INIT("=?=?=?"), SPAN_INIT("=?=?=?")},
        {SPAN_INIT("=?utf-8?Q"), SPAN_INIT("=?utf-8?Q")},
        {SPAN_INIT("=?a b?Q?c?="), SPAN_INIT("=?a b?Q?c?=")},
        {SPAN_INIT(""), SPAN_INIT("")},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        check_span(rows[i].value.p, header_decode(&a, rows[i].value), rows[i].decoded);
    }
}

static void strips_comments(void **state)
{
    (void)state;
    static const struct {
        struct span value, stripped;
    } rows[] = {
        {SPAN_INIT("a(b)c"), SPAN_INIT("a c")},
        {SPAN_INIT("a (b (c) \\) d) e"), SPAN_INIT("a  e")},
        {SPAN_INIT("\"(not)\" (yes)"), SPAN_INIT("\"(not)\" ")},
        {SPAN_INIT("\"\\\"(not)\"(yes)"), SPAN_INIT("\"\\\"(not)\" ")},
        {SPAN_INIT("a(open"), SPAN_INIT("a ")},
        {SPAN_INIT("(a)"), SPAN_INIT("")},
        {SPAN_INIT("a)b"), SPAN_INIT("a)b")},
        {SPAN_INIT(""), SPAN_INIT("")},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        check_span(rows[i].value.p, header_strip_comments(&a, rows[i].value), rows[i].stripped);
    }
}

/* Written as "token;name=value;name=value" so that a row is one line. */
static void write_params(struct span token, const struct mime_params *ps, struct strbuf *out)
{
    strbuf_add(out, token);
    for (size_t i = 0; i < ps->count; i++) {
        strbuf_add_char(out, ';');
        strbuf_add(out, ps->list[i].name);
        strbuf_add_char(out, '=');
        strbuf_add(out, ps->list[i].value);
    }
}

static void reads_params(void **state)
{
    (void)state;
    static const struct {
        struct span value, written;
    } rows[] = {
        {SPAN_INIT(" text/plain; charset=us-ascii (Plain text)"),
         SPAN_INIT("text/plain;charset=us-ascii")}, /* RFC 2045 §5.1 */
        {SPAN_INIT("text/plain; charset=\"us-ascii\""), SPAN_INIT("text/plain;charset=us-ascii")},
        /* RFC 2231 §3 */
        {SPAN_INIT("message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n "
                   "URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\""),
         SPAN_INIT("message/external-body;access-type=URL;url=ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar")},
        /* RFC 2231 §4 */
        {SPAN_INIT("application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"),
         SPAN_INIT("application/x-stuff;title=This is ***fun***")},
        /* RFC 2231 §4.1 */
        {SPAN_INIT("application/x-stuff\r\n ;title*0*=us-ascii'en'This%20is%20even%20more%20\r\n "
                   ";title*1*=%2A%2A%2Afun%2A%2A%2A%20\r\n ;title*2=\"isn't it!\""),
         SPAN_INIT("application/x-stuff;title=This is even more ***fun*** isn't it!")},
        {SPAN_INIT("a/b; n*1=two; n*0=one; n*2=three"), SPAN_INIT("a/b;n=onetwothree")},
        {SPAN_INIT("a/b; n*0=one; n*2=three"), SPAN_INIT("a/b;n=one")},
        {SPAN_INIT("a/b; n*1=two"), SPAN_INIT("a/b")},
        {SPAN_INIT("a/b; n*1=two; n=plain"), SPAN_INIT("a/b;n=plain")},
        {SPAN_INIT("a/b; n=plain; n*=utf-8''%C3%A4"), SPAN_INIT("a/b;n=\xc3\xa4")},
        {SPAN_INIT("a/b; n*=iso-8859-1''%E4%f6"), SPAN_INIT("a/b;n=\xc3\xa4\xc3\xb6")},
        {SPAN_INIT("a/b; n*0*=utf-8''%C3; n*1*=%A4"), SPAN_INIT("a/b;n=\xc3\xa4")}, /* a character cut in two */
        {SPAN_INIT("a/b; n*=''100%25"), SPAN_INIT("a/b;n=100%")},
        {SPAN_INIT("a/b; n*=no quotes%2"), SPAN_INIT("a/b;n=no quotes%2")},
        {SPAN_INIT("a/b; n*x=1; *=2; *0=3; n**=4; =5; n*9999=6"), SPAN_INIT("a/b")},
        /* as they are sent */
        {SPAN_INIT("Text/HTML ; CharSet = UTF-8 ; "), SPAN_INIT("Text/HTML;charset=UTF-8")},
        {SPAN_INIT("a/b; name=my file (1).pdf; x=y"), SPAN_INIT("a/b;name=my file (1).pdf;x=y")},
        {SPAN_INIT("a/b; name=\"semi;colon \\\"q\\\" \\\\ (no comment)\"; x=y"),
         SPAN_INIT("a/b;name=semi;colon \"q\" \\ (no comment);x=y")},
        {SPAN_INIT("a/b; name=\"open; x=y"), SPAN_INIT("a/b;name=open; x=y")},
        {SPAN_INIT("a/b; name=\"ends in backslash\\\""), SPAN_INIT("a/b;name=ends in backslash\"")},
        {SPAN_INIT("a/b; name=\"\"; x="), SPAN_INIT("a/b;name=;x=")},
        {SPAN_INIT("a/b; name=\"x\"junk; x=y"), SPAN_INIT("a/b;name=x;x=y")},
        {SPAN_INIT("a/b;;; broken; x=y; \"z\"=1; t=u"), SPAN_INIT("a/b;x=y;t=u")},
        {SPAN_INIT("a/b; x=first; X=second"), SPAN_INIT("a/b;x=first")},
        {SPAN_INIT("(c)a/b(d); (e) x (f) = (g) y (h); z=1"), SPAN_INIT("a/b;x=y;z=1")},
        {SPAN_INIT("inline"), SPAN_INIT("inline")},
        {SPAN_INIT(""), SPAN_INIT("")},
        {SPAN_INIT("; x=y"), SPAN_INIT(";x=y")},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct span token;
        struct mime_params ps;
        header_params(&a, rows[i].value, &token, &ps);
        write_params(token, &ps, &out);
        check_span(rows[i].value.p, strbuf_span(&out), rows[i].written);
    }
}

static void reads_params_as_sent(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF out = STRBUF_INIT;
    struct span token, value;
    struct mime_params ps;
    header_params_as_sent(&a, SPAN("a/b; Name*0*=utf-8''%C3; name*1*=%A4; x=\"y z\""), &token, &ps);
    write_params(token, &ps, &out);
    check_span("as sent", strbuf_span(&out), SPAN("a/b;name*0*=utf-8''%C3;name*1*=%A4;x=y z"));
    assert_true(mime_param_find(&ps, SPAN("X"), &value));
    check_span("x", value, SPAN("y z"));
    assert_false(mime_param_find(&ps, SPAN("name"), &value));
}

static void params_are_limited(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct span token;
    struct mime_params ps;
    strbuf_add_cstr(&text, "a/b");
    for (int i = 0; i < 1000; i++)
        strbuf_addf(&text, "; p%d=%d", i, i);
    header_params(&a, strbuf_span(&text), &token, &ps);
    assert_int_equal(ps.count, MIME_PARAMS_MAX);
    check_span("last", ps.list[MIME_PARAMS_MAX - 1].name, SPAN("p63"));
    header_params_as_sent(&a, strbuf_span(&text), &token, &ps);
    assert_int_equal(ps.count, MIME_PARAMS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_end),         cmocka_unit_test(walks_fields),
        cmocka_unit_test(walks_every_beginning), cmocka_unit_test(unfolds),
        cmocka_unit_test(decodes_words),         cmocka_unit_test(strips_comments),
        cmocka_unit_test(reads_params),          cmocka_unit_test(reads_params_as_sent),
        cmocka_unit_test(params_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
