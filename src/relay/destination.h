/*
 * destination.h - what is known in memory of a destination that has something due: its window of messages, the
 * connections that wait to be used again, and how many may be open at once. Guarded by the relay's lock; no function
 * here blocks.
 *
 * Concurrency: begins at DESTINATION_FIRST; as many successes as there are connections allow one more, up to the
 * configured most; a failure of the host (not of a message) halves it, and where none of its connections works, the
 * destination rests.
 */
#pragma once
#include "queue/queue.h"
#include "relay/link.h"

enum {
    DESTINATION_FIRST = 5,
    DESTINATION_WINDOW = 200,  /* recipients read from the queue at once, when half of those before are taken */
    DESTINATION_IDLE_MAX = 20, /* connections kept for later mail */
    DESTINATION_IDLE_MS = 5000,
    DESTINATION_ACTIVE_MAX = 10000
};

/* What one read from the queue brought; lives until the last of its messages is done. */
struct window {
    struct arena arena;
    size_t refs;
};
struct parcel {
    struct parcel *next;
    struct window *window;
    struct queue_message *message;
};

struct destination {
    struct destination *next_ready; /* in the list of those that a worker may take; is_ready */
    bool is_ready, is_resting;      /* resting: removed as soon as nobody works on it */
    size_t ready_level;             /* relay/internal.h, while is_ready */
    char *name;
    struct parcel *first, **last;
    size_t waiting;    /* parcels in the list, which is by priority */
    int least;         /* priority of the last one, while there is one */
    uint64_t *in_hand; /* recipients that are in the window or being sent */
    size_t in_hand_count, in_hand_cap;
    unsigned busy, linked; /* workers on it; those of them with a working connection */
    uint32_t limit, successes, failures;
    int64_t pushes;      /* as the queue said last: handed back with what became of it (queue_rest) */
    int64_t rest_pushes; /* those that were known when the attempt began after which it rests */
    struct link *idle[DESTINATION_IDLE_MAX];
    size_t idle_count;
};

struct destination *destination_new(struct span name, uint32_t failures);
void destination_free(struct destination **d); /* closes idle links: call without the lock */
/* Takes the messages of a window over, each behind those of its priority; the window is freed with the last of them. */
void destination_fill(struct destination *d, struct window *w, struct queue_message *list, size_t count);
struct parcel *destination_take(struct destination *d);
/* Its recipients are in nobody's hand any more. */
void destination_done(struct destination *d, struct parcel **p);
/* Drops all that is not being sent. */
void destination_clear(struct destination *d);
bool destination_has(const struct destination *d, uint64_t recipient_id);
void destination_succeeded(struct destination *d, uint32_t most);
void destination_failed(struct destination *d);
