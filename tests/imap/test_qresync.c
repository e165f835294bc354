/* QRESYNC (RFC 7162 §3.2). Modseqs are exact: an account begins at 1, and each commit takes the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/clock.h"
#include "harness.h"

static const char message[] = "Subject: hello\r\n\r\nHi\r\n";
static uint32_t uidvalidity;

static struct world *world_with(int count)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO(txn) txn = NULL;
    struct world *w = world_new();
    struct mailbox m;
    struct err err;
    for (int i = 0; i < count; i++)
        world_deliver(w, "INBOX", message);
    assert_int_equal(store_begin(world_account(w), TXN_READ, &txn, &err), ST_OK);
    assert_int_equal(mailbox_find(txn, SPAN("INBOX"), &a, &m, &err), ST_OK);
    uidvalidity = m.uidvalidity;
    return w;
}

/* Plays a script in which "$V" is INBOX's UIDVALIDITY. */
static void play_on(struct world *w, enum feed how, const char *script)
{
    AUTO_STRBUF text = STRBUF_INIT;
    for (const char *p = script; *p; p++) {
        if (p[0] == '$' && p[1] == 'V')
            strbuf_add_u64(&text, uidvalidity), p++;
        else
            strbuf_add_char(&text, *p);
    }
    world_play(w, how, strbuf_cstr(&text));
}

static void play_with(int count, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_with(count);
        play_on(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define ENABLE(s) s "> e0 ENABLE QRESYNC\n" s "< * ENABLED QRESYNC\n" s "< e0 OK ~\n"
#define SELECT(s) s "> s0 SELECT INBOX\n" s "...\n" s "< s0 OK ~\n"

/* §3.2.7, §3.2.9, §3.2.10: VANISHED in place of EXPUNGE, for one's own and for others'; A has QRESYNC, B nothing. */
static void test_vanished(void **state)
{
    (void)state;
    play_with(8,
              ENABLE("A") SELECT("A")
                  SELECT("B") "A> a1 STORE 2,4:5 +FLAGS.SILENT (\\Deleted)\n"
                              "A< * 2 FETCH (UID 2 MODSEQ (10))\n"
                              "A...\n"
                              "A< a1 OK ~\n"
                              "A> a2 EXPUNGE\n"
                              "A< * VANISHED 2,4:5\n"
                              "A< a2 OK [HIGHESTMODSEQ 11] ~\n"
                              "A> a3 EXPUNGE\n" /* nothing: no code */
                              "A< a3 OK EXPUNGE completed\n"
                              "B> b1 NOOP\n"
                              "B< * 5 EXPUNGE\n"
                              "B< * 4 EXPUNGE\n"
                              "B< * 2 EXPUNGE\n"
                              "B< b1 OK NOOP completed\n"
                              "B> b2 STORE 1,3 +FLAGS.SILENT (\\Deleted)\n"
                              "B< b2 OK ~\n"
                              "B> b3 UID EXPUNGE 1\n"
                              "B< * 1 EXPUNGE\n"
                              "B< b3 OK UID EXPUNGE completed\n"
                              /* not while numbers are in use */
                              "A> a4 STORE 5 +FLAGS.SILENT (\\Seen)\n"
                              "A< * 3 FETCH (UID 6 FLAGS (\\Deleted \\Recent) MODSEQ (12))\n" /* told where B sees it */
                              "A...\n"
                              "A< a4 OK ~\n"
                              "A> a5 NOOP\n"
                              "A< * VANISHED 1\n"
                              "A< a5 OK [HIGHESTMODSEQ 14] ~\n"
                              /* MOVE: COPYUID goes ahead (RFC 6851 §4.4) */
                              "A> a6 UID MOVE 7:8 Archive\n"
                              "A< * OK [COPYUID ~ 7:8 1:2] ~\n"
                              "A< * VANISHED 7:8\n"
                              "A< a6 OK [HIGHESTMODSEQ 15] ~\n"
                              /* COPY has a code of its own */
                              "B> b4 CLOSE\n"
                              "B< b4 OK ~\n"
                              "A> a7 UID COPY 3 Archive\n"
                              "A< * VANISHED 6\n"
                              "A< * OK [HIGHESTMODSEQ 16] ~\n"
                              "A< a7 OK [COPYUID ~ 3 3] ~\n"
                              "A> a8 CLOSE\n"
                              "A< a8 OK CLOSE completed\n");
}

static void test_idle(void **state)
{
    (void)state;
    play_with(2, ENABLE("A") SELECT("A") SELECT("B") "A> a1 IDLE\n"
                                                     "A< + idling\n"
                                                     "B> b1 STORE 1 +FLAGS.SILENT (\\Deleted)\n"
                                                     "B< b1 OK ~\n"
                                                     "A< * 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent) MODSEQ (4))\n"
                                                     "B> b2 EXPUNGE\n"
                                                     "B< * 1 EXPUNGE\n"
                                                     "B< b2 OK ~\n"
                                                     "A< * VANISHED 1\n"
                                                     "A< * OK [HIGHESTMODSEQ 5] ~\n"
                                                     "A> DONE\n"
                                                     "A< a1 OK ~\n");
}

/* §3.2.6 */
static void test_fetch(void **state)
{
    (void)state;
    play_with(6, ENABLE("A") SELECT("A") SELECT("B") "B> b1 STORE 2:3 +FLAGS.SILENT (\\Deleted)\n"
                                                     "B< b1 OK ~\n"
                                                     "B> b2 EXPUNGE\n"
                                                     "B...\n"
                                                     "B< b2 OK ~\n"
                                                     "B> b3 STORE 2 +FLAGS.SILENT (\\Seen)\n"
                                                     "B< b3 OK ~\n"
                                                     "A> a1 NOOP\n"
                                                     "A...\n"
                                                     "A< a1 OK ~\n"
                                                     "A> a2 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 7 VANISHED)\n"
                                                     "A< * VANISHED (EARLIER) 2:3\n"
                                                     "A< * 2 FETCH (UID 4 FLAGS (\\Seen \\Recent) MODSEQ (10))\n"
                                                     "A< a2 OK ~\n"
                                                     "A> a3 UID FETCH 3:6 UID (VANISHED CHANGEDSINCE 6)\n"
                                                     "A< * VANISHED (EARLIER) 3\n"
                                                     "A< * 2 FETCH (UID 4 MODSEQ (10))\n"
                                                     "A< * 4 FETCH (UID 6 MODSEQ (7))\n"
                                                     "A< a3 OK ~\n"
                                                     "A> a4 UID FETCH 3:6 UID (VANISHED CHANGEDSINCE 9)\n"
                                                     "A< * 2 FETCH (UID 4 MODSEQ (10))\n"
                                                     "A< a4 OK ~\n"
                                                     "A> a5 FETCH 1:2 UID (VANISHED CHANGEDSINCE 9)\n"
                                                     "A< a5 BAD ~\n"
                                                     /* the last messages of the mailbox: 1:* names them, too */
                                                     "B> c1 UID STORE 6 +FLAGS.SILENT (\\Deleted)\n"
                                                     "B< c1 OK ~\n"
                                                     "B> c2 UID EXPUNGE 6\n"
                                                     "B...\n"
                                                     "B< c2 OK ~\n"
                                                     "A> c3 NOOP\n"
                                                     "A...\n"
                                                     "A< c3 OK ~\n"
                                                     "A> c4 UID FETCH 1:* (UID) (VANISHED CHANGEDSINCE 11)\n"
                                                     "A< * VANISHED (EARLIER) 6\n"
                                                     "A< c4 OK ~\n"
                                                     "A> c5 UID FETCH 1:5 (UID) (VANISHED CHANGEDSINCE 11)\n"
                                                     "A< c5 OK ~\n"
                                                     /* what is not told yet is told after it, and not as EARLIER */
                                                     "B> b4 UID STORE 4 +FLAGS.SILENT (\\Deleted)\n"
                                                     "B< b4 OK ~\n"
                                                     "B> b5 EXPUNGE\n"
                                                     "B...\n"
                                                     "B< b5 OK ~\n"
                                                     "A> a6 UID FETCH 1:* UID (VANISHED CHANGEDSINCE 9)\n"
                                                     "A< * VANISHED (EARLIER) 6\n"
                                                     "A< * 2 FETCH (UID 4 MODSEQ (10))\n"
                                                     "A< * VANISHED 4\n"
                                                     "A< a6 OK [HIGHESTMODSEQ 14] ~\n");
}

/* §3.2.5 */
static void test_select(void **state)
{
    (void)state;
    play_with(6, ENABLE("A") SELECT("B") "B> b1 STORE 2:3 +FLAGS.SILENT (\\Deleted)\n"
                                         "B< b1 OK ~\n"
                                         "B> b2 EXPUNGE\n"
                                         "B...\n"
                                         "B< b2 OK ~\n"
                                         "B> b3 STORE 2 +FLAGS.SILENT (\\Seen)\n"
                                         "B< b3 OK ~\n"
                                         "A> a1 SELECT INBOX (QRESYNC ($V 7))\n"
                                         "A...\n"
                                         "A< * OK [HIGHESTMODSEQ 10] ~\n"
                                         "A< * VANISHED (EARLIER) 2:3\n"
                                         "A< * 2 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (10))\n"
                                         "A< a1 OK [READ-WRITE] ~\n"
                                         /* known uids */
                                         "A> a2 EXAMINE INBOX (QRESYNC ($V 6 3:6))\n"
                                         "A...\n"
                                         "A< * OK [HIGHESTMODSEQ 10] ~\n"
                                         "A< * VANISHED (EARLIER) 3\n"
                                         "A< * 2 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (10))\n"
                                         "A< * 4 FETCH (UID 6 FLAGS () MODSEQ (7))\n"
                                         "A< a2 OK [READ-ONLY] ~\n"
                                         /* match data: number 2 is uid 4, so the client knows that 2 and 3 are gone */
                                         "A> a3 SELECT INBOX (QRESYNC ($V 7 1:6 (1,2,3 1,4,6)))\n"
                                         "A...\n"
                                         "A< * OK [HIGHESTMODSEQ 10] ~\n"
                                         "A< * 2 FETCH (UID 4 FLAGS (\\Seen) MODSEQ (10))\n"
                                         "A< a3 OK ~\n"
                                         "A> a4 SELECT INBOX (QRESYNC ($V 7 (1,3 1,3)))\n"
                                         "A...\n"
                                         "A< * OK [HIGHESTMODSEQ 10] ~\n"
                                         "A< * VANISHED (EARLIER) 2:3\n"
                                         "A...\n"
                                         "A< a4 OK ~\n"
                                         /* another UIDVALIDITY, a modseq of the future: nothing */
                                         "A> a5 SELECT INBOX (QRESYNC (7 7))\n"
                                         "A...\n"
                                         "A< * OK [HIGHESTMODSEQ 10] ~\n"
                                         "A< a5 OK ~\n"
                                         "A> a6 SELECT INBOX (QRESYNC ($V 9223372036854775807))\n"
                                         "A...\n"
                                         "A< * OK [HIGHESTMODSEQ 10] ~\n"
                                         "A< a6 OK ~\n");
}

static void test_select_syntax(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "()",
        "(1)",
        "(0 1)",
        "(1 0)",
        "(1 1 )",
        "(1 1 *)",
        "(1 1 1:*)",
        "(1 1 1 1)",
        "(1 1 ())",
        "(1 1 (1))",
        "(1 1 (1 *))",
        "(1 1 (1:2 1))",
        "(1 1 (1 1)",
        "(1 1 (1 1) 1)",
        "(1 18446744073709551616)",
        "(4294967296 1)",
        "(1 1 1 (1 1) (1 1))",
    };
    AUTO_STRBUF script = STRBUF_INIT;
    strbuf_add_cstr(&script, ENABLE("A") "A> a1 SELECT Sent\nA...\nA< a1 OK ~\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        strbuf_addf(&script, "A> b%zu SELECT INBOX (QRESYNC %s)\nA< b%zu BAD ~\n", i, bad[i], i);
    strbuf_add_cstr(&script, "A> c1 SELECT INBOX (QRESYNC (1 1) QRESYNC (1 1))\nA< c1 BAD ~\n"
                             "A> c2 UID SEARCH ALL\nA< * SEARCH\nA< c2 OK ~\n");
    play_with(1, strbuf_cstr(&script));
}

/* §3.2.6: where expunges are forgotten, all that is not there is called gone. The match data keep that short. */
static void test_forgotten(void **state)
{
    (void)state;
    struct world *w = world_with(9);
    int64_t now = clock_wall_ms();
    play_on(w, FEED_WHOLE,
            SELECT("B") "B> b1 STORE 2,5 +FLAGS.SILENT (\\Deleted)\nB< b1 OK ~\n"
                        "B> b2 EXPUNGE\nB...\nB< b2 OK ~\n");
    clock_fake(now + (int64_t)100 * 86400 * 1000, 1);
    play_on(w, FEED_WHOLE,
            SELECT("B") "B> b1 STORE 6 +FLAGS.SILENT (\\Deleted)\nB< b1 OK ~\n"
                        "B> b2 EXPUNGE\nB...\nB< b2 OK ~\n");
    clock_unfake();
    play_on(w, FEED_WHOLE,
            ENABLE("A") "A> a1 SELECT INBOX (QRESYNC ($V 10 1:20))\n"
                        "A...\n"
                        "A< * OK [HIGHESTMODSEQ 14] ~\n"
                        "A< * VANISHED (EARLIER) 2,5,8\n"
                        "A< a1 OK ~\n"
                        "A> a2 SELECT INBOX (QRESYNC ($V 10 1:20 (3 4)))\n"
                        "A...\n"
                        "A< * OK [HIGHESTMODSEQ 14] ~\n"
                        "A< * VANISHED (EARLIER) 5,8\n"
                        "A< a2 OK ~\n"
                        "A> a3 SELECT INBOX (QRESYNC ($V 13 1:20))\n" /* as far back as is known */
                        "A...\n"
                        "A< * OK [HIGHESTMODSEQ 14] ~\n"
                        "A< * VANISHED (EARLIER) 8\n"
                        "A< a3 OK ~\n");
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vanished), cmocka_unit_test(test_idle),          cmocka_unit_test(test_fetch),
        cmocka_unit_test(test_select),   cmocka_unit_test(test_select_syntax), cmocka_unit_test(test_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
