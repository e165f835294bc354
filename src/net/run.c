/*
 * run.c - one job of a session: from the queue to the next park.
 *
 * The ownership word (engine.h) has a state and bits. Bits are set by anybody, at any time; the state changes only so:
 *
 *   PARKED  -> QUEUED    by whoever sets a bit and finds PARKED (session_signal); the winner queues the session, once,
 *                        or is the loop and runs it itself (session_signal_here)
 *   QUEUED  -> RUNNING   by the worker that took it from the queue
 *   RUNNING -> PARKED    by its worker, and only while no bit is set (session_park)
 *   RUNNING -> QUEUED    by its worker, when others wait for their turn
 *   RUNNING -> DEAD      by its worker, at the end
 *
 * A READY bit is a hint to try the socket, a TIMEOUT bit to look at the clock; neither says that anything is really
 * there. So late events of an epoll batch do no harm, and epoll is not a lock.
 *
 * A dead session's memory stays until the loop has finished the batch of events in which its pointer may still stand:
 * the worker puts it into the graveyard, the loop empties that before it asks epoll for the next batch.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include "base/clock.h"
#include "net/engine.h"
#include "base/banned.h"

/* Sets the bits; true where the caller has won a parked session and must queue it. */
static bool claim(struct session *s, uint32_t bits)
{
    uint32_t old = atomic_load(&s->word), new;
    do {
        uint32_t state = old & STATE_MASK;
        if (state == STATE_DEAD)
            return false;
        new = old | bits;
        if (state == STATE_PARKED)
            new = (new & ~(uint32_t)STATE_MASK) | STATE_QUEUED;
    } while (!atomic_compare_exchange_weak(&s->word, &old, new));
    return (old & STATE_MASK) == STATE_PARKED;
}

void session_signal(struct session *s, uint32_t bits)
{
    if (claim(s, bits))
        pool_add(s->server->pool, &s->job);
}

/* Claimed sessions are ours until they are queued: nobody runs them, so they cannot end. */
static void queue_crowd(struct pokes *crowd)
{
    if (crowd->count > 1)
        pool_add_crowd(crowd->first->server->pool, &crowd->first->job, &crowd->last->job, crowd->count);
    else if (crowd->count)
        pool_add(crowd->first->server->pool, &crowd->first->job);
    *crowd = (struct pokes){0};
}

/* The session is claimed. */
static void collect(struct pokes *crowd, struct session *s)
{
    s->job.next = NULL;
    if (crowd->last)
        crowd->last->job.next = &s->job;
    else
        crowd->first = s;
    crowd->last = s;
    crowd->count++;
    crowd->send = queue_crowd;
}

void session_poke_with(struct pokes *pokes, struct session *s)
{
    if (claim(s, BIT_POKED))
        collect(pokes, s);
}

void session_signal_with(struct pokes *crowd, struct session *s, uint32_t bits)
{
    if (!claim(s, bits))
        return;
    if (s->phase == PHASE_CARRY)
        collect(crowd, s);
    else
        pool_add(s->server->pool, &s->job);
}

/*
 * Carrying never blocks, and for a few bytes another thread costs more than the work. So the loop does it where nobody
 * waits for it: the last of a batch of events, and no job in the queue. With much to do the batches are large, and the
 * work is the workers' as ever.
 */
void session_signal_here(struct session *s, uint32_t bits)
{
    struct worker *w = &s->server->loop_worker;
    if (!claim(s, bits))
        return;
    if (s->phase != PHASE_CARRY || pool_waiting(s->server->pool) > 0) {
        pool_add(s->server->pool, &s->job);
        return;
    }
    w->started_ms = clock_mono_ms();
    w->turns = 0;
    session_run(&s->job, w);
}

/* Takes the bits out of the word. */
void session_absorb(struct session *s)
{
    if (atomic_load_explicit(&s->word, memory_order_relaxed) == STATE_RUNNING)
        return;
    s->bits |= atomic_exchange(&s->word, STATE_RUNNING) & ~(uint32_t)STATE_MASK;
    if (s->bits & BIT_READY) {
        s->is_armed = false;
        s->is_readable = true;
    }
    s->bits &= ~(uint32_t)(BIT_READY | BIT_TIMEOUT);
}

bool session_must_yield(const struct session *s)
{
    const struct worker *w = s->worker;
    return pool_waiting(s->server->pool) > 0 && (w->turns >= TURNS_MAX || clock_mono_ms() - w->started_ms >= TURN_MS);
}

/* Sends what it can. Where all went out, the buffer is empty again. */
enum io session_flush(struct session *s)
{
    while (session_unsent(s)) {
        size_t n = 0;
        enum io io = stream_write(&s->stream, span_of(s->out.p + s->out_at, session_unsent(s)), &n);
        if (io != IO_OK) {
            s->wants_write = io == IO_WANT_WRITE;
            return io;
        }
        s->out_at += n;
        s->moved += n;
    }
    s->wants_write = false;
    s->out_at = 0;
    strbuf_clear(&s->out);
    return IO_OK;
}

static void log_failed_handshake(const struct session *s, const char *reason)
{
    struct log_line l;
    session_log_begin(s, &l, LOG_INFO, "tls-failed");
    log_str(&l, "reason", reason);
    log_end(&l);
}

static enum park handshake_begin(struct session *s)
{
    struct err err;
    s->since_ms = clock_mono_ms();
    s->tls = server_tls(s->server);
    if (s->tls && stream_start_tls(&s->stream, s->tls, &err) == ST_OK)
        return PARK_NONE;
    log_failed_handshake(s, s->tls ? err.operator_text : "no certificate");
    return session_end(s);
}

static enum park handshake_advance(struct session *s)
{
    char reason[128] = "";
    if (s->bits & BIT_SHUTDOWN)
        return session_end(s);
    if (!s->stream.ssl)
        return handshake_begin(s);
    enum io io = stream_handshake(&s->stream, reason, sizeof reason);
    switch (io) {
    case IO_OK:
        stream_tls_facts(&s->stream, &s->peer);
        tls_context_free(&s->tls);
        s->wants_write = false;
        s->is_readable = true;
        s->since_ms = clock_mono_ms();
        s->phase = s->is_secured ? PHASE_OPEN : PHASE_START;
        return PARK_NONE;
    case IO_WANT_READ:
    case IO_WANT_WRITE:
        s->wants_write = io == IO_WANT_WRITE;
        return PARK_HANDSHAKE;
    default:
        log_failed_handshake(s, reason);
        return session_end(s);
    }
}

/* After the last words: reads until the peer closes too, so that the kernel does not answer its late bytes with a
 * reset, which would take the last words back from it. */
static enum park linger_advance(struct session *s)
{
    for (;;) {
        char waste[4096];
        size_t n = 0;
        enum io io = socket_read(s->stream.fd, waste, sizeof waste, &n);
        if (io == IO_WANT_READ && !(s->bits & BIT_SHUTDOWN))
            return PARK_LINGER;
        if (io != IO_OK || (s->moved += n) > LINGER_BYTES)
            return session_end(s);
    }
}

static enum park advance(struct session *s)
{
    for (;;) {
        enum park why = PARK_NONE;
        switch ((enum phase)s->phase) {
        case PHASE_PROXY:
            why = proxy_advance(s);
            break;
        case PHASE_HANDSHAKE:
            why = handshake_advance(s);
            break;
        case PHASE_START:
        case PHASE_OPEN:
            why = protocol_advance(s);
            break;
        case PHASE_CARRY:
            why = carry_advance(s);
            break;
        case PHASE_RETURN:
            why = return_advance(s);
            break;
        case PHASE_LINGER:
            why = linger_advance(s);
            break;
        case PHASE_END:
            return PARK_END;
        }
        if (why != PARK_NONE)
            return why;
    }
}

/* The deadline has passed. A protocol that waited for input may say a last word. */
static void expire(struct session *s, enum park why)
{
    struct log_line l;
    session_log_begin(s, &l, LOG_DEBUG, "timeout");
    log_end(&l);
    if (why == PARK_INPUT)
        protocol_goodbye(s, BYE_TIMEOUT);
    else
        session_end(s);
}

static void bury(struct session *s)
{
    struct server *sv = s->server;
    session_leave_buffers(s);
    if (s->is_in_epoll) /* closing alone would not do it if the descriptor had a twin somewhere */
        epoll_ctl(sv->epoll_fd, EPOLL_CTL_DEL, s->stream.fd, NULL);
    session_release(s);
    atomic_store(&s->word, STATE_DEAD);
    struct session *top = atomic_load(&sv->graveyard);
    do
        s->job.next = top ? &top->job : NULL;
    while (!atomic_compare_exchange_weak(&sv->graveyard, &top, s));
    loop_wake(sv);
}

/*
 * A peer that answers at once (another role, a client that is near) is waited for by the worker itself for a moment:
 * the bytes then find the session on its thread, and neither the loop nor a second worker must be woken for them. Only
 * where the last input came as quickly, nobody waits for a worker, and no deadline has passed: who drips is let go as
 * everybody else.
 */
static bool stay(struct session *s)
{
    struct pollfd p = {.fd = s->stream.fd, .events = POLLIN};
    if (!s->is_quick || s->wants_write || pool_waiting(s->server->pool) > 0 ||
        atomic_load_explicit(&s->word, memory_order_relaxed) != STATE_RUNNING)
        return false;
    s->is_quick = poll(&p, 1, STAY_MS) > 0;
    s->is_readable = s->is_quick;
    return s->is_quick;
}

static void yield_turn(struct session *s)
{
    session_leave_buffers(s);
    uint32_t old = atomic_load(&s->word);
    while (!atomic_compare_exchange_weak(&s->word, &old, (old & ~(uint32_t)STATE_MASK) | STATE_QUEUED))
        ;
    pool_add(s->server->pool, &s->job);
}

void session_run(struct job *job, struct worker *w)
{
    struct session *s = CONTAINER_OF(job, struct session, job);
    session_adopt_buffers(s, w);
    s->is_quick = w->started_ms - s->parked_ms <= STAY_MS;
    for (;;) {
        session_absorb(s);
        enum park why = advance(s);
        if (why == PARK_END) {
            bury(s);
            return;
        }
        if (why == PARK_YIELD) {
            yield_turn(s);
            return;
        }
        int64_t now_ms = clock_mono_ms();
        s->parked_ms = why == PARK_INPUT ? now_ms : 0;
        int64_t deadline_ms = park_deadline(s, why, now_ms);
        if (deadline_ms == 0) {
            expire(s, why);
            continue;
        }
        if (why == PARK_INPUT && stay(s))
            continue;
        enum parked parked = session_park(s, why, deadline_ms);
        if (parked == PARKED)
            return;
        if (parked == PARKED_FAILED)
            session_end(s);
    }
}
