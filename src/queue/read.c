/* read.c - rows of the queue become structs; what is due, what expires, bodies (see queue.h). All on the reader. */
#include "base/mem.h"
#include "queue/internal.h"
#include "base/banned.h"

void queue_read_message(sqlite3_stmt *st, int at, struct arena *a, struct queue_message *m)
{
    *m = (struct queue_message){
        .id = (uint64_t)sqlite3_column_int64(st, at),
        .sender = queue_column_text(st, at + 1, a),
        .trace = queue_column_text(st, at + 2, a),
        .queued_at = sqlite3_column_int64(st, at + 3),
        .deadline_at = sqlite3_column_int64(st, at + 4),
        .size = (uint64_t)sqlite3_column_int64(st, at + 5),
        .wishes = {.body = (enum queue_body)sqlite3_column_int(st, at + 6),
                   .ret = (enum queue_ret)sqlite3_column_int(st, at + 7),
                   .by = (enum queue_by)sqlite3_column_int(st, at + 8),
                   .is_smtputf8 = sqlite3_column_int(st, at + 9) != 0,
                   .is_tls_required = sqlite3_column_int(st, at + 10) != 0,
                   .is_by_traced = sqlite3_column_int(st, at + 11) != 0,
                   .priority = sqlite3_column_int(st, at + 12),
                   .hold_until = sqlite3_column_int64(st, at + 13),
                   .deliver_by = sqlite3_column_int64(st, at + 14),
                   .envid = queue_column_text(st, at + 15, a),
                   .hold_request = queue_column_text(st, at + 16, a)},
    };
}

void queue_read_recipient(sqlite3_stmt *st, int at, struct arena *a, struct queue_recipient *r)
{
    *r = (struct queue_recipient){.id = (uint64_t)sqlite3_column_int64(st, at),
                                  .address = queue_column_text(st, at + 1, a),
                                  .destination = queue_column_text(st, at + 2, a),
                                  .orcpt = queue_column_text(st, at + 3, a),
                                  .notify = (unsigned)sqlite3_column_int(st, at + 4),
                                  .state = (enum queue_state)sqlite3_column_int(st, at + 5),
                                  .is_delay_told = sqlite3_column_int(st, at + 6) != 0,
                                  .attempts = (uint32_t)sqlite3_column_int64(st, at + 7),
                                  .next_attempt_at = sqlite3_column_int64(st, at + 8),
                                  .last_reply = queue_column_text(st, at + 9, a)};
}

/* Room for one more recipient of m. */
static struct queue_recipient *one_more(struct arena *a, struct queue_message *m, size_t *cap)
{
    if (m->recipient_count == *cap) {
        struct queue_recipient *old = m->recipients;
        *cap = *cap ? *cap * 2 : 2;
        m->recipients = arena_array(a, *cap, sizeof *m->recipients);
        for (size_t i = 0; i < m->recipient_count; i++)
            m->recipients[i] = old[i];
    }
    return &m->recipients[m->recipient_count++];
}

enum status queue_read_recipients(struct queue_db *d, struct arena *a, int state, struct queue_message *m,
                                  struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d,
                  "SELECT " QUEUE_RECIPIENT_COLUMNS " FROM recipient r WHERE r.id BETWEEN ?1 << 16"
                  " AND (?1 << 16) + 65535 AND (?2 < 0 OR r.state = ?2) ORDER BY r.id",
                  &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)m->id);
    sqlite3_bind_int(st, 2, state);
    size_t cap = 0;
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        queue_read_recipient(st, 0, a, one_more(a, m, &cap));
    enum status result = rc == SQLITE_DONE ? ST_OK : queue_sql_error(d, "read recipients", err);
    sqlite3_reset(st);
    return result;
}

/* ---- what is due ---------------------------------------------------------------------------------------------------
 */

static enum status destinations(struct queue_db *d, struct arena *a, int64_t now, size_t limit,
                                struct queue_destination **list, size_t *count, int64_t *next_at, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d, "SELECT name, next_at, failures, min(blocked_until, 0) FROM destination ORDER BY next_at LIMIT ?",
                  &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)limit + 1);
    *list = arena_array(a, limit + 1, sizeof **list);
    *count = 0;
    *next_at = INT64_MAX;
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t at = sqlite3_column_int64(st, 1);
        if (at > now || *count == limit) {
            *next_at = at;
            rc = SQLITE_DONE;
            break;
        }
        (*list)[(*count)++] = (struct queue_destination){
            queue_column_text(st, 0, a), at, (uint32_t)sqlite3_column_int64(st, 2), sqlite3_column_int64(st, 3)};
    }
    enum status result = rc == SQLITE_DONE ? ST_OK : queue_sql_error(d, "destinations", err);
    sqlite3_reset(st);
    return result;
}

enum status queue_destinations(struct queue *q, struct arena *a, int64_t now, size_t limit,
                               struct queue_destination **list, size_t *count, int64_t *next_at, struct err *err)
{
    pthread_mutex_lock(&q->read_lock);
    enum status st = destinations(&q->reader, a, now, limit, list, count, next_at, err);
    pthread_mutex_unlock(&q->read_lock);
    return st;
}

enum { LANES = QUEUE_PRIORITY_MOST - QUEUE_PRIORITY_LEAST + 1 };

struct due {
    struct arena *a;
    struct span destination;
    int64_t now;
    size_t limit, taken;
    bool (*skip)(void *ctx, uint64_t recipient_id);
    void *ctx;
    struct queue_message *list;
    size_t *caps;
    size_t count;
};

/* The message of the row, known from rows before or new. Rows of one message mostly follow each other. */
static struct queue_message *message_of(struct due *w, sqlite3_stmt *st, int at, size_t **cap)
{
    uint64_t id = (uint64_t)sqlite3_column_int64(st, at);
    size_t i = w->count;
    while (i > 0 && w->list[i - 1].id != id)
        i--;
    if (i == 0) {
        queue_read_message(st, at, w->a, &w->list[w->count]);
        i = ++w->count;
    }
    *cap = &w->caps[i - 1];
    return &w->list[i - 1];
}

static enum status read_due(struct queue_db *d, struct due *w, sqlite3_int64 recipient, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d,
                  "SELECT " QUEUE_RECIPIENT_COLUMNS ", " QUEUE_MESSAGE_COLUMNS " FROM recipient r"
                  " CROSS JOIN message m ON m.id = r.id >> 16 WHERE r.id = ?1",
                  &st, err));
    sqlite3_bind_int64(st, 1, recipient);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        size_t *cap;
        struct queue_message *m = message_of(w, st, 10, &cap);
        queue_read_recipient(st, 0, w->a, one_more(w->a, m, cap));
        w->taken++;
    }
    enum status result = rc == SQLITE_ROW || rc == SQLITE_DONE ? ST_OK : queue_sql_error(d, "due", err);
    sqlite3_reset(st);
    return result;
}

/* The index alone says which are due: of those that are being worked on nothing else is read. */
static enum status due_in_lane(struct queue_db *d, struct due *w, int lane, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d,
                  "SELECT id FROM recipient WHERE state = 0 AND destination = ?1 AND lane = ?2"
                  " AND next_attempt_at <= ?3 ORDER BY next_attempt_at",
                  &st, err));
    queue_bind_text(st, 1, w->destination);
    sqlite3_bind_int(st, 2, lane);
    sqlite3_bind_int64(st, 3, w->now);
    int rc = SQLITE_DONE;
    enum status result = ST_OK;
    while (result == ST_OK && w->taken < w->limit && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        sqlite3_int64 id = sqlite3_column_int64(st, 0);
        if (!w->skip || !w->skip(w->ctx, (uint64_t)id))
            result = read_due(d, w, id, err);
    }
    if (result == ST_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        result = queue_sql_error(d, "due", err);
    sqlite3_reset(st);
    return result;
}

/* The next lane behind one in which anything waits; LANES: there is none. One step in the index. */
static enum status next_lane(struct queue_db *d, const struct due *w, int behind, int *lane, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d, "SELECT min(lane) FROM recipient WHERE state = 0 AND destination = ?1 AND lane > ?2", &st, err));
    queue_bind_text(st, 1, w->destination);
    sqlite3_bind_int(st, 2, behind);
    if (sqlite3_step(st) != SQLITE_ROW)
        return queue_sql_error(d, "next lane", err);
    *lane = sqlite3_column_type(st, 0) == SQLITE_NULL ? LANES : sqlite3_column_int(st, 0);
    sqlite3_reset(st);
    return ST_OK;
}

/* Lane by lane: what is not due yet is not looked at, however much there is of it. */
static enum status due(struct queue_db *d, struct due *w, int least_priority, struct err *err)
{
    for (int lane = -1; w->taken < w->limit;) {
        TRY(next_lane(d, w, lane, &lane, err));
        if (lane > QUEUE_PRIORITY_MOST - least_priority)
            break;
        TRY(due_in_lane(d, w, lane, err));
    }
    return ST_OK;
}

enum status queue_due(struct queue *q, struct arena *a, struct span destination, int64_t now, size_t limit,
                      int least_priority, bool (*skip)(void *ctx, uint64_t recipient_id), void *ctx,
                      struct queue_message **list, size_t *count, struct err *err)
{
    struct due w = {.a = a, .destination = destination, .now = now, .limit = limit, .skip = skip, .ctx = ctx};
    w.list = arena_array(a, limit ? limit : 1, sizeof *w.list);
    w.caps = arena_array(a, limit ? limit : 1, sizeof *w.caps);
    pthread_mutex_lock(&q->read_lock);
    enum status st = due(&q->reader, &w, least_priority, err);
    pthread_mutex_unlock(&q->read_lock);
    *list = w.list;
    *count = w.count;
    return st;
}

static enum status expiring(struct queue_db *d, struct arena *a, int64_t now, size_t limit, struct queue_message **list,
                            size_t *count, int64_t *next_at, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d,
                  "SELECT " QUEUE_MESSAGE_COLUMNS " FROM message m WHERE m.deadline_at IS NOT NULL"
                  " ORDER BY m.deadline_at LIMIT ?",
                  &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)limit + 1);
    *list = arena_array(a, limit + 1, sizeof **list);
    *count = 0;
    *next_at = INT64_MAX;
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t at = sqlite3_column_int64(st, 4);
        if (at > now || *count == limit) {
            *next_at = at;
            rc = SQLITE_DONE;
            break;
        }
        queue_read_message(st, 0, a, &(*list)[(*count)++]);
    }
    enum status result = rc == SQLITE_DONE ? ST_OK : queue_sql_error(d, "expiring", err);
    sqlite3_reset(st);
    for (size_t i = 0; result == ST_OK && i < *count; i++)
        result = queue_read_recipients(d, a, QUEUE_WAITING, &(*list)[i], err);
    return result;
}

enum status queue_expiring(struct queue *q, struct arena *a, int64_t now, size_t limit, struct queue_message **list,
                           size_t *count, int64_t *next_at, struct err *err)
{
    pthread_mutex_lock(&q->read_lock);
    enum status st = expiring(&q->reader, a, now, limit, list, count, next_at, err);
    pthread_mutex_unlock(&q->read_lock);
    return st;
}

/* ---- bodies ---------------------------------------------------------------------------------------------------------
 */

static enum status read_body(struct queue_db *d, uint64_t id, struct strbuf *out, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(d, "SELECT body FROM message WHERE id = ?", &st, err));
    sqlite3_bind_int64(st, 1, (sqlite3_int64)id);
    int rc = sqlite3_step(st);
    enum status result = ST_OK;
    if (rc == SQLITE_ROW)
        strbuf_add_bytes(out, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
    else if (rc == SQLITE_DONE)
        result = err_set(err, ST_NOTFOUND, "no message %llu in the queue", (unsigned long long)id);
    else
        result = queue_sql_error(d, "read body", err);
    sqlite3_reset(st);
    return result;
}

enum status queue_body(struct queue *q, uint64_t id, struct strbuf *out, struct err *err)
{
    pthread_mutex_lock(&q->read_lock);
    enum status st = read_body(&q->reader, id, out, err);
    pthread_mutex_unlock(&q->read_lock);
    return st;
}
