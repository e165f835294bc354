/*
 * pool.c - connections to account files: leased for a transaction, then kept idle, oldest closed first.
 *
 * The bound is on all connections of the store, open for work or idle. It is passed only where more transactions run
 * than it allows: waiting for a free one could deadlock a thread against its own lease. Opening and closing (which may
 * checkpoint) happen outside the store's lock; `account.handles` counts those on their way out too, so that an account
 * is not forgotten while its file is being closed.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/sqlite/internal.h"
#include "base/banned.h"

static void link_idle(struct store *s, struct handle *h)
{
    h->next_idle = h->account->idle;
    h->account->idle = h;
    h->newer = NULL;
    h->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = h;
    s->newest = h;
    s->handles_idle++;
}

static void unlink_idle(struct store *s, struct handle *h)
{
    struct handle **at = &h->account->idle;
    while (*at != h)
        at = &(*at)->next_idle;
    *at = h->next_idle;
    *(h->newer ? &h->newer->older : &s->newest) = h->older;
    *(h->older ? &h->older->newer : &s->oldest) = h->newer;
    h->next_idle = h->newer = h->older = NULL;
    s->handles_idle--;
}

/* store.lock is held and comes back held. */
static void close_handle(struct store *s, struct handle *h)
{
    struct account *a = h->account;
    pthread_mutex_unlock(&s->lock);
    db_close(&h->db);
    free(h);
    pthread_mutex_lock(&s->lock);
    s->handles_open--;
    a->handles--;
    account_settle(a);
    pthread_mutex_lock(&s->lock);
}

void handles_trim(struct store *s, uint32_t keep, int64_t before_ms)
{
    pthread_mutex_lock(&s->lock);
    while (s->oldest && (s->handles_open > keep || s->oldest->idle_since_ms < before_ms)) {
        struct handle *h = s->oldest;
        unlink_idle(s, h);
        close_handle(s, h);
    }
    pthread_mutex_unlock(&s->lock);
}

/* The file under the account's name must still be the one that was opened first. */
static enum status check_identity(struct account *a, struct err *err)
{
    struct stat now;
    if (stat(a->file, &now) != 0)
        return err_errno(err, "%s", a->file);
    if (!a->inode) {
        a->device = now.st_dev;
        a->inode = now.st_ino;
    }
    if (now.st_dev != a->device || now.st_ino != a->inode)
        return err_set(err, ST_NOTFOUND, "the account was removed");
    return ST_OK;
}

static enum status open_handle(struct account *a, struct db **out, struct err *err)
{
    TRY(check_identity(a, err));
    struct db *db;
    TRY(db_open(a->file, false, &db, err));
    if (a->store->is_reader)
        db_leave_wal(db);
    enum status st = check_identity(a, err);
    if (st != ST_OK)
        db_close(&db);
    *out = db;
    return st;
}

enum status handle_lease(struct account *a, struct handle **out, struct err *err)
{
    struct store *s = a->store;
    pthread_mutex_lock(&s->lock);
    if (a->is_stale) { /* not even its old file: inode numbers are used again */
        pthread_mutex_unlock(&s->lock);
        return err_set(err, ST_NOTFOUND, "the account was removed");
    }
    struct handle *h = a->idle;
    if (h) {
        unlink_idle(s, h);
        pthread_mutex_unlock(&s->lock);
        *out = h;
        return ST_OK;
    }
    s->handles_open++;
    a->handles++;
    bool is_over = s->handles_open > s->handles_max && s->oldest;
    pthread_mutex_unlock(&s->lock);
    if (is_over)
        handles_trim(s, s->handles_max, INT64_MIN);

    h = mem_alloc(sizeof *h);
    h->account = a;
    enum status st = open_handle(a, &h->db, err);
    if (st != ST_OK) {
        free(h);
        pthread_mutex_lock(&s->lock);
        s->handles_open--;
        a->handles--;
        pthread_mutex_unlock(&s->lock); /* the caller has a reference: nothing to settle */
        return st;
    }
    *out = h;
    return ST_OK;
}

void handle_release(struct handle **hp)
{
    struct handle *h = *hp;
    struct store *s = h->account->store;
    *hp = NULL;
    pthread_mutex_lock(&s->lock);
    if (h->db->is_broken || h->account->is_stale || s->handles_open > s->handles_max) {
        close_handle(s, h);
    } else {
        h->idle_since_ms = clock_mono_ms();
        link_idle(s, h);
    }
    pthread_mutex_unlock(&s->lock);
}

static void account_destroy(struct account *a)
{
    view_cache_drop_set(&a->store->views, &a->views);
    for (struct reader_views *r = atomic_load(&a->readers), *next; r; r = next) {
        next = r->next;
        view_cache_drop_set(&a->store->views, &r->views);
        free(r);
    }
    keywords_free(&a->keywords);
    hub_destroy(&a->hub);
    pthread_mutex_destroy(&a->opening);
    pthread_mutex_destroy(&a->writer);
    pthread_mutex_destroy(&a->deliveries.lock);
    pthread_mutex_destroy(&a->keywords_lock);
    pthread_mutex_destroy(&a->pins_lock);
    free((char *)(uintptr_t)a->address.p);
    free(a->dir);
    free(a->file);
    free(a);
}

void account_settle(struct account *a)
{
    struct store *s = a->store;
    while (a->refs == 0 && a->is_stale && a->idle) { /* nobody will find these again */
        struct handle *h = a->idle;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): unlinked handles are not met again */
        unlink_idle(s, h); /* still counted in a->handles: a stays until we are back */
        pthread_mutex_unlock(&s->lock);
        db_close(&h->db);
        free(h);
        pthread_mutex_lock(&s->lock);
        s->handles_open--;
        a->handles--;
    }
    bool is_last = a->refs == 0 && a->handles == 0;
    if (is_last && !a->is_stale)
        map_remove(s->accounts, a->address);
    pthread_mutex_unlock(&s->lock);
    if (is_last)
        account_destroy(a);
}
