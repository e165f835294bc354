/*
 * carry.c - a session that only carries bytes between its client and another socket (the gate after login).
 *
 * Each direction is read only when it has nothing left over, so at most one read's worth (CARRY_BYTES) waits in each,
 * on the heap while it waits and nowhere when all is well. Ends are passed on: the far side's end closes the client
 * after the last byte; the client's end becomes a FIN towards the far side, which then has its say until it closes.
 *
 * Where the far side gives the client back (give_back.c), the session is its protocol's again.
 *
 * The far side keeps the session's idle time. Here is only a deadline for who stops taking bytes.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/engine.h"
#include "base/banned.h"

enum {
    CARRY_BYTES = 64 * 1024,
    CARRY_SHORT = 4096,
    CARRY_READS_MAX = 16,
    CARRY_RETURNED_MAX = 128 * 1024, /* of the client's bytes that come back; a client that waits for answers has few */
};

struct flow {
    char *left; /* read here, not yet written there */
    uint32_t at, len;
    bool is_ended;  /* nothing more will be read */
    bool is_broken; /* nothing more can be written */
};

struct carry {
    int fd;
    uint32_t armed_events; /* 0: not armed */
    bool is_in_epoll;
    bool is_readable;                           /* the far side may have something */
    bool has_shut;                              /* the client's end was passed on */
    bool client_wants_write, client_wants_read; /* what a blocked write to the client waits for */
    bool read_wants_write;                      /* TLS must write before the client can be read */
    bool is_returning;                          /* what comes from the far side was the client's */
    struct strbuf returned;
    struct flow up, down; /* to the far side, to the client */
};

struct carry *carry_new(int fd)
{
    struct carry *c = mem_alloc(sizeof *c);
    c->fd = fd;
    return c;
}

void carry_free(struct carry **cp)
{
    struct carry *c = *cp;
    if (!c)
        return;
    free(c->up.left);
    free(c->down.left);
    strbuf_free(&c->returned);
    if (c->fd >= 0)
        close(c->fd);
    free(c);
    *cp = NULL;
}

static void keep(struct flow *f, const char *p, size_t n)
{
    f->left = mem_copy(p, n);
    f->at = 0;
    f->len = (uint32_t)n;
}

static void drop(struct flow *f)
{
    free(f->left);
    f->left = NULL;
    f->at = f->len = 0;
}

void carry_begin(struct session *s)
{
    struct span unread = session_input(s);
    if (unread.len)
        keep(&s->carry->up, unread.p, unread.len);
    session_consume(s, unread.len);
    s->is_readable = s->carry->is_readable = true;
    s->phase = PHASE_CARRY;
    s->progress = PROGRESS_NONE;
}

static enum io write_up(struct session *s, struct span data, size_t *n)
{
    return socket_write(s->carry->fd, data, n);
}

static enum io write_down(struct session *s, struct span data, size_t *n)
{
    enum io io = stream_write(&s->stream, data, n);
    s->carry->client_wants_read = io == IO_WANT_READ;
    s->carry->client_wants_write = io == IO_WANT_WRITE;
    return io;
}

/* Writes data from *at on; false where the other end is gone. */
static bool write_some(struct session *s, bool is_down, struct span data, size_t *at)
{
    while (*at < data.len) {
        size_t n = 0;
        enum io io = (is_down ? write_down : write_up)(s, span_skip(data, *at), &n);
        if (io == IO_WANT_READ || io == IO_WANT_WRITE)
            return true;
        if (io != IO_OK)
            return false;
        *at += n;
        s->moved += n;
    }
    return true;
}

/* What was left over goes first. True where nothing is left now. */
static bool write_left(struct session *s, struct flow *f, bool is_down)
{
    if (!f->left)
        return true;
    size_t at = f->at;
    f->is_broken = !write_some(s, is_down, span_of(f->left, f->len), &at);
    f->at = (uint32_t)at;
    if (!f->is_broken && f->at < f->len)
        return false;
    drop(f);
    return true;
}

/* At the mark our direction ends; from there on it is the client's own bytes that come. */
static enum io read_far(struct carry *c, char *p, size_t *n)
{
    bool is_mark;
    enum io io = return_read(c->fd, p, CARRY_BYTES, n, &is_mark);
    if (io == IO_OK && c->is_returning) {
        c->down.is_broken = c->returned.len + *n > CARRY_RETURNED_MAX;
        strbuf_add(&c->returned, span_of(p, *n));
        *n = 0;
    } else if (io == IO_OK && is_mark) {
        shutdown(c->fd, SHUT_WR);
        c->is_returning = c->has_shut = true;
    }
    return io;
}

static enum io read_side(struct session *s, bool is_down, char *p, size_t *n)
{
    if (is_down)
        return read_far(s->carry, p, n);
    enum io io = stream_read(&s->stream, p, CARRY_BYTES, n);
    s->carry->read_wants_write = io == IO_WANT_WRITE;
    return io;
}

/* Less than CARRY_SHORT was all there was, most likely; where not, epoll says so, since it is asked anew. */
static bool is_all(const struct session *s, bool is_down, size_t n)
{
    return n < CARRY_SHORT && (is_down || !stream_has_pending(&s->stream));
}

/* Moves what there is in one direction. False where the turn is used up and there may be more. */
static bool move(struct session *s, struct flow *f, bool is_down)
{
    struct worker *w = s->worker;
    bool *is_readable = is_down ? &s->carry->is_readable : &s->is_readable;
    for (int reads = 0; write_left(s, f, is_down) && *is_readable && !f->is_ended && !f->is_broken; reads++) {
        size_t n = 0, at = 0;
        if (reads == CARRY_READS_MAX)
            return false;
        worker_reserve_input(w, CARRY_BYTES);
        enum io io = read_side(s, is_down, w->in, &n);
        *is_readable = io == IO_OK && !is_all(s, is_down, n);
        if (io == IO_WANT_READ || io == IO_WANT_WRITE)
            return true;
        if (io != IO_OK) {
            f->is_ended = true;
            return true;
        }
        f->is_broken = !write_some(s, is_down, span_of(w->in, n), &at);
        if (!f->is_broken && at < n)
            keep(f, w->in + at, n - at);
    }
    return true;
}

/* All that the client has said since is unread input again, and the protocol goes on. */
static enum park come_back(struct session *s)
{
    struct carry *c = s->carry;
    struct worker *w = s->worker;
    w->in_at = w->in_len = 0;
    if (c->up.left)
        strbuf_add(&c->returned, span_of(c->up.left + c->up.at, c->up.len - c->up.at));
    worker_reserve_input(w, c->returned.len);
    if (c->returned.len)
        memcpy(w->in, c->returned.p, c->returned.len);
    w->in_len = c->returned.len;
    carry_free(&s->carry);
    s->since_ms = clock_mono_ms();
    s->progress = PROGRESS_NONE;
    s->is_readable = true;
    s->is_returned = true;
    s->phase = PHASE_OPEN;
    return w->is_loop || w->is_in_crowd ? PARK_YIELD : PARK_NONE; /* a protocol may block */
}

enum park carry_advance(struct session *s)
{
    struct carry *c = s->carry;
    session_absorb(s);
    if (s->bits & BIT_SECOND_READY) {
        c->armed_events = 0;
        c->is_readable = true;
    }
    s->bits &= ~(uint32_t)(BIT_SECOND_READY | BIT_POKED);
    bool is_down_done = move(s, &c->down, true);
    bool is_up_done = c->is_returning || move(s, &c->up, false);
    if (c->down.is_broken)
        return session_end(s);
    if (c->down.is_ended && c->is_returning)
        return come_back(s);
    if (c->down.is_ended && !c->down.left) { /* the far side has closed and the client has it all */
        s->next_step = NEXT_CLOSE;
        s->phase = PHASE_OPEN;
        return PARK_NONE;
    }
    if (c->up.is_ended && !c->up.left && !c->has_shut) {
        shutdown(c->fd, SHUT_WR);
        c->has_shut = true;
    }
    if (!is_down_done || !is_up_done)
        return s->worker->is_loop || session_must_yield(s) || pool_waiting(s->server->pool) ? PARK_YIELD : PARK_NONE;
    return PARK_CARRY;
}

int64_t carry_deadline(struct session *s, int64_t now_ms)
{
    struct carry *c = s->carry;
    if (c->down.left)
        return progress_window(s, PROGRESS_CARRY_DOWN, PROGRESS_WINDOW_MS,
                               PROGRESS_MINUTES * SESSION_DRAIN_MIN_PER_MINUTE, now_ms);
    if (c->up.left && !c->is_returning)
        return progress_window(s, PROGRESS_CARRY_UP, CARRY_UP_WINDOW_MS, 1, now_ms);
    if (c->has_shut)
        return progress_window(s, PROGRESS_HALF, CARRY_UP_WINDOW_MS, 1, now_ms);
    s->progress = PROGRESS_NONE;
    return TIMER_NEVER;
}

static uint32_t client_events(const struct carry *c)
{
    uint32_t events = 0;
    if (c->down.left)
        events |= c->client_wants_read ? EPOLLIN : EPOLLOUT;
    if (!c->up.left && !c->up.is_ended && !c->up.is_broken && !c->is_returning)
        events |= c->read_wants_write ? EPOLLOUT : EPOLLIN;
    return events;
}

static uint32_t far_events(const struct carry *c)
{
    uint32_t events = 0;
    if (c->up.left && !c->is_returning)
        events |= EPOLLOUT;
    if (!c->down.left && !c->down.is_ended)
        events |= EPOLLIN;
    return events;
}

/* Arms both descriptors for what each direction waits for; one that waits for nothing stays silent. */
bool carry_arm(struct session *s)
{
    struct carry *c = s->carry;
    uint32_t events = client_events(c);
    if (events && !(s->is_armed && s->armed_events == events)) {
        struct epoll_event ev = {.events = events | EPOLLONESHOT, .data.ptr = s};
        if (epoll_ctl(s->server->epoll_fd, s->is_in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->stream.fd, &ev) != 0)
            return false;
        s->is_in_epoll = s->is_armed = true;
        s->armed_events = events;
    }
    events = far_events(c);
    if (events && c->armed_events != events) {
        struct epoll_event ev = {.events = events | EPOLLONESHOT, .data.ptr = (char *)s + TAG_SECOND};
        if (epoll_ctl(s->server->epoll_fd, c->is_in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev) != 0)
            return false;
        c->is_in_epoll = true;
        c->armed_events = events;
    }
    return true;
}

bool carry_is_parkable(const struct carry *c)
{
    bool up_fits = (c->up.left == NULL) == (c->up.len == 0);
    return up_fits && (c->down.left == NULL) == (c->down.len == 0);
}
