/*
 * protocol.c - calling the protocol: commands out of the buffer, answers into the socket.
 *
 * The loop below does whatever the protocol's last answer (enum next) allows, until only the peer or the clock can
 * bring it further:
 *
 *   - output goes out when nothing more can be run without waiting, or when it has reached SESSION_OUT_HIGH
 *   - where the socket is full, the session parks for output and neither reads nor runs commands, so a client that
 *     does not read makes nothing grow
 *   - the socket is read only when the buffer holds no complete command
 *   - poke() comes between commands, with all output sent
 *   - a shutdown is told as soon as no command runs
 */
#include "base/clock.h"
#include "net/engine.h"
#include "base/banned.h"

static size_t input_limit(const struct session *s)
{
    return s->is_in_body && s->input_max < BODY_READ_MAX ? BODY_READ_MAX : s->input_max;
}

void protocol_goodbye(struct session *s, enum bye why)
{
    if (s->out_at) {
        strbuf_consume(&s->out, s->out_at);
        s->out_at = 0;
    }
    if (s->protocol->goodbye)
        s->protocol->goodbye(s, why);
    s->next_step = NEXT_CLOSE;
    s->is_hasty = why == BYE_TIMEOUT;
    s->pause_until_ms = 0;
}

/* Calls one of the protocol's functions. Its output buffer begins with the first unsent byte. */
static void call(struct session *s, enum next (*fn)(struct session *s))
{
    strbuf_consume(&s->out, s->out_at);
    s->out_at = 0;
    size_t unread = session_unread(s), unsent = s->out.len;
    uint8_t before = s->next_step;
    s->next_step = (uint8_t)fn(s);
    s->worker->turns++;
    bool has_moved = session_unread(s) != unread || s->out.len != unsent || s->next_step != before || s->pause_until_ms;
    s->stuck = has_moved ? 0 : (uint8_t)(s->stuck + 1);
    if (s->stuck < STUCK_MAX)
        return;
    struct log_line l;
    session_log_begin(s, &l, LOG_ERROR, "protocol-stuck");
    log_end(&l);
    s->next_step = NEXT_CLOSE;
}

static void call_input(struct session *s)
{
    size_t unread = session_unread(s);
    call(s, s->protocol->input);
    if (session_unread(s) != unread)
        s->since_ms = clock_mono_ms();
}

static void call_produce(struct session *s)
{
    call(s, s->protocol->produce);
    s->since_ms = clock_mono_ms();
}

static void start(struct session *s)
{
    s->phase = PHASE_OPEN;
    s->has_started = true;
    call(s, s->protocol->start);
    s->since_ms = clock_mono_ms();
}

static void secured(struct session *s)
{
    s->is_secured = false;
    s->next_step = NEXT_INPUT;
    if (s->protocol->secured)
        call(s, s->protocol->secured);
}

static enum park returned(struct session *s)
{
    s->is_returned = false;
    if (!s->protocol->returned)
        return session_end(s);
    call(s, s->protocol->returned);
    s->stuck = 0;
    return PARK_NONE;
}

/* A poke's answer says nothing of the bytes that are already there. */
static void call_poke(struct session *s)
{
    s->bits &= ~(uint32_t)BIT_POKED;
    if (!s->protocol->poke)
        return;
    call(s, s->protocol->poke);
    s->stuck = 0;
}

/* Reads into the worker's buffer until the socket or the limit says stop. */
static enum io fill(struct session *s, size_t *got)
{
    struct worker *w = s->worker;
    size_t unread = session_unread(s), limit = input_limit(s);
    if (w->in_at) {
        memmove(w->in, w->in + w->in_at, unread);
        w->in_at = 0;
        w->in_len = unread;
    }
    enum io io = IO_OK;
    while (io == IO_OK && w->in_len < limit) {
        size_t room = limit - w->in_len < READ_CHUNK ? limit - w->in_len : READ_CHUNK, n = 0;
        worker_reserve_input(w, room);
        io = stream_read(&s->stream, w->in + w->in_len, room, &n);
        if (io != IO_OK)
            break;
        w->in_len += n;
        *got += n;
        if (s->stream.deflate)
            break; /* a block may hold the last command that is compressed (give_back.c) */
        if (n < room && !s->stream.ssl)
            io = IO_WANT_READ; /* the socket is drained; were it not, epoll would say so at once */
    }
    s->moved += *got;
    s->wants_write = io == IO_WANT_WRITE;
    if (io == IO_WANT_READ || io == IO_WANT_WRITE)
        s->is_readable = false;
    return io;
}

static enum park read_more(struct session *s)
{
    size_t unread = session_unread(s), got = 0;
    if (unread >= input_limit(s)) {
        protocol_goodbye(s, BYE_INPUT_TOO_LONG);
        return PARK_NONE;
    }
    if (!s->is_readable && !stream_has_pending(&s->stream))
        return PARK_INPUT;
    enum io io = fill(s, &got);
    if (got) {
        if (unread == 0)
            s->since_ms = clock_mono_ms();
        s->next_step = NEXT_AGAIN;
        return PARK_NONE;
    }
    if (io == IO_EOF)
        stream_finish(&s->stream); /* RFC 8446 §6.1: close_notify is answered */
    return io == IO_EOF || io == IO_ERROR ? session_end(s) : PARK_INPUT;
}

/* All output is sent and the protocol has nothing more to say. */
static enum park finish(struct session *s)
{
    s->since_ms = clock_mono_ms();
    s->moved = 0;
    session_end_protocol(s);
    carry_free(&s->carry);
    stream_finish(&s->stream);
    session_consume(s, session_unread(s));
    s->phase = PHASE_LINGER;
    return PARK_NONE;
}

static enum park begin_tls(struct session *s)
{
    /* RFC 3207 §4.2, RFC 9051 §6.2.1: nothing said in clear counts behind the handshake. */
    session_consume(s, session_unread(s));
    if (s->stream.ssl || !s->source->listener.has_tls)
        return session_end(s);
    s->is_secured = true;
    s->phase = PHASE_HANDSHAKE;
    return PARK_NONE;
}

static enum park begin_compression(struct session *s)
{
    if (s->stream.deflate || session_unread(s))
        return session_end(s);
    stream_start_deflate(&s->stream);
    s->next_step = NEXT_INPUT;
    return PARK_NONE;
}

static bool is_paused(struct session *s)
{
    if (s->pause_until_ms == 0)
        return false;
    if (clock_mono_ms() < s->pause_until_ms)
        return true;
    s->pause_until_ms = 0;
    s->since_ms = clock_mono_ms();
    return false;
}

static bool must_flush(const struct session *s, bool is_waiting)
{
    size_t unsent = session_unsent(s);
    if (s->next_step == NEXT_PRODUCE || (s->next_step == NEXT_AGAIN && session_unread(s)))
        return unsent >= SESSION_OUT_HIGH || (is_waiting && unsent);
    return unsent > 0;
}

/* PARK_NONE: go on. */
static enum park flush_or_park(struct session *s)
{
    switch (session_flush(s)) {
    case IO_OK:
        if (s->progress == PROGRESS_DRAIN) { /* the client was slow to take it: its next wait begins now */
            s->progress = PROGRESS_NONE;
            s->since_ms = clock_mono_ms();
        }
        return PARK_NONE;
    case IO_WANT_READ:
    case IO_WANT_WRITE:
        return s->is_hasty ? session_end(s) : PARK_OUTPUT;
    default:
        return session_end(s);
    }
}

/* Between commands, nothing to send. */
static enum park wait_for_input(struct session *s)
{
    if ((s->bits & BIT_POKED) && !s->is_in_body) {
        if (session_must_yield(s))
            return PARK_YIELD;
        call_poke(s);
        return PARK_NONE;
    }
    return read_more(s);
}

static enum park step(struct session *s)
{
    switch ((enum next)s->next_step) {
    case NEXT_PRODUCE:
        if (session_must_yield(s))
            return PARK_YIELD;
        call_produce(s);
        return PARK_NONE;
    case NEXT_AGAIN:
        if (session_unread(s) == 0) {
            s->next_step = NEXT_INPUT;
            return PARK_NONE;
        }
        if (session_must_yield(s))
            return PARK_YIELD;
        call_input(s);
        return PARK_NONE;
    case NEXT_INPUT:
        return wait_for_input(s);
    case NEXT_STARTTLS:
        return begin_tls(s);
    case NEXT_COMPRESS:
        return begin_compression(s);
    case NEXT_CARRY:
        if (!s->carry)
            return session_end(s);
        carry_begin(s);
        return PARK_NONE;
    case NEXT_RETURN:
        return return_begin(s);
    case NEXT_CLOSE:
        return finish(s);
    }
    return session_end(s);
}

enum park protocol_advance(struct session *s)
{
    if (s->phase == PHASE_START) {
        if (s->bits & BIT_SHUTDOWN)
            return session_end(s);
        start(s);
    } else if (s->is_secured) {
        secured(s);
    } else if (s->is_returned && returned(s) != PARK_NONE) {
        return PARK_END;
    }
    while (s->phase == PHASE_OPEN) {
        session_absorb(s);
        bool is_between = s->next_step == NEXT_INPUT || s->next_step == NEXT_AGAIN;
        if ((s->bits & BIT_SHUTDOWN) && is_between)
            protocol_goodbye(s, BYE_SHUTDOWN);
        bool is_waiting = (is_between || s->next_step == NEXT_PRODUCE) && is_paused(s);
        enum park why = must_flush(s, is_waiting) ? flush_or_park(s) : is_waiting ? PARK_PAUSE : step(s);
        if (why != PARK_NONE)
            return why;
    }
    return PARK_NONE;
}
