/* tls_store.c - see tls_store.h. */
#include "queue/tls_store.h"
#include "queue/internal.h"
#include "base/banned.h"

/* ---- MTA-STS
 * --------------------------------------------------------------------------------------------------------- */

static enum status sts_get(struct queue_db *d, struct arena *a, struct span domain, struct sts_entry *out,
                           struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d, "SELECT id, text, fetched_at, expires_at FROM sts WHERE domain = ?", &st, err));
    queue_bind_text(st, 1, domain);
    int rc = sqlite3_step(st);
    enum status result = ST_OK;
    if (rc == SQLITE_ROW)
        *out = (struct sts_entry){queue_column_text(st, 0, a), queue_column_text(st, 1, a), sqlite3_column_int64(st, 2),
                                  sqlite3_column_int64(st, 3)};
    else if (rc == SQLITE_DONE)
        result = err_set(err, ST_NOTFOUND, "no policy is known");
    else
        result = queue_sql_error(d, "sts", err);
    sqlite3_reset(st);
    return result;
}

enum status queue_sts_get(struct queue *q, struct arena *a, struct span domain, struct sts_entry *out, struct err *err)
{
    pthread_mutex_lock(&q->read_lock);
    enum status st = sts_get(&q->reader, a, domain, out, err);
    pthread_mutex_unlock(&q->read_lock);
    return st;
}

struct sts_putting {
    struct span domain;
    const struct sts_entry *entry;
};

static enum status sts_put(struct queue *q, void *ctx, struct err *err)
{
    const struct sts_putting *p = ctx;
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer, "INSERT OR REPLACE INTO sts VALUES(?, ?, ?, ?, ?)", &st, err));
    queue_bind_text(st, 1, p->domain);
    queue_bind_text(st, 2, p->entry->id);
    queue_bind_text(st, 3, p->entry->text);
    sqlite3_bind_int64(st, 4, p->entry->fetched_at);
    sqlite3_bind_int64(st, 5, p->entry->expires_at);
    return queue_sql_done(&q->writer, st, "sts", err);
}

enum status queue_sts_put(struct queue *q, struct span domain, const struct sts_entry *e, struct err *err)
{
    struct sts_putting p = {domain, e};
    return queue_change(q, sts_put, &p, true, err);
}

/* ---- TLS-RPT
 * ----------------------------------------------------------------------------------------------------------- */

static enum status count_one(struct queue *q, void *ctx, struct err *err)
{
    const struct tls_count *c = ctx;
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer,
                  "INSERT INTO tls_session VALUES(?, ?, ?, ?, ?, ?, ?, ?)"
                  " ON CONFLICT DO UPDATE SET sessions = sessions + excluded.sessions",
                  &st, err));
    sqlite3_bind_int64(st, 1, c->day);
    queue_bind_text(st, 2, c->domain);
    queue_bind_text(st, 3, c->kind);
    queue_bind_text(st, 4, c->policy);
    queue_bind_text(st, 5, c->mx);
    queue_bind_text(st, 6, c->address);
    queue_bind_text(st, 7, c->result);
    sqlite3_bind_int64(st, 8, (sqlite3_int64)c->sessions);
    return queue_sql_done(&q->writer, st, "tls count", err);
}

enum status queue_tls_count(struct queue *q, const struct tls_count *c, struct err *err)
{
    struct tls_count copy = *c;
    return queue_change(q, count_one, &copy, false, err);
}

static enum status oldest(struct queue_db *d, struct arena *a, int64_t day, struct tls_count *out, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d, "SELECT day, domain FROM tls_session WHERE day < ? ORDER BY day, domain LIMIT 1", &st, err));
    sqlite3_bind_int64(st, 1, day);
    int rc = sqlite3_step(st);
    enum status result = ST_OK;
    if (rc == SQLITE_ROW)
        *out = (struct tls_count){.day = sqlite3_column_int64(st, 0), .domain = queue_column_text(st, 1, a)};
    else
        result =
            rc == SQLITE_DONE ? err_set(err, ST_NOTFOUND, "nothing to report") : queue_sql_error(d, "tls oldest", err);
    sqlite3_reset(st);
    return result;
}

enum status queue_tls_oldest(struct queue *q, struct arena *a, int64_t day, struct tls_count *out, struct err *err)
{
    pthread_mutex_lock(&q->read_lock);
    enum status st = oldest(&q->reader, a, day, out, err);
    pthread_mutex_unlock(&q->read_lock);
    return st;
}

static enum status rows_of(struct queue_db *d, struct arena *a, int64_t day, struct span domain, struct tls_count *rows,
                           size_t *count, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d,
                  "SELECT kind, policy, mx, address, result, sessions FROM tls_session WHERE day = ? AND domain = ?"
                  " ORDER BY kind, policy, result LIMIT ?",
                  &st, err));
    sqlite3_bind_int64(st, 1, day);
    queue_bind_text(st, 2, domain);
    sqlite3_bind_int(st, 3, TLS_ROWS_MAX);
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        rows[(*count)++] = (struct tls_count){.day = day,
                                              .domain = domain,
                                              .kind = queue_column_text(st, 0, a),
                                              .policy = queue_column_text(st, 1, a),
                                              .mx = queue_column_text(st, 2, a),
                                              .address = queue_column_text(st, 3, a),
                                              .result = queue_column_text(st, 4, a),
                                              .sessions = (uint64_t)sqlite3_column_int64(st, 5)};
    enum status result = rc == SQLITE_DONE ? ST_OK : queue_sql_error(d, "tls rows", err);
    sqlite3_reset(st);
    return result;
}

enum status queue_tls_rows(struct queue *q, struct arena *a, int64_t day, struct span domain, struct tls_count **rows,
                           size_t *count, struct err *err)
{
    *rows = arena_array(a, TLS_ROWS_MAX, sizeof **rows);
    *count = 0;
    pthread_mutex_lock(&q->read_lock);
    enum status st = rows_of(&q->reader, a, day, domain, *rows, count, err);
    pthread_mutex_unlock(&q->read_lock);
    return st;
}

static enum status forget(struct queue *q, void *ctx, struct err *err)
{
    const struct tls_count *c = ctx;
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer, "DELETE FROM tls_session WHERE day = ? AND domain = ?", &st, err));
    sqlite3_bind_int64(st, 1, c->day);
    queue_bind_text(st, 2, c->domain);
    return queue_sql_done(&q->writer, st, "tls forget", err);
}

enum status queue_tls_forget(struct queue *q, int64_t day, struct span domain, struct err *err)
{
    struct tls_count c = {.day = day, .domain = domain};
    return queue_change(q, forget, &c, false, err);
}
