/*
 * test_schema.c - an account's file of every older layout is brought to this one, with what is in it. The rows are put
 * in by hand, as the first layout had them; a later layout is made by its own migrations.
 */
#include "fixture.h"
#include <sqlite3.h>
#include "store/sqlite/schema.h"

/* Two messages, one of them also in another mailbox, and an expunged one. */
static const char rows_of_version_1[] =
    "INSERT INTO account VALUES(1, 1, 1700000000, 0);"
    "INSERT INTO mailbox VALUES(1, 'INBOX', 1700000000, 4, 2, 1, 0, 30, 5, 4, 0, 0, 1, 0, 1700000000);"
    "INSERT INTO mailbox VALUES(2, 'Archive', 1700000000, 2, 1, 1, 0, 20, 5, 2, 2, 0, 0, 0, 1700000000);"
    "INSERT INTO subscription VALUES('INBOX');"
    "INSERT INTO keyword VALUES(0, '$Forwarded');"
    "INSERT INTO content VALUES(65536, 10, 2, '(env)', '(body)', '(bodystructure)', 'parts', x'41414141414141414141');"
    "INSERT INTO content VALUES(131072, 20, 2, '(env)', '(body)', '(bodystructure)', 'parts',"
    " x'4242424242424242424242424242424242424242');"
    "INSERT INTO content_refs VALUES(131072, 2);"
    "INSERT INTO message VALUES(1, 1, 65536, 10, 33, 2, 1700000000, 60, 1700000001);"
    "INSERT INTO message VALUES(1, 3, 131072, 20, 0, 3, 1700000000, 60, 1700000001);"
    "INSERT INTO message VALUES(2, 1, 131072, 20, 0, 5, 1700000000, 60, 1700000001);"
    "INSERT INTO tombstone VALUES(1, 2, 4, 1700000000);";

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

/* Puts a file of this layout in the place of alice's. */
static void make_file(struct fixture *f, int version)
{
    char path[256], pragma[64];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/accounts/example.test/alice.db", f->dir);
    assert_int_equal(remove(path), 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (int i = 0; i < version; i++) {
        run(db, account_migrations[i].sql);
        if (i == 0)
            run(db, rows_of_version_1);
    }
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version);
    run(db, pragma);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void look_at_inbox(struct fixture *f)
{
    AUTO(view) v = NULL;
    struct mailbox m = mailbox_now(f, f->inbox);
    assert_int_equal(m.messages, 2);
    MUST(view_get(f->account, f->inbox, &v, &err));
    assert_int_equal(view_count(v), 2);
    assert_int_equal(view_message(v, 1)->flags, FLAG_SEEN | 1u << FLAG_KEYWORD_SHIFT);
    assert_int_equal(view_message(v, 2)->uid, 3);
    assert_int_equal(view_message(v, 2)->modseq, 3);
    view_free(&v);
    MUST(view_get_as_of(f->account, f->inbox, 3, 4, &v, &err)); /* the tombstone is there */
    assert_int_equal(view_count(v), 3);
}

static void every_older_layout_is_migrated(void **state)
{
    struct fixture *f = *state;
    for (int version = 1; version <= account_migration_count; version++) {
        account_free(&f->account);
        store_free(&f->store);
        make_file(f, version);
        fixture_reopen(f, 0);
        assert_sound(f->account);
        look_at_inbox(f);
        assert_int_equal(add_message(f->account, f->inbox, 0, 10), 4);
        assert_sound(f->account);
        fixture_reopen(f, 0); /* once only */
        assert_int_equal(mailbox_now(f, f->inbox).messages, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_older_layout_is_migrated, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
