/* add.c - a message comes into the queue, and goes from it (see queue.h). */
#include "base/clock.h"
#include "queue/internal.h"
#include "base/banned.h"

/* RFC 6710 §5: each priority is a level of its own; lane 0 is the most urgent. */
static int lane_of(int priority)
{
    return QUEUE_PRIORITY_MOST - priority;
}

enum status queue_destination_due(struct queue *q, struct span name, int64_t at, bool is_now, struct err *err)
{
    sqlite3_stmt *st;
    if (is_now)
        TRY(queue_sql(&q->writer,
                      "INSERT INTO destination VALUES(?1, ?2, -1, 0) ON CONFLICT(name) DO UPDATE"
                      " SET next_at = ?2, blocked_until = min(blocked_until, 0) - 1",
                      &st, err));
    else
        TRY(queue_sql(&q->writer,
                      "INSERT INTO destination VALUES(?1, ?2, 0, 0) ON CONFLICT(name) DO UPDATE"
                      " SET next_at = max(?2, blocked_until) WHERE next_at > max(?2, blocked_until)",
                      &st, err));
    queue_bind_text(st, 1, name);
    sqlite3_bind_int64(st, 2, at);
    return queue_sql_done(&q->writer, st, "destination", err);
}

static enum status insert_message(struct queue *q, const struct queue_envelope *e, struct span message, int64_t now,
                                  struct err *err)
{
    sqlite3_stmt *st;
    const struct queue_wishes *w = &e->wishes;
    TRY(queue_sql(&q->writer,
                  "INSERT INTO message(sender, trace, queued_at, deadline_at, size, body_type, ret, by_mode,"
                  " smtputf8, tls_required, by_traced, priority, hold_until, deliver_by, envid, body, hold_request)"
                  " VALUES(?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  &st, err));
    queue_bind_text(st, 1, e->sender);
    queue_bind_text(st, 2, e->trace);
    sqlite3_bind_int64(st, 3, now);
    sqlite3_bind_int64(st, 4, e->first_deadline_at);
    sqlite3_bind_int64(st, 5, (sqlite3_int64)message.len);
    sqlite3_bind_int(st, 6, (int)w->body);
    sqlite3_bind_int(st, 7, (int)w->ret);
    sqlite3_bind_int(st, 8, (int)w->by);
    sqlite3_bind_int(st, 9, w->is_smtputf8);
    sqlite3_bind_int(st, 10, w->is_tls_required);
    sqlite3_bind_int(st, 11, w->is_by_traced);
    sqlite3_bind_int(st, 12, w->priority);
    sqlite3_bind_int64(st, 13, w->hold_until);
    sqlite3_bind_int64(st, 14, w->deliver_by);
    queue_bind_text(st, 15, w->envid);
    sqlite3_bind_blob64(st, 16, message.p ? message.p : "", message.len, SQLITE_STATIC);
    queue_bind_text(st, 17, w->hold_request);
    return queue_sql_done(&q->writer, st, "add message", err);
}

static enum status insert_recipient(struct queue *q, uint64_t id, const struct queue_to *to, int lane, int64_t due,
                                    struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer, "INSERT INTO recipient VALUES(?, ?, ?, ?, ?, ?, 0, 0, 0, ?, '')", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
    queue_bind_text(st, 2, to->address);
    queue_bind_text(st, 3, to->destination);
    queue_bind_text(st, 4, to->orcpt);
    sqlite3_bind_int(st, 5, (int)to->notify);
    sqlite3_bind_int(st, 6, lane);
    sqlite3_bind_int64(st, 7, due);
    return queue_sql_done(&q->writer, st, "add recipient", err);
}

enum status queue_insert(struct queue *q, const struct queue_envelope *e, struct span message, uint64_t *id,
                         struct err *err)
{
    int64_t now = clock_wall_ms() / 1000;
    int64_t due = e->wishes.hold_until > now ? e->wishes.hold_until : now;
    if (e->to_count > QUEUE_RECIPIENTS_MAX)
        return err_set(err, ST_LIMIT, "too many recipients");
    TRY(insert_message(q, e, message, now, err));
    *id = (uint64_t)sqlite3_last_insert_rowid(q->writer.db);
    struct span last = SPAN_NONE;
    for (size_t i = 0; i < e->to_count; i++) {
        TRY(insert_recipient(q, *id << 16 | i, &e->to[i], lane_of(e->wishes.priority), due, err));
        if (i == 0 || !span_eq(last, e->to[i].destination))
            TRY(queue_destination_due(q, e->to[i].destination, due, false, err));
        last = e->to[i].destination;
    }
    return ST_OK;
}

struct adding {
    const struct queue_envelope *envelope;
    struct span message;
    uint64_t id;
};

static enum status add(struct queue *q, void *ctx, struct err *err)
{
    struct adding *a = ctx;
    return queue_insert(q, a->envelope, a->message, &a->id, err);
}

enum status queue_add(struct queue *q, const struct queue_envelope *e, struct span message, uint64_t *id,
                      struct err *err)
{
    struct adding a = {.envelope = e, .message = message};
    TRY(queue_change(q, add, &a, true, err));
    *id = a.id;
    return ST_OK;
}

static enum status is_any_open(struct queue *q, uint64_t message, bool *out, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer,
                  "SELECT 1 FROM recipient WHERE id BETWEEN ?1 << 16 AND (?1 << 16) + 65535"
                  " AND state IN (0, 3) LIMIT 1",
                  &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)message);
    int rc = sqlite3_step(st);
    *out = rc == SQLITE_ROW;
    enum status result = rc == SQLITE_ROW || rc == SQLITE_DONE ? ST_OK : queue_sql_error(&q->writer, "open", err);
    sqlite3_reset(st);
    return result;
}

enum status queue_remove_done(struct queue *q, uint64_t message, struct err *err)
{
    sqlite3_stmt *st;
    bool is_open;
    TRY(is_any_open(q, message, &is_open, err));
    if (is_open)
        return ST_OK;
    TRY(queue_sql(&q->writer, "DELETE FROM recipient WHERE id BETWEEN ?1 << 16 AND (?1 << 16) + 65535", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)message);
    TRY(queue_sql_done(&q->writer, st, "remove recipients", err));
    TRY(queue_sql(&q->writer, "DELETE FROM message WHERE id = ?1", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)message);
    return queue_sql_done(&q->writer, st, "remove message", err);
}
