/*
 * outcome.h - from verdicts to the queue: who is done, who waits until when, who is told (smtp/dsn.h). One transaction
 * for each message and attempt. Blocking; any thread.
 */
#pragma once
#include "relay/attempt.h"

struct outcome_maker {
    struct queue *queue;
    const char *hostname;
    const struct config_relay *settings;
};

/* Settles all of m's recipients by their verdicts. remote: the host that spoke; empty: nobody. body may be empty where
 * only the header is wanted and it is not known: it is read when needed. */
enum status outcome_settle(const struct outcome_maker *o, const struct queue_message *m, const struct verdict *v,
                           struct span remote, struct span body, struct err *err);
/* A message whose deadline has passed: delay notices, DELIVERBY, expiry. */
enum status outcome_expire(const struct outcome_maker *o, const struct queue_message *m, int64_t now, struct err *err);
/* One line for each recipient. */
void outcome_log(const struct queue_message *m, const struct verdict *v, const struct link *l);
