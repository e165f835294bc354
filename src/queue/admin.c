/* admin.c - looking at the queue and pushing it, for the command line (see queue.h). */
#include "base/clock.h"
#include "queue/internal.h"
#include "base/banned.h"

enum { AT_ONCE = 200 }; /* messages of one transaction: the relay works beside us */

static enum status read_after(struct queue_db *d, uint64_t after, struct arena *a, struct queue_message *m, bool *found,
                              const struct queue_filter *f, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d,
                  "SELECT " QUEUE_MESSAGE_COLUMNS " FROM message m WHERE m.id > ?1 AND (?2 = 0 OR m.id = ?2)"
                  " AND (?3 = '' OR m.sender = CASE ?3 WHEN '<>' THEN '' ELSE ?3 END COLLATE NOCASE)"
                  " AND (?4 = 0 OR m.queued_at < ?4) AND (?5 = '' OR EXISTS (SELECT 1 FROM recipient r"
                  " WHERE r.id BETWEEN m.id << 16 AND (m.id << 16) + 65535 AND r.address LIKE '%@' || ?5))"
                  " ORDER BY m.id LIMIT 1",
                  &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)f->id);
    queue_bind_text(st, 3, f->sender);
    sqlite3_bind_int64(st, 4, f->queued_before);
    queue_bind_text(st, 5, f->domain);
    int rc = sqlite3_step(st);
    *found = rc == SQLITE_ROW;
    if (*found)
        queue_read_message(st, 0, a, m);
    enum status result = rc == SQLITE_ROW || rc == SQLITE_DONE ? ST_OK : queue_sql_error(d, "list", err);
    sqlite3_reset(st);
    return result;
}

/* One message at a time, so that a listing of any length needs the memory of one and stands in nobody's way. */
enum status queue_each(struct queue *q, const struct queue_filter *f,
                       bool (*each)(void *ctx, const struct queue_message *m), void *ctx, struct err *err)
{
    uint64_t after = 0;
    for (bool goes_on = true; goes_on;) {
        AUTO_ARENA a = ARENA_INIT;
        struct queue_message m;
        bool found;
        pthread_mutex_lock(&q->read_lock);
        enum status st = read_after(&q->reader, after, &a, &m, &found, f, err);
        if (st == ST_OK && found)
            st = queue_read_recipients(&q->reader, &a, -1, &m, err);
        pthread_mutex_unlock(&q->read_lock);
        TRY(st);
        if (!found)
            return ST_OK;
        after = m.id;
        goes_on = each(ctx, &m);
    }
    return ST_OK;
}

enum status queue_get(struct queue *q, struct arena *a, uint64_t id, struct queue_message *out, struct err *err)
{
    struct queue_filter f = {.id = id};
    bool found = false;
    pthread_mutex_lock(&q->read_lock);
    enum status st = id ? read_after(&q->reader, 0, a, out, &found, &f, err) : ST_OK;
    if (found)
        st = queue_read_recipients(&q->reader, a, -1, out, err);
    pthread_mutex_unlock(&q->read_lock);
    TRY(st);
    return found ? ST_OK : err_set(err, ST_NOTFOUND, "no message %llu in the queue", (unsigned long long)id);
}

/* ---- pushing -------------------------------------------------------------------------------------------------------
 */

struct acting {
    const struct queue_filter *filter;
    enum queue_action action;
    int64_t now;
    uint64_t from, after; /* messages up to these are done: before this transaction, and in it */
    size_t count, in_this;
};

/* Due now, and known to be pushed (db.c, 5). */
static enum status set_recipients(struct queue *q, uint64_t message, enum queue_state from, enum queue_state to,
                                  struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(
        &q->writer,
        "UPDATE recipient SET state = ?3, next_attempt_at = min(next_attempt_at, 0) - 1 WHERE id BETWEEN ?1 << 16"
        " AND (?1 << 16) + 65535 AND state = ?2",
        &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)message);
    sqlite3_bind_int(st, 2, (int)from);
    sqlite3_bind_int(st, 3, (int)to);
    return queue_sql_done(&q->writer, st, "act", err);
}

static enum status drop(struct queue *q, uint64_t message, struct err *err)
{
    TRY(set_recipients(q, message, QUEUE_WAITING, QUEUE_FAILED, err));
    TRY(set_recipients(q, message, QUEUE_HELD, QUEUE_FAILED, err));
    return queue_remove_done(q, message, err);
}

/* Its time begins now, and what is reckoned from then comes as much earlier; DELIVERBY's time stays. */
static enum status hold_no_longer(struct queue *q, uint64_t message, int64_t now, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(
        &q->writer,
        "UPDATE message SET hold_until = ?2, deadline_at = CASE WHEN by_mode <> 0 AND deliver_by = deadline_at"
        " THEN deadline_at ELSE deadline_at - (hold_until - ?2) END WHERE id = ?1",
        &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)message);
    sqlite3_bind_int64(st, 2, now);
    return queue_sql_done(&q->writer, st, "release", err);
}

static enum status act_on(struct queue *q, const struct acting *w, const struct queue_message *m, struct err *err)
{
    switch (w->action) {
    case QUEUE_DROP:
        return drop(q, m->id, err);
    case QUEUE_HOLD:
        return set_recipients(q, m->id, QUEUE_WAITING, QUEUE_HELD, err);
    case QUEUE_RELEASE:
        TRY(set_recipients(q, m->id, QUEUE_HELD, QUEUE_WAITING, err));
        if (m->wishes.hold_until > w->now) {
            TRY(set_recipients(q, m->id, QUEUE_WAITING, QUEUE_WAITING, err));
            TRY(hold_no_longer(q, m->id, w->now, err));
        }
        break;
    case QUEUE_RETRY:
        if (m->wishes.hold_until > w->now) /* its sender wants it so */
            return ST_OK;
        TRY(set_recipients(q, m->id, QUEUE_WAITING, QUEUE_WAITING, err));
        break;
    }
    for (size_t i = 0; i < m->recipient_count; i++)
        if (m->recipients[i].state == QUEUE_WAITING || m->recipients[i].state == QUEUE_HELD)
            TRY(queue_destination_due(q, m->recipients[i].destination, 0, true, err));
    return ST_OK;
}

static enum status act(struct queue *q, void *ctx, struct err *err)
{
    struct acting *w = ctx;
    w->after = w->from; /* a transaction may be rolled back and run again */
    for (w->in_this = 0; w->in_this < AT_ONCE; w->in_this++) {
        AUTO_ARENA a = ARENA_INIT;
        struct queue_message m;
        bool found = false;
        enum status st = read_after(&q->writer, w->after, &a, &m, &found, w->filter, err);
        if (st == ST_OK && found)
            st = queue_read_recipients(&q->writer, &a, -1, &m, err);
        if (st == ST_OK && found)
            st = act_on(q, w, &m, err);
        TRY(st);
        if (!found)
            return ST_OK;
        w->after = m.id;
    }
    return ST_OK;
}

enum status queue_act(struct queue *q, const struct queue_filter *f, enum queue_action action, size_t *count,
                      struct err *err)
{
    struct acting w = {.filter = f, .action = action, .now = clock_wall_ms() / 1000};
    do {
        TRY(queue_change(q, act, &w, true, err));
        w.from = w.after;
        w.count += w.in_this;
    } while (w.in_this == AT_ONCE);
    *count = w.count;
    if (f->id && w.count == 0)
        return err_set(err, ST_NOTFOUND, "no message %llu in the queue", (unsigned long long)f->id);
    return ST_OK;
}
