/*
 * server.c - making, changing and ending a server (server.h). What it does while it runs is in loop.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/engine.h"
#include "base/banned.h"

enum {
    WORKERS_DEFAULT = 64,
    SESSIONS_DEFAULT = 100 * 1000,
    ARENAS_MAX = 2,               /* threads come and go; an arena of each would keep what it once had */
    MMAP_FROM_BYTES = 256 * 1024, /* fixed, or glibc would raise it and keep big buffers in the heap's midst */
    TRIM_EVERY_MS = 30 * 1000
};

/* Gives freed memory back to the system, when sessions have ended since. */
static void trim(void *ctx)
{
    struct server *sv = ctx;
    if (atomic_exchange(&sv->has_freed, false))
        malloc_trim(0);
}

static void prepare_process(void)
{
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_ARENA_MAX, ARENAS_MAX);
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES);
    mallopt(M_TRIM_THRESHOLD, MMAP_FROM_BYTES);
}

void server_set_options(struct server *sv, const struct server_options *o)
{
    atomic_store(&sv->sessions_max, o->sessions_max ? o->sessions_max : SESSIONS_DEFAULT);
    atomic_store(&sv->sessions_per_address, o->sessions_per_address);
    atomic_store(&sv->proxies, o->proxies);
    pool_set_max(sv->pool, o->workers_max ? o->workers_max : WORKERS_DEFAULT);
}

struct server *server_new(const struct server_options *options)
{
    struct err err;
    prepare_process();
    struct server *sv = mem_alloc(sizeof *sv);
    pthread_mutex_init(&sv->lock, NULL);
    atomic_store(&sv->stop_grace_ms, -1);
    sv->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    sv->wake.kind = SOURCE_WAKE;
    sv->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (sv->epoll_fd < 0 || sv->wake.fd < 0 || source_arm(sv, &sv->wake, &err) != ST_OK)
        panic("epoll or eventfd cannot be had");
    sv->pool = pool_new(WORKERS_DEFAULT, loop_wake, sv);
    sv->loop_worker.is_loop = true;
    sv->addresses = limiter_new();
    timers_init(&sv->timers, loop_wake, sv);
    server_set_options(sv, options);
    server_every(sv, TRIM_EVERY_MS, trim, sv);
    return sv;
}

enum status source_arm(struct server *sv, struct source *src, struct err *err)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = (char *)src + TAG_SOURCE};
    if (epoll_ctl(sv->epoll_fd, EPOLL_CTL_ADD, src->fd, &ev) != 0 && errno != EEXIST)
        return err_errno(err, "epoll_ctl");
    return ST_OK;
}

static enum status add_source(struct server *sv, struct source *src, struct err *err)
{
    enum status st = source_arm(sv, src, err);
    if (st != ST_OK) {
        free(src);
        return st;
    }
    src->next = sv->sources;
    sv->sources = src;
    return ST_OK;
}

enum status server_add_listener(struct server *sv, const struct listener *l, struct err *err)
{
    struct source *src = mem_alloc(sizeof *src);
    src->kind = SOURCE_LISTENER;
    src->fd = l->fd;
    src->listener = *l;
    int flags = fcntl(l->fd, F_GETFL);
    if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        free(src);
        return err_errno(err, "fcntl");
    }
    return add_source(sv, src, err);
}

enum status server_watch(struct server *sv, int fd, bool (*readable)(void *ctx, int fd), void *ctx, struct err *err)
{
    struct source *src = mem_alloc(sizeof *src);
    src->kind = SOURCE_WATCH;
    src->fd = fd;
    src->readable = readable;
    src->ctx = ctx;
    return add_source(sv, src, err);
}

void server_every(struct server *sv, int64_t interval_ms, void (*fn)(void *ctx), void *ctx)
{
    struct task *t = mem_alloc(sizeof *t);
    t->fn = fn;
    t->ctx = ctx;
    t->interval_ms = interval_ms;
    t->next_ms = clock_mono_ms() + interval_ms;
    t->next = sv->tasks;
    sv->tasks = t;
}

struct tls_context *server_tls(struct server *sv)
{
    pthread_mutex_lock(&sv->lock);
    struct tls_context *tls = sv->tls ? tls_context_ref(sv->tls) : NULL;
    pthread_mutex_unlock(&sv->lock);
    return tls;
}

void server_set_tls(struct server *sv, struct tls_context *tls)
{
    pthread_mutex_lock(&sv->lock);
    struct tls_context *before = sv->tls;
    sv->tls = tls;
    pthread_mutex_unlock(&sv->lock);
    tls_context_free(&before);
}

void server_stop(struct server *sv, int64_t grace_ms)
{
    atomic_store(&sv->stop_grace_ms, grace_ms < 0 ? 0 : grace_ms);
    loop_wake(sv);
}

uint32_t server_session_count(const struct server *sv)
{
    return atomic_load(&sv->session_count);
}

/* Sessions that outlived the grace time. No thread runs any more. */
static void end_sessions(struct server *sv)
{
    for (struct session *s; (s = sv->sessions) != NULL;) {
        sv->sessions = s->next;
        if (atomic_load(&s->word) != STATE_DEAD)
            session_release(s);
        session_free(&s);
    }
}

void server_free(struct server **svp)
{
    struct server *sv = *svp;
    if (!sv)
        return;
    pool_stop(sv->pool);
    end_sessions(sv);
    pool_free(&sv->pool);
    worker_drop_buffers(&sv->loop_worker);
    for (struct source *src; (src = sv->sources) != NULL;) {
        sv->sources = src->next;
        if (src->kind == SOURCE_LISTENER && src->fd >= 0)
            close(src->fd);
        free(src);
    }
    for (struct task *t; (t = sv->tasks) != NULL;) {
        sv->tasks = t->next;
        free(t);
    }
    tls_context_free(&sv->tls);
    limiter_free(&sv->addresses);
    timers_destroy(&sv->timers);
    pthread_mutex_destroy(&sv->lock);
    close(sv->wake.fd);
    close(sv->epoll_fd);
    free(sv);
    *svp = NULL;
}
