/*
 * queue.h - the relay's durable queue (queue/queue.db): messages with their recipients, each recipient with its own state.
 *
 * queue_add() returns ST_OK only after the flush: from then on the message is delivered, bounced, or still here. Thread-safe;
 * the role relay works it, the command line looks and pushes (list, retry, drop) at the same time.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct queue;
enum status queue_open(const char *path, bool may_create, struct queue **out, struct err *err);
void queue_free(struct queue **q);
AUTO_DEFINE(queue)

struct queue_envelope {
    struct span sender;        /* "" for the null reverse-path */
    const struct span *recipients;
    size_t recipient_count;
    struct span trace;         /* the message's trace id */
    bool is_smtputf8, is_8bit;
};
enum status queue_add(struct queue *q, const struct queue_envelope *e, struct span message, uint64_t *id,
                      struct err *err);

enum queue_state { QUEUE_WAITING = 0, QUEUE_DELIVERED = 1, QUEUE_FAILED = 2 };
struct queue_recipient {
    uint64_t id;
    struct span address;
    enum queue_state state;
    uint32_t attempts;
    int64_t next_attempt_at; /* Unix seconds */
    struct span last_reply;  /* what the other side said last */
};
struct queue_message {
    uint64_t id;
    struct span sender, trace;
    int64_t queued_at;
    uint64_t size;
    bool is_smtputf8, is_8bit;
    struct queue_recipient *recipients;
    size_t recipient_count;
};

/* Messages that have a recipient due at `now`, oldest first, at most `limit`, with their due recipients only. */
enum status queue_due(struct queue *q, struct arena *a, int64_t now, size_t limit, struct queue_message **list,
                      size_t *count, struct err *err);
/* When the next recipient is due; INT64_MAX: none. */
enum status queue_next_due(struct queue *q, int64_t *at, struct err *err);
enum status queue_body(struct queue *q, uint64_t id, struct strbuf *out, struct err *err);
/* The outcome of one attempt. WAITING: another is due at next_attempt_at. A message whose last recipient is done is removed. */
enum status queue_settle(struct queue *q, uint64_t recipient_id, enum queue_state state, int64_t next_attempt_at,
                         struct span reply, struct err *err);

enum status queue_list(struct queue *q, struct arena *a, struct queue_message **list, size_t *count, struct err *err);
enum status queue_get(struct queue *q, struct arena *a, uint64_t id, struct queue_message *out, struct err *err);
enum status queue_retry_now(struct queue *q, uint64_t id, struct err *err); /* id 0: all */
enum status queue_drop(struct queue *q, uint64_t id, struct err *err);
