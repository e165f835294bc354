/* SEARCH and UID SEARCH (RFC 3501 §6.4.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "harness.h"
#include "store/store.h"

/* What is searched; all came in on 31-Jan-2026 in a zone that was an hour ahead. */
static const char *const messages[] = {
    /* 1 */ "From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nSubject: Lunch today\r\n"
            "Date: Sat, 31 Jan 2026 23:30:00 -0800\r\n\r\nShall we eat?\r\n",
    /* 2 */
    "From: =?UTF-8?Q?J=C3=BCrgen?= <bob@example.test>\r\nCc: alice@example.test\r\n"
    "Subject: =?ISO-8859-1?Q?Gr=FC=DFe?=\r\nDate: Fri, 30 Jan 2026 10:00:00 +0000\r\n"
    "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "Sch=F6ne Gr=FC=DFe aus M=\r\n=FCnchen\r\n",
    /* 3 */
    "Subject: base\r\nX-Empty:\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "PHA+SGVsbG8gPGI+d29ybGQ8L2I+ICZhbXA7IG1vb248L3A+PHNjcmlwdD5zZWNyZXQ8L3Njcmlw\r\ndD4=\r\n",
    /* 4 */
    "Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
    "--b\r\n\r\nfirst needle\r\n"
    "--b\r\nContent-Type: application/octet-stream\r\n\r\nbinary hay\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: embedded =?UTF-8?Q?=C3=9Fubject?=\r\n\r\ninside\r\n"
    "--b--\r\n",
};
enum { MESSAGES = sizeof messages / sizeof *messages };

/* Command and answer, one after the other. */
static void search(const char *const (*rows)[2], size_t count)
{
    struct world *w = world_new();
    for (size_t i = 0; i < MESSAGES; i++)
        world_deliver(w, "INBOX", messages[i]);
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a SELECT INBOX\r\n"));
    fake_send(s, SPAN("a STORE 1 +FLAGS.SILENT (\\Seen \\Answered)\r\na STORE 2 +FLAGS.SILENT (\\Flagged $Work)\r\n"
                      "a STORE 3 +FLAGS.SILENT (\\Deleted \\Draft)\r\n"));
    for (size_t i = 0; i < count; i++) {
        char command[300], wanted[300];
        fake_take(s);
        fake_send(s, span_of(command, (size_t)snprintf(command, sizeof command, "c %s\r\n", rows[i][0])));
        snprintf(wanted, sizeof wanted, "* SEARCH%s\r\nc OK ", rows[i][1]);
        const char *got = fake_take(s);
        if (strncmp(got, wanted, strlen(wanted)) != 0)
            fail_msg("%s:\n%s", rows[i][0], got);
    }
    fake_free(&s);
    world_free(&w);
}
#define SEARCH(rows) search(rows, sizeof(rows) / sizeof *(rows))

static void view_keys(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"SEARCH ALL", " 1 2 3 4"},
        {"UID SEARCH ALL", " 1 2 3 4"},
        {"SEARCH SEEN", " 1"},
        {"SEARCH UNSEEN", " 2 3 4"},
        {"SEARCH ANSWERED", " 1"},
        {"SEARCH FLAGGED", " 2"},
        {"SEARCH UNFLAGGED UNANSWERED", " 3 4"},
        {"SEARCH DELETED DRAFT", " 3"},
        {"SEARCH UNDELETED UNDRAFT", " 1 2 4"},
        {"SEARCH KEYWORD $work", " 2"},
        {"SEARCH UNKEYWORD $Work", " 1 3 4"},
        {"SEARCH KEYWORD Unknown", ""},
        {"SEARCH UNKEYWORD Unknown", " 1 2 3 4"},
        {"SEARCH RECENT", " 1 2 3 4"},
        {"SEARCH NEW", " 2 3 4"},
        {"SEARCH OLD", ""},
        {"SEARCH 2:3", " 2 3"},
        {"SEARCH *", " 4"},
        {"SEARCH 9", ""},
        {"SEARCH UID 3:*", " 3 4"},
        {"SEARCH UID 9:*", " 4"},
        {"SEARCH NOT 2:3", " 1 4"},
        {"SEARCH OR 1 (2:3 SEEN)", " 1"},
        {"SEARCH NOT (SEEN 1)", " 2 3 4"},
        {"SEARCH LARGER 186", " 2 4"},
        {"SEARCH SMALLER 186", " 1"},
        {"SEARCH ON 31-Jan-2026", " 1 2 3 4"},
        {"SEARCH SINCE 31-Jan-2026", " 1 2 3 4"},
        {"SEARCH SINCE 1-Feb-2026", ""},
        {"SEARCH BEFORE 31-Jan-2026", ""},
        {"SEARCH BEFORE 1-Feb-2026 NOT 1", " 2 3 4"},
    };
    SEARCH(rows);
}

static void header_keys(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"SEARCH FROM alice", " 1"},
        {"SEARCH FROM ALICE@EXAMPLE", " 1"},
        {"SEARCH TO bob", " 1"},
        {"SEARCH CC alice", " 2"},
        {"SEARCH BCC alice", ""},
        {"SEARCH SUBJECT \"lunch TODAY\"", " 1"},
        {"SEARCH SUBJECT \"\"", " 1 2 3 4"},
        {"SEARCH CHARSET UTF-8 SUBJECT {7+}\r\ngr\xc3\xbc\xc3\x9f"
         "e",
         " 2"},
        {"SEARCH CHARSET ISO-8859-1 SUBJECT {4+}\r\nGR\xdc\xdf", " 2"},
        {"SEARCH CHARSET UTF-8 FROM \"J\xc3\x9cRGEN\"", " 2"},
        {"SEARCH SUBJECT grusse", ""},
        {"SEARCH HEADER X-Empty \"\"", " 3"},
        {"SEARCH HEADER X-None \"\"", ""},
        {"SEARCH HEADER cc \"\"", " 2"},
        {"SEARCH HEADER Content-Type HTML", " 3"},
        {"SEARCH NOT HEADER Date \"\"", " 3 4"},
        /* by the date as written, whatever its zone makes of it */
        {"SEARCH SENTON 31-Jan-2026", " 1"},
        {"SEARCH SENTBEFORE 31-Jan-2026", " 2"},
        {"SEARCH SENTSINCE 30-Jan-2026", " 1 2"},
        {"SEARCH SENTSINCE 1-Feb-2026", ""},
        {"SEARCH SEEN FROM bob", ""},
        {"SEARCH OR FROM alice SUBJECT base", " 1 3"},
    };
    SEARCH(rows);
}

static void body_keys(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"SEARCH BODY \"we EAT\"", " 1"},
        {"SEARCH BODY lunch", ""},
        {"SEARCH TEXT lunch", " 1"},
        {"SEARCH TEXT \"subject: lunch\"", " 1"},
        {"SEARCH CHARSET UTF-8 BODY \"sch\xc3\xb6ne gr\xc3\xbc\xc3\x9f"
         "e aus m\xc3\xbcnchen\"",
         " 2"},
        {"SEARCH BODY =F6", ""},
        {"SEARCH BODY \"hello world & moon\"", " 3"},
        {"SEARCH BODY secret", ""},
        {"SEARCH BODY needle", " 4"},
        {"SEARCH BODY hay", ""},
        {"SEARCH BODY inside", " 4"},
        {"SEARCH CHARSET UTF-8 BODY \"embedded \xc3\x9fubject\"", " 4"},
        {"SEARCH BODY \"\"", " 1 2 3 4"},
        {"SEARCH NOT BODY e", ""},
        {"SEARCH BODY needle NOT TEXT parts", ""},
        {"SEARCH OR BODY needle OR BODY moon 1", " 1 3 4"},
    };
    SEARCH(rows);
}

static void refusals(void **state)
{
    (void)state;
    play("A> a0 SELECT INBOX\nA...\nA< a0 OK ~\n"
         "A> a1 SEARCH ALL\nA< * SEARCH\nA< a1 OK SEARCH completed\n"
         "A> a2 SEARCH CHARSET X-KLINGON ALL\nA< a2 NO [BADCHARSET (US-ASCII UTF-8 ~)] ~\n"
         "A> a3 SEARCH\nA< a3 BAD ~\n"
         "A> a4 SEARCH (\nA< a4 BAD ~\n"
         "A> a5 SEARCH FROM\nA< a5 BAD ~\n"
         "A> a6 SEARCH ON yesterday\nA< a6 BAD ~\n"
         "A> a7 UID SEARCH UID 1:*\nA< * SEARCH\nA< a7 OK UID SEARCH completed\n");
}

/* More messages than one batch, and an answer longer than the output takes at once. */
static void many(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int i = 0; i < 16; i++)
        world_deliver(w, "INBOX", i % 2 ? "Subject: odd\r\n\r\nodd text\r\n" : "Subject: even\r\n\r\neven text\r\n");
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a SELECT INBOX\r\n"));
    for (int i = 0; i < 10; i++) /* 16384 */
        fake_send(s, SPAN("a COPY 1:* INBOX\r\n"));
    static const struct {
        const char *command;
        unsigned first, step;
    } rows[] = {{"b SEARCH ALL\r\n", 1, 1},
                {"b SEARCH SUBJECT odd\r\n", 2, 2},
                {"b UID SEARCH BODY even NOT SUBJECT odd\r\n", 1, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_STRBUF wanted = STRBUF_INIT;
        fake_take(s);
        fake_send(s, span_cstr(rows[i].command));
        strbuf_add_cstr(&wanted, "* SEARCH");
        for (unsigned n = rows[i].first; n <= 16384; n += rows[i].step)
            strbuf_addf(&wanted, " %u", n);
        strbuf_add_cstr(&wanted, "\r\nb OK ");
        assert_true(span_starts(span_cstr(fake_take(s)), strbuf_span(&wanted)));
        assert_true(fake_largest_output(s) < 4 * SESSION_OUT_HIGH);
    }
    fake_free(&s);
    world_free(&w);
}

/* Messages that another session has expunged match nothing; a search says so to nobody (RFC 3501 §7.4.1). */
static void expunged_meanwhile(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_deliver(w, "INBOX", "Subject: a\r\n\r\nx\r\n");
    world_deliver(w, "INBOX", "Subject: a\r\n\r\ny\r\n");
    world_play(w, FEED_WHOLE,
               "A> a0 SELECT INBOX\nA...\nA< a0 OK ~\n"
               "B> b0 SELECT INBOX\nB...\nB< b0 OK ~\n"
               "A> a1 SEARCH SUBJECT a\nA< * SEARCH 1 2\nA< a1 OK ~\n"
               "B> b1 STORE 1 +FLAGS.SILENT (\\Deleted)\nB< b1 OK ~\n"
               "B> b2 EXPUNGE\nB< * 1 EXPUNGE\nB< b2 OK ~\n"
               "A> a2 SEARCH SUBJECT a\nA< * SEARCH 2\nA< a2 OK ~\n"
               "A> a3 UID SEARCH SUBJECT a\nA< * SEARCH 2\nA< * 1 EXPUNGE\nA< a3 OK ~\n"
               "A> a4 SEARCH SUBJECT a\nA< * SEARCH 1\nA< a4 OK ~\n");
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(view_keys), cmocka_unit_test(header_keys), cmocka_unit_test(body_keys),
        cmocka_unit_test(refusals),  cmocka_unit_test(many),        cmocka_unit_test(expunged_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
