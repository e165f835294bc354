/*
 * queue.c - see queue.h. One SQLite file, one connection under a mutex; the command line opens the file a second time.
 *
 * What is on disk, and why a crash loses nothing:
 *  1. A message and its recipients come in one transaction with a flush (WAL, synchronous=FULL). Before its commit the sender has no
 *     250 and keeps the message; after it the message is here.
 *  2. A recipient's outcome is one UPDATE with a flush. A crash between the delivery and this commit delivers once more:
 *     SMTP cannot avoid that (RFC 5321 §4.5.4: at least once).
 *  3. The message row is deleted in the same transaction as its last recipient is settled.
 */
#include "queue/queue.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/banned.h"

enum { QUEUE_SCHEMA_VERSION = 1, BUSY_MS = 10000 };

struct queue {
    sqlite3 *db;
    pthread_mutex_t lock;
};

static const char schema[] = "CREATE TABLE message(id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL,"
                             " trace TEXT NOT NULL, queued_at INTEGER NOT NULL, size INTEGER NOT NULL,"
                             " smtputf8 INTEGER NOT NULL, eightbit INTEGER NOT NULL, body BLOB NOT NULL);"
                             "CREATE TABLE recipient(id INTEGER PRIMARY KEY AUTOINCREMENT, message INTEGER NOT NULL,"
                             " address TEXT NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
                             " next_attempt_at INTEGER NOT NULL, last_reply TEXT NOT NULL);"
                             "CREATE INDEX recipient_message ON recipient(message);"
                             "CREATE INDEX recipient_due ON recipient(next_attempt_at) WHERE state = 0;"
                             "PRAGMA user_version = 1;";

static enum status sql_error(struct queue *q, const char *what, struct err *err)
{
    int code = sqlite3_errcode(q->db);
    return err_set_operator(err, code == SQLITE_BUSY || code == SQLITE_FULL ? ST_TEMPORARY : ST_IO,
                            "the queue is not available, try again later", "queue: %s: %s", what,
                            sqlite3_errmsg(q->db));
}

static enum status sql_run(struct queue *q, const char *sql, struct err *err)
{
    if (sqlite3_exec(q->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return sql_error(q, sql, err);
    return ST_OK;
}

static enum status prepare(struct queue *q, const char *sql, sqlite3_stmt **st, struct err *err)
{
    if (sqlite3_prepare_v2(q->db, sql, -1, st, NULL) != SQLITE_OK)
        return sql_error(q, sql, err);
    return ST_OK;
}

static void bind_text(sqlite3_stmt *st, int at, struct span s)
{
    sqlite3_bind_text(st, at, s.p ? s.p : "", (int)s.len, SQLITE_STATIC);
}

static struct span column_text(sqlite3_stmt *st, int at, struct arena *a)
{
    const unsigned char *p = sqlite3_column_text(st, at);
    return arena_copy(a, span_of(p, (size_t)sqlite3_column_bytes(st, at)));
}

/* Steps a statement that returns no rows, and finalizes it. */
static enum status finish(struct queue *q, sqlite3_stmt *st, const char *what, struct err *err)
{
    int rc = sqlite3_step(st);
    enum status result = rc == SQLITE_DONE ? ST_OK : sql_error(q, what, err);
    sqlite3_finalize(st);
    return result;
}

/* Runs body(ctx) between BEGIN and COMMIT under the lock. */
static enum status in_transaction(struct queue *q, enum status (*body)(struct queue *, void *, struct err *),
                                  void *ctx, struct err *err)
{
    pthread_mutex_lock(&q->lock);
    enum status st = sql_run(q, "BEGIN IMMEDIATE", err);
    if (st == ST_OK) {
        st = body(q, ctx, err);
        if (st == ST_OK)
            st = sql_run(q, "COMMIT", err);
        if (st != ST_OK)
            sqlite3_exec(q->db, "ROLLBACK", NULL, NULL, NULL);
    }
    pthread_mutex_unlock(&q->lock);
    return st;
}

static enum status migrate(struct queue *q, struct err *err)
{
    sqlite3_stmt *st;
    TRY(prepare(q, "PRAGMA user_version", &st, err));
    int version = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : -1;
    sqlite3_finalize(st);
    if (version == QUEUE_SCHEMA_VERSION)
        return ST_OK;
    if (version != 0)
        return err_set(err, ST_UNSUPPORTED, "the queue's file is of version %d, this program knows %d", version,
                       QUEUE_SCHEMA_VERSION);
    TRY(sql_run(q, "BEGIN IMMEDIATE", err));
    enum status made = sql_run(q, schema, err);
    if (made != ST_OK) {
        sqlite3_exec(q->db, "ROLLBACK", NULL, NULL, NULL);
        return made;
    }
    return sql_run(q, "COMMIT", err);
}

enum status queue_open(const char *path, bool may_create, struct queue **out, struct err *err)
{
    struct queue *q = mem_alloc(sizeof *q);
    pthread_mutex_init(&q->lock, NULL);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | (may_create ? SQLITE_OPEN_CREATE : 0);
    mode_t before = umask(077);
    int rc = sqlite3_open_v2(path, &q->db, flags, NULL);
    enum status st = ST_OK;
    if (rc != SQLITE_OK) {
        st = err_set_operator(err, rc == SQLITE_CANTOPEN && !may_create ? ST_NOTFOUND : ST_IO,
                              "the queue is not available, try again later", "queue: %s: %s", path,
                              q->db ? sqlite3_errmsg(q->db) : sqlite3_errstr(rc));
    } else {
        sqlite3_busy_timeout(q->db, BUSY_MS);
        st = sql_run(q, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
                        "PRAGMA cache_size=-1024", err);
        if (st == ST_OK)
            st = migrate(q, err);
    }
    umask(before);
    if (st != ST_OK) {
        queue_free(&q);
        return st;
    }
    *out = q;
    return ST_OK;
}

void queue_free(struct queue **q)
{
    if (!*q)
        return;
    sqlite3_close((*q)->db);
    pthread_mutex_destroy(&(*q)->lock);
    free(*q);
    *q = NULL;
}

/* ---- adding ------------------------------------------------------------------------------------------------- */

struct adding {
    const struct queue_envelope *envelope;
    struct span message;
    uint64_t id;
};

static enum status add_recipient(struct queue *q, sqlite3_int64 message, struct span address, int64_t now,
                                 struct err *err)
{
    sqlite3_stmt *st;
    TRY(prepare(q, "INSERT INTO recipient(message, address, state, attempts, next_attempt_at, last_reply)"
                   " VALUES(?, ?, 0, 0, ?, '')", &st, err));
    sqlite3_bind_int64(st, 1, message);
    bind_text(st, 2, address);
    sqlite3_bind_int64(st, 3, now);
    return finish(q, st, "add recipient", err);
}

static enum status add_body(struct queue *q, void *ctx, struct err *err)
{
    struct adding *add = ctx;
    const struct queue_envelope *e = add->envelope;
    int64_t now = clock_wall_ms() / 1000;
    sqlite3_stmt *st;
    TRY(prepare(q, "INSERT INTO message(sender, trace, queued_at, size, smtputf8, eightbit, body)"
                   " VALUES(?, ?, ?, ?, ?, ?, ?)", &st, err));
    bind_text(st, 1, e->sender);
    bind_text(st, 2, e->trace);
    sqlite3_bind_int64(st, 3, now);
    sqlite3_bind_int64(st, 4, (sqlite3_int64)add->message.len);
    sqlite3_bind_int(st, 5, e->is_smtputf8);
    sqlite3_bind_int(st, 6, e->is_8bit);
    sqlite3_bind_blob64(st, 7, add->message.p ? add->message.p : "", add->message.len, SQLITE_STATIC);
    TRY(finish(q, st, "add message", err));
    sqlite3_int64 id = sqlite3_last_insert_rowid(q->db);
    for (size_t i = 0; i < e->recipient_count; i++)
        TRY(add_recipient(q, id, e->recipients[i], now, err));
    add->id = (uint64_t)id;
    return ST_OK;
}

enum status queue_add(struct queue *q, const struct queue_envelope *e, struct span message, uint64_t *id,
                      struct err *err)
{
    struct adding add = {.envelope = e, .message = message};
    TRY(in_transaction(q, add_body, &add, err));
    *id = add.id;
    return ST_OK;
}

/* ---- looking -------------------------------------------------------------------------------------------------- */

static struct queue_message read_message(sqlite3_stmt *st, struct arena *a)
{
    return (struct queue_message){.id = (uint64_t)sqlite3_column_int64(st, 0),
                                  .sender = column_text(st, 1, a),
                                  .trace = column_text(st, 2, a),
                                  .queued_at = sqlite3_column_int64(st, 3),
                                  .size = (uint64_t)sqlite3_column_int64(st, 4),
                                  .is_smtputf8 = sqlite3_column_int(st, 5) != 0,
                                  .is_8bit = sqlite3_column_int(st, 6) != 0};
}

/* Fills m's recipients: those due at `due`, or all where due is negative. */
static enum status read_recipients(struct queue *q, struct arena *a, int64_t due, struct queue_message *m,
                                   struct err *err)
{
    sqlite3_stmt *st;
    TRY(prepare(q, "SELECT id, address, state, attempts, next_attempt_at, last_reply FROM recipient WHERE message = ?1"
                   " AND (?2 < 0 OR (state = 0 AND next_attempt_at <= ?2)) ORDER BY id", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
    sqlite3_bind_int64(st, 2, due);
    size_t cap = 0;
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (m->recipient_count == cap) {
            struct queue_recipient *old = m->recipients;
            cap = cap ? cap * 2 : 4;
            m->recipients = arena_array(a, cap, sizeof *m->recipients);
            for (size_t i = 0; i < m->recipient_count; i++)
                m->recipients[i] = old[i];
        }
        m->recipients[m->recipient_count++] =
            (struct queue_recipient){.id = (uint64_t)sqlite3_column_int64(st, 0),
                                     .address = column_text(st, 1, a),
                                     .state = (enum queue_state)sqlite3_column_int(st, 2),
                                     .attempts = (uint32_t)sqlite3_column_int64(st, 3),
                                     .next_attempt_at = sqlite3_column_int64(st, 4),
                                     .last_reply = column_text(st, 5, a)};
    }
    enum status result = rc == SQLITE_DONE ? ST_OK : sql_error(q, "read recipients", err);
    sqlite3_finalize(st);
    return result;
}

static enum status read_list(struct queue *q, sqlite3_stmt *st, struct arena *a, int64_t due,
                             struct queue_message **list, size_t *count, struct err *err)
{
    size_t cap = 0;
    int rc;
    enum status result = ST_OK;
    *list = NULL;
    *count = 0;
    while (result == ST_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (*count == cap) {
            struct queue_message *old = *list;
            cap = cap ? cap * 2 : 16;
            *list = arena_array(a, cap, sizeof **list);
            for (size_t i = 0; i < *count; i++)
                (*list)[i] = old[i];
        }
        (*list)[*count] = read_message(st, a);
        result = read_recipients(q, a, due, &(*list)[(*count)++], err);
    }
    if (result == ST_OK && rc != SQLITE_DONE)
        result = sql_error(q, "read messages", err);
    sqlite3_finalize(st);
    return result;
}

#define MESSAGE_COLUMNS "m.id, m.sender, m.trace, m.queued_at, m.size, m.smtputf8, m.eightbit"

static enum status due_locked(struct queue *q, struct arena *a, int64_t now, size_t limit,
                              struct queue_message **list, size_t *count, struct err *err)
{
    sqlite3_stmt *st;
    TRY(prepare(q, "SELECT " MESSAGE_COLUMNS " FROM message m WHERE m.id IN (SELECT message FROM recipient"
                   " WHERE state = 0 AND next_attempt_at <= ?1 ORDER BY next_attempt_at LIMIT ?2)"
                   " ORDER BY m.id", &st, err));
    sqlite3_bind_int64(st, 1, now);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)limit);
    return read_list(q, st, a, now, list, count, err);
}

enum status queue_due(struct queue *q, struct arena *a, int64_t now, size_t limit, struct queue_message **list,
                      size_t *count, struct err *err)
{
    pthread_mutex_lock(&q->lock);
    enum status st = due_locked(q, a, now, limit, list, count, err);
    pthread_mutex_unlock(&q->lock);
    return st;
}

enum status queue_next_due(struct queue *q, int64_t *at, struct err *err)
{
    pthread_mutex_lock(&q->lock);
    sqlite3_stmt *st;
    enum status result = prepare(q, "SELECT min(next_attempt_at) FROM recipient WHERE state = 0", &st, err);
    if (result == ST_OK) {
        int rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            result = sql_error(q, "next due", err);
        else
            *at = sqlite3_column_type(st, 0) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(st, 0);
        sqlite3_finalize(st);
    }
    pthread_mutex_unlock(&q->lock);
    return result;
}

static enum status body_locked(struct queue *q, uint64_t id, struct strbuf *out, struct err *err)
{
    sqlite3_stmt *st;
    TRY(prepare(q, "SELECT body FROM message WHERE id = ?", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
    int rc = sqlite3_step(st);
    enum status result = ST_OK;
    if (rc == SQLITE_ROW)
        strbuf_add_bytes(out, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
    else if (rc == SQLITE_DONE)
        result = err_set(err, ST_NOTFOUND, "no message %llu in the queue", (unsigned long long)id);
    else
        result = sql_error(q, "read body", err);
    sqlite3_finalize(st);
    return result;
}

enum status queue_body(struct queue *q, uint64_t id, struct strbuf *out, struct err *err)
{
    pthread_mutex_lock(&q->lock);
    enum status st = body_locked(q, id, out, err);
    pthread_mutex_unlock(&q->lock);
    return st;
}

static enum status list_locked(struct queue *q, struct arena *a, uint64_t id, struct queue_message **list,
                               size_t *count, struct err *err)
{
    sqlite3_stmt *st;
    TRY(prepare(q, "SELECT " MESSAGE_COLUMNS " FROM message m WHERE ?1 = 0 OR m.id = ?1 ORDER BY m.id", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
    return read_list(q, st, a, -1, list, count, err);
}

enum status queue_list(struct queue *q, struct arena *a, struct queue_message **list, size_t *count, struct err *err)
{
    pthread_mutex_lock(&q->lock);
    enum status st = list_locked(q, a, 0, list, count, err);
    pthread_mutex_unlock(&q->lock);
    return st;
}

enum status queue_get(struct queue *q, struct arena *a, uint64_t id, struct queue_message *out, struct err *err)
{
    struct queue_message *list = NULL;
    size_t count = 0;
    pthread_mutex_lock(&q->lock);
    enum status st = id ? list_locked(q, a, id, &list, &count, err) : ST_OK;
    pthread_mutex_unlock(&q->lock);
    TRY(st);
    if (count == 0)
        return err_set(err, ST_NOTFOUND, "no message %llu in the queue", (unsigned long long)id);
    *out = list[0];
    return ST_OK;
}

/* ---- changing --------------------------------------------------------------------------------------------------- */

struct settling {
    uint64_t recipient;
    enum queue_state state;
    int64_t next_attempt_at;
    struct span reply;
};

static enum status settle_body(struct queue *q, void *ctx, struct err *err)
{
    struct settling *s = ctx;
    sqlite3_stmt *st;
    TRY(prepare(q, "UPDATE recipient SET state = ?2, attempts = attempts + 1, next_attempt_at = ?3, last_reply = ?4"
                   " WHERE id = ?1", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)s->recipient);
    sqlite3_bind_int(st, 2, (int)s->state);
    sqlite3_bind_int64(st, 3, s->next_attempt_at);
    bind_text(st, 4, s->reply);
    TRY(finish(q, st, "settle", err));
    if (s->state == QUEUE_WAITING)
        return ST_OK;

    /* Invariant 3: with its last recipient the message goes. */
    TRY(prepare(q, "DELETE FROM message WHERE id = (SELECT message FROM recipient WHERE id = ?1) AND NOT EXISTS"
                   " (SELECT 1 FROM recipient r WHERE r.message = message.id AND r.state = 0)", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)s->recipient);
    TRY(finish(q, st, "remove message", err));
    if (sqlite3_changes(q->db) == 0)
        return ST_OK;
    TRY(prepare(q, "DELETE FROM recipient WHERE message = (SELECT message FROM recipient WHERE id = ?1)", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)s->recipient);
    return finish(q, st, "remove recipients", err);
}

enum status queue_settle(struct queue *q, uint64_t recipient_id, enum queue_state state, int64_t next_attempt_at,
                         struct span reply, struct err *err)
{
    struct settling s = {recipient_id, state, next_attempt_at, reply};
    return in_transaction(q, settle_body, &s, err);
}

static enum status retry_body(struct queue *q, void *ctx, struct err *err)
{
    uint64_t id = *(uint64_t *)ctx;
    sqlite3_stmt *st;
    TRY(prepare(q, "UPDATE recipient SET next_attempt_at = 0 WHERE state = 0 AND (?1 = 0 OR message = ?1)", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
    TRY(finish(q, st, "retry", err));
    if (id && sqlite3_changes(q->db) == 0)
        return err_set(err, ST_NOTFOUND, "no message %llu in the queue", (unsigned long long)id);
    return ST_OK;
}

enum status queue_retry_now(struct queue *q, uint64_t id, struct err *err)
{
    return in_transaction(q, retry_body, &id, err);
}

static enum status drop_body(struct queue *q, void *ctx, struct err *err)
{
    uint64_t id = *(uint64_t *)ctx;
    sqlite3_stmt *st;
    TRY(prepare(q, "DELETE FROM recipient WHERE message = ?", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
    TRY(finish(q, st, "drop recipients", err));
    TRY(prepare(q, "DELETE FROM message WHERE id = ?", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
    TRY(finish(q, st, "drop message", err));
    if (sqlite3_changes(q->db) == 0)
        return err_set(err, ST_NOTFOUND, "no message %llu in the queue", (unsigned long long)id);
    return ST_OK;
}

enum status queue_drop(struct queue *q, uint64_t id, struct err *err)
{
    return in_transaction(q, drop_body, &id, err);
}
