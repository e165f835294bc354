/*
 * attempt.h - one message over one link: MAIL, RCPT for each of its recipients there, the body, and what became of each
 * recipient. Blocking; one thread at a time.
 */
#pragma once
#include "queue/queue.h"
#include "relay/link.h"

/* What became of one recipient. */
struct verdict {
    enum queue_state state; /* WAITING: try again later */
    bool is_final;          /* DELIVERED: to a mailbox (LMTP, our own accounts), not to another relay */
    bool is_dsn_done;       /* DELIVERED: the next hop knows DSN and has taken NOTIFY over */
    bool is_by_done;        /* DELIVERED: the next hop knows DELIVERBY and has taken BY= over */
    char reply[520];        /* "250 2.0.0 …" */
};
enum attempt_end {
    ATTEMPT_GOOD, /* all recipients have a verdict; the link may be used again */
    ATTEMPT_OVER, /* all have a verdict; the link may not */
    ATTEMPT_STALE /* the link was dead before it was used, or too old to bounce mail for what its peer did not offer;
                     nothing was sent, no verdicts: take another */
};
/* v: one for each of m's recipients. */
enum attempt_end attempt_run(struct link *l, const struct config_relay *settings, const struct queue_message *m,
                             struct span body, struct verdict *v);
void verdict_set(struct verdict *v, enum queue_state state, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
