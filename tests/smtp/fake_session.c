/* fake_session.c - see fake_session.h. */
#include "fake_session.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

struct span session_input(const struct session *s)
{
    return strbuf_span(&s->in);
}
void session_consume(struct session *s, size_t n)
{
    strbuf_consume(&s->in, n);
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
    return s->app;
}
const char *session_id(const struct session *s)
{
    (void)s;
    return "fake";
}
void session_set_peer(struct session *s, const struct peer *p)
{
    s->peer = *p;
}

const struct peer *session_peer(const struct session *s)
{
    return &s->peer;
}
bool session_is_from_role(const struct session *s)
{
    return s->peer.address[0] == '\0';
}
bool session_is_tls(const struct session *s)
{
    return s->is_tls;
}
bool session_tls_exporter(const struct session *s, uint8_t out[SESSION_EXPORTER_BYTES])
{
    (void)s, (void)out;
    return false;
}

bool session_can_tls(const struct session *s)
{
    return s->can_tls;
}
void session_set_timeouts(struct session *s, int64_t idle_ms, int64_t command_ms)
{
    (void)command_ms;
    s->idle_ms = idle_ms;
}
void session_set_in_body(struct session *s, bool in_body)
{
    s->is_in_body = in_body;
}
void session_set_input_max(struct session *s, size_t bytes)
{
    s->input_max = bytes;
}
void session_pause(struct session *s, int64_t ms)
{
    s->paused_ms += ms;
}
void session_log_begin(const struct session *s, struct log_line *l, enum log_level level, const char *event)
{
    (void)s;
    log_begin(l, level, event);
}

static void secure(struct session *s)
{
    s->starttls++;
    s->is_tls = true;
    snprintf(s->peer.tls_version, sizeof s->peer.tls_version, "TLSv1.3");
    snprintf(s->peer.tls_cipher, sizeof s->peer.tls_cipher, "TLS_AES_256_GCM_SHA384");
    strbuf_clear(&s->in);
    if (s->protocol->secured)
        s->protocol->secured(s);
}

static void run(struct session *s)
{
    while (s->in.len && !s->is_closed && !s->is_carried) {
        switch (s->protocol->input(s)) {
        case NEXT_INPUT:
            if (s->in.len < s->input_max)
                return;
            s->protocol->goodbye(s, BYE_INPUT_TOO_LONG);
            s->is_closed = true;
            return;
        case NEXT_STARTTLS:
            secure(s);
            break;
        case NEXT_CARRY:
            s->is_carried = true;
            break;
        case NEXT_CLOSE:
            s->is_closed = true;
            break;
        default:
            break;
        }
    }
}

void fake_open(struct session *s, const struct protocol *p, void *app, const char *peer_address)
{
    *s = (struct session){.protocol = p, .app = app, .input_max = SESSION_INPUT_DEFAULT};
    snprintf(s->peer.address, sizeof s->peer.address, "%s", peer_address);
    if (p->start(s) == NEXT_CLOSE)
        s->is_closed = true;
}

/* Each piece has a buffer of its own size, so that a parser that reads beyond it is seen. */
void fake_put(struct session *s, struct span bytes, size_t step)
{
    if (step == 0)
        step = bytes.len;
    for (size_t at = 0; at < bytes.len && !s->is_closed; at += step) {
        strbuf_add(&s->in, span_slice(bytes, at, at + step));
        run(s);
    }
}

void fake_close(struct session *s)
{
    s->protocol->free(s);
    strbuf_free(&s->in);
    strbuf_free(&s->out);
}

bool session_peer_uid(const struct session *s, uint32_t *uid)
{
    *uid = s->uid;
    return s->has_uid;
}
