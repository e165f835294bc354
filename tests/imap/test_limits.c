/* How much one command may be about: PARTIAL of UID FETCH (RFC 9394), MESSAGELIMIT and SAVELIMIT (RFC 9738),
 * APPENDLIMIT (RFC 7889); and that it goes on (RFC 9585). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/clock.h"
#include "harness.h"

static const char message[] = "Subject: hello\r\n\r\nHi\r\n";

static struct world *world_with(int count)
{
    struct world *w = world_new();
    for (int i = 0; i < count; i++)
        world_deliver(w, "INBOX", message);
    return w;
}

static void play_with(int count, uint32_t per_command, uint32_t per_save, const char *script)
{
    for (int how = FEED_WHOLE; how <= FEED_BYTES; how++) {
        struct world *w = world_with(count);
        world_app(w)->messages_per_command = per_command;
        world_app(w)->messages_per_save = per_save;
        world_play(w, (enum feed)how, script);
        world_free(&w);
    }
}

#define SELECT "A> s0 SELECT INBOX\nA...\nA< s0 OK ~\n"

/* RFC 9394 §3.3, §3.4 */
static void test_partial(void **state)
{
    (void)state;
    play_with(6, 0, 0,
              SELECT "A> a1 UID FETCH 2:6 (UID) (PARTIAL -1:-2)\n"
                     "A< * 5 FETCH (UID 5)\n"
                     "A< * 6 FETCH (UID 6)\n"
                     "A< a1 OK ~\n"
                     "A> a2 UID FETCH 2:6 (UID) (PARTIAL 2:1)\n"
                     "A< * 2 FETCH (UID 2)\n"
                     "A< * 3 FETCH (UID 3)\n"
                     "A< a2 OK ~\n"
                     "A> a3 UID FETCH 2:6 (UID) (PARTIAL 5:9)\n"
                     "A< * 6 FETCH (UID 6)\n"
                     "A< a3 OK ~\n"
                     "A> a4 UID FETCH 2:6 (UID) (PARTIAL 6:9)\n"
                     "A< a4 OK ~\n"
                     /* first the part, then what has changed of it */
                     "A> a5 UID FETCH 1:* (UID) (CHANGEDSINCE 6 PARTIAL -1:-3)\n"
                     "A< * OK [HIGHESTMODSEQ 7] ~\n"
                     "A< * 6 FETCH (UID 6 MODSEQ (7))\n"
                     "A< a5 OK ~\n"
                     "A> a6 UID FETCH 1:* (UID) (PARTIAL 1:3 CHANGEDSINCE 6)\n"
                     "A< a6 OK ~\n"
                     "A> a7 FETCH 1:* (UID) (PARTIAL 1:3)\n"
                     "A< a7 BAD ~\n"
                     "A> a8 UID FETCH 1:* (UID) (PARTIAL 1:-3)\n"
                     "A< a8 BAD ~\n"
                     "A> a9 UID FETCH 1:* (UID) (PARTIAL 0:3)\n"
                     "A< a9 BAD ~\n"
                     "A> b1 UID FETCH 1:* (UID) (PARTIAL 1:3 PARTIAL 1:3)\n"
                     "A< b1 BAD ~\n");
}

/* RFC 9738 §3.1 */
static void test_message_limit(void **state)
{
    (void)state;
    play_with(6, 3, 0,
              SELECT "A> a0 CAPABILITY\n"
                     "A< * CAPABILITY ~ APPENDLIMIT=1048576 MESSAGELIMIT=3\n"
                     "A< a0 OK ~\n"
                     "A> a1 FETCH 1:5 (UID)\n"
                     "A< * 3 FETCH (UID 3)\n"
                     "A< * 4 FETCH (UID 4)\n"
                     "A< * 5 FETCH (UID 5)\n"
                     "A< a1 OK [MESSAGELIMIT 3 3] ~\n"
                     "A> a2 FETCH 1:3 (UID)\n"
                     "A...\n"
                     "A< a2 OK FETCH completed\n"
                     "A> a3 UID SEARCH UID 1:5 UNDELETED\n" /* looked at, not found */
                     "A< * SEARCH 3 4 5\n"
                     "A< a3 OK [MESSAGELIMIT 3 3] ~\n"
                     "A> a4 UID SEARCH UIDBEFORE 3 UNDELETED\n" /* and so on from there */
                     "A< * SEARCH 1 2\n"
                     "A< a4 OK UID SEARCH completed\n"
                     "A> a5 SEARCH SEEN\n"
                     "A< * SEARCH\n"
                     "A< a5 OK [MESSAGELIMIT 3 4] ~\n"
                     "A> a6 UID COPY 1:4 Sent\n"
                     "A< a6 NO [MESSAGELIMIT 3 2] ~\n"
                     "A> a7 UID STORE 1:* +FLAGS.SILENT (\\Deleted)\n"
                     "A< a7 OK [MESSAGELIMIT 3 4] ~\n"
                     "A> a8 UID STORE 1:3 +FLAGS.SILENT (\\Deleted)\n"
                     "A< a8 OK UID STORE completed\n"
                     "A> a9 UID EXPUNGE 1:5\n"
                     "A< * 5 EXPUNGE\n"
                     "A< * 4 EXPUNGE\n"
                     "A< * 3 EXPUNGE\n"
                     "A< a9 OK [MESSAGELIMIT 3 3] ~\n"
                     "A> b1 UID FETCH 1:* (UID) (PARTIAL -1:-4)\n" /* there are but three */
                     "A...\n"
                     "A< b1 OK ~\n"
                     "A> b2 EXPUNGE\n" /* which has no limit */
                     "A< * 3 EXPUNGE\n"
                     "A< * 2 EXPUNGE\n"
                     "A< * 1 EXPUNGE\n"
                     "A< b2 OK EXPUNGE completed\n");
    play_with(6, 4, 0,
              SELECT "A> a1 UID MOVE 1:* Sent\n"
                     "A< * OK [COPYUID ~ 3:6 1:4] ~\n"
                     "A< * 6 EXPUNGE\n"
                     "A< * 5 EXPUNGE\n"
                     "A< * 4 EXPUNGE\n"
                     "A< * 3 EXPUNGE\n"
                     "A< a1 OK [MESSAGELIMIT 4 3] ~\n");
    play_with(6, 4, 0,
              SELECT "A> a1 UID FETCH 1:* (UID) (PARTIAL -1:-5)\n"
                     "A< a1 NO [MESSAGELIMIT 4] ~\n"
                     "A> a2 UID STORE 1:* (UNCHANGEDSINCE 6) FLAGS (\\Seen)\n"
                     "A< * OK [HIGHESTMODSEQ 7] ~\n"
                     "A< * NO [MESSAGELIMIT 4 3] ~\n"
                     "A...\n"
                     "A< a2 OK [MODIFIED 6] ~\n");
}

static void test_save_limit(void **state)
{
    (void)state;
    play_with(4, 0, 3,
              SELECT "A> a0 CAPABILITY\n"
                     "A< * CAPABILITY ~ APPENDLIMIT=1048576 SAVELIMIT=3\n"
                     "A< a0 OK ~\n"
                     "A> a1 COPY 1:4 Sent\n"
                     "A< a1 NO [MESSAGELIMIT 3 2] ~\n"
                     "A> a2 COPY 2:4 Sent\n"
                     "A< a2 OK [COPYUID ~ 2:4 1:3] ~\n"
                     "A> a3 FETCH 1:4 (UID)\n"
                     "A...\n"
                     "A< a3 OK FETCH completed\n"
                     "A> a4 MOVE 1:4 Sent\n"
                     "A...\n"
                     "A< a4 OK MOVE completed\n");
}

/* RFC 9738 §3.2 */
static void test_uid_keys(void **state)
{
    (void)state;
    play_with(4, 0, 0,
              SELECT "A> a1 SEARCH UIDAFTER 2\n"
                     "A< * SEARCH 3 4\n"
                     "A< a1 OK ~\n"
                     "A> a2 SEARCH UIDBEFORE 1\n"
                     "A< * SEARCH\n"
                     "A< a2 OK ~\n"
                     "A> a3 SEARCH NOT UIDAFTER 4294967295 UIDBEFORE 3\n"
                     "A< * SEARCH 1 2\n"
                     "A< a3 OK ~\n"
                     "A> a4 SEARCH UIDAFTER *\n"
                     "A< a4 BAD ~\n"
                     "A> a5 STATUS INBOX (APPENDLIMIT)\n"
                     "A< * STATUS \"INBOX\" (APPENDLIMIT 1048576)\n"
                     "A< a5 OK ~\n");
}

static int64_t now_ms = 1000000;

static void time_passes(void *arg)
{
    (void)arg;
    now_ms += 6000;
    clock_fake(now_ms, now_ms);
}

/* Every ten seconds a word, not sooner. */
static void test_progress(void **state)
{
    (void)state;
    struct world *w = world_with(2100);
    struct session *s = fake_new(w, false);
    fake_send(s, SPAN("a SELECT INBOX\r\n"));
    fake_take(s);
    clock_fake(now_ms, now_ms);
    fake_set_between(s, time_passes, NULL);
    fake_send(s, SPAN("b SEARCH BODY nothing\r\n"));
    assert_string_equal(fake_take(s), "* OK [INPROGRESS (\"b\" 1500 2100)] Still at it\r\n"
                                      "* SEARCH\r\nb OK SEARCH completed\r\n");
    clock_unfake();
    fake_free(&s);
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partial),  cmocka_unit_test(test_message_limit), cmocka_unit_test(test_save_limit),
        cmocka_unit_test(test_uid_keys), cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
