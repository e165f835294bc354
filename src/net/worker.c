/*
 * worker.c - see worker.h.
 *
 * How many threads? Up to twice the processors they are started as soon as a job waits. Beyond that a waiting job says
 * only that the processors are busy, unless it waits for long: then the workers are blocked (fdatasync, another role),
 * and one more thread is started each millisecond until nothing waits. Threads that found nothing to do for ten seconds
 * end.
 *
 * A crowd (a thousand sessions that one message wakes) has a queue of its own, since there the number of waiting jobs
 * says nothing: it is worked off by at_once workers.
 */
#include "net/worker.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/banned.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

enum {
    STACK_BYTES = IS_SANITIZED ? 2048 * 1024 : 256 * 1024,
    IDLE_KEPT = 2,
    IDLE_SECONDS = 10,
    GROW_EVERY_MS = 1,
    BUFFER_KEPT = 256 * 1024 /* a worker's buffer larger than this is not kept for the next session */
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t has_work, has_exited;
    struct job *head, **tail;
    struct job *crowd, **crowd_tail;
    uint32_t crowd_waiting, crowd_running;
    bool is_crowds_turn;
    _Atomic uint32_t waiting;           /* in both queues */
    uint32_t count, idle, max, at_once; /* idle: run no job: asleep, on the way to a job, or just begun */
    uint32_t sleeping;                  /* wait for has_work */
    bool is_stopping, has_asked;
    bool is_waking; /* has_work was signalled, and nobody has got up since */
    int64_t grow_at_ms;
    struct worker *exited; /* to be joined and freed */
    void (*wake)(void *ctx);
    void *ctx;
};

struct pool *pool_new(uint32_t workers_max, void (*wake)(void *ctx), void *ctx)
{
    struct pool *p = mem_alloc(sizeof *p);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->has_work, &attr);
    pthread_cond_init(&p->has_exited, &attr);
    pthread_condattr_destroy(&attr);
    p->tail = &p->head;
    p->crowd_tail = &p->crowd;
    p->max = workers_max;
    cpu_set_t processors; /* asked of the kernel: sysconf() would read /sys, which a confined role cannot */
    bool is_known = sched_getaffinity(0, sizeof processors, &processors) == 0;
    p->at_once = is_known ? 2 * (uint32_t)CPU_COUNT(&processors) : 2;
    p->wake = wake;
    p->ctx = ctx;
    return p;
}

void pool_set_max(struct pool *p, uint32_t workers_max)
{
    pthread_mutex_lock(&p->lock);
    p->max = workers_max;
    pthread_mutex_unlock(&p->lock);
}

uint32_t pool_waiting(const struct pool *p)
{
    return atomic_load_explicit(&p->waiting, memory_order_relaxed);
}

static bool can_take_crowd(const struct pool *p)
{
    return p->crowd && p->crowd_running < p->at_once;
}

static bool can_take(const struct pool *p)
{
    return p->head || can_take_crowd(p);
}

/*
 * One sleeper is woken at a time, and wakes the next when it has got up and found more than it takes itself. So a burst
 * of short jobs is done by the few workers that the processors really run, without a switch for each job; where jobs
 * block, the next worker is on its way already. While jobs wait and workers sleep, one is being woken: here and in
 * worker_main(), the only places where that could begin not to be so. The lock is held; true: signal has_work.
 */
static bool must_wake_one(struct pool *p)
{
    if (!can_take(p) || p->sleeping == 0 || p->is_waking)
        return false;
    p->is_waking = true;
    return true;
}

/* Workers that what waits could have at once. */
static uint32_t wanted(const struct pool *p)
{
    uint32_t room = can_take_crowd(p) ? p->at_once - p->crowd_running : 0;
    return pool_waiting(p) - p->crowd_waiting + (p->crowd_waiting < room ? p->crowd_waiting : room);
}

static bool is_short_of_workers(const struct pool *p)
{
    return !p->is_stopping && wanted(p) > p->idle && p->count < p->max;
}

/* True where the loop must be woken to start workers. */
static bool must_ask(struct pool *p)
{
    if (p->has_asked || !is_short_of_workers(p))
        return false;
    p->has_asked = true;
    return true;
}

void pool_add_crowd(struct pool *p, struct job *first, struct job *last, uint32_t count)
{
    pthread_mutex_lock(&p->lock);
    last->next = NULL;
    *p->crowd_tail = first;
    p->crowd_tail = &last->next;
    p->crowd_waiting += count;
    atomic_fetch_add_explicit(&p->waiting, count, memory_order_relaxed);
    bool has_to_ask = must_ask(p), must_wake = must_wake_one(p);
    pthread_mutex_unlock(&p->lock);
    if (must_wake)
        pthread_cond_signal(&p->has_work);
    if (has_to_ask)
        p->wake(p->ctx);
}

void pool_add(struct pool *p, struct job *job)
{
    pthread_mutex_lock(&p->lock);
    job->next = NULL;
    *p->tail = job;
    p->tail = &job->next;
    atomic_fetch_add_explicit(&p->waiting, 1, memory_order_relaxed);
    bool has_to_ask = must_ask(p), must_wake = must_wake_one(p);
    pthread_mutex_unlock(&p->lock);
    if (must_wake) /* not under the lock, which the woken worker needs at once */
        pthread_cond_signal(&p->has_work);
    if (has_to_ask)
        p->wake(p->ctx);
}

void worker_drop_buffers(struct worker *w)
{
    free(w->in);
    w->in = NULL;
    w->in_cap = 0;
    strbuf_free(&w->out);
}

void worker_reserve_input(struct worker *w, size_t n)
{
    if (w->in_cap - w->in_len >= n)
        return;
    w->in_cap = w->in_len + n;
    w->in = mem_resize(w->in, w->in_cap);
}

/* The first of a queue; the queue is not empty. */
static struct job *take(struct pool *p, struct job **head, struct job ***tail)
{
    struct job *job = *head;
    *head = job->next;
    if (!*head)
        *tail = head;
    atomic_fetch_sub_explicit(&p->waiting, 1, memory_order_relaxed);
    return job;
}

/* Waits for a job, with the lock held. NULL: the thread ends. */
static struct job *next_job(struct pool *p, struct worker *w)
{
    while (!can_take(p) && !p->is_stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += IDLE_SECONDS;
        p->sleeping++;
        int failed = pthread_cond_timedwait(&p->has_work, &p->lock, &until);
        p->sleeping--;
        p->is_waking = false; /* also where it was meant for another: then one more is woken than needed */
        if (!failed || can_take(p))
            continue;
        if (p->idle > IDLE_KEPT)
            return NULL;
        worker_drop_buffers(w);
    }
    if (p->is_stopping)
        return NULL;
    w->is_in_crowd = can_take_crowd(p) && (p->is_crowds_turn || !p->head);
    p->is_crowds_turn = !w->is_in_crowd;
    struct job *job = w->is_in_crowd ? take(p, &p->crowd, &p->crowd_tail) : take(p, &p->head, &p->tail);
    if (w->is_in_crowd) {
        p->crowd_waiting--;
        p->crowd_running++;
    }
    return job;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    pthread_mutex_lock(&p->lock);
    for (struct job *job; (job = next_job(p, w)) != NULL;) {
        p->idle--;
        bool must_wake = must_wake_one(p);
        pthread_mutex_unlock(&p->lock);
        if (must_wake)
            pthread_cond_signal(&p->has_work);
        w->started_ms = clock_mono_ms();
        w->turns = 0;
        job->run(job, w);
        if (w->in_cap > BUFFER_KEPT || w->out.cap > BUFFER_KEPT)
            worker_drop_buffers(w);
        pthread_mutex_lock(&p->lock);
        p->idle++;
        p->crowd_running -= w->is_in_crowd;
    }
    worker_drop_buffers(w);
    p->idle--;
    p->count--;
    w->next_exited = p->exited;
    p->exited = w;
    pthread_cond_signal(&p->has_exited);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Workers take no signals: those are the loop's, whose thread makes them and has its mask back after. */
static bool start_worker(struct pool *p)
{
    struct worker *w = mem_alloc(sizeof *w);
    w->pool = p;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&w->thread, &attr, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (failed) {
        free(w);
        return false;
    }
    p->count++;
    p->idle++; /* until it has taken a job */
    return true;
}

/* Joined, not detached: the libraries' thread destructors run behind worker_main() and must not meet the process's
 * exit. */
static void join_exited(struct worker *w)
{
    while (w) {
        struct worker *next = w->next_exited;
        pthread_join(w->thread, NULL);
        free(w);
        w = next;
    }
}

int64_t pool_grow(struct pool *p, int64_t now_ms)
{
    pthread_mutex_lock(&p->lock);
    p->has_asked = false;
    struct worker *exited = p->exited;
    p->exited = NULL;
    bool is_failing = false;
    while (is_short_of_workers(p) && p->count < p->at_once && !is_failing)
        is_failing = !start_worker(p);
    if (!is_short_of_workers(p)) {
        p->grow_at_ms = INT64_MAX;
    } else if (p->grow_at_ms == INT64_MAX || is_failing) {
        p->grow_at_ms = now_ms + GROW_EVERY_MS;
    } else if (now_ms >= p->grow_at_ms) {
        is_failing = !start_worker(p);
        p->grow_at_ms = now_ms + GROW_EVERY_MS;
    }
    if (is_failing) {
        if (p->count == 0)
            panic("no thread can be started");
        p->grow_at_ms = now_ms + (int64_t)1000 * GROW_EVERY_MS;
    }
    p->has_asked = p->grow_at_ms != INT64_MAX; /* the loop comes back by itself */
    int64_t again_ms = p->grow_at_ms;
    pthread_mutex_unlock(&p->lock);
    join_exited(exited);
    return again_ms;
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->is_stopping = true;
    pthread_cond_broadcast(&p->has_work);
    while (p->count)
        pthread_cond_wait(&p->has_exited, &p->lock);
    struct worker *exited = p->exited;
    p->exited = NULL;
    pthread_mutex_unlock(&p->lock);
    join_exited(exited);
}

void pool_free(struct pool **pp)
{
    struct pool *p = *pp;
    if (!p)
        return;
    pool_stop(p);
    pthread_cond_destroy(&p->has_work);
    pthread_cond_destroy(&p->has_exited);
    pthread_mutex_destroy(&p->lock);
    free(p);
    *pp = NULL;
}
