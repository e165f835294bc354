/* timer.c - see timer.h. A binary heap; every timer knows its place, so that it can be taken out. */
#include "net/timer.h"
#include <stdlib.h>
#include "base/mem.h"
#include "base/banned.h"

void timers_init(struct timers *ts, void (*wake)(void *ctx), void *ctx)
{
    *ts = (struct timers){.asleep_until_ms = TIMER_NEVER, .wake = wake, .ctx = ctx};
    pthread_mutex_init(&ts->lock, NULL);
}

void timers_destroy(struct timers *ts)
{
    free(ts->heap);
    pthread_mutex_destroy(&ts->lock);
}

static void place(struct timers *ts, size_t i, struct timer *t)
{
    ts->heap[i] = t;
    t->index = (uint32_t)i;
}

static void sift_up(struct timers *ts, size_t i, struct timer *t)
{
    for (; i > 1 && ts->heap[i / 2]->at_ms > t->at_ms; i /= 2)
        place(ts, i, ts->heap[i / 2]);
    place(ts, i, t);
}

static void sift_down(struct timers *ts, size_t i, struct timer *t)
{
    for (size_t child; (child = 2 * i) <= ts->count; i = child) {
        if (child < ts->count && ts->heap[child + 1]->at_ms < ts->heap[child]->at_ms)
            child++;
        if (ts->heap[child]->at_ms >= t->at_ms)
            break;
        place(ts, i, ts->heap[child]);
    }
    place(ts, i, t);
}

static void link_at(struct timers *ts, struct timer *t, int64_t at_ms)
{
    t->at_ms = at_ms;
    if (t->index != TIMER_UNLINKED) { /* only ever moved to an earlier time */
        sift_up(ts, t->index, t);
        return;
    }
    if (ts->count + 1 >= ts->cap) {
        ts->cap = ts->cap ? ts->cap * 2 : 64;
        ts->heap = mem_resize(ts->heap, ts->cap * sizeof *ts->heap);
    }
    sift_up(ts, ++ts->count, t);
}

static void unlink_timer(struct timers *ts, struct timer *t)
{
    size_t hole = t->index;
    struct timer *last = ts->heap[ts->count--];
    t->index = TIMER_UNLINKED;
    if (last == t)
        return;
    if (hole > 1 && ts->heap[hole / 2]->at_ms > last->at_ms)
        sift_up(ts, hole, last);
    else
        sift_down(ts, hole, last);
}

void timers_set(struct timers *ts, struct timer *t, int64_t deadline_ms)
{
    bool must_wake = false;
    pthread_mutex_lock(&ts->lock);
    t->deadline_ms = deadline_ms;
    bool is_linked = t->index != TIMER_UNLINKED;
    if (deadline_ms != TIMER_NEVER && (!is_linked || deadline_ms < t->at_ms)) {
        link_at(ts, t, deadline_ms);
        if (deadline_ms < ts->asleep_until_ms) {
            ts->asleep_until_ms = deadline_ms; /* one wake-up is enough for all that come meanwhile */
            must_wake = true;
        }
    }
    pthread_mutex_unlock(&ts->lock);
    if (must_wake)
        ts->wake(ts->ctx);
}

void timers_remove(struct timers *ts, struct timer *t)
{
    pthread_mutex_lock(&ts->lock);
    if (t->index != TIMER_UNLINKED)
        unlink_timer(ts, t);
    pthread_mutex_unlock(&ts->lock);
}

struct timer *timers_expired(struct timers *ts, int64_t now_ms, int64_t *next_ms)
{
    struct timer *due = NULL;
    pthread_mutex_lock(&ts->lock);
    while (!due && ts->count && ts->heap[1]->at_ms <= now_ms) {
        struct timer *t = ts->heap[1];
        unlink_timer(ts, t);
        if (t->deadline_ms <= now_ms)
            due = t;
        else if (t->deadline_ms != TIMER_NEVER)
            link_at(ts, t, t->deadline_ms);
    }
    *next_ms = ts->count ? ts->heap[1]->at_ms : TIMER_NEVER;
    ts->asleep_until_ms = due ? 0 : *next_ms;
    pthread_mutex_unlock(&ts->lock);
    return due;
}
