/*
 * test_imap_structure.c - ENVELOPE, BODY and BODYSTRUCTURE. What is written is compared as text and, all of it, held
 * against the grammar (body_grammar.h).
 */
#include <stdlib.h>
#include "body_grammar.h"
#include "check.h"
#include "text/address.h"
#include "text/imap_structure.h"

static void strings(void **state)
{
    (void)state;
    static const struct {
        struct span s;
        const char *want;
    } rows[] = {
        {SPAN_INIT(""), "\"\""},
        {SPAN_INIT("plain"), "\"plain\""},
        {SPAN_INIT("NIL"), "\"NIL\""},
        {SPAN_INIT("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {SPAN_INIT("tab\tbell\a"), "\"tab\tbell\a\""},
        {SPAN_INIT("two\r\nlines"), "{10}\r\ntwo\r\nlines"},
        {SPAN_INIT("\r"), "{1}\r\n\r"},
        {SPAN_INIT("\xc3\xa4\"\\"), "{4}\r\n\xc3\xa4\"\\"},
        {SPAN_INIT("\xff"), "{1}\r\n\xff"},
        {SPAN_INIT("a\0b"), "\"ab\""},
        {SPAN_INIT("\0"), "\"\""},
        {SPAN_INIT("a\0\n\0"), "{2}\r\na\n"},
        {SPAN_INIT("\0\""), "\"\\\"\""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        imap_string_write(rows[i].s, &out);
        check_span(rows[i].want, strbuf_span(&out), span_cstr(rows[i].want));
    }
    AUTO_STRBUF out = STRBUF_INIT;
    imap_nstring_write(false, SPAN("x"), &out);
    imap_nstring_write(true, SPAN_NONE, &out);
    check_span("nstring", strbuf_span(&out), SPAN("NIL\"\""));
}

#define FROM_ALICE "From: alice@example.test\r\n"
#define ALICE      "((NIL NIL \"alice\" \"example.test\"))"

static const struct {
    const char *header, *want;
} envelopes[] = {
    {"", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
    /* the form of RFC 3501 §8's example */
    {"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Alice A <alice@example.test>\r\n"
     "Subject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@example.test\r\n"
     "cc: minutes@example.test, Bob B <bob@example.test>\r\nMessage-Id: <B27397-0100000@example.test>\r\n\r\n",
     "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" "
     "((\"Alice A\" NIL \"alice\" \"example.test\")) ((\"Alice A\" NIL \"alice\" \"example.test\")) "
     "((\"Alice A\" NIL \"alice\" \"example.test\")) ((NIL NIL \"imap\" \"example.test\")) "
     "((NIL NIL \"minutes\" \"example.test\")(\"Bob B\" NIL \"bob\" \"example.test\")) NIL NIL "
     "\"<B27397-0100000@example.test>\")"},
    /* absent is NIL, empty is "" but for addresses */
    {"Date:\r\nSubject: \r\nFrom:\r\nTo: \r\nIn-Reply-To:\r\nMessage-ID:\r\n\r\n",
     "(\"\" \"\" NIL NIL NIL NIL NIL NIL \"\" \"\")"},
    {FROM_ALICE "Sender:\r\nReply-To: bob@example.test\r\n",
     "(NIL NIL " ALICE " " ALICE " ((NIL NIL \"bob\" \"example.test\")) NIL NIL NIL NIL NIL)"},
    {FROM_ALICE "Sender: bob@example.test\r\nReply-To: \r\n",
     "(NIL NIL " ALICE " ((NIL NIL \"bob\" \"example.test\")) " ALICE " NIL NIL NIL NIL NIL)"},
    /* groups */
    {"To: Friends: alice@example.test, bob@example.test;\r\n",
     "(NIL NIL NIL NIL NIL ((NIL NIL \"Friends\" NIL)(NIL NIL \"alice\" \"example.test\")"
     "(NIL NIL \"bob\" \"example.test\")(NIL NIL NIL NIL)) NIL NIL NIL NIL)"},
    {"To: undisclosed-recipients:;\r\n",
     "(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)"},
    {FROM_ALICE "Reply-To: nobody:;\r\n",
     "(NIL NIL " ALICE " " ALICE " ((NIL NIL \"nobody\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL NIL)"},
    /* no domain is not a group */
    {"To: alice\r\n", "(NIL NIL NIL NIL NIL ((NIL NIL \"alice\" \"\")) NIL NIL NIL NIL)"},
    {"To: <@a.example.test,@b.example.test:bob@example.test>\r\n",
     "(NIL NIL NIL NIL NIL ((NIL \"@a.example.test,@b.example.test\" \"bob\" \"example.test\")) NIL NIL NIL NIL)"},
    /* "local-part after removing quoting" */
    {"To: \"a \\\"b\\\\ c\"@example.test\r\n",
     "(NIL NIL NIL NIL NIL ((NIL NIL \"a \\\"b\\\\ c\" \"example.test\")) NIL NIL NIL NIL)"},
    {"To: \"Alice \\\"A\\\"\" <alice@example.test>\r\n",
     "(NIL NIL NIL NIL NIL ((\"Alice \\\"A\\\"\" NIL \"alice\" \"example.test\")) NIL NIL NIL NIL)"},
    /* as it stands: encoded-words, folds removed, octets that are not ASCII in a literal */
    {"Subject: =?utf-8?Q?=C3=A4?=\r\n =?utf-8?Q?b?=\r\n",
     "(NIL \"=?utf-8?Q?=C3=A4?= =?utf-8?Q?b?=\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
    {"Subject: \xc3\xa4\r\n", "(NIL {2}\r\n\xc3\xa4 NIL NIL NIL NIL NIL NIL NIL NIL)"},
    {"To: \xe4 <alice@example.test>\r\n",
     "(NIL NIL NIL NIL NIL (({1}\r\n\xe4 NIL \"alice\" \"example.test\")) NIL NIL NIL NIL)"},
    {"Subject: one\r\nSubject: two\r\n", "(NIL \"one\" NIL NIL NIL NIL NIL NIL NIL NIL)"},
    {"To: alice@example.test\r\nTo: bob@example.test\r\n",
     "(NIL NIL NIL NIL NIL ((NIL NIL \"alice\" \"example.test\")(NIL NIL \"bob\" \"example.test\")) NIL NIL NIL NIL)"},
    {"SUBJECT: bare\nFROM: alice@example.test\n\n", "(NIL \"bare\" " ALICE " " ALICE " " ALICE " NIL NIL NIL NIL NIL)"},
};

static void envelope_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(envelopes); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        imap_envelope_write(&a, span_cstr(envelopes[i].header), &out);
        check_span(envelopes[i].header, strbuf_span(&out), span_cstr(envelopes[i].want));
        assert_true(grammar_is_envelope(strbuf_span(&out)));
    }
}

/* A header of addresses alone, or of one endless subject, gives a text of bounded size that is still one. */
static void envelope_limits(void **state)
{
    (void)state;
    static const struct {
        const char *head, *unit;
        size_t count;
    } rows[] = {
        {"From: ", "a,", 2000000},    {"", "To: g: a,b;\r\n", 200000},    {"", "To: g: a,b\r\n", 200000},
        {"Subject: ", "x", 20000000}, {"From: ", "\xe4\"\r\n ", 1000000}, {"From: ", "<x@x>:,;", 1000000},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF header = STRBUF_INIT, out = STRBUF_INIT;
        strbuf_add_cstr(&header, rows[i].head);
        for (size_t n = 0; n < rows[i].count; n++)
            strbuf_add_cstr(&header, rows[i].unit);
        imap_envelope_write(&a, strbuf_span(&header), &out);
        assert_true(grammar_is_envelope(strbuf_span(&out)));
        assert_true(out.len < IMAP_STRUCTURE_MAX + 4 * IMAP_STRUCTURE_STRING_MAX);
    }
}

#define TEXT_PLAIN   "\"text\" \"plain\" (\"charset\" \"us-ascii\")"
#define NO_EXTENSION " NIL NIL NIL NIL"

static const struct {
    const char *message, *body, *extension; /* BODY; BODYSTRUCTURE where it is not the same (NULL: not compared) */
} bodies[] = {
    {"", "(" TEXT_PLAIN " NIL NIL \"7bit\" 0 0)", "(" TEXT_PLAIN " NIL NIL \"7bit\" 0 0" NO_EXTENSION ")"},
    /* RFC 3501 §7.4.2: "a simple text message of 48 lines and 2279 octets" in small */
    {"Subject: x\r\n\r\none\r\ntwo\r\n", "(" TEXT_PLAIN " NIL NIL \"7bit\" 10 2)", NULL},
    {"Content-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\nR0lG\r\n",
     "(\"image\" \"gif\" NIL NIL NIL \"base64\" 6)", "(\"image\" \"gif\" NIL NIL NIL \"base64\" 6" NO_EXTENSION ")"},
    {"Content-Type: text/html; Charset=\"utf-8\"; x=\"a \\\"b\\\"\"\r\n\r\n",
     "(\"text\" \"html\" (\"charset\" \"utf-8\" \"x\" \"a \\\"b\\\"\") NIL NIL \"7bit\" 0 0)", NULL},
    {"Content-Type: garbage; charset=utf-8\r\n\r\n", "(" TEXT_PLAIN " NIL NIL \"7bit\" 0 0)", NULL},
    {"Content-Type: multipart/mixed; charset=utf-8\r\n\r\n", "(" TEXT_PLAIN " NIL NIL \"7bit\" 0 0)", NULL},
    {"Content-Type: a/b\r\nContent-Transfer-Encoding: x-uue\r\n\r\n", "(\"a\" \"b\" NIL NIL NIL \"x-uue\" 0)", NULL},
    /* every field there is */
    {"Content-Type: application/pdf; name=a.pdf\r\nContent-ID: <1@example.test>\r\nContent-Description: the\r\n "
     "paper\r\n"
     "Content-Transfer-Encoding: binary\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n"
     "Content-Disposition: Attachment; filename=a.pdf; size=1\r\nContent-Language: de, en-GB (yes)\r\n"
     "Content-Location: http://example.test/a.pdf\r\n\r\nx",
     "(\"application\" \"pdf\" (\"name\" \"a.pdf\") \"<1@example.test>\" \"the paper\" \"binary\" 1)",
     "(\"application\" \"pdf\" (\"name\" \"a.pdf\") \"<1@example.test>\" \"the paper\" \"binary\" 1 "
     "\"Q2hlY2sgSW50ZWdyaXR5IQ==\" (\"Attachment\" (\"filename\" \"a.pdf\" \"size\" \"1\")) (\"de\" \"en-GB\") "
     "\"http://example.test/a.pdf\")"},
    {"Content-Disposition: inline\r\nContent-Language: ,\r\n\r\n", "(" TEXT_PLAIN " NIL NIL \"7bit\" 0 0)",
     "(" TEXT_PLAIN " NIL NIL \"7bit\" 0 0 NIL (\"inline\" NIL) NIL NIL)"},
    /* RFC 2231 §6: servers join the sections; octets beyond ASCII stay encoded, in one piece */
    {"Content-Type: a/b; name*0=one-; name*1=two\r\n\r\n", "(\"a\" \"b\" (\"name\" \"one-two\") NIL NIL \"7bit\" 0)",
     NULL},
    {"Content-Type: a/b; name*0*=iso-8859-1''%E4; name*1=\" b%\"\r\n\r\n",
     "(\"a\" \"b\" (\"name*\" \"utf-8''%C3%A4%20b%25\") NIL NIL \"7bit\" 0)", NULL},
    {"Content-Type: a/b; name=\"\xe4\"\r\n\r\n", "(\"a\" \"b\" (\"name\" {1}\r\n\xe4) NIL NIL \"7bit\" 0)", NULL},
    /* a multipart, as RFC 3501 §7.4.2 shows it */
    {"Content-Type: multipart/mixed; boundary=b\r\nContent-Language: en\r\n\r\n--b\r\n\r\none\r\n\r\n--b\r\n"
     "Content-Type: text/plain; name=\"cc.diff\"; charset=us-ascii\r\nContent-ID: <2@example.test>\r\n"
     "Content-Description: Compiler diff\r\nContent-Transfer-Encoding: BASE64\r\n\r\nxxxx\r\n--b--",
     "((" TEXT_PLAIN " NIL NIL \"7bit\" 5 1)(\"text\" \"plain\" (\"name\" \"cc.diff\" \"charset\" \"us-ascii\") "
     "\"<2@example.test>\" \"Compiler diff\" \"base64\" 4 0) \"mixed\")",
     "((" TEXT_PLAIN " NIL NIL \"7bit\" 5 1" NO_EXTENSION ")(\"text\" \"plain\" (\"name\" \"cc.diff\" \"charset\" "
     "\"us-ascii\") \"<2@example.test>\" \"Compiler diff\" \"base64\" 4 0" NO_EXTENSION
     ") \"mixed\" (\"boundary\" \"b\") NIL (\"en\") NIL)"},
    /* without parts there must be one */
    {"Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing\r\n",
     "((" TEXT_PLAIN " NIL NIL \"7bit\" 0 0) \"mixed\")", NULL},
    {"Content-Type: message/rfc822\r\n\r\n" FROM_ALICE "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n",
     "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 78 (NIL NIL " ALICE " " ALICE " " ALICE " NIL NIL NIL NIL NIL) "
     "((" TEXT_PLAIN " NIL NIL \"7bit\" 0 0) \"mixed\") 4)",
     NULL},
    {"Content-Type: message/rfc822\r\nContent-Description: fwd\r\n\r\nSubject: in\r\n" FROM_ALICE "\r\nx\r\n",
     "(\"message\" \"rfc822\" NIL NIL \"fwd\" \"7bit\" 44 (NIL \"in\" " ALICE " " ALICE " " ALICE
     " NIL NIL NIL NIL NIL) (" TEXT_PLAIN " NIL NIL \"7bit\" 3 1) 4)",
     "(\"message\" \"rfc822\" NIL NIL \"fwd\" \"7bit\" 44 (NIL \"in\" " ALICE " " ALICE " " ALICE
     " NIL NIL NIL NIL NIL) (" TEXT_PLAIN " NIL NIL \"7bit\" 3 1" NO_EXTENSION ") 4" NO_EXTENSION ")"},
};

/* One form of the message's body, checked against the grammar; in the arena. */
static struct span body_of(struct arena *a, struct span message, bool is_extended)
{
    AUTO_STRBUF out = STRBUF_INIT;
    struct mime_message m;
    mime_parse(a, message, &m);
    imap_body_write(a, &m, message, is_extended, &out);
    if (!grammar_is_body(strbuf_span(&out), is_extended))
        fail_msg("not of the grammar: %.*s", SPAN_ARG(span_take(strbuf_span(&out), 2000)));
    return arena_strbuf(a, &out);
}

static void body_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(bodies); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct span message = span_cstr(bodies[i].message);
        check_span(bodies[i].message, body_of(&a, message, false), span_cstr(bodies[i].body));
        struct span extended = body_of(&a, message, true);
        if (bodies[i].extension)
            check_span(bodies[i].message, extended, span_cstr(bodies[i].extension));
    }
}

/* Any message, however cut off, has a body of the grammar. */
static void body_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(bodies); i++)
        for (size_t n = 0; n <= strlen(bodies[i].message); n++) {
            AUTO_ARENA a = ARENA_INIT;
            (void)body_of(&a, span_of(bodies[i].message, n), true);
        }
}

/* Embedded messages with thousands of addresses each: the sum is bounded, and so is the memory for making it. */
static void body_limits(void **state)
{
    (void)state;
    static const char *const units[] = {"\"\xc3\xa4\xc3\xa4\"@x,", "a,", ";x=y"};
    for (size_t i = 0; i < ROWS(units); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF message = STRBUF_INIT;
        strbuf_add_cstr(&message, "Content-Type: multipart/digest; boundary=b\r\n\r\n");
        for (size_t part = 0; part < 300; part++) {
            strbuf_add_cstr(&message, "--b\r\n\r\nContent-Disposition: a;x=\"y\"\r\nFrom: ");
            for (size_t n = 0; n < 2000; n++)
                strbuf_add_cstr(&message, units[i]);
            strbuf_add_cstr(&message, "\r\nContent-Type: a/b");
            for (size_t n = 0; n < 2000; n++)
                strbuf_add_cstr(&message, units[i]);
            strbuf_add_cstr(&message, "\r\n\r\nx\r\n");
        }
        struct span text = body_of(&a, strbuf_span(&message), true);
        assert_true(text.len < 2 * IMAP_STRUCTURE_MAX);
        assert_true(a.total < 64 << 20);
    }
}

static void body_of_many_parts(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF message = STRBUF_INIT;
    strbuf_add_cstr(&message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for (size_t i = 0; i < MIME_PARTS_MAX; i++)
        strbuf_add_cstr(&message, "--b\r\n\r\n");
    (void)body_of(&a, strbuf_span(&message), true);

    strbuf_clear(&message);
    for (size_t i = 0; i < 1000; i++)
        strbuf_addf(&message, "Content-Type: multipart/mixed; boundary=%04zu\r\n\r\n--%04zu\r\n", i, i);
    (void)body_of(&a, strbuf_span(&message), true);
}

/* The table from the store serves as well as the fresh one. */
static void body_from_packed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(bodies); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF packed = STRBUF_INIT, out = STRBUF_INIT;
        struct mime_message m, again;
        struct err err;
        struct span message = span_cstr(bodies[i].message);
        mime_parse(&a, message, &m);
        mime_pack(&m, &packed);
        assert_int_equal(mime_unpack(&a, strbuf_span(&packed), &again, &err), ST_OK);
        imap_body_write(&a, &again, message, true, &out);
        check_span(bodies[i].message, strbuf_span(&out), body_of(&a, message, true));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),
        cmocka_unit_test(envelope_texts),
        cmocka_unit_test(envelope_limits),
        cmocka_unit_test(body_texts),
        cmocka_unit_test(body_prefixes),
        cmocka_unit_test(body_limits),
        cmocka_unit_test(body_of_many_parts),
        cmocka_unit_test(body_from_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
