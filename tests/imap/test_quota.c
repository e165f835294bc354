/* QUOTA (RFC 9208): what is told, what is refused, and who may set limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "harness.h"
#include "store/quota.h"

static struct world *limited(uint64_t storage, uint64_t messages, uint64_t mailboxes)
{
    struct world *w = world_new();
    struct err err;
    const struct quota q = {{storage, messages, mailboxes}};
    assert_int_equal(directory_quota_set(world_app(w)->directory, SPAN("alice@example.test"), &q, &err), ST_OK);
    return w;
}

static void play_with(uint64_t storage, uint64_t messages, uint64_t mailboxes, const char *script)
{
    for (enum feed how = FEED_WHOLE; how <= FEED_PIPELINED; how++) {
        struct world *w = limited(storage, messages, mailboxes);
        world_play(w, how, script);
        world_free(&w);
    }
}

static void roots_are_told(void **state)
{
    (void)state;
    play_with(QUOTA_NONE, QUOTA_NONE, QUOTA_NONE,
              "A> a1 GETQUOTAROOT INBOX\n"
              "A< * QUOTAROOT \"INBOX\" \"alice@example.test\"\n"
              "A< * QUOTA \"alice@example.test\" (MAILBOX 6 10000)\n"
              "A< a1 OK ~\n");
    play_with(10 * 1024 + 500, 3, 7,
              "A> a0 APPEND INBOX {5+}\n"
              "A> hello\n"
              "A< a0 OK [APPENDUID ~\n"
              "A> a1 getquotaroot \"no/such mailbox\"\n"
              "A< * QUOTAROOT \"no/such mailbox\" \"alice@example.test\"\n"
              "A< * QUOTA \"alice@example.test\" (STORAGE 1 10 MESSAGE 1 3 MAILBOX 6 7)\n"
              "A< a1 OK ~\n"
              "A> a2 GETQUOTA alice@example.test\n"
              "A< * QUOTA \"alice@example.test\" (STORAGE 1 10 MESSAGE 1 3 MAILBOX 6 7)\n"
              "A< a2 OK ~\n"
              "A> a3 GETQUOTA \"\"\n"
              "A< a3 NO [NONEXISTENT] ~\n"
              "A> a4 GETQUOTA bob@example.test\n"
              "A< a4 NO [NONEXISTENT] ~\n"
              "A> a5 GETQUOTA\n"
              "A< a5 BAD ~\n"
              "A> a6 GETQUOTAROOT INBOX x\n"
              "A< a6 BAD ~\n");
}

static void too_much_is_refused(void **state)
{
    (void)state;
    play_with(12, 3, 7,
              "A> a1 APPEND INBOX {13}\n" /* before it is sent */
              "A< a1 NO [OVERQUOTA] ~\n"
              "A> a2 APPEND INBOX {13+}\n"
              "A> hello, hello,\n"
              "A< a2 NO [OVERQUOTA] ~\n"
              "A> a3 APPEND INBOX (\\Deleted) {5+}\n"
              "A> hello\n"
              "A< a3 OK [APPENDUID ~\n"
              "A> a4 APPEND INBOX {4+}\n" /* two of one command: all or none */
              "A> fine {4+}\n"
              "A> much\n"
              "A< a4 NO [OVERQUOTA] ~\n"
              "A> a5 STATUS INBOX (MESSAGES)\n"
              "A< * STATUS \"INBOX\" (MESSAGES 1)\n"
              "A< a5 OK ~\n");
}

static void copies_count(void **state)
{
    (void)state;
    play_with(12, 3, 7,
              "A> a1 APPEND INBOX (\\Deleted) {5+}\n"
              "A> hello\n"
              "A< a1 OK [APPENDUID ~\n"
              "A> a2 SELECT INBOX\n"
              "A...\n"
              "A< a2 OK ~\n"
              "A> a3 COPY 1 Sent\n"
              "A< a3 OK [COPYUID ~\n"
              "A> a4 COPY 1 Sent\n"
              "A< a4 NO [OVERQUOTA] ~\n"
              "A> a5 STATUS INBOX (DELETED DELETED-STORAGE)\n"
              "A< * STATUS \"INBOX\" (DELETED 1 DELETED-STORAGE 1)\n"
              "A< a5 OK ~\n"
              "A> a6 MOVE 1 Sent\n" /* takes no more room */
              "A...\n"
              "A< a6 OK ~\n"
              "A> a7 CREATE one\n"
              "A< a7 OK ~\n"
              "A> a8 CREATE two\n"
              "A< a8 NO [OVERQUOTA] ~\n"
              "A> a9 DELETE Sent\n"
              "A< a9 OK ~\n"
              "A> b1 GETQUOTA alice@example.test\n"
              "A< * QUOTA \"alice@example.test\" (STORAGE 0 0 MESSAGE 0 3 MAILBOX 6 7)\n"
              "A< b1 OK ~\n"
              "A> b2 CREATE two\n"
              "A< b2 OK ~\n");
}

static void replacing_needs_only_the_difference(void **state)
{
    (void)state;
    play_with(10, 1, 7,
              "A> a1 APPEND INBOX {9+}\n"
              "A> hello, al\n"
              "A< a1 OK [APPENDUID ~\n"
              "A> a2 SELECT INBOX\n"
              "A...\n"
              "A< a2 OK ~\n"
              "A> a3 REPLACE 1 INBOX {10+}\n"
              "A> hello, all\n"
              "A...\n"
              "A< a3 OK ~\n"
              "A> a4 REPLACE 1 INBOX {11+}\n"
              "A> hello, all!\n"
              "A< a4 NO [OVERQUOTA] ~\n"
              "A> a5 FETCH 1 (UID)\n"
              "A< * 1 FETCH (UID 2)\n"
              "A< a5 OK ~\n");
}

static void limits_are_the_administrators(void **state)
{
    (void)state;
    play_with(QUOTA_DEFAULT, QUOTA_DEFAULT, QUOTA_DEFAULT,
              "A> a1 SETQUOTA alice@example.test (STORAGE 512)\n"
              "A< a1 NO [NOPERM] ~\n");
    struct span alice = SPAN("alice@example.test");
    static struct config_quota administrators;
    administrators = (struct config_quota){.administrators = &alice, .administrator_count = 1};
    for (enum feed how = FEED_WHOLE; how <= FEED_PIPELINED; how++) {
        struct world *w = world_new();
        world_app(w)->quota = &administrators;
        world_play(w, how,
                   "A> a0 CAPABILITY\n"
                   "A< * CAPABILITY ~ QUOTA=RES-STORAGE QUOTA=RES-MESSAGE QUOTA=RES-MAILBOX ~ QUOTA ~ QUOTASET\n"
                   "A< a0 OK ~\n"
                   "A> a1 SETQUOTA alice@example.test (STORAGE 512 MESSAGE 1000)\n"
                   "A< * QUOTA \"alice@example.test\" (STORAGE 0 512 MESSAGE 0 1000 MAILBOX 6 10000)\n"
                   "A< a1 OK ~\n"
                   "A> a2 SETQUOTA alice@example.test (message 10)\n" /* what is not named is not limited any more */
                   "A< * QUOTA \"alice@example.test\" (MESSAGE 0 10 MAILBOX 6 10000)\n"
                   "A< a2 OK ~\n"
                   "A> a3 SETQUOTA alice@example.test ()\n"
                   "A< * QUOTA \"alice@example.test\" (MAILBOX 6 10000)\n"
                   "A< a3 OK ~\n"
                   "A> a4 SETQUOTA alice@example.test (STORAGE 4503599627370496)\n" /* 2^62 octets */
                   "A< * QUOTA \"alice@example.test\" (STORAGE 0 4503599627370496 MAILBOX 6 10000)\n"
                   "A< a4 OK ~\n"
                   "A> a5 SETQUOTA alice@example.test (STORAGE 4503599627370497)\n"
                   "A< a5 NO [CANNOT] ~\n"
                   "A> a6 SETQUOTA alice@example.test (MESSAGE 9223372036854775807)\n"
                   "A< a6 NO [CANNOT] ~\n"
                   "A> a7 SETQUOTA alice@example.test (MESSAGE 9223372036854775808)\n"
                   "A< a7 BAD ~\n"
                   "A> a8 SETQUOTA alice@example.test (MESSAGE -1)\n"
                   "A< a8 BAD ~\n"
                   "A> a9 SETQUOTA alice@example.test (BEER 3)\n"
                   "A< a9 NO [CANNOT] ~\n"
                   "A> b1 SETQUOTA nobody@example.test (STORAGE 3)\n"
                   "A< b1 NO [NONEXISTENT] ~\n"
                   "A> b2 SETQUOTA alice@example.test STORAGE 3\n"
                   "A< b2 BAD ~\n"
                   "A> b3 SETQUOTA alice@example.test (STORAGE)\n"
                   "A< b3 BAD ~\n"
                   "A> b4 GETQUOTA alice@example.test\n" /* nothing of all that was done */
                   "A< * QUOTA \"alice@example.test\" (STORAGE 0 4503599627370496 MAILBOX 6 10000)\n"
                   "A< b4 OK ~\n");
        world_free(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_told),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(copies_count),
        cmocka_unit_test(replacing_needs_only_the_difference),
        cmocka_unit_test(limits_are_the_administrators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
