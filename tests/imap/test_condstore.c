/*
 * CONDSTORE (RFC 7162 §3.1). An account begins at modseq 1, and each commit takes the next: the numbers below are
 * exact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "harness.h"

static const char message[] = "Subject: hello\r\n\r\nHi\r\n";

/* Messages 1… have the modseqs 2… */
static void play_with(int count, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_new();
        for (int i = 0; i < count; i++)
            world_deliver(w, "INBOX", message);
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define SELECT(s) s "> s0 SELECT INBOX\n" s "...\n" s "< s0 OK ~\n"
#define WITH(s)   s "> s0 SELECT INBOX (CONDSTORE)\n" s "...\n" s "< s0 OK ~\n"

/* §3.1.2, §3.1.7, §3.1.8: what enables it, and that the first command to do so has HIGHESTMODSEQ told. */
static void test_enabling(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "A> a1 ENABLE CONDSTORE\nA< * ENABLED CONDSTORE\nA< * OK [HIGHESTMODSEQ 4] ~\n",
        "A> a1 STATUS Sent (HIGHESTMODSEQ)\nA< * OK [HIGHESTMODSEQ 4] ~\nA< * STATUS \"Sent\" (HIGHESTMODSEQ 1)\n",
        "A> a1 FETCH 2 (MODSEQ)\nA< * OK [HIGHESTMODSEQ 4] ~\nA< * 2 FETCH (MODSEQ (3))\n",
        "A> a1 FETCH 1:* (UID) (CHANGEDSINCE 3)\nA< * OK [HIGHESTMODSEQ 4] ~\nA< * 3 FETCH (UID 3 MODSEQ (4))\n",
        "A> a1 SEARCH MODSEQ 3\nA< * OK [HIGHESTMODSEQ 4] ~\nA< * SEARCH 2 3 (MODSEQ 4)\n",
        "A> a1 STORE 1 (UNCHANGEDSINCE 1) +FLAGS.SILENT \\Seen\nA< * OK [HIGHESTMODSEQ 4] ~\n",
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char script[1000];
        snprintf(script, sizeof script,
                 SELECT("A") "%sA< a1 OK ~\n"
                             "B> b0 SELECT INBOX\nB...\nB< b0 OK ~\n"
                             "B> b1 STORE 3 +FLAGS.SILENT \\Flagged\nB< b1 OK ~\n"
                             "A> a2 NOOP\nA< * 3 FETCH (UID 3 FLAGS (\\Flagged \\Recent) MODSEQ (5))\nA< a2 OK ~\n"
                             "A> a3 FETCH 1 (MODSEQ)\nA< * 1 FETCH (MODSEQ (2))\nA< a3 OK ~\n",
                 commands[i]);
        play_with(3, script);
    }
    play_with(3, "A> a1 SELECT INBOX (CONDSTORE)\n"
                 "A...\n"
                 "A< * OK [HIGHESTMODSEQ 4] ~\n"
                 "A< a1 OK ~\n"
                 "A> a2 SELECT INBOX (CONDSTORE CONDSTORE)\n"
                 "A...\n"
                 "A< a2 OK ~\n"
                 "A> a3 SELECT INBOX ()\n"
                 "A< a3 BAD ~\n"
                 "A> a4 SELECT INBOX (CONDSTOR)\n"
                 "A< a4 BAD ~\n"
                 "A> a5 SELECT INBOX (QRESYNC (1 1))\n"
                 "A< a5 BAD enable QRESYNC first\n"
                 "A> a6 FETCH 1 (UID)\n" /* still selected */
                 "A< * 1 FETCH (UID 1)\n"
                 "A< a6 OK ~\n");
}

/* Nothing of it is seen before. */
static void test_not_enabled(void **state)
{
    (void)state;
    play_with(2, SELECT("A") WITH("B") "B> b1 STORE 1:2 (UNCHANGEDSINCE 3) +FLAGS (\\Seen)\n"
                                       "B< * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (4))\n"
                                       "B< * 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (4))\n"
                                       "B< b1 OK ~\n"
                                       "A> a1 NOOP\n"
                                       "A< * 1 FETCH (FLAGS (\\Seen \\Recent))\n"
                                       "A< * 2 FETCH (FLAGS (\\Seen \\Recent))\n"
                                       "A< a1 OK ~\n"
                                       "A> a2 STORE 1 -FLAGS.SILENT (\\Seen)\n"
                                       "A< a2 OK ~\n"
                                       "A> a3 FETCH 1 BODY[TEXT]\n"
                                       "A< * 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {4}\n"
                                       "A...\n"
                                       "A< a3 OK ~\n");
}

/* §3.1.3 */
static void test_store(void **state)
{
    (void)state;
    play_with(4, WITH("A") SELECT("B")
              /* without a condition: the new modseq is told, also with .SILENT; nothing where nothing changed */
              "A> a1 STORE 2 +FLAGS.SILENT (\\Seen)\n"
              "A< * 2 FETCH (UID 2 MODSEQ (6))\n"
              "A< a1 OK ~\n"
              "A> a2 STORE 2 +FLAGS.SILENT (\\Seen)\n"
              "A< a2 OK ~\n"
              "A> a3 STORE 2 +FLAGS (\\Seen)\n"
              "A< * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent) MODSEQ (6))\n"
              "A< a3 OK ~\n"
              /* with one: the modseq is told, changed or not */
              "A> a4 UID STORE 2,4 (UNCHANGEDSINCE 6) +FLAGS.SILENT (\\Seen)\n"
              "A< * 2 FETCH (UID 2 MODSEQ (6))\n"
              "A< * 4 FETCH (UID 4 MODSEQ (7))\n"
              "A< a4 OK UID STORE completed\n"
              /* some fail */
              "A> a5 STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\\Flagged)\n"
              "A< * 1 FETCH (UID 1 MODSEQ (8))\n"
              "A< * 3 FETCH (UID 3 MODSEQ (8))\n"
              "A< a5 OK [MODIFIED 2] ~\n"
              "A> a6 UID STORE 1:4 (UNCHANGEDSINCE 5) FLAGS (\\Draft)\n"
              "A< a6 OK [MODIFIED 1:4] ~\n"
              /* §3.1.3 example 8: 0 is less than any modseq */
              "A> a7 STORE 2 (UNCHANGEDSINCE 0) +FLAGS.SILENT ($MDNSent)\n"
              "A< a7 OK [MODIFIED 2] ~\n"
              "A> a8 STORE 2 (UNCHANGEDSINCE) +FLAGS.SILENT ($MDNSent)\n"
              "A< a8 BAD ~\n"
              "A> a9 STORE 2 () +FLAGS.SILENT ($MDNSent)\n"
              "A< a9 BAD ~\n"
              "A> c1 STORE 2 (UNCHANGEDSINCE 9223372036854775808) +FLAGS.SILENT ($MDNSent)\n"
              "A< c1 BAD ~\n"
              "A> c2 STORE 2 (UNCHANGEDSINCE 9223372036854775807) FLAGS.SILENT ()\n"
              "A< * FLAGS (~ $MDNSent)\n"
              "A< * OK [PERMANENTFLAGS (~)] ~\n"
              "A< * 2 FETCH (UID 2 MODSEQ (9))\n"
              "A< c2 OK ~\n");
}

/* §3.1.12: what another has changed of other flags is no reason to fail. */
static void test_spurious(void **state)
{
    (void)state;
    play_with(2, WITH("A") SELECT("B") "B> b1 STORE 1 +FLAGS.SILENT (\\Deleted)\n"
                                       "B< b1 OK ~\n"
                                       "A> a1 STORE 1 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Flagged)\n"
                                       "A< * 1 FETCH (UID 1 FLAGS (\\Flagged \\Deleted \\Recent) MODSEQ (5))\n"
                                       "A< a1 OK ~\n"
                                       "B> b2 STORE 2 +FLAGS.SILENT (\\Flagged)\n"
                                       "B...\n"
                                       "B< b2 OK ~\n"
                                       "A> a2 STORE 2 (UNCHANGEDSINCE 3) -FLAGS.SILENT (\\Flagged)\n"
                                       "A< * 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ (6))\n"
                                       "A< a2 OK [MODIFIED 2] ~\n"
                                       /* the client has an older state than the one it was told of here */
                                       "A> a3 STORE 2 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Draft)\n"
                                       "A< a3 OK [MODIFIED 2] ~\n");
}

/* §3.1.4 */
static void test_fetch(void **state)
{
    (void)state;
    play_with(4, SELECT("A") "A> a1 ENABLE CONDSTORE\n"
                             "A...\n"
                             "A< a1 OK ~\n"
                             "A> a2 FETCH 1:3 (MODSEQ)\n"
                             "A< * 1 FETCH (MODSEQ (2))\n"
                             "A< * 2 FETCH (MODSEQ (3))\n"
                             "A< * 3 FETCH (MODSEQ (4))\n"
                             "A< a2 OK ~\n"
                             "A> a3 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 3)\n"
                             "A< * 3 FETCH (UID 3 FLAGS (\\Recent) MODSEQ (4))\n"
                             "A< * 4 FETCH (UID 4 FLAGS (\\Recent) MODSEQ (5))\n"
                             "A< a3 OK ~\n"
                             "A> a4 FETCH 1:2 FLAGS (CHANGEDSINCE 2)\n"
                             "A< * 2 FETCH (FLAGS (\\Recent) MODSEQ (3))\n"
                             "A< a4 OK ~\n"
                             "A> a5 FETCH 1:4 FLAGS (CHANGEDSINCE 5)\n"
                             "A< a5 OK ~\n"
                             /* \Seen set by a FETCH: with UID and MODSEQ, and not told twice */
                             "A> a6 FETCH 1 RFC822.TEXT\n"
                             "A< * 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (6) RFC822.TEXT {4}\n"
                             "A< Hi\n"
                             "A< )\n"
                             "A< a6 OK ~\n"
                             "A> a7 FETCH 1:2 (MODSEQ BODY[1])\n"
                             "A< * 1 FETCH (MODSEQ (6) BODY[1] {4}\n"
                             "A< Hi\n"
                             "A< )\n"
                             "A< * 2 FETCH (MODSEQ (7) UID 2 FLAGS (\\Seen \\Recent) BODY[1] {4}\n"
                             "A< Hi\n"
                             "A< )\n"
                             "A< a7 OK ~\n"
                             "A> a8 FETCH 1 FLAGS (CHANGEDSINCE 0)\n"
                             "A< a8 BAD ~\n"
                             "A> a9 FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)\n"
                             "A< a9 BAD ~\n"
                             "A> b1 FETCH 1 FLAGS ()\n"
                             "A< b1 BAD ~\n"
                             "A> b2 UID FETCH 1 FLAGS (VANISHED)\n"
                             "A< b2 BAD ~\n");
}

/* A mailbox that changed between SELECT and the first command that needs its messages. */
static void test_late_view(void **state)
{
    (void)state;
    play_with(2, WITH("B") WITH("A") "B> b1 STORE 1 +FLAGS.SILENT (\\Seen)\n"
                                     "B< * 1 FETCH (UID 1 MODSEQ (4))\n"
                                     "B< b1 OK ~\n"
                                     "A> a1 FETCH 1:2 (MODSEQ)\n"
                                     "A< * 1 FETCH (MODSEQ (~))\n"
                                     "A< * 2 FETCH (MODSEQ (3))\n"
                                     "A< * 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (4))\n"
                                     "A< a1 OK ~\n");
}

/* §3.1.5 */
static void test_search(void **state)
{
    (void)state;
    play_with(4, WITH("A") "A> a1 SEARCH MODSEQ \"/flags/\\\\\\\\draft\" all 4\n"
                           "A< * SEARCH 3 4 (MODSEQ 5)\n"
                           "A< a1 OK ~\n"
                           "A> a2 SEARCH NOT MODSEQ 2\n"
                           "A< * SEARCH\n"
                           "A< a2 OK ~\n"
                           "A> a3 UID SEARCH OR MODSEQ 5 UID 1\n"
                           "A< * SEARCH 1 4 (MODSEQ 5)\n"
                           "A< a3 OK ~\n"
                           "A> a4 SEARCH MODSEQ 0 1\n"
                           "A< * SEARCH 1 (MODSEQ 2)\n"
                           "A< a4 OK ~\n"
                           "A> a5 SEARCH MODSEQ \"/flags/x\" 1\n"
                           "A< a5 BAD ~\n"
                           "A> a6 SEARCH MODSEQ \"/color/x\" all 1\n"
                           "A< a6 BAD ~\n");
}

/* §3.2, §6: where an expunge may not be told yet, HIGHESTMODSEQ stays below it. */
static void test_held(void **state)
{
    (void)state;
    play_with(3, WITH("A") SELECT("B") "A> a0 FETCH 1:3 (UID)\n"
                                       "A...\n"
                                       "A< a0 OK ~\n"
                                       "B> b1 STORE 2 +FLAGS.SILENT (\\Deleted)\n"
                                       "B< b1 OK ~\n"
                                       "B> b2 EXPUNGE\n"
                                       "B< * 2 EXPUNGE\n"
                                       "B< b2 OK ~\n"
                                       "A> a1 STORE 3 +FLAGS.SILENT (\\Seen)\n"
                                       "A< * 3 FETCH (UID 3 MODSEQ (7))\n"
                                       "A< * OK [HIGHESTMODSEQ 4] ~\n"
                                       "A< a1 OK ~\n"
                                       "A> a2 FETCH 3 (MODSEQ)\n"
                                       "A< * 3 FETCH (MODSEQ (7))\n"
                                       "A< a2 OK ~\n"
                                       "A> a3 FETCH 1:3 (UID) (CHANGEDSINCE 4)\n"
                                       "A< * 3 FETCH (UID 3 MODSEQ (7))\n"
                                       "A< a3 OK ~\n"
                                       "A> a4 NOOP\n"
                                       "A< * 2 EXPUNGE\n"
                                       "A< a4 OK ~\n"
                                       /* numbers in UID SEARCH: they must not shift either */
                                       "B> b3 UID STORE 1 +FLAGS.SILENT (\\Deleted)\n"
                                       "B...\n"
                                       "B< b3 OK ~\n"
                                       "B> b4 EXPUNGE\n"
                                       "B< * 1 EXPUNGE\n"
                                       "B< b4 OK ~\n"
                                       "A> a5 UID SEARCH 1:2\n"
                                       "A< * SEARCH 1 3\n"
                                       "A< a5 OK ~\n"
                                       "A> a6 UID SEARCH ALL\n"
                                       "A< * SEARCH 1 3\n"
                                       "A< * 1 EXPUNGE\n"
                                       "A< a6 OK ~\n");
}

static void test_savedate(void **state)
{
    (void)state;
    play_with(1, SELECT("A") "A> a1 SEARCH SAVEDSINCE 1-Jan-2020 SAVEDATESUPPORTED\n"
                             "A< * SEARCH 1\n"
                             "A< a1 OK ~\n"
                             "A> a2 SEARCH SAVEDBEFORE 1-Jan-2020\n"
                             "A< * SEARCH\n"
                             "A< a2 OK ~\n"
                             "A> a3 SEARCH SAVEDON 1-Jan-2020\n"
                             "A< * SEARCH\n"
                             "A< a3 OK ~\n"
                             "A> a4 FETCH 1 (SAVEDATE)\n"
                             "A< * 1 FETCH (SAVEDATE \"~ +0000\")\n"
                             "A< a4 OK ~\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enabling), cmocka_unit_test(test_not_enabled), cmocka_unit_test(test_store),
        cmocka_unit_test(test_spurious), cmocka_unit_test(test_fetch),       cmocka_unit_test(test_late_view),
        cmocka_unit_test(test_search),   cmocka_unit_test(test_held),        cmocka_unit_test(test_savedate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
