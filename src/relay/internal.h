/*
 * internal.h - between relay.c (the feeder) and worker.c.
 */
#pragma once
#include <pthread.h>
#include "base/map.h"
#include "relay/destination.h"
#include "relay/local.h"
#include "relay/outcome.h"
#include "relay/relay.h"

enum { CLOSING_MAX = 64, READY_LEVELS = QUEUE_PRIORITY_MOST - QUEUE_PRIORITY_LEAST + 1 };

/* Destinations that a worker may take, in the order in which they became so. */
struct ready {
    struct destination *first, **last;
};

struct relay {
    struct relay_parts parts;
    struct local *local;
    pthread_t feeder;
    int event_fd;
    pthread_mutex_t lock;
    pthread_cond_t work; /* a destination became ready */
    pthread_cond_t gone; /* a worker ended */
    bool is_stopping;
    struct map *destinations;
    struct ready ready[READY_LEVELS]; /* by the priority of a destination's most urgent message, the highest first */
    size_t ready_count;
    uint32_t worker_count, idle_workers;
    struct link *closing[CLOSING_MAX]; /* the feeder's: links to close without the lock */
    size_t closing_count;
};

/* With the lock held. */
void relay_make_ready(struct relay *r, struct destination *d);
struct destination *relay_take_ready(struct relay *r);
/* Whether a destination is ready whose mail is more urgent than what d has. */
bool relay_has_more_urgent(const struct relay *r, const struct destination *d);
void relay_add_worker(struct relay *r);

struct outcome_maker relay_outcome_maker(const struct relay *r);
/* False: some are still at work after RELAY_GRACE_MS. */
bool relay_join_workers(struct relay *r);
