/* trace_buffer.c - see trace_buffer.h. */
#include "sys/trace_buffer.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/banned.h"

enum { STOP_MS = 500, RETRY_MS = 50 };

/* There is one log in a process, so there is one of these. */
static struct {
    _Atomic bool is_on, is_stopping;
    pthread_mutex_t lock;
    struct strbuf waiting;
    uint64_t dropped;
    int event_fd;
    pthread_t sender;
    bool has_sender;
    int channel;
} trace = {.lock = PTHREAD_MUTEX_INITIALIZER, .event_fd = -1};

static void signal_event(void)
{
    uint64_t one = 1;
    ssize_t ignored = write(trace.event_fd, &one, sizeof one);
    (void)ignored;
}

/* The log's sink. */
static void keep(struct span line)
{
    if (!atomic_load_explicit(&trace.is_on, memory_order_relaxed))
        return;
    pthread_mutex_lock(&trace.lock);
    bool was_empty = trace.waiting.len == 0, fits = trace.waiting.len + line.len + 1 <= TRACE_BUFFER_MAX;
    if (fits) {
        strbuf_add(&trace.waiting, line);
        strbuf_add_char(&trace.waiting, '\n');
    } else {
        trace.dropped++;
    }
    pthread_mutex_unlock(&trace.lock);
    if (was_empty && fits)
        signal_event();
}

enum status trace_buffer_start(bool is_on, struct err *err)
{
    trace.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (trace.event_fd < 0)
        return err_errno(err, "eventfd");
    trace_buffer_set(is_on);
    log_set_sink(keep);
    return ST_OK;
}

void trace_buffer_set(bool is_on)
{
    atomic_store(&trace.is_on, is_on);
}

int trace_buffer_fd(void)
{
    return trace.event_fd;
}

void trace_buffer_take(struct strbuf *out)
{
    uint64_t count;
    ssize_t ignored = read(trace.event_fd, &count, sizeof count);
    (void)ignored;
    pthread_mutex_lock(&trace.lock);
    uint64_t dropped = trace.dropped;
    trace.dropped = 0;
    if (out->len == 0) {
        struct strbuf empty = *out; /* its memory is used again */
        *out = trace.waiting;
        trace.waiting = empty;
    } else {
        strbuf_add(out, strbuf_span(&trace.waiting));
        strbuf_clear(&trace.waiting);
    }
    pthread_mutex_unlock(&trace.lock);
    if (!dropped)
        return;
    struct log_line l;
    log_begin(&l, LOG_WARN, "trace-dropped");
    log_u64(&l, "lines", dropped);
    strbuf_add(out, span_of(l.text, l.len));
    strbuf_add_char(out, '\n');
    log_end(&l);
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

/* The longest run of whole lines that is no longer than a packet. A line of the log is at most 2 KB. */
static size_t packet_size(struct span s)
{
    if (s.len <= TRACE_PACKET_MAX)
        return s.len;
    return span_rfind_byte(span_take(s, TRACE_PACKET_MAX), '\n') + 1;
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_nsec = ms * 1000000};
    nanosleep(&t, NULL);
}

/* The channel is full while its reader restarts: what comes meanwhile waits in the buffer, or is dropped there. */
static void send_all(struct span s)
{
    int64_t stop_ms = 0;
    while (s.len) {
        size_t n = packet_size(s);
        ssize_t sent = n ? send(trace.channel, s.p, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        if (sent >= 0) {
            s = span_skip(s, n ? n : s.len);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            if (atomic_load(&trace.is_stopping)) {
                stop_ms = stop_ms ? stop_ms : clock_mono_ms() + STOP_MS;
                if (clock_mono_ms() >= stop_ms)
                    return;
            }
            pause_ms(RETRY_MS);
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void *send_lines(void *ctx)
{
    struct strbuf batch = STRBUF_INIT;
    (void)ctx;
    for (bool is_last = false; !is_last;) {
        is_last = atomic_load(&trace.is_stopping); /* whoever stops signals behind this, or is seen here */
        struct pollfd p = {.fd = trace.event_fd, .events = POLLIN};
        if (!is_last)
            (void)poll(&p, 1, -1);
        if (!atomic_load(&trace.is_stopping))
            pause_ms(TRACE_GATHER_MS);
        strbuf_clear(&batch);
        trace_buffer_take(&batch);
        send_all(strbuf_span(&batch));
    }
    strbuf_free(&batch);
    return NULL;
}

void trace_sender_start(int channel)
{
    trace.channel = channel;
    trace.has_sender = pthread_create(&trace.sender, NULL, send_lines, NULL) == 0;
    if (!trace.has_sender)
        panic("no thread for the trace");
}

void trace_sender_stop(void)
{
    if (!trace.has_sender)
        return;
    atomic_store(&trace.is_stopping, true);
    signal_event();
    pthread_join(trace.sender, NULL);
    trace.has_sender = false;
}

bool trace_receive(int channel, struct strbuf *out, size_t max)
{
    while (out->len < max) {
        size_t before = out->len;
        char *room = strbuf_extend(out, TRACE_PACKET_MAX);
        ssize_t n = recv(channel, room, TRACE_PACKET_MAX, MSG_DONTWAIT);
        strbuf_truncate(out, before + (n > 0 ? (size_t)n : 0));
        if (n > 0)
            continue;
        if (n < 0 && errno == EINTR)
            continue;
        return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    return true;
}
