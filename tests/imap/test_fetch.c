/* FETCH and UID FETCH (RFC 3501 §6.4.5): items, sections, partials, \Seen, large messages, slow readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "harness.h"
#include "store/view.h"
#include "text/codec.h"

#define SELECT(how) "A> a0 " how " INBOX\nA...\nA< a0 OK ~\n"

static void play_with(const char *const *messages, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_new();
        for (size_t i = 0; messages[i]; i++)
            world_deliver(w, "INBOX", messages[i]);
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define MESSAGES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char simple[] = "From: Alice <alice@example.test>\r\n"
                             "To: bob@example.test\r\n"
                             "Subject: simple\r\n"
                             "Date: Sat, 31 Jan 2026 12:00:00 +0100\r\n"
                             "\r\n"
                             "0123456789\r\n";

static void view_items(void **state)
{
    (void)state;
    play_with(
        MESSAGES(simple, "Subject: b\r\n\r\nb\r\n"),
        SELECT(
            "EXAMINE") "A> a1 FETCH 1:* FAST\n"
                       "A< * 1 FETCH (FLAGS (\\Recent) INTERNALDATE \"31-Jan-2026 13:00:00 +0100\" RFC822.SIZE 126)\n"
                       "A< * 2 FETCH (FLAGS (\\Recent) INTERNALDATE \"31-Jan-2026 13:00:00 +0100\" RFC822.SIZE 17)\n"
                       "A< a1 OK FETCH completed\n"
                       "A> a2 UID FETCH 2 (FLAGS)\n"
                       "A< * 2 FETCH (UID 2 FLAGS (\\Recent))\n"
                       "A< a2 OK UID FETCH completed\n"
                       "A> a3 UID FETCH 2 (RFC822.SIZE UID)\n"
                       "A< * 2 FETCH (RFC822.SIZE 17 UID 2)\n"
                       "A< a3 OK ~\n"
                       /* RFC 3501 §6.4.8: uids that are not there are passed over; n:* has the last one */
                       "A> a4 UID FETCH 77 FLAGS\n"
                       "A< a4 OK ~\n"
                       "A> a5 UID FETCH 77:* UID\n"
                       "A< * 2 FETCH (UID 2)\n"
                       "A< a5 OK ~\n"
                       "A> a6 FETCH 3 UID\n"
                       "A< a6 BAD there is no such message; the mailbox has 2\n"
                       "A> a7 FETCH 2,1 (UID UID)\n"
                       "A< * 1 FETCH (UID 1 UID 1)\n"
                       "A< * 2 FETCH (UID 2 UID 2)\n"
                       "A< a7 OK ~\n");
}

static void empty_mailbox(void **state)
{
    (void)state;
    play(SELECT("SELECT") "A> a1 FETCH 1:* FLAGS\n"
                          "A< a1 BAD ~\n"
                          "A> a2 UID FETCH 1:* FLAGS\n"
                          "A< a2 OK ~\n");
}

static void stored_texts(void **state)
{
    (void)state;
    play_with(
        MESSAGES(simple),
        SELECT("EXAMINE") "A> a1 FETCH 1 (ENVELOPE BODY BODYSTRUCTURE)\n"
                          "A< * 1 FETCH (ENVELOPE (\"Sat, 31 Jan 2026 12:00:00 +0100\" \"simple\" ((\"Alice\" NIL "
                          "\"alice\" \"example.test\")) "
                          "((\"Alice\" NIL \"alice\" \"example.test\")) ((\"Alice\" NIL \"alice\" \"example.test\")) "
                          "((NIL NIL \"bob\" \"example.test\")) NIL NIL NIL NIL) BODY (\"text\" \"plain\" ~ \"7bit\" "
                          "12 1) "
                          "BODYSTRUCTURE (\"text\" \"plain\" ~ \"7bit\" 12 1 NIL NIL NIL NIL))\n"
                          "A< a1 OK ~\n");
}

static void whole_sections(void **state)
{
    (void)state;
    play_with(MESSAGES("Subject: x\r\nX-Y: z\r\n\r\nbody\r\n"),
              SELECT("EXAMINE") "A> a1 FETCH 1 BODY[]\n"
                                "A< * 1 FETCH (BODY[] {28}\n"
                                "A< Subject: x\nA< X-Y: z\nA< \nA< body\nA< )\nA< a1 OK ~\n"
                                "A> a2 FETCH 1 (BODY[TEXT] BODY[HEADER] UID)\n"
                                /* what is streamed comes behind what is not */
                                "A< * 1 FETCH (UID 1 BODY[TEXT] {6}\n"
                                "A< body\nA<  BODY[HEADER] {22}\nA< Subject: x\nA< X-Y: z\nA< \nA< )\nA< a2 OK ~\n"
                                "A> a3 FETCH 1 (RFC822.HEADER RFC822.TEXT)\n"
                                "A< * 1 FETCH (RFC822.HEADER {22}\n"
                                "A< Subject: x\nA< X-Y: z\nA< \nA<  RFC822.TEXT {6}\nA< body\nA< )\nA< a3 OK ~\n"
                                "A> a4 FETCH 1 (BODY.PEEK[1] BODY.PEEK[2] BODY.PEEK[1.MIME] BODY.PEEK[1.HEADER])\n"
                                "A< * 1 FETCH (BODY[1] {6}\n"
                                "A< body\nA<  BODY[2] NIL BODY[1.MIME] {22}\nA< Subject: x\nA< X-Y: z\nA< \nA<  "
                                "BODY[1.HEADER] NIL)\nA< a4 OK ~\n");
}

static void header_fields(void **state)
{
    (void)state;
    play_with(MESSAGES("A: 1\r\nB: 2\r\n folded\r\nc: 3\r\nB: 4\r\n\r\nbody\r\n"),
              SELECT("EXAMINE") "A> a1 FETCH 1 BODY[HEADER.FIELDS (b \"C\")]\n"
                                "A< * 1 FETCH (BODY[HEADER.FIELDS (b C)] {29}\n"
                                "A< B: 2\nA<  folded\nA< c: 3\nA< B: 4\nA< \nA< )\nA< a1 OK ~\n"
                                "A> a2 FETCH 1 BODY[HEADER.FIELDS.NOT (b C)]\n"
                                "A< * 1 FETCH (BODY[HEADER.FIELDS.NOT (b C)] {8}\n"
                                "A< A: 1\nA< \nA< )\nA< a2 OK ~\n"
                                "A> a3 FETCH 1 BODY[HEADER.FIELDS (X)]\n"
                                "A< * 1 FETCH (BODY[HEADER.FIELDS (X)] {2}\n"
                                "A< \nA< )\nA< a3 OK ~\n"
                                "A> a4 FETCH 1 (BODY[HEADER.FIELDS (A)]<3.2> BODY[1.HEADER.FIELDS (A)])\n"
                                "A< * 1 FETCH (BODY[HEADER.FIELDS (A)]<3> {2}\n"
                                "A< 1\r BODY[1.HEADER.FIELDS (A)] NIL)\nA< a4 OK ~\n");
}

static const char nested[] = "Content-Type: multipart/mixed; boundary=o\r\n"
                             "\r\n"
                             "preamble\r\n"
                             "--o\r\n"
                             "\r\n"
                             "one\r\n"
                             "--o\r\n"
                             "Content-Type: message/rfc822\r\n"
                             "\r\n"
                             "Subject: inner\r\n"
                             "Content-Type: multipart/alternative; boundary=i\r\n"
                             "\r\n"
                             "--i\r\n"
                             "Content-Type: text/plain\r\n"
                             "\r\n"
                             "plain\r\n"
                             "--i\r\n"
                             "Content-Type: text/html\r\n"
                             "\r\n"
                             "<p>html\r\n"
                             "--i--\r\n"
                             "--o--\r\n";

static void nested_sections(void **state)
{
    (void)state;
    play_with(
        MESSAGES(nested),
        SELECT(
            "EXAMINE") "A> a1 FETCH 1 BODY[1]\n"
                       "A< * 1 FETCH (BODY[1] {3}\nA< one)\nA< a1 OK ~\n"
                       "A> a2 FETCH 1 BODY[1.MIME]\n"
                       "A< * 1 FETCH (BODY[1.MIME] {2}\nA< \nA< )\nA< a2 OK ~\n"
                       "A> a3 FETCH 1 BODY[2.MIME]\n"
                       "A< * 1 FETCH (BODY[2.MIME] {32}\nA< Content-Type: message/rfc822\nA< \nA< )\nA< a3 OK ~\n"
                       "A> a4 FETCH 1 BODY[2.HEADER]\n"
                       "A< * 1 FETCH (BODY[2.HEADER] {67}\nA< Subject: inner\nA< Content-Type: multipart/alternative; "
                       "boundary=i\n"
                       "A< \nA< )\nA< a4 OK ~\n"
                       "A> a5 FETCH 1 BODY[2.HEADER.FIELDS (SUBJECT)]\n"
                       "A< * 1 FETCH (BODY[2.HEADER.FIELDS (SUBJECT)] {18}\nA< Subject: inner\nA< \nA< )\nA< a5 OK ~\n"
                       "A> a6 FETCH 1 (BODY[2.1] BODY[2.2] BODY[2.2.MIME] BODY[2.3] BODY[3] BODY[2.1.1])\n"
                       "A< * 1 FETCH (BODY[2.1] {5}\nA< plain BODY[2.2] {7}\nA< <p>html BODY[2.2.MIME] {27}\n"
                       "A< Content-Type: text/html\nA< \nA<  BODY[2.3] NIL BODY[3] NIL BODY[2.1.1] ~)\nA< a6 OK ~\n"
                       "A> a7 FETCH 1 BODY[2.TEXT]<0.5>\n"
                       "A< * 1 FETCH (BODY[2.TEXT]<0> {5}\nA< --i\nA< )\nA< a7 OK ~\n"
                       "A> a8 FETCH 1 (BODY[TEXT]<0.8> BODY[HEADER]<0.3> BODY[1.TEXT])\n"
                       "A< * 1 FETCH (BODY[TEXT]<0> {8}\nA< preamble BODY[HEADER]<0> {3}\nA< Con BODY[1.TEXT] NIL)\nA< "
                       "a8 OK ~\n");
}

/* Each origin and size around the ends of a body of 12 octets. */
static void partials(void **state)
{
    (void)state;
    static const char text[] = "0123456789\r\n";
    struct world *w = world_new();
    world_deliver(w, "INBOX", simple);
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a EXAMINE INBOX\r\n"));
    for (size_t from = 0; from <= 14; from++)
        for (size_t size = 1; size <= 15; size++) {
            char command[80], wanted[120];
            size_t have = from >= 12 ? 0 : 12 - from < size ? 12 - from : size;
            fake_take(s);
            fake_send(s, span_of(command, (size_t)snprintf(command, sizeof command, "b FETCH 1 BODY[TEXT]<%zu.%zu>\r\n",
                                                           from, size)));
            if (have)
                snprintf(wanted, sizeof wanted, "* 1 FETCH (BODY[TEXT]<%zu> {%zu}\r\n%.*s)\r\nb OK FETCH completed\r\n",
                         from, have, (int)have, text + from);
            else
                snprintf(wanted, sizeof wanted, "* 1 FETCH (BODY[TEXT]<%zu> \"\")\r\nb OK FETCH completed\r\n", from);
            assert_string_equal(fake_take(s), wanted);
        }
    fake_free(&s);
    world_free(&w);
}

static void seen(void **state)
{
    (void)state;
    play_with(MESSAGES("A: 1\r\n\r\nx", "A: 2\r\n\r\nx", "A: 3\r\n\r\nx"),
              SELECT("SELECT") "A> a1 FETCH 1 (BODY.PEEK[TEXT] RFC822.HEADER ENVELOPE)\n"
                               "A...\nA< a1 OK ~\n"
                               "A> a2 FETCH 1 FLAGS\n"
                               "A< * 1 FETCH (FLAGS (\\Recent))\nA< a2 OK ~\n"
                               "A> a3 FETCH 1 BODY[TEXT]\n"
                               "A< * 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {1}\nA< x)\nA< a3 OK ~\n"
                               "A> a4 FETCH 1:2 (RFC822.TEXT FLAGS)\n"
                               "A< * 1 FETCH (FLAGS (\\Seen \\Recent) RFC822.TEXT {1}\nA< x)\n"
                               "A< * 2 FETCH (FLAGS (\\Seen \\Recent) RFC822.TEXT {1}\nA< x)\nA< a4 OK ~\n"
                               "A> a5 UID FETCH 3 BODY[HEADER.FIELDS (A)]\n"
                               "A< * 3 FETCH (UID 3 BODY[HEADER.FIELDS (A)] {8}\nA< A: 3\nA< \nA<  FLAGS (\\Seen "
                               "\\Recent))\nA< a5 OK ~\n"
                               "A> a6 FETCH 1:3 FLAGS\n"
                               "A< * 1 FETCH (FLAGS (\\Seen \\Recent))\nA< * 2 FETCH (FLAGS (\\Seen \\Recent))\n"
                               "A< * 3 FETCH (FLAGS (\\Seen \\Recent))\nA< a6 OK ~\n"
                               /* EXAMINE changes nothing */
                               "A> a7 STORE 1 -FLAGS.SILENT (\\Seen)\nA< a7 OK ~\n"
                               "A> a8 EXAMINE INBOX\nA...\nA< a8 OK ~\n"
                               "A> a9 FETCH 1 BODY[TEXT]\n"
                               "A< * 1 FETCH (BODY[TEXT] {1}\nA< x)\nA< a9 OK ~\n"
                               "A> b1 FETCH 1 FLAGS\nA< * 1 FETCH (FLAGS ())\nA< b1 OK ~\n");
}

static void syntax(void **state)
{
    (void)state;
    play_with(MESSAGES("A: 1\r\n\r\nx"), SELECT("SELECT") "A> a1 FETCH\nA< a1 BAD ~\n"
                                                          "A> a2 FETCH 1\nA< a2 BAD ~\n"
                                                          "A> a3 FETCH 1 \nA< a3 BAD ~\n"
                                                          "A> a4 FETCH 1 FLAGS UID\nA< a4 BAD ~\n"
                                                          "A> a5 FETCH 0 FLAGS\nA< a5 BAD ~\n"
                                                          "A> a6 FETCH x FLAGS\nA< a6 BAD ~\n"
                                                          "A> a7 FETCH 1 (FLAGS\nA< a7 BAD ~\n"
                                                          "A> a8 FETCH 1 (BODY[0])\nA< a8 BAD ~\n");
}

/* ---- large messages -------------------------------------------------------------------------------------------- */

static void deliver(struct world *w, struct span raw)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO(txn) txn = NULL;
    struct err err;
    struct content content;
    struct mailbox m;
    uint32_t uid;
    content_prepare(&a, raw, &content);
    assert_int_equal(store_begin(world_account(w), TXN_WRITE, &txn, &err), ST_OK);
    assert_int_equal(mailbox_find(txn, SPAN("INBOX"), &a, &m, &err), ST_OK);
    assert_int_equal(message_add(txn, m.id, &content, 0, (struct mail_date){0, 0}, &uid, &err), ST_OK);
    assert_int_equal(store_commit(&txn, &err), ST_OK);
}

/* A message of about `size` octets whose text tells every position. */
static void large(size_t size, struct strbuf *out)
{
    strbuf_add_cstr(out, "Subject: large\r\n\r\n");
    for (size_t i = 0; out->len < size; i++)
        strbuf_addf(out, "%014zx\r\n", i);
}

static void nul_in_a_message(void **state)
{
    (void)state;
    struct world *w = world_new();
    deliver(w, SPAN("A: \0b\r\n\r\nx\0y\0"));
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a EXAMINE INBOX\r\n"));
    fake_take(s);
    fake_send(s, SPAN("b FETCH 1 (BODY[HEADER] BODY[TEXT])\r\n"));
    assert_string_equal(fake_take(s), "* 1 FETCH (BODY[HEADER] {9}\r\nA: \x80"
                                      "b\r\n\r\n BODY[TEXT] {4}\r\nx\x80y\x80)\r\n"
                                      "b OK FETCH completed\r\n");
    fake_free(&s);
    world_free(&w);
}

static void thirty_megabytes(void **state)
{
    (void)state;
    AUTO_STRBUF raw = STRBUF_INIT;
    AUTO_STRBUF wanted = STRBUF_INIT;
    large(30 * 1024 * 1024, &raw);
    struct world *w = world_new();
    deliver(w, strbuf_span(&raw));
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a EXAMINE INBOX\r\n"));
    fake_take(s);
    fake_send(s, SPAN("b FETCH 1 BODY[]\r\n"));
    strbuf_addf(&wanted, "* 1 FETCH (BODY[] {%zu}\r\n", raw.len);
    strbuf_add(&wanted, strbuf_span(&raw));
    strbuf_add_cstr(&wanted, ")\r\nb OK FETCH completed\r\n");
    assert_true(span_eq(span_cstr(fake_take(s)), strbuf_span(&wanted)));
    /* Never more than a piece and what was there when it was read. */
    assert_true(fake_largest_output(s) <= SESSION_OUT_HIGH + 256 * 1024 + 1024);

    /* Partials on and around the borders of pieces. */
    static const size_t borders[] = {1, 255 * 1024, 256 * 1024, 512 * 1024, 29 * 1024 * 1024};
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
        for (size_t from = borders[i] - 1; from <= borders[i] + 1; from++)
            for (size_t size = 256 * 1024 - 1; size <= 256 * 1024 + 1; size++) {
                char command[80];
                fake_send(s, span_of(command, (size_t)snprintf(command, sizeof command, "c FETCH 1 BODY[]<%zu.%zu>\r\n",
                                                               from, size)));
                strbuf_clear(&wanted);
                strbuf_addf(&wanted, "* 1 FETCH (BODY[]<%zu> {%zu}\r\n", from, size);
                strbuf_add(&wanted, span_slice(strbuf_span(&raw), from, from + size));
                strbuf_add_cstr(&wanted, ")\r\nc OK FETCH completed\r\n");
                assert_true(span_eq(span_cstr(fake_take(s)), strbuf_span(&wanted)));
            }
    fake_free(&s);
    world_free(&w);
}

/* What is written at once for a message is bounded, however often it is asked for. */
static void too_much_at_once(void **state)
{
    (void)state;
    AUTO_STRBUF raw = STRBUF_INIT;
    AUTO_STRBUF command = STRBUF_INIT;
    strbuf_add_cstr(&raw, "Subject: ");
    for (int i = 0; i < 60000; i++)
        strbuf_add_char(&raw, 's');
    strbuf_add_cstr(&raw, "\r\n\r\nx\r\n");
    struct world *w = world_new();
    deliver(w, strbuf_span(&raw));
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a EXAMINE INBOX\r\n"));
    fake_take(s);
    strbuf_add_cstr(&command, "b FETCH 1 (UID");
    for (int i = 0; i < 900; i++)
        strbuf_add_cstr(&command, " ENVELOPE");
    strbuf_add_cstr(&command, ")\r\n");
    fake_send(s, strbuf_span(&command));
    assert_true(span_starts(span_cstr(fake_take(s)), SPAN("b NO [LIMIT] ")));
    /* Whole headers are streamed. */
    strbuf_clear(&command);
    strbuf_add_cstr(&command, "c FETCH 1 (UID");
    for (int i = 0; i < 900; i++)
        strbuf_add_cstr(&command, " BODY.PEEK[HEADER]");
    strbuf_add_cstr(&command, ")\r\n");
    fake_send(s, strbuf_span(&command));
    assert_true(span_ends(span_cstr(fake_take(s)), SPAN(")\r\nc OK FETCH completed\r\n")));
    assert_true(fake_largest_output(s) < 20 * 1024 * 1024);
    fake_free(&s);
    world_free(&w);
}

/* ---- a slow reader, and what others do meanwhile ----------------------------------------------------------------- */

struct other {
    struct session *session;
    int turns; /* of the slow reader before this happens */
    const char *commands;
};

static void act(void *arg)
{
    struct other *o = arg;
    if (o->turns-- == 0)
        fake_send(o->session, span_cstr(o->commands));
}

/* A fetches, B acts after so many turns; what A got is returned (valid until world and sessions end). */
static const char *fetch_while(struct world *w, struct session **a, const char *command, int turns,
                               const char *commands)
{
    struct session *b = fake_new(w, false);
    struct other o = {b, turns, commands};
    *a = fake_new(w, false);
    fake_send(b, SPAN("b SELECT INBOX\r\n"));
    fake_send(*a, SPAN("a SELECT INBOX\r\n"));
    fake_take(*a);
    fake_set_between(*a, act, &o);
    fake_send(*a, span_cstr(command));
    fake_set_between(*a, NULL, NULL);
    assert_true(o.turns < 0);
    fake_free(&b);
    return fake_take(*a);
}

/* No transaction is open between two batches: another session's changes go through, and A still gets every octet. */
static void writers_do_not_wait_for_a_slow_reader(void **state)
{
    (void)state;
    AUTO_STRBUF raw = STRBUF_INIT;
    AUTO_STRBUF wanted = STRBUF_INIT;
    large(2 * 1024 * 1024, &raw);
    struct world *w = world_new();
    deliver(w, strbuf_span(&raw));
    struct session *a;
    const char *got = fetch_while(w, &a, "c FETCH 1 BODY.PEEK[]\r\n", 2,
                                  "d STORE 1 +FLAGS (\\Flagged)\r\ne COPY 1 INBOX\r\nf EXPUNGE\r\n");
    strbuf_addf(&wanted, "* 1 FETCH (BODY[] {%zu}\r\n", raw.len);
    strbuf_add(&wanted, strbuf_span(&raw));
    strbuf_add_cstr(&wanted, ")\r\n* 2 EXISTS\r\n");
    assert_true(span_starts(span_cstr(got), strbuf_span(&wanted)));
    assert_non_null(strstr(got + wanted.len, "* 1 FETCH (FLAGS (\\Flagged"));
    assert_non_null(strstr(got + wanted.len, "c OK FETCH completed\r\n"));
    fake_free(&a);
    world_free(&w);
}

/* An announced literal is sent to its end, whatever becomes of the message meanwhile; with what else was asked for. */
static void expunged_within_a_literal(void **state)
{
    (void)state;
    AUTO_STRBUF raw = STRBUF_INIT;
    AUTO_STRBUF wanted = STRBUF_INIT;
    large(2 * 1024 * 1024, &raw);
    struct world *w = world_new();
    deliver(w, strbuf_span(&raw));
    struct session *a;
    const char *got = fetch_while(w, &a, "c FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT]<0.5>)\r\n", 2,
                                  "d STORE 1 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\n");
    strbuf_addf(&wanted, "* 1 FETCH (BODY[] {%zu}\r\n", raw.len);
    strbuf_add(&wanted, strbuf_span(&raw));
    strbuf_add_cstr(&wanted, " BODY[TEXT]<0> {5}\r\n");
    assert_true(span_starts(span_cstr(got), strbuf_span(&wanted)));
    assert_non_null(strstr(got + wanted.len, "c OK FETCH completed\r\n"));
    assert_false(fake_is_closed(a));
    fake_send(a, SPAN("f NOOP\r\n"));
    assert_string_equal(fake_take(a), "* 1 EXPUNGE\r\nf OK NOOP completed\r\n");
    fake_free(&a);
    world_free(&w);
}

/* Gone before its answer began: the others are answered, and the command says NO (RFC 2180 §4.1.2). */
static void expunged_between_messages(void **state)
{
    (void)state;
    AUTO_STRBUF raw = STRBUF_INIT;
    large(80 * 1024, &raw);
    for (int is_uid = 0; is_uid < 2; is_uid++) {
        struct world *w = world_new();
        for (int i = 0; i < 4; i++)
            deliver(w, strbuf_span(&raw));
        struct session *a;
        const char *got = fetch_while(w, &a, is_uid ? "c UID FETCH 1:* BODY.PEEK[]\r\n" : "c FETCH 1:* BODY.PEEK[]\r\n",
                                      1, "d STORE 3 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\n");
        assert_false(fake_is_closed(a));
        assert_non_null(strstr(got, "* 2 FETCH ("));
        assert_null(strstr(got, "* 3 FETCH ("));
        assert_non_null(strstr(got, "* 4 FETCH ("));
        if (is_uid) {
            assert_non_null(strstr(got, "* 3 EXPUNGE\r\n"));
            assert_non_null(strstr(got, "c OK UID FETCH completed\r\n"));
        } else {
            assert_null(strstr(got, "EXPUNGE\r\n"));
            assert_non_null(strstr(got, "c NO [EXPUNGEISSUED] "));
        }
        fake_free(&a);
        world_free(&w);
    }
}

/* ---- many messages ---------------------------------------------------------------------------------------------- */

static void many_seen_in_batches(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int i = 0; i < 8; i++)
        deliver(w, SPAN("A: b\r\n\r\nx\r\n"));
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a SELECT INBOX\r\n"));
    for (int i = 0; i < 8; i++)
        fake_send(s, SPAN("a COPY 1:* INBOX\r\n"));
    fake_take(s);
    fake_send(s, SPAN("b UID FETCH 1:* BODY[TEXT]\r\n"));
    const char *got = fake_take(s);
    size_t answers = 0;
    for (const char *p = got; (p = strstr(p, " FLAGS (\\Seen")); p++)
        answers++;
    assert_int_equal(answers, 8 * 256);
    assert_non_null(strstr(got, "b OK UID FETCH completed\r\n"));
    fake_send(s, SPAN("c SEARCH UNSEEN\r\n"));
    assert_string_equal(fake_take(s), "* SEARCH\r\nc OK SEARCH completed\r\n");
    fake_free(&s);
    world_free(&w);
}

/* RFC 3516: decoded in pieces, so that the answer is the same wherever a piece of the encoded text ends. */
static void large_binary(void **state)
{
    (void)state;
    enum { OCTETS = 3 << 20 };
    AUTO_STRBUF message = STRBUF_INIT;
    AUTO_STRBUF plain = STRBUF_INIT;
    AUTO_STRBUF coded = STRBUF_INIT;
    for (size_t i = 0; i < OCTETS; i++)
        strbuf_add_char(&plain, (char)(1 + i * 7 % 255)); /* no NUL */
    base64_encode(strbuf_span(&plain), &coded);
    strbuf_add_cstr(&message, "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    for (size_t at = 0; at < coded.len; at += 76) {
        strbuf_add(&message, span_slice(strbuf_span(&coded), at, at + 76));
        strbuf_add_cstr(&message, "\r\n");
    }
    struct world *w = world_new();
    world_deliver(w, "INBOX", strbuf_cstr(&message));
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a EXAMINE INBOX\r\n"));
    fake_take(s);
    fake_send(s, SPAN("b FETCH 1 BINARY[1]\r\n"));
    const char *got = fake_take(s), head[] = "* 1 FETCH (BINARY[1] {3145728}\r\n";
    assert_memory_equal(got, head, sizeof head - 1);
    assert_memory_equal(got + sizeof head - 1, plain.p, OCTETS);
    assert_true(fake_largest_output(s) < (size_t)1 << 20);
    for (size_t at = 0; at < OCTETS; at += 1000003) {
        AUTO_STRBUF command = STRBUF_INIT;
        strbuf_addf(&command, "c FETCH 1 BINARY[1]<%zu.5>\r\n", at);
        fake_send(s, strbuf_span(&command));
        strbuf_clear(&command);
        strbuf_addf(&command, "* 1 FETCH (BINARY[1]<%zu> {5}\r\n", at);
        strbuf_add_bytes(&command, plain.p + at, 5);
        strbuf_add_cstr(&command, ")\r\nc OK FETCH completed\r\n");
        assert_string_equal(fake_take(s), strbuf_cstr(&command));
    }
    fake_send(s, SPAN("d FETCH 1 (BINARY.SIZE[1] BINARY[1]<3145726.9>)\r\n"));
    assert_non_null(strstr(fake_take(s), "BINARY.SIZE[1] 3145728 BINARY[1]<3145726> {2}\r\n"));
    fake_free(&s);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(view_items),
        cmocka_unit_test(empty_mailbox),
        cmocka_unit_test(stored_texts),
        cmocka_unit_test(whole_sections),
        cmocka_unit_test(header_fields),
        cmocka_unit_test(nested_sections),
        cmocka_unit_test(partials),
        cmocka_unit_test(seen),
        cmocka_unit_test(syntax),
        cmocka_unit_test(nul_in_a_message),
        cmocka_unit_test(thirty_megabytes),
        cmocka_unit_test(too_much_at_once),
        cmocka_unit_test(writers_do_not_wait_for_a_slow_reader),
        cmocka_unit_test(expunged_within_a_literal),
        cmocka_unit_test(expunged_between_messages),
        cmocka_unit_test(many_seen_in_batches),
        cmocka_unit_test(large_binary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
