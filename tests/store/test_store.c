/*
 * test_store.c - what the store promises as a whole: files and their rights, bounded handles, clean closing, removed
 * accounts, migrations, many threads, a killed process, damaged files.
 */
#include "fixture.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "store/account.h"
#include "store/sqlite/schema.h"

static const char *file_of(struct fixture *f, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/accounts/example.test/%s", f->dir, name);
    return path;
}

static bool exists(struct fixture *f, const char *name)
{
    return access(file_of(f, name), F_OK) == 0;
}

/* Runs SQL on a closed account's file from outside. */
static void run_sql(const char *file, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void close_store(struct fixture *f)
{
    account_free(&f->account);
    store_free(&f->store);
}

/* ---- files
 * ----------------------------------------------------------------------------------------------------------- */

static void files(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(file_of(f, "alice.db"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(file_of(f, ""), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    add_message(f->account, f->inbox, 0, 10);
    assert_true(exists(f, "alice.db-wal"));
    close_store(f);
    assert_true(exists(f, "alice.db"));
    assert_false(exists(f, "alice.db-wal"));
    assert_false(exists(f, "alice.db-shm"));
    fixture_reopen(f, 0);
    assert_int_equal(mailbox_now(f, f->inbox).messages, 1);
    store_tidy(f->store, -1); /* every idle handle */
    assert_false(exists(f, "alice.db-wal"));
    assert_int_equal(mailbox_now(f, f->inbox).messages, 1);
}

static void file_names(void **state)
{
    (void)state;
    static const struct {
        const char *address, *file;
    } cases[] = {
        {"alice@example.test", "d/accounts/example.test/alice.db"},
        {"a.b+c=d_e-f@example.test", "d/accounts/example.test/a.b+c=d_e-f.db"},
        {".hidden@example.test", "d/accounts/example.test/%2Ehidden.db"},
        {"../../etc@example.test", "d/accounts/example.test/%2E.%2F..%2Fetc.db"},
        {"a%2fb@example.test", "d/accounts/example.test/a%252fb.db"},
        {"\xc3\xbc@example.test", "d/accounts/example.test/%C3%BC.db"},
        {"a@b@example.test", "d/accounts/example.test/a%40b.db"},
        {"a@..", "d/accounts/%2E./a.db"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_STRBUF dir = STRBUF_INIT, file = STRBUF_INIT;
        MUST(account_path("d", span_cstr(cases[i].address), &dir, &file, &err));
        assert_string_equal(strbuf_cstr(&file), cases[i].file);
    }
    static const char *const bad[] = {"", "alice", "@example.test", "alice@",
                                      "0123456789012345678901234567890123456789012345678901234567890123456789@x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AUTO_STRBUF dir = STRBUF_INIT, file = STRBUF_INIT;
        MUST_BE(ST_SYNTAX, account_path("d", span_cstr(bad[i]), &dir, &file, &err));
    }
}

static void one_process_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct store_options options = {.data_dir = f->dir};
    struct store *second = NULL;
    MUST_BE(ST_STATE, store_open(&options, &second, &err));
    assert_null(second);
    options.is_reader = true;
    MUST(store_open(&options, &second, &err));
    struct account *a = NULL;
    struct txn *t = NULL;
    MUST(account_open(second, SPAN("alice@example.test"), &a, &err));
    MUST_BE(ST_DENIED, store_begin(a, TXN_FLAGS, &t, &err));
    add_message(f->account, f->inbox, 0, 10);
    AUTO(view) v = NULL;
    MUST(view_get(a, f->inbox, &v, &err));
    assert_int_equal(view_count(v), 1);
    account_free(&a);
    store_free(&second);
}

/* ---- handles
 * ------------------------------------------------------------------------------------------------------------ */

static int open_databases(void)
{
    int n = 0;
    char link[64], target[512];
    for (int fd = 0; fd < 1024; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, target, sizeof target - 1);
        if (len > 3 && strncmp(target + len - 3, ".db", 3) == 0 && !memmem(target, (size_t)len, "directory", 9))
            n++;
    }
    return n;
}

static void handles_are_bounded(void **state)
{
    struct fixture *f = *state;
    enum { ACCOUNTS = 50 };
    struct account *accounts[ACCOUNTS];
    fixture_reopen(f, 4);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < ACCOUNTS; i++) {
            char name[16];
            snprintf(name, sizeof name, "user%d", i);
            accounts[i] = fixture_account(f, name);
            mailbox_id inbox = mailbox_id_of(accounts[i], "INBOX");
            assert_int_equal(add_message(accounts[i], inbox, 0, 10), round + 1);
            assert_in_range(open_databases(), 1, 4);
        }
        for (int i = 0; i < ACCOUNTS; i++) {
            AUTO(view) v = NULL;
            mailbox_id inbox = mailbox_id_of(accounts[i], "INBOX");
            MUST(view_get(accounts[i], inbox, &v, &err));
            assert_int_equal(view_count(v), round + 1);
            account_free(&accounts[i]);
        }
        assert_true(open_databases() <= 4);
    }
    /* More transactions than handles at once: none waits for another. */
    struct txn *t[6];
    for (int i = 0; i < 6; i++)
        MUST(store_begin(f->account, TXN_READ, &t[i], &err));
    assert_true(open_databases() >= 6);
    for (int i = 0; i < 6; i++)
        txn_free(&t[i]);
    store_tidy(f->store, -1); /* descriptors of one file are kept by SQLite until its last connection closes */
    assert_int_equal(open_databases(), 0);
}

static void readers_see_one_state(void **state)
{
    struct fixture *f = *state;
    AUTO_ARENA a = ARENA_INIT;
    struct txn *t = NULL;
    struct mailbox m;
    add_message(f->account, f->inbox, 0, 10);
    MUST(store_begin(f->account, TXN_READ, &t, &err));
    add_message(f->account, f->inbox, 0, 10); /* a writer is not in the way, nor is the reader in its */
    MUST(mailbox_get(t, f->inbox, &a, &m, &err));
    assert_int_equal(m.messages, 1);
    txn_free(&t);
    assert_int_equal(mailbox_now(f, f->inbox).messages, 2);
}

/* ---- removed accounts
 * -------------------------------------------------------------------------------------------------- */

static void an_account_made_anew_is_empty(void **state)
{
    struct fixture *f = *state;
    struct directory *d = store_directory(f->store);
    struct account *again = NULL;
    add_message(f->account, f->inbox, 0, 10);
    MUST(directory_account_remove(d, SPAN("alice@example.test"), &err));
    MUST_BE(ST_NOTFOUND, account_open(f->store, SPAN("alice@example.test"), &again, &err));
    MUST(directory_account_add(d, SPAN("alice@example.test"), &err));
    MUST(account_open(f->store, SPAN("alice@example.test"), &again, &err));
    assert_ptr_not_equal(again, f->account);
    mailbox_id inbox = mailbox_id_of(again, "INBOX");
    for (int i = 0; i < 5; i++)
        add_message(again, inbox, 0, 10);
    struct txn *t = NULL;
    MUST_BE(ST_NOTFOUND, store_begin(f->account, TXN_READ, &t, &err));
    account_free(&f->account);
    assert_true(exists(f, "alice.db-wal")); /* of the new one; closing the old left it alone */
    f->account = again;
    f->inbox = inbox;
    assert_int_equal(mailbox_now(f, inbox).messages, 5);
    assert_sound(f->account);
    fixture_reopen(f, 0);
    assert_int_equal(mailbox_now(f, f->inbox).messages, 5);
}

static void a_held_old_account_harms_nothing(void **state)
{
    struct fixture *f = *state;
    struct directory *d = store_directory(f->store);
    add_message(f->account, f->inbox, 0, 10);
    struct txn *held = NULL;
    MUST(store_begin(f->account, TXN_READ, &held, &err)); /* keeps a connection to the old file */
    MUST(directory_account_remove(d, SPAN("alice@example.test"), &err));
    MUST(directory_account_add(d, SPAN("alice@example.test"), &err));
    struct account *again = NULL;
    MUST(account_open(f->store, SPAN("alice@example.test"), &again, &err));
    add_message(again, mailbox_id_of(again, "INBOX"), 0, 10);
    txn_free(&held); /* closes the last connection of the old file */
    assert_true(exists(f, "alice.db-wal") && exists(f, "alice.db-shm"));
    account_free(&f->account);
    add_message(again, mailbox_id_of(again, "INBOX"), 0, 10);
    f->account = again;
    fixture_reopen(f, 0);
    assert_int_equal(mailbox_now(f, f->inbox).messages, 2);
}

static void removed_accounts_are_swept(void **state)
{
    struct fixture *f = *state;
    struct account *bob = fixture_account(f, "bob");
    account_free(&bob);
    assert_true(exists(f, "bob.db"));
    MUST(directory_account_remove(store_directory(f->store), SPAN("bob@example.test"), &err));
    assert_true(exists(f, "bob.db"));
    MUST(store_sweep(f->store, &err));
    assert_false(exists(f, "bob.db"));
    assert_false(exists(f, "bob.db-wal"));
    bob = fixture_account(f, "bob");
    account_free(&bob);
    MUST(directory_account_remove(store_directory(f->store), SPAN("bob@example.test"), &err));
    fixture_reopen(f, 0); /* at the start too */
    assert_false(exists(f, "bob.db"));
    assert_true(exists(f, "alice.db"));
}

/* ---- migrations, damage
 * --------------------------------------------------------------------------------------------------- */

static void an_empty_file_is_made_whole(void **state)
{
    struct fixture *f = *state;
    close_store(f);
    assert_int_equal(truncate(file_of(f, "alice.db"), 0), 0); /* db.c, state 2 */
    fixture_reopen(f, 0);
    add_message(f->account, f->inbox, 0, 10);
    assert_sound(f->account);
}

/* What a crash leaves that comes after the first page was written and before the mode was changed. */
static void a_half_made_file_comes_into_wal_mode(void **state)
{
    struct fixture *f = *state;
    char path[512];
    (void)snprintf(path, sizeof path, "%s", file_of(f, "alice.db"));
    close_store(f);
    run_sql(path, "PRAGMA journal_mode=DELETE");
    fixture_reopen(f, 0);
    add_message(f->account, f->inbox, 0, 10);
    assert_true(exists(f, "alice.db-wal"));
    assert_sound(f->account);
}

static void a_newer_layout_is_refused(void **state)
{
    struct fixture *f = *state;
    close_store(f);
    run_sql(file_of(f, "alice.db"), "PRAGMA user_version = 999");
    struct store_options options = {.data_dir = f->dir};
    MUST(store_open(&options, &f->store, &err));
    struct err err;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(account_open(f->store, SPAN("alice@example.test"), &f->account, &err), ST_UNSUPPORTED);
        assert_non_null(strstr(err.operator_text, "newer version"));
        assert_null(f->account);
    }
    store_free(&f->store);
    char known[64];
    snprintf(known, sizeof known, "PRAGMA user_version = %d", account_migration_count);
    run_sql(file_of(f, "alice.db"), known);
    fixture_reopen(f, 0);
    assert_sound(f->account);
}

static void check_finds(struct fixture *f, const char *damage, const char *finding)
{
    AUTO_STRBUF report = STRBUF_INIT;
    uint32_t findings;
    close_store(f);
    run_sql(file_of(f, "alice.db"), damage);
    fixture_reopen(f, 0);
    MUST(account_check(f->account, &report, &findings, &err));
    if (findings == 0 || !strstr(strbuf_cstr(&report), finding))
        fail_msg("%s: found %u: %s", damage, findings, strbuf_cstr(&report));
}

static void check_finds_damage(void **state)
{
    struct fixture *f = *state;
    add_message(f->account, f->inbox, 0, 10);
    add_message(f->account, f->inbox, 0, 600000);
    struct txn *t = NULL;
    struct uid_pairs pairs;
    MUST(store_begin(f->account, TXN_WRITE, &t, &err));
    MUST(
        message_copy(t, f->inbox, set_of(&f->arena, 1, 1), mailbox_id_of(f->account, "Sent"), &f->arena, &pairs, &err));
    MUST(store_commit(&t, &err));
    assert_sound(f->account);
    check_finds(f, "UPDATE mailbox SET messages = messages + 1 WHERE id = 1", "counters");
    check_finds(f, "UPDATE mailbox SET messages = messages - 1, uidnext = 2 WHERE id = 1", "uidnext");
    check_finds(f, "UPDATE mailbox SET uidnext = 3, highest_modseq = 1 WHERE id = 1", "modseq");
    check_finds(f, "UPDATE mailbox SET highest_modseq = 99 WHERE id = 1; DELETE FROM chunk WHERE idx = 0", "chunks");
    check_finds(f, "DELETE FROM chunk", "its bytes");
    check_finds(f, "UPDATE content_refs SET refs = 7", "referenced 2 times, counted 7");
    check_finds(f, "INSERT INTO tombstone VALUES(1, 1, 1, 1)", "both there and expunged");
    check_finds(
        f,
        "INSERT INTO content SELECT 999999, size, header_size, NULL, envelope, body, bodystructure, parts, NULL, data"
        " FROM content LIMIT 1",
        "belongs to no message");
    check_finds(f, "DELETE FROM content", "is missing");
}

/* Closes the store; its files are then as a crash at this moment leaves them. */
static void crash(struct fixture *f)
{
    AUTO_STRBUF command = STRBUF_INIT;
    strbuf_addf(&command, "cp -r '%s' '%s.crashed'", f->dir, f->dir);
    assert_int_equal(system(strbuf_cstr(&command)), 0);
    close_store(f);
    strbuf_clear(&command);
    strbuf_addf(&command, "rm -r '%s' && mv '%s.crashed' '%s'", f->dir, f->dir, f->dir);
    assert_int_equal(system(strbuf_cstr(&command)), 0);
}

/* A WAL at the first opening: modseqs of lost flag changes may have been told to clients (db.c, invariant 7). */
static void modseq_jumps_after_a_crash(void **state)
{
    struct fixture *f = *state;
    add_message(f->account, f->inbox, 0, 10);
    uint64_t modseq = mailbox_now(f, f->inbox).highest_modseq;
    crash(f);
    fixture_reopen(f, 0);
    assert_int_equal(mailbox_now(f, f->inbox).messages, 1);
    add_message(f->account, f->inbox, 0, 10);
    assert_true(mailbox_now(f, f->inbox).highest_modseq > modseq + 100000);
    uint64_t jumped = mailbox_now(f, f->inbox).highest_modseq;
    fixture_reopen(f, 0); /* closed cleanly: no jump */
    add_message(f->account, f->inbox, 0, 10);
    assert_int_equal(mailbox_now(f, f->inbox).highest_modseq, jumped + 1);
    assert_sound(f->account);
}

/* Somebody who looks at the account between the crash and the next start does not clear the traces away. */
static void readers_leave_a_crash_as_it_is(void **state)
{
    struct fixture *f = *state;
    add_message(f->account, f->inbox, 0, 10);
    uint64_t modseq = mailbox_now(f, f->inbox).highest_modseq;
    crash(f);
    struct store_options options = {.data_dir = f->dir, .is_reader = true};
    MUST(store_open(&options, &f->store, &err));
    MUST(account_open(f->store, SPAN("alice@example.test"), &f->account, &err));
    assert_int_equal(mailbox_now(f, f->inbox).messages, 1);
    fixture_reopen(f, 0);
    add_message(f->account, f->inbox, 0, 10);
    assert_true(mailbox_now(f, f->inbox).highest_modseq > modseq + 100000);
    assert_sound(f->account);
}

/* ---- a killed process
 * -------------------------------------------------------------------------------------------------------- */

/* Delivers to alice and marks as seen, telling each acknowledged uid, until killed. */
static void child_delivers(const char *dir, int out)
{
    struct store_options options = {.data_dir = dir};
    struct store *s = NULL;
    struct account *a = NULL;
    THREAD_MUST(store_open(&options, &s, &err));
    THREAD_MUST(account_open(s, SPAN("alice@example.test"), &a, &err));
    char body[9000];
    memset(body, 'b', sizeof body);
    struct content c = {.raw = span_of(body, sizeof body)};
    for (;;) {
        struct txn *t = NULL;
        uint32_t uid;
        AUTO_ARENA arena = ARENA_INIT;
        THREAD_MUST(store_begin(a, TXN_WRITE, &t, &err));
        THREAD_MUST(message_add(t, 1, &c, 0, (struct mail_date){0}, &uid, &err));
        if (uid % 7 == 0)
            THREAD_MUST(message_expunge(t, 1, set_of(&arena, uid - 3, uid - 3), false, &arena, NULL, &err));
        THREAD_MUST(store_commit(&t, &err));
        if (write(out, &uid, sizeof uid) != sizeof uid)
            _exit(1);
    }
}

static void a_killed_process_loses_nothing(void **state)
{
    struct fixture *f = *state;
    uint32_t last = 0;
    for (int round = 0; round < 8; round++) {
        close_store(f);
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(fds[0]);
            child_delivers(f->dir, fds[1]);
        }
        close(fds[1]);
        uint32_t uid = 0, count = 0, enough = 20 + (uint32_t)round * 37;
        while (count < enough && read(fds[0], &uid, sizeof uid) == sizeof uid) {
            count++;
            last = uid;
        }
        kill(child, SIGKILL);
        while (read(fds[0], &uid, sizeof uid) == sizeof uid)
            last = uid; /* acknowledged before the kill */
        waitpid(child, NULL, 0);
        close(fds[0]);
        assert_int_equal(count, enough);
        fixture_reopen(f, 0);
        AUTO(view) v = NULL;
        MUST(view_get(f->account, f->inbox, &v, &err));
        for (uint32_t i = 1; i <= last; i++)
            if ((view_seq_of(v, i) == 0) != ((i + 3) % 7 == 0 && i + 3 <= last) && i + 3 <= last)
                fail_msg("uid %u of %u is %s", i, last, view_seq_of(v, i) ? "there" : "lost");
        assert_sound(f->account);
    }
}

/* ---- many threads
 * -------------------------------------------------------------------------------------------------------------- */

enum { WRITERS = 8, READERS = 3, TARGETS = 4, PER_WRITER = 120 };

struct work {
    struct fixture *f;
    struct account *accounts[TARGETS];
    mailbox_id inboxes[TARGETS];
    uint32_t number;
    _Atomic bool *is_over;
};

static void *deliver(void *argument)
{
    struct work *w = argument;
    struct content c = {.raw = SPAN("From: bob@example.test\r\n\r\nhello\r\n")};
    for (uint32_t i = 0; i < PER_WRITER; i++) {
        uint32_t target = (w->number + i) % TARGETS;
        char address[64];
        snprintf(address, sizeof address, "target%u@example.test", target);
        struct account *a = NULL;
        struct txn *t = NULL;
        AUTO_ARENA arena = ARENA_INIT;
        uint32_t uid;
        THREAD_MUST(account_open(w->f->store, span_cstr(address), &a, &err));
        THREAD_MUST(store_begin(a, i % 3 ? TXN_WRITE : TXN_FLAGS, &t, &err));
        if (i % 3)
            THREAD_MUST(message_add(t, w->inboxes[target], &c, i % 2, (struct mail_date){0}, &uid, &err));
        else
            THREAD_MUST(message_change_flags(t, w->inboxes[target], set_of(&arena, 1 + i / 2, 5 + i), FLAGS_ADD,
                                             FLAG_SEEN, &err));
        THREAD_MUST(store_commit(&t, &err));
        if (i % 3) { /* never older than a commit that has finished */
            struct view *v = NULL;
            THREAD_MUST(view_get(a, w->inboxes[target], &v, &err));
            if (!view_seq_of(v, uid))
                abort();
            view_free(&v);
        }
        account_free(&a);
    }
    return NULL;
}

/* Follows a mailbox by differences; what it believes must be what is there, modseqs never go back. */
static void *follow(void *argument)
{
    struct work *w = argument;
    struct view *known[TARGETS] = {0};
    while (!*w->is_over) {
        for (uint32_t i = 0; i < TARGETS; i++) {
            struct view *now = NULL;
            AUTO_ARENA arena = ARENA_INIT;
            THREAD_MUST(view_get(w->accounts[i], w->inboxes[i], &now, &err));
            if (known[i]) {
                struct view_diff d;
                view_diff(&arena, known[i], now, &d);
                if (view_modseq(now) < view_modseq(known[i]) || seqset_count(d.expunged_uids) ||
                    view_count(now) != view_count(known[i]) + seqset_count(d.added_uids))
                    abort();
            }
            for (uint32_t seq = 1; seq <= view_count(now); seq++)
                if (view_message(now, seq)->uid != seq || view_message(now, seq)->modseq > view_modseq(now))
                    abort();
            view_free(&known[i]);
            known[i] = now;
        }
    }
    for (uint32_t i = 0; i < TARGETS; i++)
        view_free(&known[i]);
    return NULL;
}

static void many_threads(void **state)
{
    struct fixture *f = *state;
    _Atomic bool is_over = false;
    struct work work[WRITERS + READERS];
    pthread_t threads[WRITERS + READERS];
    fixture_reopen(f, 6);
    for (uint32_t i = 0; i < WRITERS + READERS; i++) {
        work[i] = (struct work){.f = f, .number = i, .is_over = &is_over};
        for (uint32_t j = 0; j < TARGETS; j++) {
            char name[16];
            snprintf(name, sizeof name, "target%u", j);
            work[i].accounts[j] = i ? account_ref(work[0].accounts[j]) : fixture_account(f, name);
            work[i].inboxes[j] = mailbox_id_of(work[i].accounts[j], "INBOX");
        }
    }
    for (uint32_t i = 0; i < WRITERS + READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < WRITERS ? deliver : follow, &work[i]), 0);
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    is_over = true;
    for (uint32_t i = WRITERS; i < WRITERS + READERS; i++)
        pthread_join(threads[i], NULL);
    uint32_t total = 0;
    for (uint32_t j = 0; j < TARGETS; j++) {
        AUTO(view) v = NULL;
        MUST(view_get(work[0].accounts[j], work[0].inboxes[j], &v, &err));
        total += view_count(v);
        assert_sound(work[0].accounts[j]);
    }
    assert_int_equal(total, WRITERS * PER_WRITER * 2 / 3);
    for (uint32_t i = 0; i < WRITERS + READERS; i++)
        for (uint32_t j = 0; j < TARGETS; j++)
            account_free(&work[i].accounts[j]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(files),
        cmocka_unit_test(file_names),
        TEST(one_process_at_a_time),
        TEST(handles_are_bounded),
        TEST(readers_see_one_state),
        TEST(an_account_made_anew_is_empty),
        TEST(a_held_old_account_harms_nothing),
        TEST(removed_accounts_are_swept),
        TEST(an_empty_file_is_made_whole),
        TEST(a_half_made_file_comes_into_wal_mode),
        TEST(a_newer_layout_is_refused),
        TEST(check_finds_damage),
        TEST(modseq_jumps_after_a_crash),
        TEST(readers_leave_a_crash_as_it_is),
        TEST(a_killed_process_loses_nothing),
        TEST(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
