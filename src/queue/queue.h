/*
 * queue.h - the relay's durable queue (queue/queue.db): messages with their recipients, each recipient with its own
 * state, grouped by destination.
 *
 * queue_add() returns ST_OK only after the flush: from then on the message is delivered, bounced, or still here. The
 * role relay works the queue; the command line looks and pushes at the same time. Thread-safe; calls block on the disk,
 * and changes that come together share one flush.
 *
 * What waits is found by destination: a table of destinations, each with the time at which something of it is due next,
 * and for one destination its due recipients, a bounded number at a time. So a hundred thousand messages for a dead
 * host cost one row to skip, and nothing in memory.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct queue;
enum status queue_open(const char *path, bool may_create, struct queue **out, struct err *err);
/* Once, by who works the queue: puts on the disk what a crash has left in the WAL, before anything is built on it. */
enum status queue_secure(struct queue *q, struct err *err);
void queue_free(struct queue **q);
AUTO_DEFINE(queue)

/* ---- what a message is ------------------------------------------------------------------------------------------ */

enum queue_body { QUEUE_7BIT = 0, QUEUE_8BITMIME = 1, QUEUE_BINARYMIME = 2 };
enum queue_ret { QUEUE_RET_NONE = 0, QUEUE_RET_HDRS = 1, QUEUE_RET_FULL = 2 }; /* RFC 3461 §4.3 */
enum queue_notify {                                                            /* RFC 3461 §4.1, bits */
                    QUEUE_NOTIFY_DEFAULT = 0, /* none was said: failures, and delays at our choice */
                    QUEUE_NOTIFY_NEVER = 1,
                    QUEUE_NOTIFY_SUCCESS = 2,
                    QUEUE_NOTIFY_FAILURE = 4,
                    QUEUE_NOTIFY_DELAY = 8
};
enum queue_by { QUEUE_BY_NONE = 0, QUEUE_BY_NOTIFY = 1, QUEUE_BY_RETURN = 2 }; /* RFC 2852 §4 */
enum { QUEUE_PRIORITY_LEAST = -9, QUEUE_PRIORITY_MOST = 9 };                   /* RFC 6710 §4.1 */

/* What the sender asked for, apart from addresses. */
struct queue_wishes {
    enum queue_body body;
    enum queue_ret ret;
    enum queue_by by;
    bool is_smtputf8, is_tls_required; /* RFC 6531; REQUIRETLS, RFC 8689 */
    bool is_by_traced;                 /* BY=…T */
    int priority;
    int64_t hold_until;       /* Unix seconds, RFC 4865; 0: none */
    int64_t deliver_by;       /* Unix seconds, where by is not NONE */
    struct span envid;        /* as xtext carries it, RFC 3461 §4.4; empty: none */
    struct span hold_request; /* "for;3600", "until;2026-01-31T12:00:00Z": as it was asked for; empty: nothing was */
};
struct queue_to {
    struct span address;
    struct span destination; /* whose queue it stands in: the lower-case A-label domain, or a route's name */
    unsigned notify;         /* enum queue_notify */
    struct span orcpt;       /* "rfc822;…" as xtext carries it; empty: none */
};
struct queue_envelope {
    struct span sender; /* "" for the null reverse-path */
    struct span trace;  /* the message's trace id */
    struct queue_wishes wishes;
    const struct queue_to *to;
    size_t to_count;
    int64_t first_deadline_at; /* when queue_expiring() gives it out first; 0: never */
};
enum { QUEUE_RECIPIENTS_MAX = 65535 };
enum status queue_add(struct queue *q, const struct queue_envelope *e, struct span message, uint64_t *id,
                      struct err *err);

enum queue_state { QUEUE_WAITING = 0, QUEUE_DELIVERED = 1, QUEUE_FAILED = 2, QUEUE_HELD = 3 };
struct queue_recipient {
    uint64_t id;
    struct span address, destination, orcpt;
    unsigned notify;
    enum queue_state state;
    bool is_delay_told; /* a delay notice went out */
    uint32_t attempts;
    int64_t next_attempt_at; /* Unix seconds; below 0: it was pushed, and is due now */
    struct span last_reply;  /* what the other side said last */
};
struct queue_message {
    uint64_t id;
    struct span sender, trace;
    int64_t queued_at, deadline_at;
    uint64_t size;
    struct queue_wishes wishes;
    struct queue_recipient *recipients;
    size_t recipient_count;
};
/* A recipient's id holds its message's. */
static inline uint64_t queue_message_of(uint64_t recipient_id)
{
    return recipient_id >> 16;
}

/* ---- working it (role relay) --------------------------------------------------------------------------------------
 */

struct queue_destination {
    struct span name;
    int64_t next_at;   /* something is due then */
    uint32_t failures; /* in a row, of the hosts, not of messages */
    int64_t pushes;    /* for queue_rest() */
};
/* Destinations that have something due at `now`, the longest waiting first; at most `limit`. *next_at: when there is
 * something to do after these (INT64_MAX: nothing known). */
enum status queue_destinations(struct queue *q, struct arena *a, int64_t now, size_t limit,
                               struct queue_destination **list, size_t *count, int64_t *next_at, struct err *err);
/* A destination's due recipients, by priority and then the longest waiting first, with their messages: each message
 * once, with those of its recipients that are due. None below least_priority; at most `limit` recipients. `skip` says
 * which are being worked on already; may be NULL. */
enum status queue_due(struct queue *q, struct arena *a, struct span destination, int64_t now, size_t limit,
                      int least_priority, bool (*skip)(void *ctx, uint64_t recipient_id), void *ctx,
                      struct queue_message **list, size_t *count, struct err *err);
/* A destination has nothing due any more, or its hosts cannot be reached until blocked_until (0: they can). pushes: as
 * queue_destinations() gave it before the attempt that failed; who has pushed the destination since is heard. */
enum status queue_rest(struct queue *q, struct span destination, int64_t blocked_until, uint32_t failures,
                       int64_t pushes, struct err *err);
enum status queue_body(struct queue *q, uint64_t id, struct strbuf *out, struct err *err);

/* What an attempt led to, for one recipient. WAITING: again at next_attempt_at. */
struct queue_outcome {
    uint64_t recipient_id;
    enum queue_state state;
    bool is_attempt; /* counts as one */
    bool is_delay_told;
    int64_t next_attempt_at;
    int64_t began_at; /* the recipient's next_attempt_at when the attempt began: a push since then is heard */
    struct span reply;
    struct span destination; /* it stands in another's queue from now on; empty: as it was */
};
/* A message of our own that tells of it: comes into the queue in the same transaction. */
struct queue_report {
    struct queue_envelope envelope;
    struct span message;
};
/* All outcomes and reports, or none. A message whose last recipient is done is removed. deadline_at: the message's next
 * one, 0: as it was. */
enum status queue_settle(struct queue *q, const struct queue_outcome *outcomes, size_t count,
                         const struct queue_report *reports, size_t report_count, int64_t deadline_at, struct err *err);

/* Messages whose deadline_at has passed, with their waiting recipients; at most `limit`. *next_at: the next deadline.
 */
enum status queue_expiring(struct queue *q, struct arena *a, int64_t now, size_t limit, struct queue_message **list,
                           size_t *count, int64_t *next_at, struct err *err);

/* Moves a message's deadline. */
enum status queue_postpone(struct queue *q, uint64_t id, int64_t deadline_at, struct err *err);

/* Gives free pages back to the file system, at most `pages` of them. For quiet moments. */
enum status queue_shrink(struct queue *q, unsigned pages, struct err *err);

/* What waits for a node is due now, whatever its hosts' state, but for what its sender holds back: of a domain, of a
 * domain and all below it, of a route of the config. also: with DOMAIN, one more destination to look for the domain's
 * recipients in (outbound_destination()). *count: messages. */
enum queue_run_kind { QUEUE_RUN_DOMAIN = 0, QUEUE_RUN_BELOW = 1, QUEUE_RUN_ROUTE = 2 };
enum status queue_run(struct queue *q, enum queue_run_kind kind, struct span name, struct span also, size_t *count,
                      struct err *err);

/* ---- looking and pushing (the command line) ------------------------------------------------------------------------
 */

struct queue_filter {
    uint64_t id;           /* 0: any */
    struct span domain;    /* of a recipient, lower case; empty: any */
    struct span sender;    /* empty: any; "<>": the null reverse-path */
    int64_t queued_before; /* Unix seconds; 0: any */
};
/* Calls each() for every message that matches, oldest first, with all its recipients; memory is given back after each.
 * each() returns false to stop. */
enum status queue_each(struct queue *q, const struct queue_filter *f,
                       bool (*each)(void *ctx, const struct queue_message *m), void *ctx, struct err *err);
enum status queue_get(struct queue *q, struct arena *a, uint64_t id, struct queue_message *out, struct err *err);
/* RETRY: waiting recipients are due now, whatever their host's state, unless their sender holds them back. HOLD:
 * waiting ones are not tried, and do not expire. RELEASE: held ones are due now, and those that their sender held back
 * (RFC 4865). DROP: the message is removed, nobody is told. *count: messages. */
enum queue_action { QUEUE_RETRY, QUEUE_HOLD, QUEUE_RELEASE, QUEUE_DROP };
enum status queue_act(struct queue *q, const struct queue_filter *f, enum queue_action action, size_t *count,
                      struct err *err);
