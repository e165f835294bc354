/*
 * tls_store.h - what outlives the role about other domains' TLS: MTA-STS policies (RFC 8461 §3.3, to be kept for
 * max_age even if they cannot be fetched any more) and the counts for TLS-RPT (RFC 8460). In the queue's file.
 * Thread-safe; blocks.
 */
#pragma once
#include "queue/queue.h"

struct sts_entry {
    struct span id, text; /* of the record; the policy as fetched, "" where the fetching failed */
    int64_t fetched_at, expires_at;
};
/* ST_NOTFOUND: none is known. */
enum status queue_sts_get(struct queue *q, struct arena *a, struct span domain, struct sts_entry *out, struct err *err);
enum status queue_sts_put(struct queue *q, struct span domain, const struct sts_entry *e, struct err *err);

/* One kind of session: a day (Unix seconds / 86400), policy and outcome. */
struct tls_count {
    int64_t day;
    struct span domain, kind; /* kind: "tlsa", "sts", "no-policy-found" */
    struct span policy;       /* its lines, joined by LF */
    struct span mx, address;  /* of failures; empty for successes */
    struct span result;       /* RFC 8460 §4.3; empty: success */
    uint64_t sessions;
};
enum status queue_tls_count(struct queue *q, const struct tls_count *c, struct err *err);
/* The oldest day before `day` with its first domain, in out->day and out->domain. ST_NOTFOUND: all is reported. */
enum status queue_tls_oldest(struct queue *q, struct arena *a, int64_t day, struct tls_count *out, struct err *err);
enum { TLS_ROWS_MAX = 1000 };
enum status queue_tls_rows(struct queue *q, struct arena *a, int64_t day, struct span domain, struct tls_count **rows,
                           size_t *count, struct err *err);
enum status queue_tls_forget(struct queue *q, int64_t day, struct span domain, struct err *err);
