/*
 * test_flush.c - a disk whose flushes fail, as Linux shows it (store/sqlite/wal_vfs.c).
 *
 * Below SQLite stands a disk model: each file FILE has a FILE.disk, which gets what was written when a flush succeeds.
 * A flush that fails loses what was written since the last one and says so once: the octets can still be read, the next
 * flush succeeds, and FILE.disk never sees them unless they are written again. "Power loss" is a store made of the
 * .disk files alone.
 */
#include "fixture.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/strbuf.h"

/* ---- the disk ---------------------------------------------------------------------------------------------------- */

enum { FILES_MAX = 64, WRITES_MAX = 8192 };

static struct open_file {
    sqlite3_file *file;
    char name[256];
    const sqlite3_io_methods *real; /* SQLite's own for this kind of file */
    sqlite3_io_methods methods;     /* those with ours for writing, flushing and closing */
} files[FILES_MAX];

/* Written and not flushed. */
static struct {
    char name[256];
    sqlite3_int64 offset;
    int n;
} writes[WRITES_MAX];
static int write_count, failures; /* flushes that fail from now on */
static sqlite3_vfs *below;

static struct open_file *file_of(sqlite3_file *f)
{
    int i = 0;
    while (files[i].file != f)
        assert_true(++i < FILES_MAX);
    return &files[i];
}

static int disk_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 offset)
{
    assert_true(write_count < WRITES_MAX);
    snprintf(writes[write_count].name, sizeof writes[0].name, "%s", file_of(f)->name);
    writes[write_count].offset = offset;
    writes[write_count++].n = n;
    return file_of(f)->real->xWrite(f, bytes, n, offset);
}

/* Takes the writes of a file off the list; puts them on the disk where `is_kept`. */
static void settle(const char *name, bool is_kept)
{
    char path[300];
    snprintf(path, sizeof path, "%s.disk", name);
    int from = open(name, O_RDONLY), to = open(path, O_RDWR | O_CREAT, 0600), left = 0;
    assert_true(from >= 0 && to >= 0);
    for (int i = 0; i < write_count; i++) {
        if (strcmp(writes[i].name, name) != 0) {
            writes[left++] = writes[i];
            continue;
        }
        if (!is_kept)
            continue;
        char *bytes = mem_alloc((size_t)writes[i].n);
        ssize_t n = pread(from, bytes, (size_t)writes[i].n, writes[i].offset);
        assert_true(n >= 0); /* less than was written: it was truncated since */
        assert_int_equal(pwrite(to, bytes, (size_t)n, writes[i].offset), n);
        free(bytes);
    }
    write_count = left;
    struct stat a, b;
    assert_true(fstat(from, &a) == 0 && fstat(to, &b) == 0);
    if (is_kept && b.st_size > a.st_size)
        assert_int_equal(ftruncate(to, a.st_size), 0);
    close(from);
    close(to);
}

static int disk_sync(sqlite3_file *f, int flags)
{
    (void)flags;
    bool is_failing = failures > 0;
    failures -= is_failing;
    settle(file_of(f)->name, !is_failing);
    return is_failing ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int disk_close(sqlite3_file *f)
{
    struct open_file *o = file_of(f);
    o->file = NULL;
    return o->real->xClose(f);
}

static int disk_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    int rc = below->xOpen(below, name, f, flags, out);
    if (rc != SQLITE_OK || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)))
        return rc;
    struct open_file *o = file_of(NULL);
    *o = (struct open_file){.file = f, .real = f->pMethods, .methods = *f->pMethods};
    snprintf(o->name, sizeof o->name, "%s", name);
    o->methods.xWrite = disk_write;
    o->methods.xSync = disk_sync;
    o->methods.xClose = disk_close;
    f->pMethods = &o->methods;
    return rc;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int is_durable)
{
    char path[300];
    snprintf(path, sizeof path, "%s.disk", name);
    (void)unlink(path);
    int left = 0;
    for (int i = 0; i < write_count; i++)
        if (strcmp(writes[i].name, name) != 0)
            writes[left++] = writes[i];
    write_count = left;
    return below->xDelete(vfs, name, is_durable);
}

static void put_disk_below(void)
{
    static sqlite3_vfs vfs;
    below = sqlite3_vfs_find(NULL);
    vfs = *below;
    vfs.zName = "disk";
    vfs.pNext = NULL;
    vfs.xOpen = disk_open;
    vfs.xDelete = disk_delete;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* ---- power loss -------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    AUTO_STRBUF command = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&command, format, args);
    va_end(args);
    assert_int_equal(system(strbuf_cstr(&command)), 0);
}

/* The store as the disk has it, in a folder of its own; the first one goes on. */
static struct fixture *after_power_loss(const struct fixture *f)
{
    static const char *const names[] = {"directory.db", "directory.db-wal", "accounts/example.test/alice.db",
                                        "accounts/example.test/alice.db-wal"};
    struct fixture *g = mem_alloc(sizeof *g);
    snprintf(g->dir, sizeof g->dir, "%s/after-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(g->dir));
    shell("mkdir -p -m 700 %s/accounts/example.test", g->dir);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        shell("[ ! -e %s/%s.disk ] || cp %s/%s.disk %s/%s", f->dir, names[i], f->dir, names[i], g->dir, names[i]);
    fixture_reopen(g, 0);
    return g;
}

static uint32_t messages_after_power_loss(const struct fixture *f)
{
    int before = failures;
    failures = 0; /* the disk was put into another machine */
    struct fixture *g = after_power_loss(f);
    assert_sound(g->account);
    uint32_t n = mailbox_now(g, g->inbox).messages;
    void *state = g;
    assert_int_equal(fixture_teardown(&state), 0);
    failures = before;
    return n;
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

/* Message 1 gets these flags, in a transaction that asks for no flush. */
static enum status set_flags(struct fixture *f, uint64_t flags, struct err *err)
{
    struct txn *t = NULL;
    TRY(store_begin(f->account, TXN_FLAGS, &t, err));
    enum status st = message_change_flags(t, f->inbox, set_of(&f->arena, 1, 1), FLAGS_SET, flags, err);
    if (st == ST_OK)
        return store_commit(&t, err);
    txn_free(&t);
    return st;
}

static enum status deliver(struct fixture *f, struct err *err)
{
    const struct content c = {.raw = SPAN("Subject: a\r\n\r\nb\r\n"),
                              .header_size = 14,
                              .envelope = SPAN("(env)"),
                              .body = SPAN("(body)"),
                              .bodystructure = SPAN("(bodystructure)"),
                              .parts = SPAN("parts")};
    uint32_t uid;
    return message_deliver(f->account, SPAN("INBOX"), &c, (struct mail_date){1700000000, 60}, &uid, err);
}

/* The flag change's frames are lost by the flush that fails; what is delivered later stands behind them in the WAL. */
static void nothing_is_built_on_a_failed_flush(void **state)
{
    struct fixture *f = *state;
    MUST(deliver(f, &err));
    MUST(set_flags(f, FLAG_SEEN, &err));
    struct txn *reader = NULL;
    MUST(store_begin(f->account, TXN_READ, &reader, &err)); /* so that the writer's connection is not the last one */
    failures = 1;
    MUST_BE(ST_IO, deliver(f, &err));
    assert_int_equal(failures, 0);
    MUST(deliver(f, &err));
    MUST(deliver(f, &err));
    txn_free(&reader);
    assert_int_equal(mailbox_now(f, f->inbox).messages, 3);
    assert_sound(f->account);
    assert_int_equal(messages_after_power_loss(f), 3);
}

static void a_sick_disk_takes_nothing(void **state)
{
    struct fixture *f = *state;
    MUST(deliver(f, &err));
    MUST(set_flags(f, FLAG_SEEN, &err));
    failures = 1000;
    for (int i = 0; i < 5; i++)
        MUST_BE(ST_IO, deliver(f, &err));
    MUST_BE(ST_IO, set_flags(f, FLAG_FLAGGED, &err)); /* neither what asks for no flush */
    assert_int_equal(mailbox_now(f, f->inbox).messages, 1);
    assert_int_equal(messages_after_power_loss(f), 1);
    failures = 0;
    MUST(deliver(f, &err));
    assert_int_equal(messages_after_power_loss(f), 2);
}

/* Closing would copy a WAL that is not on the disk over a file that is: a loss of power then leaves neither. */
static void what_is_not_on_the_disk_is_not_copied(void **state)
{
    struct fixture *f = *state;
    MUST(deliver(f, &err));
    MUST(set_flags(f, FLAG_SEEN, &err));
    failures = 1000;
    MUST_BE(ST_IO, deliver(f, &err));
    account_free(&f->account);
    store_free(&f->store);
    char wal[128];
    snprintf(wal, sizeof wal, "%s/accounts/example.test/alice.db-wal", f->dir);
    assert_int_equal(access(wal, F_OK), 0);
    failures = 0;
    fixture_reopen(f, 0);
    MUST(deliver(f, &err));
    assert_int_equal(mailbox_now(f, f->inbox).messages, 2);
    assert_int_equal(messages_after_power_loss(f), 2);
}

/* The flush at closing is the first that fails: of flags that nobody flushed before. */
static void closing_may_fail(void **state)
{
    struct fixture *f = *state;
    MUST(deliver(f, &err));
    MUST(set_flags(f, FLAG_SEEN, &err));
    failures = 1;
    fixture_reopen(f, 0);
    assert_int_equal(failures, 0);
    MUST(deliver(f, &err));
    assert_sound(f->account);
    assert_int_equal(messages_after_power_loss(f), 2);
}

static int setup(void **state)
{
    failures = write_count = 0;
    return fixture_setup(state);
}

int main(void)
{
    put_disk_below();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_built_on_a_failed_flush, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_sick_disk_takes_nothing, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_on_the_disk_is_not_copied, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(closing_may_fail, setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("flush", tests, NULL, NULL);
}
