/*
 * park.c - a running session comes to rest: its deadline, its buffers, its place in epoll.
 *
 * Parking has an order, and the order is the whole trick:
 *
 *   1. give the worker's buffers back (an incomplete command and unsent output stay, in blocks of their exact size)
 *   2. set the deadline, arm epoll; both may fire at once, which sets bits in the word while the session still RUNs
 *   3. compare-exchange RUNNING without bits -> PARKED
 *
 * Where 3 fails, something happened since the session last looked: it takes its buffers again and looks. Where it
 * succeeds, the next bit anybody sets finds PARKED and queues the session. So no event is lost, and nobody needs a
 * lock. After a successful exchange this thread must not touch the session again: another may already run it.
 *
 * Deadlines are computed here and nowhere else. A TIMEOUT bit only makes the session look: it tries its I/O once more
 * and comes here again, where the deadline is then found to have passed.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include "base/mem.h"
#include "net/engine.h"
#include "base/banned.h"

/* The peer must move `least` bytes in each window. 0 where it did not; else when to look again. */
int64_t progress_window(struct session *s, enum progress what, int64_t length_ms, size_t least, int64_t now_ms)
{
    if (s->progress != what) {
        s->progress = (uint8_t)what;
        s->window_ms = now_ms;
        s->moved = 0;
    }
    if (now_ms - s->window_ms >= length_ms) {
        if (s->moved < least)
            return 0;
        s->window_ms = now_ms;
        s->moved = 0;
    }
    return s->window_ms + length_ms;
}

static int64_t input_deadline(struct session *s, int64_t now_ms)
{
    if (s->is_in_body)
        return progress_window(s, PROGRESS_BODY, PROGRESS_WINDOW_MS, PROGRESS_MINUTES * SESSION_BODY_MIN_PER_MINUTE,
                               now_ms);
    s->progress = PROGRESS_NONE;
    return s->since_ms + (session_unread(s) ? s->command_ms : s->idle_ms);
}

int64_t park_deadline(struct session *s, enum park why, int64_t now_ms)
{
    int64_t at = TIMER_NEVER;
    switch (why) {
    case PARK_HANDSHAKE:
        at = s->since_ms + HANDSHAKE_MS;
        break;
    case PARK_INPUT:
        at = input_deadline(s, now_ms);
        break;
    case PARK_OUTPUT:
        at = progress_window(s, PROGRESS_DRAIN, PROGRESS_WINDOW_MS, PROGRESS_MINUTES * SESSION_DRAIN_MIN_PER_MINUTE,
                             now_ms);
        break;
    case PARK_PAUSE:
        return s->pause_until_ms;
    case PARK_CARRY:
        at = carry_deadline(s, now_ms);
        break;
    case PARK_RETURN:
        at = s->since_ms + RETURN_MS;
        break;
    case PARK_LINGER:
        at = s->since_ms + LINGER_MS;
        break;
    case PARK_NONE:
    case PARK_YIELD:
    case PARK_END:
        break;
    }
    return at <= now_ms ? 0 : at;
}

void session_adopt_buffers(struct session *s, struct worker *w)
{
    w->in_at = w->in_len = 0;
    if (s->rest) {
        worker_reserve_input(w, s->rest_len);
        memcpy(w->in, s->rest, s->rest_len);
        w->in_len = s->rest_len;
        free(s->rest);
        s->rest = NULL;
        s->rest_len = 0;
    }
    if (!s->out.p) {
        s->out = w->out;
        w->out = (struct strbuf)STRBUF_INIT;
    }
    s->worker = w;
}

void session_leave_buffers(struct session *s)
{
    struct worker *w = s->worker;
    size_t unread = session_unread(s);
    if (unread) {
        s->rest = mem_copy(w->in + w->in_at, unread);
        s->rest_len = (uint32_t)unread;
    }
    w->in_at = w->in_len = 0;
    strbuf_consume(&s->out, s->out_at);
    s->out_at = 0;
    if (s->out.len == 0) {
        strbuf_free(&w->out); /* where the session came with memory of its own */
        w->out = s->out;
        s->out = (struct strbuf)STRBUF_INIT;
    } else if (s->out.cap > 2 * s->out.len) {
        s->out.cap = s->out.len + 1;
        s->out.p = mem_resize(s->out.p, s->out.cap);
    }
    s->worker = NULL;
}

/* What a parked session may own: its struct, TLS state, an incomplete command, output that its client does not take. */
static void session_assert_parkable(const struct session *s, enum park why)
{
    assert(s->worker == NULL);
    assert(s->out_at == 0);
    assert((s->out.p == NULL) == (s->out.len == 0));
    assert(why == PARK_OUTPUT || s->out.len == 0);
    assert((s->rest == NULL) == (s->rest_len == 0));
    assert(why == PARK_HANDSHAKE || s->tls == NULL);
    assert(why != PARK_CARRY || carry_is_parkable(s->carry));
    assert(why != PARK_LINGER || (s->stream.ssl == NULL && s->protocol == NULL && s->carry == NULL));
    (void)s;
    (void)why;
}

/* Which events end this wait; 0: only the deadline or a poke does, and epoll must stay silent (it reports a hang-up
 * even to those who asked for nothing). */
static uint32_t events_of(const struct session *s, enum park why)
{
    switch (why) {
    case PARK_HANDSHAKE:
    case PARK_INPUT:
        return s->wants_write ? EPOLLOUT : EPOLLIN;
    case PARK_OUTPUT:
    case PARK_RETURN:
        return s->wants_write ? EPOLLOUT : EPOLLIN;
    case PARK_LINGER:
        return EPOLLIN;
    default:
        return 0;
    }
}

static bool arm(struct session *s, uint32_t events)
{
    if (events == 0 || (s->is_armed && s->armed_events == events))
        return true;
    struct epoll_event ev = {.events = events | EPOLLONESHOT, .data.ptr = s};
    if (epoll_ctl(s->server->epoll_fd, s->is_in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->stream.fd, &ev) != 0)
        return false;
    s->is_in_epoll = s->is_armed = true;
    s->armed_events = events;
    return true;
}

enum parked session_park(struct session *s, enum park why, int64_t deadline_ms)
{
    struct worker *w = s->worker;
    session_leave_buffers(s);
    session_assert_parkable(s, why);
    timers_set(&s->server->timers, &s->timer, deadline_ms);
    bool is_armed = why == PARK_CARRY ? carry_arm(s) : arm(s, events_of(s, why));
    uint32_t expected = STATE_RUNNING;
    if (is_armed && atomic_compare_exchange_strong(&s->word, &expected, STATE_PARKED))
        return PARKED;
    session_adopt_buffers(s, w);
    return is_armed ? PARKED_NOT : PARKED_FAILED;
}
