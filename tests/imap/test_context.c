/* CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267 §4): results that are kept up to date, and when each change is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "harness.h"

static void play_with(const char *const *subjects, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_new();
        for (; *subjects; subjects++) {
            char message[200];
            snprintf(message, sizeof message, "Subject: %s\r\n\r\nHi\r\n", *subjects);
            world_deliver(w, "INBOX", message);
        }
        world_play(w, (enum feed)how, script);
        world_free(&w);
        while (subjects[-1])
            subjects--;
    }
}

/* Subjects are read from subjects[1] on; the NULL before them is where play_with() turns back. */
static const char *const words[] = {NULL, "delta", "bravo", "echo", "alpha", "charlie", NULL};

#define BOTH_SELECT                                                                                                    \
    "A> a0 SELECT INBOX\n"                                                                                             \
    "A...\n"                                                                                                           \
    "A< a0 OK ~\n"                                                                                                     \
    "B> b0 SELECT INBOX\n"                                                                                             \
    "B...\n"                                                                                                           \
    "B< b0 OK ~\n"

#define NEW(subject) "B> b9 APPEND INBOX {" subject "\\r\\n\\r\\ntext\\r\\n\nB...\nB< b9 OK ~\n"

static void test_flags_come_and_go(void **state)
{
    (void)state;
    play_with(words + 1, BOTH_SELECT "A> a1 UID SEARCH RETURN (UPDATE COUNT) FLAGGED\n"
                                     "A< * ESEARCH (TAG \"a1\") UID COUNT 0\n"
                                     "A< a1 OK ~\n"
                                     "B> b1 STORE 2:4 +FLAGS.SILENT (\\Flagged)\n"
                                     "B< b1 OK ~\n"
                                     "A> a2 NOOP\n"
                                     "A< * 2 FETCH (FLAGS (\\Flagged \\Recent))\n"
                                     "A< * 3 FETCH (FLAGS (\\Flagged \\Recent))\n"
                                     "A< * 4 FETCH (FLAGS (\\Flagged \\Recent))\n"
                                     "A< * ESEARCH (TAG \"a1\") UID ADDTO (0 2:4)\n"
                                     "A< a2 OK ~\n"
                                     /* one's own change, too */
                                     "A> a3 STORE 3 -FLAGS.SILENT (\\Flagged)\n"
                                     "A< * ESEARCH (TAG \"a1\") UID REMOVEFROM (0 3)\n"
                                     "A< a3 OK ~\n"
                                     /* a change that changes nothing of the results */
                                     "B> b2 STORE 2 +FLAGS.SILENT (\\Seen)\n"
                                     "B...\n"
                                     "B< b2 OK ~\n"
                                     "A> a4 NOOP\n"
                                     "A< * 2 FETCH (FLAGS (~))\n"
                                     "A< a4 OK ~\n"
                                     "A> a5 CANCELUPDATE \"a1\"\n"
                                     "A< a5 OK ~\n"
                                     "B> b3 STORE 2 -FLAGS.SILENT (\\Flagged)\n"
                                     "B...\n"
                                     "B< b3 OK ~\n"
                                     "A> a6 NOOP\n"
                                     "A< * 2 FETCH (FLAGS (~))\n"
                                     "A< a6 OK ~\n");
}

static void test_arrivals_and_expunges(void **state)
{
    (void)state;
    play_with(words + 1,
              BOTH_SELECT "A> a1 SEARCH RETURN (UPDATE) UNDELETED SUBJECT \"a\"\n" /* delta, bravo, alpha, charlie */
                          "A< * ESEARCH (TAG \"a1\")\n"
                          "A< a1 OK ~\n"
                          "A> a2 UID SEARCH RETURN (UPDATE ALL) UID 4:*\n"
                          "A< * ESEARCH (TAG \"a2\") UID ALL 4:5\n"
                          "A< a2 OK ~\n"
                          "A> a3 IDLE\n"
                          "A< + ~\n" NEW("24+}\\r\\nSubject: again") "A< * 6 EXISTS\n"
                                                                     "A< * 6 RECENT\n"
                                                                     "A< * ESEARCH (TAG \"a2\") UID ADDTO (0 6)\n"
                                                                     "A< * ESEARCH (TAG \"a1\") ADDTO (0 6)\n"
                                                                     "B> b1 UID STORE 2,3,5 +FLAGS.SILENT (\\Deleted)\n"
                                                                     "B...\n"
                                                                     "B< b1 OK ~\n"
                                                                     "A< * 2 FETCH (FLAGS (~))\n"
                                                                     "A< * 3 FETCH (FLAGS (~))\n"
                                                                     "A< * 5 FETCH (FLAGS (~))\n"
                                                                     "A< * ESEARCH (TAG \"a1\") REMOVEFROM (0 2,5)\n"
                                                                     /* numbers that are right before the EXPUNGE */
                                                                     "B> b2 EXPUNGE\n"
                                                                     "B...\n"
                                                                     "B< b2 OK ~\n"
                                                                     "A< * ESEARCH (TAG \"a2\") UID REMOVEFROM (0 5)\n"
                                                                     "A< * 5 EXPUNGE\n"
                                                                     "A< * 3 EXPUNGE\n"
                                                                     "A< * 2 EXPUNGE\n"
                                                                     "B> b3 STORE 3 +FLAGS.SILENT (\\Deleted)\n"
                                                                     "B...\n"
                                                                     "B< b3 OK ~\n"
                                                                     "A< * 3 FETCH (FLAGS (~))\n"
                                                                     "A< * ESEARCH (TAG \"a1\") REMOVEFROM (0 3)\n"
                                                                     "A> DONE\n"
                                                                     "A< a3 OK ~\n");
}

/* While expunges may not be told nothing is told of the contexts, and nothing is lost. */
static void test_held_back(void **state)
{
    (void)state;
    play_with(words + 1, BOTH_SELECT "A> a1 SEARCH RETURN (UPDATE ALL) UNFLAGGED\n"
                                     "A< * ESEARCH (TAG \"a1\") ALL 1:5\n"
                                     "A< a1 OK ~\n"
                                     "B> b1 STORE 2 +FLAGS.SILENT (\\Deleted)\n"
                                     "B< b1 OK ~\n"
                                     "B> b2 EXPUNGE\n"
                                     "B< * 2 EXPUNGE\n"
                                     "B< b2 OK ~\n"
                                     "B> b3 STORE 2 +FLAGS.SILENT (\\Flagged)\n"
                                     "B< b3 OK ~\n"
                                     "A> a2 FETCH 1 UID\n"
                                     "A< * 1 FETCH (UID 1)\n"
                                     "A< * 3 FETCH (FLAGS (~))\n"
                                     "A< a2 OK ~\n"
                                     "A> a3 NOOP\n"
                                     "A< * ESEARCH (TAG \"a1\") REMOVEFROM (0 2)\n"
                                     "A< * 2 EXPUNGE\n"
                                     "A< * ESEARCH (TAG \"a1\") REMOVEFROM (0 2)\n"
                                     "A< a3 OK ~\n");
}

static void test_sorted(void **state)
{
    (void)state;
    play_with(words + 1, BOTH_SELECT "A> a1 UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNDELETED\n"
                                     "A< * ESEARCH (TAG \"a1\") UID ALL 4,2,5,1,3\n"
                                     "A< a1 OK ~\n"
              /* between bravo and charlie, and at the end */
              NEW("24+}\\r\\nSubject: break")
                  NEW("23+}\\r\\nSubject: zulu") "A> a2 NOOP\n"
                                                 "A< * 7 EXISTS\n"
                                                 "A< * 5 RECENT\n"
                                                 "A< * ESEARCH (TAG \"a1\") UID ADDTO (3 6 7 7)\n"
                                                 "A< a2 OK ~\n"
                                                 /* 4 2 6 5 1 3 7: what is removed is told from the last to the first */
                                                 "B> b1 STORE 2,6,1 +FLAGS.SILENT (\\Deleted)\n"
                                                 "B...\n"
                                                 "B< b1 OK ~\n"
                                                 "A> a3 NOOP\n"
                                                 "A< * 1 FETCH (FLAGS (~))\n"
                                                 "A< * 2 FETCH (FLAGS (~))\n"
                                                 "A< * 6 FETCH (FLAGS (~))\n"
                                                 "A< * ESEARCH (TAG \"a1\") UID REMOVEFROM (5 1 2 2,6)\n"
                                                 "A< a3 OK ~\n"
                                                 "B> b2 STORE 2,6 -FLAGS.SILENT (\\Deleted)\n"
                                                 "B...\n"
                                                 "B< b2 OK ~\n"
                                                 "A> a4 NOOP\n"
                                                 "A< * 2 FETCH (FLAGS (~))\n"
                                                 "A< * 6 FETCH (FLAGS (~))\n"
                                                 "A< * ESEARCH (TAG \"a1\") UID ADDTO (2 2,6)\n"
                                                 "A< a4 OK ~\n");
}

static void test_refusals(void **state)
{
    (void)state;
    play_with(words + 1, "A> a0 SELECT INBOX\n"
                         "A...\n"
                         "A< a0 OK ~\n"
                         "A> a1 SEARCH RETURN (UPDATE COUNT CONTEXT) ALL\n"
                         "A< * ESEARCH (TAG \"a1\") COUNT 5\n"
                         "A< a1 OK ~\n"
                         "A> a1 SEARCH RETURN (UPDATE) FLAGGED\n"
                         "A< a1 BAD ~\n"
                         /* without UPDATE a tag may come again */
                         "A> a1 SEARCH RETURN (COUNT) FLAGGED\n"
                         "A< * ESEARCH (TAG \"a1\") COUNT 0\n"
                         "A< a1 OK ~\n"
                         "A> a2 SEARCH RETURN (UPDATE COUNT) OLDER 100\n"
                         "A< * ESEARCH (TAG \"a2\") COUNT 5\n"
                         "A< * NO [NOUPDATE \"a2\"] ~\n"
                         "A< a2 OK ~\n"
                         "A> a3 THREAD RETURN (UPDATE) REFERENCES UTF-8 ALL\n"
                         "A< a3 BAD ~\n"
                         "A> a4 CANCELUPDATE a1\n"
                         "A< a4 BAD ~\n"
                         "A> a5 CANCELUPDATE \"a1\" \"nothing\"\n"
                         "A< a5 OK ~\n"
                         "A> a1 SEARCH RETURN (UPDATE COUNT) ALL\n"
                         "A< * ESEARCH (TAG \"a1\") COUNT 5\n"
                         "A< a1 OK ~\n");
}

static void test_too_many(void **state)
{
    (void)state;
    play_with(words + 1, "A> a0 SELECT INBOX\n"
                         "A...\n"
                         "A< a0 OK ~\n"
                         "A> c1 SEARCH RETURN (UPDATE) ALL\nA< *~\nA< c1 OK ~\n"
                         "A> c2 SEARCH RETURN (UPDATE) ALL\nA< *~\nA< c2 OK ~\n"
                         "A> c3 SEARCH RETURN (UPDATE) ALL\nA< *~\nA< c3 OK ~\n"
                         "A> c4 SEARCH RETURN (UPDATE) ALL\nA< *~\nA< c4 OK ~\n"
                         "A> c5 SEARCH RETURN (UPDATE) ALL\nA< *~\nA< c5 OK ~\n"
                         "A> c6 SEARCH RETURN (UPDATE) ALL\nA< *~\nA< c6 OK ~\n"
                         "A> c7 SEARCH RETURN (UPDATE) ALL\nA< *~\nA< c7 OK ~\n"
                         "A> c8 SEARCH RETURN (UPDATE) ALL\nA< *~\nA< c8 OK ~\n"
                         "A> c9 SEARCH RETURN (UPDATE COUNT) ALL\n"
                         "A< * ESEARCH (TAG \"c9\") COUNT 5\n"
                         "A< * NO [NOUPDATE \"c9\"] ~\n"
                         "A< c9 OK ~\n"
                         "A> d1 CANCELUPDATE \"c2\"\n"
                         "A< d1 OK ~\n"
                         "A> c9 SEARCH RETURN (UPDATE COUNT) ALL\n"
                         "A< * ESEARCH (TAG \"c9\") COUNT 5\n"
                         "A< c9 OK ~\n"
                         /* gone with the mailbox */
                         "A> d2 SELECT INBOX\n"
                         "A...\n"
                         "A< d2 OK ~\n"
                         "A> c1 SEARCH RETURN (UPDATE) ALL\nA< *~\nA< c1 OK ~\n");
}

/* "*" and message numbers mean what they meant when the search was made; "$" is kept though it changes. */
static void test_sets(void **state)
{
    (void)state;
    play_with(words + 1,
              BOTH_SELECT "A> a1 SEARCH RETURN (SAVE) 2:3\n"
                          "A< a1 OK ~\n"
                          "A> a2 SEARCH RETURN (SAVE UPDATE ALL) $ FLAGGED\n"
                          "A< * ESEARCH (TAG \"a2\")\n"
                          "A< a2 OK ~\n"
                          "A> a3 SEARCH RETURN (UPDATE ALL) 2:* FLAGGED\n"
                          "A< * ESEARCH (TAG \"a3\")\n"
                          "A< a3 OK ~\n"
                          "B> b1 STORE 1 +FLAGS.SILENT (\\Deleted)\n"
                          "B< b1 OK ~\n"
                          "B> b2 EXPUNGE\n"
                          "B< * 1 EXPUNGE\n"
                          "B< b2 OK ~\n" NEW("24+}\\r\\nSubject: again") "B> b3 STORE 1:* +FLAGS.SILENT (\\Flagged)\n"
                                                                         "B...\n"
                                                                         "B< b3 OK ~\n"
                                                                         "A> a4 NOOP\n"
                                                                         "A...\n"
                                                                         "A< * ESEARCH (TAG \"a3\") ADDTO (0 1:4)\n"
                                                                         "A< * ESEARCH (TAG \"a2\") ADDTO (0 1:2)\n"
                                                                         "A< a4 OK ~\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_come_and_go),
        cmocka_unit_test(test_arrivals_and_expunges),
        cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_sorted),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
