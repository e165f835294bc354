/* tracer.c - see tracer.h. */
#include "relay/tracer.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/trace_buffer.h"
#include "base/banned.h"

struct tracer {
    struct trace_store *store;
    struct pollfd fds[2 + TRACER_CHANNELS_MAX]; /* stop, our own lines, channels */
    size_t fd_count;
    _Atomic(const struct config_trace *) settings;
    pthread_t thread;
    struct strbuf batch, own;
    int64_t write_at_ms; /* 0: the batch is empty */
    int64_t prune_at_ms;
    bool is_failing;
};

static void tell(struct tracer *t, const struct err *err)
{
    struct log_line l;
    if (!t->is_failing) { /* once, until it works again */
        log_begin(&l, LOG_ERROR, "trace-failed");
        log_err(&l, err);
        log_end(&l);
    }
    t->is_failing = true;
}

static void write_batch(struct tracer *t)
{
    struct err err;
    const struct config_trace *settings = atomic_load(&t->settings);
    if (settings->keep_seconds && t->batch.len) {
        if (trace_store_add(t->store, strbuf_span(&t->batch), &err) == ST_OK)
            t->is_failing = false;
        else
            tell(t, &err);
    }
    if (t->batch.cap > 2 * TRACER_BATCH_MAX)
        strbuf_free(&t->batch);
    strbuf_clear(&t->batch);
    t->write_at_ms = 0;
}

static void prune(struct tracer *t)
{
    struct err err;
    bool is_done = true;
    const struct config_trace *settings = atomic_load(&t->settings);
    int64_t before_ms = settings->keep_seconds ? clock_wall_ms() - settings->keep_seconds * 1000 : INT64_MAX;
    if (trace_store_prune(t->store, before_ms, settings->size_max, &is_done, &err) != ST_OK)
        tell(t, &err);
    t->prune_at_ms = clock_mono_ms() + (is_done ? TRACER_PRUNE_MS : TRACER_BATCH_MS);
}

static void take_own(struct tracer *t)
{
    strbuf_clear(&t->own);
    trace_buffer_take(&t->own);
    strbuf_add(&t->batch, strbuf_span(&t->own));
}

static void collect(struct tracer *t)
{
    take_own(t);
    for (size_t i = 2; i < t->fd_count; i++)
        if (t->fds[i].fd >= 0 && !trace_receive(t->fds[i].fd, &t->batch, TRACER_BATCH_MAX))
            t->fds[i].fd = -1; /* the master and the role are gone */
    if (t->batch.len && !t->write_at_ms)
        t->write_at_ms = clock_mono_ms() + TRACER_BATCH_MS;
}

/* While a batch fills, lines of our own wait in their buffer: they are no reason to wake up. Those of others come in
 * packets, at most one in TRACE_GATHER_MS, and a channel holds few. */
static bool wait_for_input(struct tracer *t)
{
    int64_t now = clock_mono_ms(), until = t->write_at_ms ? t->write_at_ms : t->prune_at_ms;
    t->fds[1].fd = t->write_at_ms ? -1 : trace_buffer_fd();
    (void)poll(t->fds, t->fd_count, until > now ? (int)(until - now) : 0);
    return !(t->fds[0].revents & POLLIN);
}

static void *work(void *ctx)
{
    struct tracer *t = ctx;
    for (bool goes_on = true; goes_on;) {
        goes_on = wait_for_input(t);
        collect(t);
        bool is_full = t->batch.len >= TRACER_BATCH_MAX;
        if (t->write_at_ms && (is_full || !goes_on || clock_mono_ms() >= t->write_at_ms))
            write_batch(t);
        if (is_full)
            collect(t);
        if (goes_on && clock_mono_ms() >= t->prune_at_ms)
            prune(t);
    }
    return NULL;
}

struct tracer *tracer_start(struct trace_store *store, const int *channels, size_t count,
                            const struct config_trace *settings)
{
    struct tracer *t = mem_alloc(sizeof *t);
    t->store = store;
    atomic_store(&t->settings, settings);
    t->fds[0] = (struct pollfd){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = POLLIN};
    t->fds[1] = (struct pollfd){.fd = trace_buffer_fd(), .events = POLLIN};
    t->fd_count = 2;
    for (size_t i = 0; i < count && i < TRACER_CHANNELS_MAX; i++)
        t->fds[t->fd_count++] = (struct pollfd){.fd = channels[i], .events = POLLIN};
    t->prune_at_ms = clock_mono_ms();
    if (t->fds[0].fd < 0 || pthread_create(&t->thread, NULL, work, t) != 0)
        panic("no thread for the trace");
    return t;
}

void tracer_set_settings(struct tracer *t, const struct config_trace *settings)
{
    atomic_store(&t->settings, settings);
}

void tracer_stop(struct tracer **tp)
{
    struct tracer *t = *tp;
    uint64_t one = 1;
    *tp = NULL;
    if (!t)
        return;
    ssize_t ignored = write(t->fds[0].fd, &one, sizeof one);
    (void)ignored;
    pthread_join(t->thread, NULL);
    close(t->fds[0].fd);
    strbuf_free(&t->batch);
    strbuf_free(&t->own);
    free(t);
}
