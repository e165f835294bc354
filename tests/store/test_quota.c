/* test_quota.c - what accounts may hold: what is refused, what never is, and that the sums stay true. Every
 * assert_sound() compares what is kept in memory with the rows. */
#include "fixture.h"
#include <pthread.h>
#include "store/quota.h"

static void set_limits(struct fixture *f, uint64_t storage, uint64_t messages, uint64_t mailboxes)
{
    const struct quota q = {{storage, messages, mailboxes}};
    MUST(directory_quota_set(store_directory(f->store), SPAN("alice@example.test"), &q, &err));
}

static struct quota held_now(struct fixture *f)
{
    struct quota held, limits;
    MUST(account_quota(f->account, &held, &limits, &err));
    return held;
}

static uint64_t limit_now(struct fixture *f, enum quota_resource r)
{
    struct quota held, limits;
    MUST(account_quota(f->account, &held, &limits, &err));
    return limits.of[r];
}

static enum status try_add(struct fixture *f, mailbox_id to, size_t size)
{
    AUTO(txn) t = NULL;
    char *bytes = calloc(1, size + 1);
    struct content c = {.raw = span_of(bytes, size)};
    uint32_t uid;
    struct err why;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_add(t, to, &c, 0, (struct mail_date){0}, &uid, &err));
    enum status st = store_commit(&t, &why);
    free(bytes);
    return st;
}

static void no_limit_at_first(void **state)
{
    struct fixture *f = *state;
    assert_true(limit_now(f, QUOTA_STORAGE) == QUOTA_NONE);
    assert_true(limit_now(f, QUOTA_MESSAGES) == QUOTA_NONE);
    assert_int_equal(limit_now(f, QUOTA_MAILBOXES), MAILBOXES_MAX); /* of the store itself */
    assert_int_equal(held_now(f).of[QUOTA_MAILBOXES], 6);
    assert_int_equal(held_now(f).of[QUOTA_STORAGE], 0);
}

static void the_last_octet_fits(void **state)
{
    struct fixture *f = *state;
    set_limits(f, 100, QUOTA_DEFAULT, QUOTA_DEFAULT);
    assert_int_equal(try_add(f, f->inbox, 101), ST_QUOTA);
    assert_int_equal(mailbox_now(f, f->inbox).messages, 0);
    assert_int_equal(try_add(f, f->inbox, 60), ST_OK);
    assert_int_equal(try_add(f, mailbox_id_of(f->account, "Sent"), 41), ST_QUOTA); /* all mailboxes together */
    MUST(account_has_room(f->account, 40, &err));
    MUST_BE(ST_QUOTA, account_has_room(f->account, 41, &err));
    assert_int_equal(try_add(f, f->inbox, 40), ST_OK);
    MUST_BE(ST_QUOTA, account_has_room(f->account, 0, &err));
    assert_int_equal(held_now(f).of[QUOTA_STORAGE], 100);
    assert_sound(f->account);
    fixture_reopen(f, 0);
    assert_int_equal(held_now(f).of[QUOTA_STORAGE], 100);
    assert_int_equal(try_add(f, f->inbox, 1), ST_QUOTA);
    set_limits(f, 101, QUOTA_DEFAULT, QUOTA_DEFAULT); /* counts at once */
    assert_int_equal(try_add(f, f->inbox, 1), ST_OK);
}

static void messages_are_counted(void **state)
{
    struct fixture *f = *state;
    set_limits(f, QUOTA_DEFAULT, 2, QUOTA_DEFAULT);
    assert_int_equal(try_add(f, f->inbox, 10), ST_OK);
    assert_int_equal(try_add(f, f->inbox, 10), ST_OK);
    assert_int_equal(try_add(f, f->inbox, 10), ST_QUOTA);
    set_limits(f, 0, 0, QUOTA_DEFAULT); /* RFC 9208 §3.1.2: 0 prohibits any */
    assert_int_equal(try_add(f, f->inbox, 1), ST_QUOTA);
}

static void the_default_is_for_who_has_no_limit(void **state)
{
    struct fixture *f = *state;
    store_set_quota(f->store, &(struct quota){{QUOTA_NONE, 1, 3}});
    assert_int_equal(limit_now(f, QUOTA_MESSAGES), 1);
    assert_int_equal(limit_now(f, QUOTA_MAILBOXES), 3);
    assert_int_equal(try_add(f, f->inbox, 10), ST_OK);
    assert_int_equal(try_add(f, f->inbox, 10), ST_QUOTA);
    set_limits(f, QUOTA_DEFAULT, QUOTA_NONE, QUOTA_DEFAULT);
    assert_int_equal(try_add(f, f->inbox, 10), ST_OK);
    set_limits(f, QUOTA_DEFAULT, QUOTA_DEFAULT, QUOTA_DEFAULT);
    assert_int_equal(try_add(f, f->inbox, 10), ST_QUOTA);
    MUST_BE(ST_NOTFOUND, directory_quota_set(store_directory(f->store), SPAN("nobody@example.test"),
                                             &(struct quota){{1, 1, 1}}, &err));
}

static void mailboxes_are_counted(void **state)
{
    struct fixture *f = *state;
    mailbox_id id;
    AUTO(txn) t = NULL;
    set_limits(f, QUOTA_DEFAULT, QUOTA_DEFAULT, 7);
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(mailbox_create(t, SPAN("a/b"), USE_NONE, &id, &err)); /* two of them */
    MUST_BE(ST_QUOTA, store_commit(&t, &err));
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(mailbox_create(t, SPAN("a"), USE_NONE, &id, &err));
    MUST(store_commit(&t, &err));
    MUST(store_begin(f->account, TXN_WRITE, &t, &err)); /* one made, one gone: as many as before */
    MUST(mailbox_create(t, SPAN("c"), USE_NONE, &id, &err));
    MUST(mailbox_delete(t, SPAN("a"), &err));
    MUST(store_commit(&t, &err));
    assert_int_equal(held_now(f).of[QUOTA_MAILBOXES], 7);
    MUST(store_begin(f->account, TXN_WRITE, &t, &err)); /* INBOX stays, so this makes one */
    MUST(mailbox_rename(t, SPAN("INBOX"), SPAN("old"), &err));
    MUST_BE(ST_QUOTA, store_commit(&t, &err));
    assert_sound(f->account);
}

/* Who is over the limit may still do all that takes no more room. */
static void who_is_over_can_tidy_up(void **state)
{
    struct fixture *f = *state;
    struct uid_pairs pairs;
    AUTO(txn) t = NULL;
    mailbox_id trash = mailbox_id_of(f->account, "Trash");
    add_message(f->account, f->inbox, 0, 100);
    add_message(f->account, f->inbox, 0, 100);
    set_limits(f, 50, 1, 1);
    MUST(store_begin(f->account, TXN_FLAGS, &t, &err));
    MUST(message_change_flags(t, f->inbox, set_of(&f->arena, 1, 2), FLAGS_ADD, FLAG_DELETED, &err));
    MUST(store_commit(&t, &err));
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_move(t, f->inbox, set_of(&f->arena, 1, 1), trash, &f->arena, &pairs, &err));
    MUST(store_commit(&t, &err));
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_copy(t, f->inbox, set_of(&f->arena, 2, 2), trash, &f->arena, &pairs, &err));
    MUST_BE(ST_QUOTA, store_commit(&t, &err));
    MUST(store_begin(f->account, TXN_WRITE, &t, &err)); /* as REPLACE does: what comes is not more than what goes */
    struct content c = {.raw = SPAN("smaller")};
    uint32_t uid;
    MUST(message_add(t, f->inbox, &c, 0, (struct mail_date){0}, &uid, &err));
    MUST(message_expunge(t, f->inbox, set_of(&f->arena, 2, 2), false, &f->arena, NULL, &err));
    MUST(store_commit(&t, &err));
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(mailbox_delete(t, SPAN("Trash"), &err));
    MUST(store_commit(&t, &err));
    assert_int_equal(held_now(f).of[QUOTA_STORAGE], 7);
    assert_int_equal(held_now(f).of[QUOTA_MESSAGES], 1);
    assert_sound(f->account);
}

static void deleted_storage_follows_the_flag(void **state)
{
    struct fixture *f = *state;
    AUTO(txn) t = NULL;
    struct uid_pairs pairs;
    mailbox_id trash = mailbox_id_of(f->account, "Trash");
    add_message(f->account, f->inbox, FLAG_DELETED, 100);
    add_message(f->account, f->inbox, 0, 30);
    assert_int_equal(mailbox_now(f, f->inbox).deleted_bytes, 100);
    MUST(store_begin(f->account, TXN_FLAGS, &t, &err));
    MUST(message_change_flags(t, f->inbox, set_of(&f->arena, 1, 2), FLAGS_ADD, FLAG_DELETED, &err));
    MUST(store_commit(&t, &err));
    assert_int_equal(mailbox_now(f, f->inbox).deleted_bytes, 130);
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_copy(t, f->inbox, set_of(&f->arena, 1, 2), trash, &f->arena, &pairs, &err));
    MUST(store_commit(&t, &err));
    MUST(store_begin(f->account, TXN_FLAGS, &t, &err));
    MUST(message_change_flags(t, f->inbox, set_of(&f->arena, 2, 2), FLAGS_SET, FLAG_SEEN, &err));
    MUST(store_commit(&t, &err));
    assert_int_equal(mailbox_now(f, f->inbox).deleted_bytes, 100);
    assert_int_equal(mailbox_now(f, trash).deleted_bytes, 130);
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_expunge(t, f->inbox, NULL, true, &f->arena, NULL, &err));
    MUST(store_commit(&t, &err));
    assert_int_equal(mailbox_now(f, f->inbox).deleted_bytes, 0);
    assert_sound(f->account);
}

/* ---- random work ------------------------------------------------------------------------------------------------ */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* One thing that somebody may do; refusals are part of the game. */
static enum status act(struct fixture *f, struct txn *t, uint32_t *seed, struct err *err)
{
    static const char *const names[] = {"INBOX", "Sent", "a", "a/b", "c"};
    struct span from = span_cstr(names[next_random(seed) % 5]), to = span_cstr(names[next_random(seed) % 5]);
    struct mailbox m, n;
    struct uid_pairs pairs;
    mailbox_id id;
    uint32_t uid, action = next_random(seed) % 10;
    if (action == 0)
        return mailbox_create(t, from, USE_NONE, &id, err);
    if (action == 1)
        return mailbox_delete(t, span_cstr(names[2 + next_random(seed) % 3]), err);
    if (action == 2)
        return mailbox_rename(t, from, to, err);
    TRY(mailbox_find(t, from, &f->arena, &m, err));
    TRY(mailbox_find(t, to, &f->arena, &n, err));
    uint32_t first = next_random(seed) % (m.uidnext + 1), last = first + next_random(seed) % 6;
    struct seqset *some = set_of(&f->arena, first ? first : 1, last + 1);
    struct content c = {.raw = span_take(SPAN("0123456789012345678901234567890123456789"), 1 + next_random(seed) % 39)};
    switch (action) {
    case 3:
        return message_copy(t, m.id, some, n.id, &f->arena, &pairs, err);
    case 4:
        return message_move(t, m.id, some, n.id, &f->arena, &pairs, err);
    case 5:
        return message_expunge(t, m.id, some, next_random(seed) % 2, &f->arena, NULL, err);
    case 6:
        return message_change_flags(t, m.id, some, (enum flag_change)(next_random(seed) % 3), FLAG_DELETED, err);
    default:
        return message_add(t, m.id, &c, next_random(seed) % 2 ? FLAG_DELETED : 0, (struct mail_date){0}, &uid, err);
    }
}

static void sums_stay_true_whatever_is_done(void **state)
{
    struct fixture *f = *state;
    uint32_t seed = 9208, refused = 0;
    set_limits(f, 800, 40, 9);
    for (int i = 0; i < 600; i++) {
        AUTO(txn) t = NULL;
        struct err why;
        enum status st = ST_OK;
        MUST(store_begin(f->account, TXN_WRITE, &t, &err));
        for (uint32_t n = 1 + next_random(&seed) % 3; n && st == ST_OK; n--)
            st = act(f, t, &seed, &why);
        if (next_random(&seed) % 8 == 0)
            txn_free(&t); /* as where the client goes away */
        else
            st = store_commit(&t, &why);
        refused += st == ST_QUOTA;
        assert_true(held_now(f).of[QUOTA_STORAGE] <= 800);
        assert_true(held_now(f).of[QUOTA_MESSAGES] <= 40);
        assert_true(held_now(f).of[QUOTA_MAILBOXES] <= 9);
        if (i % 20 == 0)
            assert_sound(f->account);
        if (i % 150 == 0)
            fixture_reopen(f, 0);
    }
    assert_sound(f->account);
    assert_true(refused > 10); /* the limits were reached */
}

/* ---- several at once ----------------------------------------------------------------------------------------------
 */

enum { RACERS = 8, RACE_ADDS = 20 };

static void *race(void *context)
{
    struct fixture *f = context;
    uintptr_t stored = 0;
    for (int i = 0; i < RACE_ADDS; i++) {
        struct content c = {.raw = SPAN("0123456789")};
        uint32_t uid;
        struct err err;
        enum status st = message_deliver(f->account, SPAN("INBOX"), &c, (struct mail_date){0}, &uid, &err);
        if (st != ST_OK && st != ST_QUOTA)
            abort();
        stored += st == ST_OK;
    }
    return (void *)stored;
}

static void nobody_gets_past_the_limit_together(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[RACERS];
    uintptr_t stored = 0;
    set_limits(f, 1005, QUOTA_DEFAULT, QUOTA_DEFAULT);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, f), 0);
    for (int i = 0; i < RACERS; i++) {
        void *n;
        pthread_join(threads[i], &n);
        stored += (uintptr_t)n;
    }
    assert_int_equal(stored, 100); /* exactly as many as fit, though 160 were tried */
    assert_int_equal(held_now(f).of[QUOTA_STORAGE], 1000);
    assert_sound(f->account);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_limit_at_first, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_last_octet_fits, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(messages_are_counted, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_default_is_for_who_has_no_limit, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(mailboxes_are_counted, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(who_is_over_can_tidy_up, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(deleted_storage_follows_the_flag, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(sums_stay_true_whatever_is_done, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(nobody_gets_past_the_limit_together, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
