/* Several sessions on one mailbox: what each is told of the others' changes, and when (RFC 3501 §5.5, §7.4.1, RFC
 * 2177). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "harness.h"

static const char message[] = "Subject: hello\r\n\r\nHi\r\n";

static void play_with_messages(int count, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_new();
        for (int i = 0; i < count; i++)
            world_deliver(w, "INBOX", message);
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define BOTH_SELECT                                                                                                    \
    "A> a0 SELECT INBOX\n"                                                                                             \
    "A...\n"                                                                                                           \
    "A< a0 OK ~\n"                                                                                                     \
    "B> b0 SELECT INBOX\n"                                                                                             \
    "B...\n"                                                                                                           \
    "B< b0 OK ~\n"

static void test_flags(void **state)
{
    (void)state;
    play_with_messages(3, BOTH_SELECT "A> a1 STORE 2 +FLAGS.SILENT (\\Flagged)\n"
                                      "A< a1 OK ~\n"
                                      "B> b1 NOOP\n"
                                      "B< * 2 FETCH (FLAGS (\\Flagged))\n"
                                      "B< b1 OK ~\n"
                                      "B> b2 NOOP\n"
                                      "B< b2 OK ~\n"
                                      /* a keyword that B has not heard of */
                                      "A> a2 STORE 1:2 +FLAGS.SILENT ($Forwarded)\n"
                                      "A...\n"
                                      "A< a2 OK ~\n"
                                      "B> b3 CHECK\n"
                                      "B< * FLAGS (~ $Forwarded)\n"
                                      "B< * OK [PERMANENTFLAGS (~)] ~\n"
                                      "B< * 1 FETCH (FLAGS ($Forwarded))\n"
                                      "B< * 2 FETCH (FLAGS (\\Flagged $Forwarded))\n"
                                      "B< b3 OK ~\n"
                                      /* both change the same message: .SILENT hides only what is one's own */
                                      "A> a3 STORE 3 +FLAGS.SILENT (\\Seen)\n"
                                      "A...\n"
                                      "A< a3 OK ~\n"
                                      "B> b4 STORE 3 +FLAGS.SILENT (\\Answered)\n"
                                      "B< * 3 FETCH (FLAGS (\\Answered \\Seen))\n"
                                      "B< b4 OK ~\n"
                                      "A> a4 UID STORE 3 -FLAGS.SILENT (\\Seen)\n"
                                      "A< * 3 FETCH (UID 3 FLAGS (\\Answered \\Recent))\n"
                                      "A< a4 OK ~\n");
}

static void test_arrival(void **state)
{
    (void)state;
    play_with_messages(1, BOTH_SELECT "A> a1 APPEND INBOX {22+}\\r\\nSubject: new\\r\\n\\r\\ntext\\r\\n\n"
                                      "A< * 2 EXISTS\n"
                                      "A< * 2 RECENT\n"
                                      "A< a1 OK ~\n"
                                      "B> b1 NOOP\n"
                                      "B< * 2 EXISTS\n"
                                      "B< * 0 RECENT\n"
                                      "B< b1 OK ~\n"
                                      "B> b2 APPEND INBOX {22+}\\r\\nSubject: new\\r\\n\\r\\ntext\\r\\n\n"
                                      "B< * 3 EXISTS\n"
                                      "B< * 1 RECENT\n"
                                      "B< b2 OK ~\n"
                                      "B> b3 FETCH 1:* FLAGS\n"
                                      "B< * 1 FETCH (FLAGS ())\n"
                                      "B< * 2 FETCH (FLAGS ())\n"
                                      "B< * 3 FETCH (FLAGS (\\Recent))\n"
                                      "B< b3 OK ~\n"
                                      "A> a2 NOOP\n"
                                      "A< * 3 EXISTS\n"
                                      "A< * 2 RECENT\n"
                                      "A< a2 OK ~\n");
}

/* No EXPUNGE in answer to FETCH, STORE and SEARCH; numbers stay what they were until then. */
static void test_expunge_is_held(void **state)
{
    (void)state;
    play_with_messages(4, BOTH_SELECT "A> a1 STORE 1,3 +FLAGS.SILENT (\\Deleted)\n"
                                      "A< a1 OK ~\n"
                                      "A> a2 EXPUNGE\n"
                                      "A< * 3 EXPUNGE\n"
                                      "A< * 1 EXPUNGE\n"
                                      "A< a2 OK ~\n"
                                      "B> b1 FETCH 4 (UID)\n"
                                      "B< * 4 FETCH (UID 4)\n"
                                      "B< b1 OK ~\n"
                                      "B> b2 STORE 4 +FLAGS (\\Flagged)\n"
                                      "B< * 4 FETCH (FLAGS (\\Flagged))\n"
                                      "B< b2 OK ~\n"
                                      /* flags are told from then on as they are, by A's doing too */
                                      "B> c1 FETCH 4 FLAGS\n"
                                      "B< * 4 FETCH (FLAGS (\\Flagged))\n"
                                      "B< c1 OK ~\n"
                                      "A> c2 STORE 2 -FLAGS.SILENT (\\Flagged)\n"
                                      "A...\n"
                                      "A< c2 OK ~\n"
                                      "B> c3 STORE 4 +FLAGS.SILENT (\\Draft)\n"
                                      "B< * 4 FETCH (FLAGS (\\Draft))\n"
                                      "B< c3 OK ~\n"
                                      "B> c4 FETCH 4 (BODY[TEXT] FLAGS)\n"
                                      "B< * 4 FETCH (FLAGS (\\Seen \\Draft) BODY[TEXT] {4}\n"
                                      "B...\n"
                                      "B< c4 OK ~\n"
                                      "B> b3 SEARCH ALL\n"
                                      "B< * SEARCH ~\n"
                                      "B< b3 OK ~\n"
                                      "B> b4 UID SEARCH UID 4\n"
                                      "B< * SEARCH 4\n"
                                      "B< * 3 EXPUNGE\n"
                                      "B< * 1 EXPUNGE\n"
                                      "B< b4 OK ~\n"
                                      "B> b5 FETCH 2 (UID FLAGS)\n"
                                      "B< * 2 FETCH (UID 4 FLAGS (\\Seen \\Draft))\n"
                                      "B< b5 OK ~\n");
}

static void test_all_at_once(void **state)
{
    (void)state;
    play_with_messages(3, BOTH_SELECT "A> a1 STORE 1 +FLAGS.SILENT (\\Deleted)\n"
                                      "A< a1 OK ~\n"
                                      "A> a2 EXPUNGE\n"
                                      "A< * 1 EXPUNGE\n"
                                      "A< a2 OK ~\n"
                                      "A> a3 STORE 2 +FLAGS.SILENT (\\Seen)\n"
                                      "A< a3 OK ~\n"
                                      "A> a4 APPEND INBOX {6+}\\r\\nA: b\\r\\n\n"
                                      "A...\n"
                                      "A< a4 OK ~\n"
                                      "B> b1 NOOP\n"
                                      "B< * 1 EXPUNGE\n"
                                      "B< * 3 EXISTS\n"
                                      "B< * 0 RECENT\n"
                                      "B< * 2 FETCH (FLAGS (\\Seen))\n"
                                      "B< b1 OK ~\n");
}

static void test_idle(void **state)
{
    (void)state;
    play_with_messages(1, BOTH_SELECT "B> b1 IDLE\n"
                                      "B< + idling\n"
                                      "A> a1 APPEND INBOX {6+}\\r\\nA: b\\r\\n\n"
                                      "A...\n"
                                      "A< a1 OK ~\n"
                                      "B< * 2 EXISTS\n"
                                      "B< * ~ RECENT\n"
                                      "A> a2 STORE 2 +FLAGS.SILENT (\\Deleted)\n"
                                      "A< a2 OK ~\n"
                                      "B< * 2 FETCH (FLAGS (\\Deleted~))\n"
                                      "A> a3 EXPUNGE\n"
                                      "A< * 2 EXPUNGE\n"
                                      "A< a3 OK ~\n"
                                      "B< * 2 EXPUNGE\n"
                                      "B> DONE\n"
                                      "B< b1 OK IDLE completed\n"
                                      /* what came before IDLE is told when it begins */
                                      "A> a4 STORE 1 +FLAGS.SILENT (\\Seen)\n"
                                      "A< a4 OK ~\n"
                                      "B> b2 IDLE\n"
                                      "B< + idling\n"
                                      "B< * 1 FETCH (FLAGS (\\Seen))\n"
                                      "B> NOOP\n"
                                      "B< b2 BAD ~\n"
                                      "B> b3 NOOP\n"
                                      "B< b3 OK ~\n");
}

/* Nothing is sent to a session that runs no command and does not idle. */
static void test_silence(void **state)
{
    (void)state;
    play_with_messages(1, BOTH_SELECT "A> a1 STORE 1 +FLAGS.SILENT (\\Deleted)\n"
                                      "A< a1 OK ~\n"
                                      "A> a2 CLOSE\n"
                                      "A< a2 OK ~\n"
                                      "A> a3 SELECT INBOX\n"
                                      "A...\n"
                                      "A< * 0 EXISTS\n"
                                      "A...\n"
                                      "A< a3 OK ~\n"
                                      "B> b1 NOOP\n"
                                      "B< * 1 EXPUNGE\n"
                                      "B< b1 OK ~\n");
}

static void test_deleted_mailbox(void **state)
{
    (void)state;
    play("A> a1 CREATE work\n"
         "A< a1 OK ~\n"
         "A> a2 SELECT work\n"
         "A...\n"
         "A< a2 OK ~\n"
         "B> b1 SELECT work\n"
         "B...\n"
         "B< b1 OK ~\n"
         "A> a3 DELETE work\n"
         "A< a3 OK ~\n"
         "A> a4 FETCH 1 FLAGS\n"
         "A< a4 BAD select a mailbox first\n"
         "B> b2 NOOP\n"
         "B< b2 OK ~\n"
         "B< * BYE ~\n"
         "B!\n");
}

static void test_deleted_mailbox_in_idle(void **state)
{
    (void)state;
    play("A> a1 CREATE work\n"
         "A< a1 OK ~\n"
         "B> b1 SELECT work\n"
         "B...\n"
         "B< b1 OK ~\n"
         "B> b2 IDLE\n"
         "B< + idling\n"
         "A> a2 DELETE work\n"
         "A< a2 OK ~\n"
         "B< * BYE The selected mailbox was deleted\n"
         "B!\n");
}

static void test_rename_keeps_selected(void **state)
{
    (void)state;
    play("A> a1 CREATE work\n"
         "A< a1 OK ~\n"
         "A> a2 SELECT work\n"
         "A...\n"
         "A< a2 OK ~\n"
         "B> b1 RENAME work job\n"
         "B< b1 OK ~\n"
         "B> b2 APPEND job {6+}\\r\\nA: b\\r\\n\n"
         "B< b2 OK ~\n"
         "A> a3 NOOP\n"
         "A< * 1 EXISTS\n"
         "A< * 1 RECENT\n"
         "A< a3 OK ~\n");
}

/* A command that is complete before the one before it is answered. */
static void test_pipelined(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_deliver(w, "INBOX", message);
    world_play(w, FEED_PIPELINED,
               "A> a1 SELECT INBOX\n"
               "A> a2 STORE 1 +FLAGS (\\Deleted)\n"
               "A> a3 IDLE\n"
               "A> DONE\n"
               "A> a4 EXPUNGE\n"
               "A> a5 APPEND INBOX {6+}\\r\\nA: b\\r\\n\n"
               "A> a6 LOGOUT\n"
               "A...\n"
               "A< a1 OK ~\n"
               "A< * 1 FETCH (FLAGS (\\Deleted \\Recent))\n"
               "A< a2 OK ~\n"
               "A< + idling\n"
               "A< a3 OK ~\n"
               "A< * 1 EXPUNGE\n"
               "A< a4 OK ~\n"
               "A< * 1 EXISTS\n"
               "A< * 1 RECENT\n"
               "A< a5 OK ~\n"
               "A< * BYE ~\n"
               "A< a6 OK ~\n"
               "A!\n");
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_arrival),
        cmocka_unit_test(test_expunge_is_held),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_deleted_mailbox),
        cmocka_unit_test(test_rename_keeps_selected),
        cmocka_unit_test(test_pipelined),        cmocka_unit_test(test_deleted_mailbox_in_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
