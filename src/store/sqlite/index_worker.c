/*
 * index_worker.c - the thread that keeps the indexes: which accounts wait for it, and when it is their turn.
 *
 * An account that got mail is looked at a little later, so that a run of deliveries becomes one segment; at once where
 * much has come. The thread runs at the lowest priority and holds a reference to an account only while that waits.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/sqlite/index.h"
#include "base/banned.h"

enum {
    INDEX_WAIT_MS = 3000,   /* from the first message that is not indexed */
    INDEX_AT_ONCE = 1024,   /* so many wait no longer */
    INDEX_RETRY_MS = 60000, /* after a failure */
    INDEX_NICE = 19,
};

struct index_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping;
    struct account *first; /* waiting, by no order: there are few */
};

static void want(struct account *a, uint32_t contents, int64_t wait_ms)
{
    struct index_worker *w = a->store->indexer;
    bool is_new = false;
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    a->unindexed += contents;
    int64_t at = clock_mono_ms() + (a->unindexed >= INDEX_AT_ONCE ? 0 : wait_ms);
    if (!a->index_at_ms) {
        is_new = true;
        a->next_to_index = w->first;
        w->first = a;
        account_ref(a);
    }
    if (is_new || at < a->index_at_ms) {
        a->index_at_ms = at;
        pthread_cond_signal(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
}

void index_want(struct account *a)
{
    want(a, 0, INDEX_WAIT_MS);
}

void index_note(struct account *a, uint32_t contents)
{
    if (!contents)
        a->has_expunged = true; /* or something was copied */
    want(a, contents, INDEX_WAIT_MS);
}

/* The account whose turn it is, out of the list; NULL: *wait_ms until the next, -1: none waits. */
static struct account *take_due(struct index_worker *w, int64_t *wait_ms)
{
    int64_t now = clock_mono_ms();
    struct account **earliest = &w->first;
    *wait_ms = -1;
    if (!w->first)
        return NULL;
    for (struct account **at = &w->first; *at; at = &(*at)->next_to_index)
        if ((*at)->index_at_ms < (*earliest)->index_at_ms)
            earliest = at;
    struct account *a = *earliest;
    if (a->index_at_ms > now) {
        *wait_ms = a->index_at_ms - now;
        return NULL;
    }
    *earliest = a->next_to_index;
    a->index_at_ms = 0;
    a->unindexed = 0;
    return a;
}

static void wait(struct index_worker *w, int64_t ms)
{
    struct timespec until;
    if (ms < 0) {
        pthread_cond_wait(&w->changed, &w->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&w->changed, &w->lock, &until);
}

/* One step; false: nothing is left, or it failed and waits. */
static bool work(struct account *a)
{
    bool is_done = true;
    struct err err;
    enum status st = index_step(a, &is_done, &err);
    if (st == ST_OK)
        return !is_done;
    if (st != ST_NOTFOUND) { /* the account was removed */
        struct log_line l;
        log_begin(&l, LOG_WARN, "index-failed");
        log_span(&l, "account", account_address(a));
        log_err(&l, &err);
        log_end(&l);
        want(a, 0, INDEX_RETRY_MS);
    }
    return false;
}

static void *run(void *arg)
{
    struct index_worker *w = arg;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), INDEX_NICE); /* on Linux a thread's own */
    pthread_mutex_lock(&w->lock);
    while (!w->is_stopping) {
        int64_t wait_ms;
        struct account *a = take_due(w, &wait_ms);
        if (!a) {
            wait(w, wait_ms);
            continue;
        }
        bool is_more = true;
        while (is_more && !w->is_stopping) {
            pthread_mutex_unlock(&w->lock);
            is_more = work(a);
            pthread_mutex_lock(&w->lock);
        }
        pthread_mutex_unlock(&w->lock);
        account_free(&a);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

void index_worker_start(struct store *s)
{
    pthread_condattr_t attributes;
    struct index_worker *w = mem_alloc(sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&w->thread, NULL, run, w) != 0)
        panic("no thread for the search index");
    s->indexer = w;
}

void index_worker_stop(struct store *s)
{
    struct index_worker *w = s->indexer;
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    s->indexer = NULL;
    while (w->first) {
        struct account *a = w->first;
        w->first = a->next_to_index;
        account_free(&a);
    }
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->changed);
    free(w);
}
