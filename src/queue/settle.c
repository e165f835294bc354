/* settle.c - what attempts led to (see queue.h). */
#include "queue/internal.h"
#include "base/banned.h"

struct settling {
    const struct queue_outcome *outcomes;
    size_t count;
    const struct queue_report *reports;
    size_t report_count;
    int64_t deadline_at;
};

static enum status settle_one(struct queue *q, const struct queue_outcome *o, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer,
                  "UPDATE recipient SET state = CASE WHEN state = 3 AND ?2 = 0 THEN 3 ELSE ?2 END,"
                  " attempts = attempts + ?3, delay_told = max(delay_told, ?4), next_attempt_at = CASE"
                  " WHEN ?2 = 0 AND next_attempt_at < 0 AND next_attempt_at <> ?8 THEN next_attempt_at ELSE ?5 END,"
                  " last_reply = CASE WHEN ?6 = '' THEN last_reply ELSE ?6 END,"
                  " destination = CASE WHEN ?7 = '' THEN destination ELSE ?7 END WHERE id = ?1",
                  &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)o->recipient_id);
    sqlite3_bind_int(st, 2, (int)o->state);
    sqlite3_bind_int(st, 3, o->is_attempt);
    sqlite3_bind_int(st, 4, o->is_delay_told);
    sqlite3_bind_int64(st, 5, o->next_attempt_at);
    queue_bind_text(st, 6, o->reply);
    queue_bind_text(st, 7, o->destination);
    sqlite3_bind_int64(st, 8, o->began_at);
    TRY(queue_sql_done(&q->writer, st, "settle", err));
    return o->destination.len ? queue_destination_due(q, o->destination, o->next_attempt_at, false, err) : ST_OK;
}

static enum status set_deadline(struct queue *q, uint64_t message, int64_t at, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer, "UPDATE message SET deadline_at = ?2 WHERE id = ?1", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)message);
    sqlite3_bind_int64(st, 2, at);
    return queue_sql_done(&q->writer, st, "deadline", err);
}

static enum status settle(struct queue *q, void *ctx, struct err *err)
{
    const struct settling *s = ctx;
    for (size_t i = 0; i < s->count; i++)
        TRY(settle_one(q, &s->outcomes[i], err));
    for (size_t i = 0; i < s->report_count; i++) {
        uint64_t id;
        TRY(queue_insert(q, &s->reports[i].envelope, s->reports[i].message, &id, err));
    }
    for (size_t i = 0; i < s->count; i++) {
        uint64_t message = queue_message_of(s->outcomes[i].recipient_id);
        if (i + 1 < s->count && queue_message_of(s->outcomes[i + 1].recipient_id) == message)
            continue;
        if (s->deadline_at)
            TRY(set_deadline(q, message, s->deadline_at, err));
        TRY(queue_remove_done(q, message, err));
    }
    return ST_OK;
}

enum status queue_settle(struct queue *q, const struct queue_outcome *outcomes, size_t count,
                         const struct queue_report *reports, size_t report_count, int64_t deadline_at, struct err *err)
{
    struct settling s = {outcomes, count, reports, report_count, deadline_at};
    return queue_change(q, settle, &s, report_count > 0,
                        err); /* db.c, 2: deliveries alone need no flush of their own */
}

struct postponing {
    uint64_t message;
    int64_t deadline_at;
};

static enum status postpone(struct queue *q, void *ctx, struct err *err)
{
    const struct postponing *p = ctx;
    return set_deadline(q, p->message, p->deadline_at, err);
}

enum status queue_postpone(struct queue *q, uint64_t id, int64_t deadline_at, struct err *err)
{
    struct postponing p = {id, deadline_at};
    return queue_change(q, postpone, &p, false, err);
}

/* ---- destinations
 * ---------------------------------------------------------------------------------------------------- */

struct resting {
    struct span name;
    int64_t blocked_until;
    uint32_t failures;
    int64_t pushes;
};

/* Of each lane in which anything waits the first entry of the index. */
static enum status first_due(struct queue *q, struct span name, int64_t *at, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer,
                  "WITH RECURSIVE used(lane) AS (SELECT min(lane) FROM recipient WHERE state = 0 AND destination = ?1"
                  " UNION ALL SELECT (SELECT min(lane) FROM recipient WHERE state = 0 AND destination = ?1"
                  " AND lane > used.lane) FROM used WHERE used.lane IS NOT NULL)"
                  " SELECT min((SELECT min(next_attempt_at) FROM recipient WHERE state = 0 AND destination = ?1"
                  " AND lane = used.lane)) FROM used WHERE used.lane IS NOT NULL",
                  &st, err));
    queue_bind_text(st, 1, name);
    if (sqlite3_step(st) != SQLITE_ROW)
        return queue_sql_error(&q->writer, "first due", err);
    *at = sqlite3_column_type(st, 0) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return ST_OK;
}

/* Since the attempt began whose failure is told (db.c, 5). */
#define PUSHED "blocked_until < 0 AND blocked_until <> ?5"

static enum status rest(struct queue *q, void *ctx, struct err *err)
{
    const struct resting *r = ctx;
    sqlite3_stmt *st;
    int64_t at = INT64_MAX;
    TRY(first_due(q, r->name, &at, err));
    if (at == INT64_MAX) {
        TRY(queue_sql(&q->writer, "DELETE FROM destination WHERE name = ?", &st, err));
    } else {
        TRY(queue_sql(&q->writer,
                      "INSERT INTO destination VALUES(?1, max(?2, ?3), ?3, ?4) ON CONFLICT(name) DO UPDATE"
                      " SET next_at = CASE WHEN " PUSHED " THEN ?2 ELSE max(?2, ?3) END,"
                      " blocked_until = CASE WHEN " PUSHED " THEN blocked_until ELSE ?3 END, failures = ?4",
                      &st, err));
        sqlite3_bind_int64(st, 2, at);
        sqlite3_bind_int64(st, 3, r->blocked_until);
        sqlite3_bind_int64(st, 4, r->failures);
        sqlite3_bind_int64(st, 5, r->pushes);
    }
    queue_bind_text(st, 1, r->name);
    return queue_sql_done(&q->writer, st, "rest", err);
}

enum status queue_rest(struct queue *q, struct span destination, int64_t blocked_until, uint32_t failures,
                       int64_t pushes, struct err *err)
{
    struct resting r = {destination, blocked_until, failures, pushes};
    return queue_change(q, rest, &r, false, err);
}

/* ---- the file gets smaller
 * -------------------------------------------------------------------------------------------- */

enum status queue_shrink(struct queue *q, unsigned pages, struct err *err)
{
    char *sql = sqlite3_mprintf("PRAGMA incremental_vacuum(%u)", pages);
    pthread_mutex_lock(&q->write_lock);
    enum status st = queue_sql_run(&q->writer, sql, err);
    pthread_mutex_unlock(&q->write_lock);
    sqlite3_free(sql);
    return st;
}
