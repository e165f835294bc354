/*
 * timer.h - deadlines: a heap of them, and lazy re-linking.
 *
 * A session sets a deadline each time it parks, nearly always later than the one before. So the heap keeps the time at
 * which a timer was last linked, and a later deadline only changes a number: when the old time comes, timers_expired()
 * sees that there is more to wait for and links it anew. Setting a deadline may be done by any thread; timers_expired()
 * is the loop's.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIMER_UNLINKED = 0 };
#define TIMER_NEVER INT64_MAX

struct timer {
    int64_t deadline_ms; /* what the owner waits for */
    int64_t at_ms;       /* where it stands in the heap; never later than deadline_ms while linked */
    uint32_t index;      /* place in the heap, from 1 */
};

struct timers {
    pthread_mutex_t lock;
    struct timer **heap; /* heap[1..count] */
    size_t count, cap;
    int64_t asleep_until_ms; /* the loop looks again by then without being woken */
    void (*wake)(void *ctx);
    void *ctx;
};

void timers_init(struct timers *ts, void (*wake)(void *ctx), void *ctx);
void timers_destroy(struct timers *ts);
void timers_set(struct timers *ts, struct timer *t, int64_t deadline_ms); /* TIMER_NEVER: none */
void timers_remove(struct timers *ts, struct timer *t);
/* One timer whose deadline has passed, unlinked; or NULL, and then *next_ms is when to ask again. */
struct timer *timers_expired(struct timers *ts, int64_t now_ms, int64_t *next_ms);
