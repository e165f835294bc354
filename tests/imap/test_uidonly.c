/* UIDONLY (RFC 9586) and UIDBATCHES (RFC 10022). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "harness.h"

static const char message[] = "Subject: hello\r\n\r\nHi\r\n";

static struct world *world_with(int count)
{
    struct world *w = world_new();
    for (int i = 0; i < count; i++)
        world_deliver(w, "INBOX", message);
    return w;
}

static void play_with(int count, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_with(count);
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define ENABLE(s) s "> e0 ENABLE UIDONLY\n" s "< * ENABLED UIDONLY\n" s "< e0 OK ~\n"
#define SELECT(s) s "> s0 SELECT INBOX\n" s "...\n" s "< s0 OK ~\n"

static void test_numbers_are_refused(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "FETCH 1 FLAGS",
        "SEARCH ALL",
        "STORE 1 FLAGS ()",
        "COPY 1 Sent",
        "MOVE 1 Sent",
        "UID SEARCH 1",
        "UID SEARCH OR ALL NOT (UID 1 2:3)",
        "SELECT INBOX (QRESYNC (1 1 (1 1)))",
    };
    AUTO_STRBUF script = STRBUF_INIT;
    strbuf_add_cstr(&script, "A> e1 ENABLE QRESYNC UIDONLY\nA< * ENABLED UIDONLY QRESYNC\nA< e1 OK ~\n" SELECT("A"));
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        strbuf_addf(&script, "A> a%zu %s\nA< a%zu BAD [UIDREQUIRED] ~\n", i, commands[i], i);
    strbuf_add_cstr(&script, "A> b1 UID SEARCH ALL\nA< * SEARCH 1 2\nA< b1 OK ~\n");
    play_with(2, strbuf_cstr(&script));
}

/* A has UIDONLY, B nothing. */
static void test_responses(void **state)
{
    (void)state;
    play_with(3,
              ENABLE("A") SELECT("A") SELECT("B") "B> b1 STORE 1 +FLAGS.SILENT (\\Deleted)\n"
                                                  "B< b1 OK ~\n"
                                                  "B> b2 EXPUNGE\n"
                                                  "B< * 1 EXPUNGE\n"
                                                  "B< b2 OK ~\n"
                                                  "B> b3 STORE 1 +FLAGS.SILENT (\\Flagged)\n"
                                                  "B< b3 OK ~\n"
                                                  "A> a1 NOOP\n"
                                                  "A< * VANISHED 1\n"
                                                  "A< * 2 UIDFETCH (FLAGS (\\Flagged \\Recent))\n"
                                                  "A< a1 OK NOOP completed\n"
                                                  "A> a2 UID FETCH 1:* (FLAGS)\n"
                                                  "A< * 2 UIDFETCH (FLAGS (\\Flagged \\Recent))\n"
                                                  "A< * 3 UIDFETCH (FLAGS (\\Recent))\n"
                                                  "A< a2 OK ~\n"
                                                  "A> a3 UID FETCH 3 (UID RFC822.SIZE)\n" /* asked for, it is there */
                                                  "A< * 3 UIDFETCH (UID 3 RFC822.SIZE 22)\n"
                                                  "A< a3 OK ~\n"
                                                  "A> a4 UID STORE 3 +FLAGS (\\Seen)\n"
                                                  "A< * 3 UIDFETCH (FLAGS (\\Seen \\Recent))\n"
                                                  "A< a4 OK ~\n"
                                                  "A> a5 UID FETCH 2 BODY[TEXT]\n"
                                                  "A< * 2 UIDFETCH (FLAGS (\\Flagged \\Seen \\Recent) BODY[TEXT] {4}\n"
                                                  "A< Hi\n"
                                                  "A< )\n"
                                                  "A< a5 OK ~\n"
                                                  "A> a6 UID STORE 2 +FLAGS.SILENT (\\Deleted)\n"
                                                  "A< a6 OK ~\n"
                                                  "A> a7 EXPUNGE\n"
                                                  "A< * VANISHED 2\n"
                                                  "A< a7 OK EXPUNGE completed\n"
                                                  "A> a8 ENABLE CONDSTORE\n"
                                                  "A< * ENABLED CONDSTORE\n"
                                                  "A< * OK [HIGHESTMODSEQ ~] ~\n"
                                                  "A< a8 OK ~\n"
                                                  "A> a9 UID STORE 3 -FLAGS.SILENT (\\Seen)\n"
                                                  "A< * 3 UIDFETCH (MODSEQ (~))\n"
                                                  "A< a9 OK ~\n"
                                                  "B> b4 NOOP\n"
                                                  "B< * 1 EXPUNGE\n"
                                                  "B< * 1 FETCH (FLAGS ())\n"
                                                  "B< b4 OK ~\n");
}

static void test_batches(void **state)
{
    (void)state;
    struct world *w = world_with(1203);
    world_play(w, FEED_WHOLE,
               SELECT("A") "A> a0 STORE 200:201,1000 +FLAGS.SILENT (\\Deleted)\n"
                           "A< a0 OK ~\n"
                           "A> a1 UIDBATCHES 500\n"
                           "A< * UIDBATCHES (TAG \"a1\") 1203:704,703:204,203:1\n"
                           "A< a1 OK ~\n"
                           "A> a2 CLOSE\n" /* 200, 201 and 1000 are gone */
                           "A< a2 OK ~\n" SELECT("A") "A> a3 UIDBATCHES 500\n"
                                                      "A< * UIDBATCHES (TAG \"a3\") 1203:703,702:203,202:1\n"
                                                      "A< a3 OK ~\n"
                                                      "A> a4 UIDBATCHES 500 2:3\n"
                                                      "A< * UIDBATCHES (TAG \"a4\") 702:203,202:1\n"
                                                      "A< a4 OK ~\n"
                                                      "A> a5 UIDBATCHES 600 2:2\n"
                                                      "A< * UIDBATCHES (TAG \"a5\") 602:1\n"
                                                      "A< a5 OK ~\n"
                                                      "A> a6 UIDBATCHES 600 3:4294967295\n"
                                                      "A< * UIDBATCHES (TAG \"a6\")\n"
                                                      "A< a6 OK ~\n"
                                                      "A> a7 UIDBATCHES 4294967295 1:1\n"
                                                      "A< * UIDBATCHES (TAG \"a7\") 1203:1\n"
                                                      "A< a7 OK ~\n"
                                                      "A> a8 UIDBATCHES 499\n"
                                                      "A< a8 NO [TOOFEW] ~\n"
                                                      "A> a9 UIDBATCHES 500 2:1\n"
                                                      "A< a9 BAD [CLIENTBUG] ~\n"
                                                      "A> b1 UIDBATCHES 500 2\n"
                                                      "A< b1 BAD ~\n"
                                                      "A> b2 UIDBATCHES\n"
                                                      "A< b2 BAD ~\n"
                                                      "A> b3 UIDBATCHES 500 0:1\n"
                                                      "A< b3 BAD ~\n"
                                                      "A> b4 SELECT Sent\n"
                                                      "A...\n"
                                                      "A< b4 OK ~\n"
                                                      "A> b5 UIDBATCHES 500\n"
                                                      "A< * UIDBATCHES (TAG \"b5\")\n"
                                                      "A< b5 OK ~\n");
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_refused),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
