/* STORE, COPY and MOVE with their UID forms (RFC 3501 §6.4.6, §6.4.7, RFC 4315, RFC 6851). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "harness.h"

static void play_with(int count, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_PIPELINED; how++) {
        struct world *w = world_new();
        for (int i = 0; i < count; i++)
            world_deliver(w, "INBOX", "Subject: hello\r\n\r\nHi\r\n");
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define SELECT "A> a0 SELECT INBOX\nA...\nA< a0 OK ~\n"

static void store(void **state)
{
    (void)state;
    play_with(3, SELECT "A> a1 STORE 1:2 +FLAGS (\\Seen \\Flagged)\n"
                        "A< * 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent))\n"
                        "A< * 2 FETCH (FLAGS (\\Flagged \\Seen \\Recent))\n"
                        "A< a1 OK STORE completed\n"
                        /* told even where nothing changes */
                        "A> a2 STORE 1 +FLAGS \\Seen\n"
                        "A< * 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent))\n"
                        "A< a2 OK ~\n"
                        "A> a3 STORE 1 -FLAGS (\\Seen)\n"
                        "A< * 1 FETCH (FLAGS (\\Flagged \\Recent))\n"
                        "A< a3 OK ~\n"
                        "A> a4 STORE 1 FLAGS (\\Draft)\n"
                        "A< * 1 FETCH (FLAGS (\\Draft \\Recent))\n"
                        "A< a4 OK ~\n"
                        "A> a5 STORE 1 FLAGS ()\n"
                        "A< * 1 FETCH (FLAGS (\\Recent))\n"
                        "A< a5 OK ~\n"
                        "A> a6 STORE 1:3 FLAGS.SILENT (\\Answered)\n"
                        "A< a6 OK ~\n"
                        "A> a7 UID STORE 2,3 -FLAGS (\\Answered)\n"
                        "A< * 2 FETCH (UID 2 FLAGS (\\Recent))\n"
                        "A< * 3 FETCH (UID 3 FLAGS (\\Recent))\n"
                        "A< a7 OK UID STORE completed\n"
                        "A> a8 UID STORE 77 +FLAGS (\\Seen)\n"
                        "A< a8 OK ~\n"
                        "A> a9 FETCH 1:3 FLAGS\n"
                        "A< * 1 FETCH (FLAGS (\\Answered \\Recent))\n"
                        "A< * 2 FETCH (FLAGS (\\Recent))\n"
                        "A< * 3 FETCH (FLAGS (\\Recent))\n"
                        "A< a9 OK ~\n");
}

static void keywords(void **state)
{
    (void)state;
    play_with(1, SELECT
              /* what is not there needs not be made to be removed */
              "A> a1 STORE 1 -FLAGS (Nothing)\n"
              "A< * 1 FETCH (FLAGS (\\Recent))\n"
              "A< a1 OK ~\n"
              "A> a2 STORE 1 +FLAGS ($Forwarded Junk \\Seen)\n"
              "A< * FLAGS (~ $Forwarded Junk)\n"
              "A< * OK [PERMANENTFLAGS (~ $Forwarded Junk \\*)] ~\n"
              "A< * 1 FETCH (FLAGS (\\Seen \\Recent $Forwarded Junk))\n"
              "A< a2 OK ~\n"
              "A> a3 STORE 1 -FLAGS ($FORWARDED Nothing)\n"
              "A< * 1 FETCH (FLAGS (\\Seen \\Recent Junk))\n"
              "A< a3 OK ~\n");
}

static void store_refusals(void **state)
{
    (void)state;
    play_with(1, SELECT "A> a1 STORE 1 +FLAGS (\\Recent)\nA< a1 BAD \\Recent cannot be set by a client\n"
                        "A> a2 STORE 1 +FLAGS (\\Nonsense)\nA< a2 BAD unknown system flag~\n"
                        "A> a3 STORE 1 FLAG (\\Seen)\nA< a3 BAD ~\n"
                        "A> a4 STORE 1 +FLAGS\nA< a4 BAD ~\n"
                        "A> a5 STORE 2 +FLAGS (\\Seen)\nA< a5 BAD ~\n"
                        "A> a6 STORE 1 +FLAGS (\\Seen) x\nA< a6 BAD ~\n"
                        "A> a7 EXAMINE INBOX\nA...\nA< a7 OK ~\n"
                        "A> a8 STORE 1 +FLAGS (\\Seen)\nA< a8 NO ~\n"
                        "A> a9 MOVE 1 Trash\nA< a9 NO ~\n"
                        "A> b1 FETCH 1 FLAGS\nA< * 1 FETCH (FLAGS ())\nA< b1 OK ~\n");
}

static void copy(void **state)
{
    (void)state;
    play_with(3, SELECT
              "A> a1 STORE 2 +FLAGS.SILENT (\\Flagged Work)\nA...\nA< a1 OK ~\n"
              "A> a2 COPY 2:3 Archive\n"
              "A< a2 OK [COPYUID ~ 2:3 1:2] COPY completed\n"
              "A> a3 UID COPY 1,3,9 Archive\n"
              "A< a3 OK [COPYUID ~ 1,3 3:4] UID COPY completed\n"
              "A> a4 UID COPY 9 Archive\n"
              "A< a4 OK UID COPY completed\n"
              "A> a5 COPY 1 Nowhere\n"
              "A< a5 NO [TRYCREATE] ~\n"
              "A> a6 COPY 4 Archive\n"
              "A< a6 BAD ~\n"
              "A> a7 COPY 1\n"
              "A< a7 BAD ~\n"
              "A> a8 COPY 1 INBOX\n"
              "A< * 4 EXISTS\n"
              "A< * 4 RECENT\n"
              "A< a8 OK [COPYUID ~ 1 4] ~\n"
              "A> b1 EXAMINE Archive\nA...\nA< b1 OK ~\n"
              "A> b2 FETCH 1:* FLAGS\n"
              "A< * 1 FETCH (FLAGS (\\Flagged \\Recent Work))\n"
              "A< * 2 FETCH (FLAGS (\\Recent))\nA< * 3 FETCH (FLAGS (\\Recent))\nA< * 4 FETCH (FLAGS (\\Recent))\n"
              "A< b2 OK ~\n");
}

static void move(void **state)
{
    (void)state;
    play_with(5, SELECT "A> a1 MOVE 2,4 Trash\n"
                        "A< * OK [COPYUID ~ 2,4 1:2] Moved\n"
                        "A< * 4 EXPUNGE\n"
                        "A< * 2 EXPUNGE\n"
                        "A< a1 OK MOVE completed\n"
                        "A> a2 FETCH 1:* UID\n"
                        "A< * 1 FETCH (UID 1)\nA< * 2 FETCH (UID 3)\nA< * 3 FETCH (UID 5)\nA< a2 OK ~\n"
                        "A> a3 UID MOVE 3:4 Trash\n"
                        "A< * OK [COPYUID ~ 3 3] Moved\n"
                        "A< * 2 EXPUNGE\n"
                        "A< a3 OK UID MOVE completed\n"
                        "A> a4 UID MOVE 99 Trash\n"
                        "A< a4 OK UID MOVE completed\n"
                        "A> a5 MOVE 1 Nowhere\n"
                        "A< a5 NO [TRYCREATE] ~\n"
                        "A> a6 SEARCH ALL\nA< * SEARCH 1 2\nA< a6 OK ~\n");
}

static void move_to_itself(void **state)
{
    (void)state;
    play_with(2, SELECT "A> a1 MOVE 1 INBOX\n"
                        "A< * OK [COPYUID ~ 1 3] Moved\n"
                        "A< * 1 EXPUNGE\n"
                        "A< * 2 EXISTS\n"
                        "A< * ~ RECENT\n"
                        "A< a1 OK ~\n"
                        "A> a2 FETCH 1:* UID\nA< * 1 FETCH (UID 2)\nA< * 2 FETCH (UID 3)\nA< a2 OK ~\n");
}

/* RFC 2180 §4.4.1: by number all messages are meant, by uid those that are there. */
static void expunged_by_another_session(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int i = 0; i < 3; i++)
        world_deliver(w, "INBOX", "Subject: hello\r\n\r\nHi\r\n");
    world_play(w, FEED_WHOLE,
               SELECT "B> b0 SELECT INBOX\nB...\nB< b0 OK ~\n"
                      "B> b1 STORE 2 +FLAGS.SILENT (\\Deleted)\nB< b1 OK ~\n"
                      "B> b2 EXPUNGE\nB< * 2 EXPUNGE\nB< b2 OK ~\n"
                      "A> a1 FETCH 2:3 BODY.PEEK[TEXT]\n"
                      "A< * 3 FETCH (BODY[TEXT] {4}\nA< Hi\nA< )\n"
                      "A< a1 NO [EXPUNGEISSUED] ~\n"
                      "A> a2 FETCH 2 FLAGS\n"
                      "A< * 2 FETCH (FLAGS (~))\nA< a2 OK ~\n"
                      "A> a3 STORE 2:3 +FLAGS (\\Flagged)\n"
                      "A< * 3 FETCH (FLAGS (\\Flagged ~))\n"
                      "A...\nA< a3 ~\n"
                      "A> a4 COPY 1:3 Archive\n"
                      "A...\nA< a4 NO [EXPUNGEISSUED] ~\n");
    world_play(w, FEED_WHOLE, "C> c0 STATUS Archive (MESSAGES)\nC< * STATUS ~Archive~ (MESSAGES 0)\nC< c0 OK ~\n");
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store),
        cmocka_unit_test(keywords),
        cmocka_unit_test(store_refusals),
        cmocka_unit_test(copy),
        cmocka_unit_test(move),
        cmocka_unit_test(move_to_itself),
        cmocka_unit_test(expunged_by_another_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
