/*
 * db.c - the queue's file: one SQLite database, one connection that writes and one that reads; the command line opens
 * the file a second time (see queue.h).
 *
 * What is on disk, and why a crash loses nothing:
 *  1. A message and its recipients come in one transaction with a flush (WAL, synchronous=FULL). Before its commit the
 *     sender has no 250 and keeps the message; after it the message is here.
 *  2. Outcomes of an attempt, and the reports they cause, are one transaction: a crash before it delivers once more
 * (SMTP cannot avoid that, RFC 5321 §4.5.4.1), but never bounces without having failed, nor fails without a bounce.
 *     Transactions that only remember deliveries are not flushed by themselves: they survive the process, and a loss of
 *     power may repeat the last deliveries, never lose one. The next flushed commit flushes them too.
 *  3. The message goes in the same transaction in which its last recipient is settled.
 *
 *  4. A flush that failed is not built upon: store/sqlite/wal_vfs.c, whose way of writing the queue shares.
 *
 *  5. A push from outside (queue_act, queue_run) is not lost to an attempt that was under way: it takes one off
 *     recipient.next_attempt_at and destination.blocked_until, from 0 or below. Who then writes when the next attempt
 *     is to be says which value the attempt began with; where another one below 0 stands there, that one stays.
 *
 * Changes that come from several threads share transactions: who finds nobody writing becomes the leader, takes all
 * changes that wait and runs them in one transaction; what has come meanwhile is led by the first of it. If one of them
 * fails for the database's sake, all are rolled back and each is tried in a transaction of its own, so that nobody
 * fails for another.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "queue/internal.h"
#include "store/sqlite/wal_vfs.h"
#include "base/banned.h"

enum { BUSY_MS = 10000, CHANGES_TOGETHER = 200 };

enum status queue_sql_error(struct queue_db *d, const char *what, struct err *err)
{
    int code = sqlite3_errcode(d->db) & 0xff;
    return err_set_operator(err, code == SQLITE_BUSY || code == SQLITE_FULL ? ST_TEMPORARY : ST_IO,
                            "the queue is not available, try again later", "queue: %s: %s", what,
                            sqlite3_errmsg(d->db));
}

enum status queue_sql_run(struct queue_db *d, const char *sql, struct err *err)
{
    return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ST_OK : queue_sql_error(d, sql, err);
}

enum status queue_sql(struct queue_db *d, const char *sql, sqlite3_stmt **st, struct err *err)
{
    size_t i = 0;
    while (i < QUEUE_STATEMENTS && d->statements[i].sql && d->statements[i].sql != sql)
        i++;
    if (i == QUEUE_STATEMENTS)
        return err_set(err, ST_BUG, "internal error: more statements than places");
    if (!d->statements[i].sql) {
        if (sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &d->statements[i].st, NULL) != SQLITE_OK)
            return queue_sql_error(d, sql, err);
        d->statements[i].sql = sql;
    }
    *st = d->statements[i].st;
    sqlite3_reset(*st);
    sqlite3_clear_bindings(*st);
    return ST_OK;
}

enum status queue_sql_done(struct queue_db *d, sqlite3_stmt *st, const char *what, struct err *err)
{
    int rc = sqlite3_step(st);
    enum status result = rc == SQLITE_DONE ? ST_OK : queue_sql_error(d, what, err);
    sqlite3_reset(st);
    return result;
}

void queue_bind_text(sqlite3_stmt *st, int at, struct span s)
{
    sqlite3_bind_text(st, at, s.p ? s.p : "", (int)s.len, SQLITE_STATIC);
}

struct span queue_column_text(sqlite3_stmt *st, int at, struct arena *a)
{
    const unsigned char *p = sqlite3_column_text(st, at);
    return arena_copy(a, span_of(p, (size_t)sqlite3_column_bytes(st, at)));
}

/* ---- changes ------------------------------------------------------------------------------------------------------
 */

static enum status set_flushing(struct queue *q, bool wanted, struct err *err)
{
    if (q->is_flushing != wanted)
        TRY(queue_sql_run(&q->writer, wanted ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", err));
    q->is_flushing = wanted;
    return ST_OK;
}

/* Runs changes up to (not including) end in one transaction. A change that fails by itself (nothing found) fails alone;
 * it has changed nothing then. */
static enum status run_together(struct queue *q, struct change *first, const struct change *end, struct err *err)
{
    bool is_flushed = false;
    for (const struct change *c = first; c != end; c = c->next)
        is_flushed = is_flushed || c->is_flushed;
    TRY(set_flushing(q, is_flushed, err));
    TRY(queue_sql_run(&q->writer, "BEGIN IMMEDIATE", err));
    enum status st = ST_OK;
    if (wal_begin(q->writer.db, is_flushed) != SQLITE_OK)
        st = err_set_operator(err, ST_IO, "the queue is not available, try again later",
                              "queue: a flush has failed, and the WAL cannot be written anew");
    for (struct change *c = first; st == ST_OK && c != end; c = c->next) {
        c->status = c->run(q, c->ctx, c->err);
        if (c->status != ST_OK && c->status != ST_NOTFOUND) {
            *err = *c->err;
            st = c->status;
        }
    }
    if (st == ST_OK)
        st = queue_sql_run(&q->writer, "COMMIT", err);
    if (st != ST_OK)
        sqlite3_exec(q->writer.db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static void run_list(struct queue *q, struct change *first)
{
    struct err err;
    if (run_together(q, first, NULL, &err) == ST_OK)
        return;
    for (struct change *c = first; c; c = c->next) {
        enum status st = run_together(q, c, c->next, &err);
        if (st != ST_OK) {
            c->status = st;
            *c->err = err;
        }
    }
}

/* The list's head, at most CHANGES_TOGETHER of it. With the lock held, and the list not empty. */
static struct change *take_list(struct queue *q)
{
    struct change *first = q->first, *c = first;
    for (int n = 1; n < CHANGES_TOGETHER && c->next; n++)
        c = c->next;
    q->first = c->next;
    c->next = NULL;
    if (!q->first)
        q->last = &q->first;
    return first;
}

/* The leader's own change is the first of the list. */
static void lead(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    struct change *list = take_list(q), *own = list;
    pthread_mutex_unlock(&q->lock);

    pthread_mutex_lock(&q->write_lock);
    run_list(q, list);
    pthread_mutex_unlock(&q->write_lock);

    pthread_mutex_lock(&q->lock);
    struct change *next_leader = q->first;
    q->has_leader = next_leader != NULL;
    pthread_mutex_unlock(&q->lock);
    if (next_leader) /* it waits for nobody else: it is there until this */
        sem_post(&next_leader->turn);
    for (struct change *c = own->next, *next; c; c = next) {
        next = c->next;
        c->is_done = true;
        sem_post(&c->turn); /* from here on it is its owner's */
    }
}

/* Each waits for a turn of its own: one who is woken for others' sake would only sleep again. */
static void wait_for_turn(struct change *c)
{
    while (sem_wait(&c->turn) != 0) /* EINTR */
        ;
}

enum status queue_change(struct queue *q, enum status (*run)(struct queue *, void *, struct err *), void *ctx,
                         bool is_flushed, struct err *err)
{
    struct change c = {.run = run, .ctx = ctx, .err = err, .is_flushed = is_flushed};
    sem_init(&c.turn, 0, 0);
    pthread_mutex_lock(&q->lock);
    *q->last = &c;
    q->last = &c.next;
    bool is_leader = !q->has_leader; /* then nobody else is in the list */
    q->has_leader = true;
    pthread_mutex_unlock(&q->lock);
    if (!is_leader)
        wait_for_turn(&c);
    if (!c.is_done)
        lead(q);
    sem_destroy(&c.turn);
    return c.status;
}

/* ---- open and close ------------------------------------------------------------------------------------------------
 */

static enum status db_open(struct queue_db *d, const char *path, int flags, struct err *err)
{
    int rc = sqlite3_open_v2(path, &d->db, flags | SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, WAL_VFS_NAME);
    if (rc != SQLITE_OK)
        return err_set_operator(err, rc == SQLITE_CANTOPEN && !(flags & SQLITE_OPEN_CREATE) ? ST_NOTFOUND : ST_IO,
                                "the queue is not available, try again later", "queue: %s: %s", path,
                                d->db ? sqlite3_errmsg(d->db) : sqlite3_errstr(rc));
    sqlite3_busy_timeout(d->db, BUSY_MS);
    return queue_sql_run(d,
                         "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                         "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192; PRAGMA wal_autocheckpoint=4000;"
                         "PRAGMA journal_size_limit=67108864",
                         err);
}

static void db_close(struct queue_db *d)
{
    for (size_t i = 0; i < QUEUE_STATEMENTS; i++)
        sqlite3_finalize(d->statements[i].st);
    sqlite3_close(d->db);
}

enum status queue_open(const char *path, bool may_create, struct queue **out, struct err *err)
{
    AUTO(queue) q = mem_alloc(sizeof *q);
    pthread_mutex_init(&q->write_lock, NULL);
    pthread_mutex_init(&q->read_lock, NULL);
    pthread_mutex_init(&q->lock, NULL);
    q->last = &q->first;
    q->is_flushing = true;
    wal_vfs_start();
    mode_t before = umask(077);
    enum status st = db_open(&q->writer, path, may_create ? SQLITE_OPEN_CREATE : 0, err);
    if (st == ST_OK)
        st = queue_migrate(&q->writer, err);
    if (st == ST_OK)
        st = db_open(&q->reader, path, 0, err);
    umask(before);
    TRY(st);
    *out = q;
    q = NULL;
    return ST_OK;
}

static enum status change_nothing(struct queue *q, void *ctx, struct err *err)
{
    (void)q;
    (void)ctx;
    (void)err;
    return ST_OK;
}

enum status queue_secure(struct queue *q, struct err *err)
{
    wal_suspect(q->writer.db);
    return queue_change(q, change_nothing, NULL, false, err);
}

void queue_free(struct queue **qp)
{
    struct queue *q = *qp;
    *qp = NULL;
    if (!q)
        return;
    db_close(&q->reader);
    db_close(&q->writer);
    pthread_mutex_destroy(&q->write_lock);
    pthread_mutex_destroy(&q->read_lock);
    pthread_mutex_destroy(&q->lock);
    free(q);
}
