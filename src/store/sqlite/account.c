/*
 * account.c - the store and its accounts: which are in memory, and the first opening of an account's file.
 *
 * An account object stays while somebody has a reference or a connection of it is open (idle ones live in pool.c's
 * LRU), so that the usual "open, deliver, release" finds its connection and its views again. The directory is asked at
 * every account_open(): an account that was removed, or removed and made anew, has another id there, and its old object
 * is left to those who still hold it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/search_index.h"
#include "store/sqlite/internal.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/wal_vfs.h"
#include "base/banned.h"

enum { HANDLES_DEFAULT = 256 };
/* More changes than there can be unflushed commits in a WAL (db.c, invariant 7). */
#define MODSEQ_JUMP ((uint64_t)1 << 20)

/* ---- store ------------------------------------------------------------------------------------------------------- */

/* One process at a time keeps counters and views of these files in memory. The claim goes with the process. */
static enum status claim(struct store *s, struct err *err)
{
    AUTO_STRBUF path = STRBUF_INIT;
    strbuf_addf(&path, "%s/accounts/.claim", s->data_dir);
    s->lock_fd = open(strbuf_cstr(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0)
        return err_errno(err, "%s", strbuf_cstr(&path));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(s->lock_fd, F_OFD_SETLK, &lock) == 0)
        return ST_OK;
    if (errno == EAGAIN || errno == EACCES)
        return err_set_operator(err, ST_STATE, "the mail store is in use",
                                "%s: another process has the accounts open; stop it first", strbuf_cstr(&path));
    return err_errno(err, "%s: cannot lock", strbuf_cstr(&path));
}

static enum status open_data(struct store *s, struct err *err)
{
    AUTO_STRBUF path = STRBUF_INIT;
    if (!s->is_reader) {
        strbuf_addf(&path, "%s/accounts", s->data_dir);
        TRY(path_make_dir(strbuf_cstr(&path), err));
        TRY(claim(s, err));
        strbuf_clear(&path);
    }
    strbuf_addf(&path, "%s/directory.db", s->data_dir);
    TRY(directory_open(strbuf_cstr(&path), !s->is_reader, &s->directory, err));
    return s->is_reader ? ST_OK : store_sweep(s, err);
}

enum status store_open(const struct store_options *options, struct store **out, struct err *err)
{
    wal_vfs_start();
    struct store *s = mem_alloc(sizeof *s);
    s->data_dir = mem_cstr(options->data_dir, strlen(options->data_dir));
    s->handles_max = options->handles_max ? options->handles_max : HANDLES_DEFAULT;
    s->is_reader = options->is_reader;
    s->lock_fd = -1;
    store_set_quota(s, &(struct quota){{QUOTA_NONE, QUOTA_NONE, QUOTA_NONE}});
    pthread_mutex_init(&s->lock, NULL);
    s->accounts = map_new();
    view_cache_init(&s->views);
    enum status st = open_data(s, err);
    if (st != ST_OK)
        store_free(&s);
    *out = s;
    return st;
}

void store_free(struct store **sp)
{
    struct store *s = *sp;
    if (!s)
        return;
    index_worker_stop(s);
    handles_trim(s, 0, INT64_MIN);
    if (map_count(s->accounts))
        panic("store_free: an account is still held");
    map_free(&s->accounts);
    view_cache_destroy(&s->views);
    pthread_mutex_destroy(&s->lock);
    if (s->directory)
        directory_free(&s->directory);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->data_dir);
    free(s);
    *sp = NULL;
}

struct directory *store_directory(struct store *s)
{
    return s->directory;
}

void store_tidy(struct store *s, int64_t idle_ms)
{
    handles_trim(s, UINT32_MAX, clock_mono_ms() - idle_ms);
}

static enum status remove_files(void *context, struct span address, struct err *err)
{
    const struct store *s = context;
    AUTO_STRBUF dir = STRBUF_INIT, file = STRBUF_INIT;
    TRY(account_path(s->data_dir, address, &dir, &file, err));
    return path_remove_database(strbuf_cstr(&dir), strbuf_cstr(&file), err);
}

enum status store_sweep(struct store *s, struct err *err)
{
    return directory_close_graves(s->directory, SPAN_NONE, remove_files, s, err);
}

/* ---- first opening ----------------------------------------------------------------------------------------------- */

static enum status read_modseq(struct account *a, struct db *db, bool was_unclean, struct err *err)
{
    int64_t modseq;
    TRY(db_number_plain(db, 0, &modseq, err,
                        "SELECT max(modseq, (SELECT coalesce(max(highest_modseq), 0) FROM mailbox)) FROM account"));
    a->modseq = (uint64_t)modseq + (was_unclean ? MODSEQ_JUMP : 0);
    return ST_OK;
}

/* An empty file gets its page size and mode before anything else; they are in the file from then on. */
static enum status make_database(const char *file, struct err *err)
{
    struct db *db;
    TRY(db_open(file, true, &db, err));
    enum status st = schema_migrate(db, account_migrations, account_migration_count, account_first_mailboxes, err);
    db_close(&db);
    return st;
}

static enum status prepare_file(struct account *a, struct err *err)
{
    struct store *s = a->store;
    TRY(directory_close_graves(s->directory, a->address, remove_files, s, err));
    struct stat st;
    bool is_new;
    if (stat(a->file, &st) != 0) /* a file is only made in a folder whose own entry is durable */
        TRY(path_make_dir(a->dir, err));
    TRY(path_make_file(a->dir, a->file, &is_new, err));
    if (is_new || (stat(a->file, &st) == 0 && st.st_size == 0))
        TRY(make_database(a->file, err));
    return ST_OK;
}

/* opening is held. */
static enum status prepare(struct account *a, struct err *err)
{
    if (!a->store->is_reader)
        TRY(prepare_file(a, err));
    bool was_unclean = db_has_wal(a->file);
    a->inode = 0;
    struct handle *h;
    TRY(handle_lease(a, &h, err));
    enum status st = ST_OK;
    if (was_unclean && !a->store->is_reader)
        st = db_renew_wal(h->db, err);
    if (st == ST_OK &&
        !a->store->is_reader) /* a crash while the file was made can leave one that is not empty and not in this mode */
        st = db_run_plain(h->db, err, "PRAGMA journal_mode=WAL");
    if (st == ST_OK && !a->store->is_reader)
        st = schema_migrate(h->db, account_migrations, account_migration_count, account_first_mailboxes, err);
    if (st == ST_OK && was_unclean && !a->store->is_reader)
        st = pins_clean(h->db, err);
    if (st == ST_OK)
        st = read_modseq(a, h->db, was_unclean, err);
    if (st == ST_OK)
        st = quota_count(a, h->db, err);
    if (st != ST_OK)
        h->db->is_broken = true; /* so that the next try starts anew */
    handle_release(&h);
    a->is_ready = st == ST_OK;
    a->has_expunged = true; /* nobody knows */
    return st;
}

/* ---- accounts ------------------------------------------------------------------------------------------------------
 */

static enum status look_up(struct store *s, struct span address, uint64_t *id, struct err *err)
{
    size_t at = span_rfind_byte(address, '@');
    AUTO_ARENA arena = ARENA_INIT;
    struct address_entry entry = {.kind = ADDRESS_NONE};
    if (at != SPAN_NPOS)
        TRY(directory_lookup(s->directory, &arena, span_take(address, at), span_skip(address, at + 1), &entry, err));
    *id = entry.kind == ADDRESS_ACCOUNT ? entry.account_id : 0;
    return ST_OK;
}

static struct account *account_new(struct store *s, struct span address, uint64_t id, struct span dir, struct span file)
{
    struct account *a = mem_alloc(sizeof *a);
    a->store = s;
    a->address = span_of(mem_cstr(address.p, address.len), address.len);
    a->dir = mem_cstr(dir.p, dir.len);
    a->file = mem_cstr(file.p, file.len);
    a->id = id;
    a->refs = 1;
    pthread_mutex_init(&a->opening, NULL);
    pthread_mutex_init(&a->writer, NULL);
    pthread_mutex_init(&a->deliveries.lock, NULL);
    pthread_mutex_init(&a->keywords_lock, NULL);
    pthread_mutex_init(&a->pins_lock, NULL);
    hub_init(&a->hub);
    return a;
}

/* The object of this id, made where there is none; objects of other ids leave the map. id 0: only the latter. */
static struct account *find_or_make(struct store *s, struct span address, uint64_t id, struct span dir,
                                    struct span file)
{
    pthread_mutex_lock(&s->lock);
    struct account *a = map_get(s->accounts, address);
    if (a && a->id == id) {
        a->refs++;
        pthread_mutex_unlock(&s->lock);
        return a;
    }
    if (a) {
        map_remove(s->accounts, address);
        a->is_stale = true;
    }
    struct account *new = NULL;
    if (id) {
        new = account_new(s, address, id, dir, file);
        map_put(s->accounts, address, new);
    }
    if (a)
        account_settle(a);
    else
        pthread_mutex_unlock(&s->lock);
    return new;
}

enum status account_open(struct store *s, struct span address, struct account **out, struct err *err)
{
    uint64_t id;
    TRY(look_up(s, address, &id, err));
    AUTO_STRBUF dir = STRBUF_INIT, file = STRBUF_INIT;
    if (id)
        TRY(account_path(s->data_dir, address, &dir, &file, err));
    AUTO(account) a = find_or_make(s, address, id, strbuf_span(&dir), strbuf_span(&file));
    if (!a)
        return err_set(err, ST_NOTFOUND, "no such account");
    pthread_mutex_lock(&a->opening);
    bool is_first = !a->is_ready;
    enum status st = is_first ? prepare(a, err) : ST_OK;
    pthread_mutex_unlock(&a->opening);
    TRY(st);
    if (is_first)
        index_want(a);
    *out = a;
    a = NULL;
    return ST_OK;
}

struct account *account_ref(struct account *a)
{
    pthread_mutex_lock(&a->store->lock);
    a->refs++;
    pthread_mutex_unlock(&a->store->lock);
    return a;
}

void account_free(struct account **ap)
{
    struct account *a = *ap;
    *ap = NULL;
    if (!a)
        return;
    pthread_mutex_lock(&a->store->lock);
    a->refs--;
    account_settle(a);
}

struct span account_address(const struct account *a)
{
    return a->address;
}

uint64_t account_id(const struct account *a)
{
    return a->id;
}

struct view_set *account_views(struct account *a, uint64_t reader)
{
    if (reader == 0)
        return &a->views;
    struct reader_views *new = NULL;
    for (;;) {
        struct reader_views *first = atomic_load(&a->readers);
        for (struct reader_views *r = first; r; r = r->next)
            if (r->reader == reader) {
                free(new);
                return &r->views;
            }
        if (!new) {
            new = mem_alloc(sizeof *new);
            new->reader = reader;
        }
        new->next = first;
        if (atomic_compare_exchange_strong(&a->readers, &first, new))
            return &new->views;
    }
}

struct hub *account_hub(struct account *a)
{
    return &a->hub;
}

enum status account_object_name(struct account *a, struct span *out, struct err *err)
{
    pthread_mutex_lock(&a->keywords_lock);
    *out = span_cstr(a->object_name);
    pthread_mutex_unlock(&a->keywords_lock);
    if (out->len)
        return ST_OK;
    AUTO(txn) t = NULL;
    sqlite3_stmt *s;
    enum status st;
    TRY(store_begin(a, TXN_READ, &t, err));
    TRY(db_query_values(t->db, &s, err, "SELECT object_name FROM account", NULL, 0));
    if (!db_row(t->db, s, &st, err))
        return st == ST_OK ? err_set(err, ST_BUG, "the account has no row") : st;
    pthread_mutex_lock(&a->keywords_lock);
    (void)snprintf(a->object_name, sizeof a->object_name, "%.*s", SPAN_ARG(column_span(s, 0)));
    *out = span_cstr(a->object_name);
    pthread_mutex_unlock(&a->keywords_lock);
    db_done(s);
    return ST_OK;
}
