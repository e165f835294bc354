/*
 * worker.h - the threads that run what may block: a queue of jobs and a pool that grows with need.
 *
 * pool_add() may be called by any thread and never starts a thread itself (it may be called under somebody's lock):
 * when jobs wait and nobody is idle it asks the loop, by wake(), to call pool_grow().
 *
 * A worker owns the big buffers that sessions borrow while they run, so that a parked session has none.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/strbuf.h"

struct pool;
struct worker;

struct job {
    struct job *next;
    void (*run)(struct job *job, struct worker *w);
};

struct worker {
    struct pool *pool;
    struct worker *next_exited;
    pthread_t thread;
    bool is_loop;     /* no thread of the pool: the loop, which may do what does not block and is short */
    bool is_in_crowd; /* this job came with many (pool_add_crowd) */
    /* the running session's unread input: in[in_at..in_len) */
    char *in;
    size_t in_at, in_len, in_cap;
    struct strbuf out;  /* spare memory for a session's output; always empty */
    int64_t started_ms; /* this job */
    uint32_t turns;     /* commands and pokes that this job has run */
};

struct pool *pool_new(uint32_t workers_max, void (*wake)(void *ctx), void *ctx);
/* Jobs that still wait are not run; running ones are finished. Waits for all threads. */
void pool_stop(struct pool *p);
void pool_free(struct pool **p);
void pool_set_max(struct pool *p, uint32_t workers_max);
void pool_add(struct pool *p, struct job *job);
/*
 * Many jobs that one event has made, linked by next: first..last. They are short and mostly do not block. A worker
 * woken, and soon started, for each of them would cost more than their work, so no more workers are in a crowd at once
 * than twice the processors. A crowd and the other jobs take turns.
 */
void pool_add_crowd(struct pool *p, struct job *first, struct job *last, uint32_t count);
/* On the loop thread: starts threads where jobs wait for one, collects those that ended. Returns when to call again
 * (INT64_MAX: when woken). */
int64_t pool_grow(struct pool *p, int64_t now_ms);
/* Jobs that wait now; a hint. */
uint32_t pool_waiting(const struct pool *p);

void worker_drop_buffers(struct worker *w);
/* Room for n more bytes behind in_len. */
void worker_reserve_input(struct worker *w, size_t n);
