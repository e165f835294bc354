/* test_pin.c - contents that are being read while their last message is expunged (store/sqlite/pin.c). */
#include "fixture.h"
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 600000 }; /* more than the inline bytes */

static content_id content_of(struct fixture *f, uint32_t uid)
{
    AUTO(view) v = NULL;
    MUST(view_get(f->account, f->inbox, &v, &err));
    return view_message(v, view_seq_of(v, uid))->content;
}

static void expunge(struct fixture *f, uint32_t uid, bool is_committed)
{
    struct txn *t = NULL;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_expunge(t, f->inbox, set_of(&f->arena, uid, uid), false, &f->arena, NULL, &err));
    if (is_committed)
        MUST(store_commit(&t, &err));
    else
        txn_free(&t);
}

static bool is_readable(struct fixture *f, content_id id)
{
    AUTO_STRBUF out = STRBUF_INIT;
    struct txn *t = NULL;
    struct err failure;
    MUST(store_begin(f->account, TXN_READ, &t, &err));
    enum status st = content_read(t, id, SIZE - 1000, 1000, &out, &failure);
    txn_free(&t);
    if (st == ST_OK)
        assert_int_equal(out.len, 1000);
    return st == ST_OK;
}

/* Contents in the account's file, seen from outside. */
static int contents_in_file(struct fixture *f)
{
    char path[256];
    sqlite3 *db;
    sqlite3_stmt *s;
    snprintf(path, sizeof path, "%s/accounts/example.test/alice.db", f->dir);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM content", -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int n = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

static void what_is_read_stays(void **state)
{
    struct fixture *f = *state;
    add_message(f->account, f->inbox, 0, SIZE);
    add_message(f->account, f->inbox, 0, SIZE);
    content_id one = content_of(f, 1), two = content_of(f, 2);
    content_pin(f->account, one);
    content_pin(f->account, one); /* two readers */
    expunge(f, 1, true);
    expunge(f, 2, true);
    assert_true(is_readable(f, one));
    assert_false(is_readable(f, two));
    assert_sound(f->account);
    content_unpin(f->account, one);
    assert_true(is_readable(f, one));
    content_unpin(f->account, one);
    assert_false(is_readable(f, one));
    assert_sound(f->account);
    assert_int_equal(contents_in_file(f), 0);
}

static void a_pin_alone_changes_nothing(void **state)
{
    struct fixture *f = *state;
    add_message(f->account, f->inbox, 0, SIZE);
    content_id id = content_of(f, 1);
    content_pin(f->account, id);
    expunge(f, 1, false); /* rolled back */
    content_unpin(f->account, id);
    assert_true(is_readable(f, id));
    content_pin(f->account, id);
    content_unpin(f->account, id);
    content_unpin(f->account, id); /* not pinned */
    assert_true(is_readable(f, id));
    assert_sound(f->account);
    expunge(f, 1, true);
    assert_false(is_readable(f, id));
    assert_sound(f->account);
}

/* Another message still has it: the last one counts. */
static void copies_count(void **state)
{
    struct fixture *f = *state;
    struct txn *t = NULL;
    struct uid_pairs pairs;
    add_message(f->account, f->inbox, 0, SIZE);
    content_id id = content_of(f, 1);
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_copy(t, f->inbox, set_of(&f->arena, 1, 1), f->inbox, &f->arena, &pairs, &err));
    MUST(store_commit(&t, &err));
    content_pin(f->account, id);
    expunge(f, 1, true);
    content_unpin(f->account, id);
    assert_true(is_readable(f, id));
    assert_sound(f->account);
    content_pin(f->account, id);
    expunge(f, 2, true);
    assert_true(is_readable(f, id));
    content_unpin(f->account, id);
    assert_false(is_readable(f, id));
    assert_sound(f->account);
}

/* Both copies in one range, and with the mailbox. */
static void a_mailbox_goes(void **state)
{
    struct fixture *f = *state;
    struct txn *t = NULL;
    mailbox_id box;
    uint32_t uid;
    struct uid_pairs pairs;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(mailbox_create(t, SPAN("box"), USE_NONE, &box, &err));
    MUST(store_commit(&t, &err));
    uid = add_message(f->account, box, 0, SIZE);
    f->inbox = box;
    content_id id = content_of(f, uid);
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(message_copy(t, box, set_of(&f->arena, 1, 1), box, &f->arena, &pairs, &err));
    MUST(store_commit(&t, &err));
    content_pin(f->account, id);
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(mailbox_delete(t, SPAN("box"), &err));
    MUST(store_commit(&t, &err));
    assert_true(is_readable(f, id));
    assert_sound(f->account);
    content_unpin(f->account, id);
    assert_false(is_readable(f, id));
    assert_sound(f->account);
}

/* Who read is gone with the process: what was kept for him goes when the account is opened. */
static void a_crash_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    account_free(&f->account);
    store_free(&f->store);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_reopen(f, 0);
        add_message(f->account, f->inbox, 0, SIZE);
        content_pin(f->account, content_of(f, 1));
        expunge(f, 1, true);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(contents_in_file(f), 1);
    fixture_reopen(f, 0);
    assert_int_equal(contents_in_file(f), 0);
    assert_sound(f->account);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_read_stays), TEST(a_pin_alone_changes_nothing), TEST(copies_count),
        TEST(a_mailbox_goes),     TEST(a_crash_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
