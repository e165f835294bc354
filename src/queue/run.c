/*
 * run.c - a node asks for what waits for it (RFC 1985; see queue.h). The table of destinations is small, and the index
 * of what is due is by destination, so this reads nothing of other mail.
 */
#include "base/clock.h"
#include "queue/internal.h"
#include "base/banned.h"

struct running {
    enum queue_run_kind kind;
    struct span name, also;
    int64_t now;
    size_t count;
};

/* "domain", "domain#route", "#route": both halves of a destination's name (queue/outbound.h). */
#define DOMAIN_HALF "substr(name, 1, instr(name || '#', '#') - 1)"
#define ROUTE_HALF  "substr(name, instr(name, '#') + 1)"

static enum status next_destination(struct queue *q, const struct running *r, struct span after, struct arena *a,
                                    struct span *name, bool *found, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer,
                  "SELECT name FROM destination WHERE name > ?1 AND CASE ?2"
                  " WHEN 0 THEN name = ?4 OR " DOMAIN_HALF " = ?3"
                  " WHEN 1 THEN " DOMAIN_HALF " = ?3 OR substr(" DOMAIN_HALF ", -length(?3) - 1) = '.' || ?3"
                  " ELSE instr(name, '#') > 0 AND " ROUTE_HALF " = ?3 END ORDER BY name LIMIT 1",
                  &st, err));
    queue_bind_text(st, 1, after);
    sqlite3_bind_int(st, 2, (int)r->kind);
    queue_bind_text(st, 3, r->name);
    queue_bind_text(st, 4, r->also);
    int rc = sqlite3_step(st);
    *found = rc == SQLITE_ROW;
    if (*found)
        *name = queue_column_text(st, 0, a);
    enum status result = rc == SQLITE_ROW || rc == SQLITE_DONE ? ST_OK : queue_sql_error(&q->writer, "run", err);
    sqlite3_reset(st);
    return result;
}

/* Not what its sender holds back (RFC 4865). In a route's common queue stand other domains' recipients, too. */
#define WAITS_FOR_IT                                                                                                   \
    " state = 0 AND destination = ?1 AND (?2 = '' OR lower(substr(address, -length(?2) - 1)) = '@' || ?2)"             \
    " AND (SELECT hold_until FROM message WHERE message.id = recipient.id >> 16) <= ?3"

static enum status count_messages(struct queue *q, struct span destination, struct span domain, int64_t now,
                                  size_t *count, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&q->writer, "SELECT count(DISTINCT id >> 16) FROM recipient WHERE" WAITS_FOR_IT, &st, err));
    queue_bind_text(st, 1, destination);
    queue_bind_text(st, 2, domain);
    sqlite3_bind_int64(st, 3, now);
    if (sqlite3_step(st) != SQLITE_ROW)
        return queue_sql_error(&q->writer, "run", err);
    *count = (size_t)sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    return ST_OK;
}

static enum status run_one(struct queue *q, struct running *r, struct span destination, struct err *err)
{
    sqlite3_stmt *st;
    bool is_common = r->kind == QUEUE_RUN_DOMAIN && span_starts(destination, SPAN("#"));
    struct span domain = is_common ? r->name : SPAN("");
    size_t count = 0;
    TRY(count_messages(q, destination, domain, r->now, &count, err));
    if (count == 0)
        return ST_OK;
    TRY(queue_sql(&q->writer, "UPDATE recipient SET next_attempt_at = min(next_attempt_at, 0) - 1 WHERE" WAITS_FOR_IT,
                  &st, err));
    queue_bind_text(st, 1, destination);
    queue_bind_text(st, 2, domain);
    sqlite3_bind_int64(st, 3, r->now);
    TRY(queue_sql_done(&q->writer, st, "run", err));
    r->count += count;
    return queue_destination_due(q, destination, 0, true, err);
}

static enum status run(struct queue *q, void *ctx, struct err *err)
{
    struct running *r = ctx;
    AUTO_ARENA a = ARENA_INIT;
    struct span name = SPAN("");
    r->count = 0; /* a transaction may be rolled back and run again */
    for (bool found = true;;) {
        TRY(next_destination(q, r, name, &a, &name, &found, err));
        if (!found)
            return ST_OK;
        TRY(run_one(q, r, name, err));
    }
}

enum status queue_run(struct queue *q, enum queue_run_kind kind, struct span name, struct span also, size_t *count,
                      struct err *err)
{
    struct running r = {.kind = kind, .name = name, .also = also, .now = clock_wall_ms() / 1000};
    TRY(queue_change(q, run, &r, false, err));
    *count = r.count;
    return ST_OK;
}
