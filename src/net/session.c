/*
 * session.c - the session as its protocol sees it (session.h), its birth and its release.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/engine.h"
#include "base/banned.h"

/* Twelve characters that nobody can foretell: a counter under the process's keyed hash. */
static void make_id(struct session *s, uint64_t number)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    uint64_t hash = hash_bytes(span_of(&number, sizeof number));
    size_t i = 0;
    for (; i < 12; i++, hash /= 36)
        s->id[i] = digits[hash % 36];
    s->id[i] = '\0';
}

struct session *session_new(struct server *sv, const struct source *src, int fd)
{
    struct session *s = mem_alloc(sizeof *s);
    s->job.run = session_run;
    atomic_store_explicit(&s->word, STATE_QUEUED, memory_order_relaxed);
    s->server = sv;
    s->source = src;
    s->protocol = src->listener.protocol;
    s->stream.fd = fd;
    s->input_max = SESSION_INPUT_DEFAULT;
    s->idle_ms = IDLE_DEFAULT_MS;
    s->command_ms = COMMAND_DEFAULT_MS;
    s->since_ms = clock_mono_ms();
    s->phase = src->listener.is_implicit_tls ? PHASE_HANDSHAKE : PHASE_START;
    s->is_readable = true;
    make_id(s, sv->next_id++);
    return s;
}

void session_end_protocol(struct session *s)
{
    const struct protocol *p = s->protocol;
    if (p && p->free && s->has_started)
        p->free(s);
    s->state = NULL;
    s->protocol = NULL;
}

void session_leave_hold(struct session *s)
{
    if (s->hold)
        limiter_leave(s->hold->limiter, span_of(s->hold->key, s->hold->key_len));
    free(s->hold);
    s->hold = NULL;
}

void session_release(struct session *s)
{
    session_end_protocol(s);
    s->phase = PHASE_END;
    carry_free(&s->carry);
    tls_context_free(&s->tls);
    stream_close(&s->stream);
    strbuf_free(&s->out);
    free(s->rest);
    s->rest = NULL;
    proxy_free(s);
    timers_remove(&s->server->timers, &s->timer);
    if (s->limit_key_len)
        limiter_leave(s->server->addresses, span_of(s->limit_key, s->limit_key_len));
    session_leave_hold(s);
}

bool session_count_in(struct session *s, struct limiter *l, struct span key, uint32_t max)
{
    if (s->hold || key.len > UINT16_MAX)
        panic("session_count_in: counted already, or a key too long");
    if (!limiter_enter(l, key, max))
        return false;
    s->hold = mem_alloc(sizeof *s->hold + key.len);
    s->hold->limiter = l;
    s->hold->key_len = (uint16_t)key.len;
    memcpy(s->hold->key, key.p, key.len);
    return true;
}

void session_free(struct session **sp)
{
    free(*sp);
    *sp = NULL;
}

struct span session_input(const struct session *s)
{
    if (!s->worker)
        return SPAN_NONE;
    return span_of(s->worker->in + s->worker->in_at, session_unread(s));
}

void session_consume(struct session *s, size_t n)
{
    if (n > session_unread(s))
        panic("session_consume beyond the input");
    if (n)
        s->worker->in_at += n;
}

struct strbuf *session_output(struct session *s)
{
    return &s->out;
}

void *session_state(const struct session *s)
{
    return s->state;
}

void session_set_state(struct session *s, void *state)
{
    s->state = state;
}

void session_set_protocol(struct session *s, const struct protocol *p)
{
    s->protocol = p;
}

void *session_app(const struct session *s)
{
    return s->source->listener.app;
}

const char *session_id(const struct session *s)
{
    return s->id;
}

void session_set_id(struct session *s, const char *id)
{
    snprintf(s->id, sizeof s->id, "%s", id);
}

bool session_is_from_role(const struct session *s)
{
    return s->source->listener.kind == LISTEN_CHANNEL;
}

bool session_peer_uid(const struct session *s, uint32_t *uid)
{
    struct ucred who;
    socklen_t len = sizeof who;
    /* Of a pair that a role made, the credentials are those of the maker. */
    if (session_is_from_role(s) || getsockopt(s->stream.fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0 ||
        who.uid == (uid_t)-1)
        return false;
    *uid = who.uid;
    return true;
}

const struct peer *session_peer(const struct session *s)
{
    return &s->peer;
}

void session_set_peer(struct session *s, const struct peer *p)
{
    s->peer = *p;
}

bool session_is_tls(const struct session *s)
{
    return s->peer.tls_version[0] != '\0';
}

bool session_tls_exporter(const struct session *s, uint8_t out[SESSION_EXPORTER_BYTES])
{
    return stream_export(&s->stream, out);
}

bool session_is_compressed(const struct session *s)
{
    return s->stream.deflate != NULL;
}

bool session_can_tls(const struct session *s)
{
    if (!s->source->listener.has_tls || s->stream.ssl)
        return false;
    AUTO(tls_context) tls = server_tls(s->server);
    return tls != NULL;
}

void session_set_timeouts(struct session *s, int64_t idle_ms, int64_t command_ms)
{
    s->idle_ms = idle_ms;
    s->command_ms = command_ms;
}

void session_set_in_body(struct session *s, bool in_body)
{
    if (in_body != s->is_in_body) {
        s->since_ms = clock_mono_ms();
        s->progress = PROGRESS_NONE;
    }
    s->is_in_body = in_body;
}

void session_set_input_max(struct session *s, size_t bytes)
{
    s->input_max = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

void session_pause(struct session *s, int64_t ms)
{
    s->pause_until_ms = clock_mono_ms() + ms;
}

void session_got_on(struct session *s)
{
    s->stuck = 0;
}

void session_set_carry(struct session *s, int fd)
{
    carry_free(&s->carry);
    s->carry = carry_new(fd);
}

void session_log_begin(const struct session *s, struct log_line *l, enum log_level level, const char *event)
{
    log_begin(l, level, event);
    log_str(l, "session", s->id);
    log_str(l, "protocol", s->protocol ? s->protocol->name : s->source->listener.protocol->name);
    log_span(l, "client", span_cstr(s->peer.address));
}

void session_poke(struct session *s)
{
    session_signal(s, BIT_POKED);
}
