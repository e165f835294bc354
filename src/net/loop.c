/*
 * loop.c - the loop thread: it waits for everything and does nothing long itself.
 *
 * One turn: bury the dead (no batch of events is open now, so no event can still point to them), start workers where
 * they are short, wake sessions whose deadline has passed, queue the tasks that are due; then wait in epoll_wait for at
 * most the time until the next of these; then hand every event of the batch to its session as a bit. The one session it
 * may run itself is one that only carries bytes, when that is all there is to do (session_signal_here); several of them
 * in one batch are a crowd (pool_add_crowd).
 *
 * Other threads reach the loop through what they leave (graveyard, timers, stop request) and one eventfd; however many
 * wake it at once, it is written once.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "net/engine.h"
#include "base/banned.h"

enum { BATCH = 256 };

void loop_wake(void *server)
{
    struct server *sv = server;
    if (!atomic_exchange(&sv->is_woken, true)) {
        uint64_t one = 1;
        (void)!write(sv->wake.fd, &one, sizeof one);
    }
}

static void woken(struct server *sv)
{
    uint64_t count;
    (void)!read(sv->wake.fd, &count, sizeof count);
    /* From here on a new wake-up is written again; the turn that follows sees all that came before. */
    atomic_store(&sv->is_woken, false);
}

static void bury_the_dead(struct server *sv)
{
    struct session *s = atomic_exchange(&sv->graveyard, NULL);
    while (s) {
        struct session *below = s->job.next ? CONTAINER_OF(s->job.next, struct session, job) : NULL;
        if (s->previous)
            s->previous->next = s->next;
        else
            sv->sessions = s->next;
        if (s->next)
            s->next->previous = s->previous;
        session_free(&s);
        atomic_fetch_sub(&sv->session_count, 1);
        atomic_store_explicit(&sv->has_freed, true, memory_order_relaxed);
        s = below;
    }
}

static void run_task(struct job *job, struct worker *w)
{
    (void)w;
    struct task *t = CONTAINER_OF(job, struct task, job);
    t->fn(t->ctx);
    atomic_store(&t->is_queued, false);
}

/* Queues the tasks that are due; returns when the next one is. */
static int64_t queue_tasks(struct server *sv, int64_t now_ms)
{
    int64_t next_ms = TIMER_NEVER;
    for (struct task *t = sv->tasks; t; t = t->next) {
        if (now_ms >= t->next_ms) {
            t->next_ms = now_ms + t->interval_ms;
            if (!atomic_exchange(&t->is_queued, true)) {
                t->job.run = run_task;
                pool_add(sv->pool, &t->job);
            }
        }
        if (t->next_ms < next_ms)
            next_ms = t->next_ms;
    }
    return next_ms;
}

static int64_t wake_expired(struct server *sv, int64_t now_ms)
{
    int64_t next_ms;
    for (struct timer *t; (t = timers_expired(&sv->timers, now_ms, &next_ms)) != NULL;)
        session_signal(CONTAINER_OF(t, struct session, timer), BIT_TIMEOUT);
    return next_ms;
}

static void begin_stop(struct server *sv, int64_t now_ms)
{
    sv->is_stopping = true;
    sv->stop_at_ms = now_ms + atomic_load(&sv->stop_grace_ms);
    for (struct source *src = sv->sources; src; src = src->next)
        if (src->kind == SOURCE_LISTENER && src->fd >= 0) {
            epoll_ctl(sv->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
            close(src->fd);
            src->fd = -1;
        }
    for (struct session *s = sv->sessions; s; s = s->next)
        session_signal(s, BIT_SHUTDOWN);
}

static void watch_ready(struct server *sv, struct source *src)
{
    if (src->fd < 0 || src->readable(src->ctx, src->fd))
        return;
    epoll_ctl(sv->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
    src->fd = -1; /* not closed: it is the role's */
}

static void source_ready(struct server *sv, struct source *src)
{
    switch (src->kind) {
    case SOURCE_WAKE:
        woken(sv);
        break;
    case SOURCE_LISTENER:
        accept_ready(sv, src);
        break;
    case SOURCE_WATCH:
        watch_ready(sv, src);
        break;
    }
}

static void session_ready(struct session *s, uint32_t bits, struct pokes *crowd, bool is_last)
{
    if (is_last && crowd->count == 0)
        session_signal_here(s, bits);
    else
        session_signal_with(crowd, s, bits);
}

static void dispatch(struct server *sv, const struct epoll_event *ev, struct pokes *crowd, bool is_last)
{
    char *p = ev->data.ptr;
    switch ((uintptr_t)p & TAG_MASK) {
    case TAG_SESSION:
        session_ready((struct session *)(void *)p, BIT_READY, crowd, is_last);
        break;
    case TAG_SECOND:
        session_ready((struct session *)(void *)(p - TAG_SECOND), BIT_SECOND_READY, crowd, is_last);
        break;
    default:
        source_ready(sv, (struct source *)(void *)(p - TAG_SOURCE));
        break;
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Everything that has its time; returns when the next of it is due. */
static int64_t tend(struct server *sv, int64_t now_ms)
{
    bury_the_dead(sv);
    if (!sv->is_stopping && atomic_load(&sv->stop_grace_ms) >= 0)
        begin_stop(sv, now_ms);
    if (sv->accept_again_ms && now_ms >= sv->accept_again_ms && !sv->is_stopping)
        accept_listening(sv, true);
    int64_t next_ms = wake_expired(sv, now_ms);
    next_ms = earlier(next_ms, queue_tasks(sv, now_ms));
    next_ms = earlier(next_ms, pool_grow(sv->pool, now_ms));
    if (sv->accept_again_ms && !sv->is_stopping)
        next_ms = earlier(next_ms, sv->accept_again_ms);
    return sv->is_stopping ? earlier(next_ms, sv->stop_at_ms) : next_ms;
}

enum status server_run(struct server *sv, struct err *err)
{
    struct epoll_event events[BATCH];
    for (;;) {
        int64_t now_ms = clock_mono_ms();
        int64_t next_ms = tend(sv, now_ms);
        if (sv->is_stopping && (!sv->sessions || now_ms >= sv->stop_at_ms))
            return ST_OK;
        int64_t wait_ms = next_ms == TIMER_NEVER ? -1 : next_ms > now_ms ? next_ms - now_ms : 0;
        int n = epoll_wait(sv->epoll_fd, events, BATCH, wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms);
        if (n < 0 && errno != EINTR)
            return err_errno(err, "epoll_wait");
        struct pokes crowd = {0};
        for (int i = 0; i < n; i++)
            dispatch(sv, &events[i], &crowd, i == n - 1);
        pokes_send(&crowd);
    }
}
