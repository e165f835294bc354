/*
 * proxy.c - connections that come through a proxy of ours: its header is read before anything else, TLS included, and
 * says who the client is (text/proxy_header.h).
 *
 * Octets behind the header belong to the client. They are left in the socket, where TLS or the protocol will look for
 * them: what is read is only what was peeked at and found to be of the header.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/engine.h"
#include "text/proxy_header.h"
#include "base/banned.h"

struct proxy {
    size_t len;
    char bytes[PROXY_HEADER_MAX];
};

void proxy_free(struct session *s)
{
    free(s->proxy);
    s->proxy = NULL;
}

static enum park refuse(struct session *s, const char *reason)
{
    struct log_line l;
    session_log_begin(s, &l, LOG_WARN, "proxy-refused");
    log_str(&l, "reason", reason);
    log_end(&l);
    return session_end(s);
}

/* The session is the client's from here on: in the log, and against the limits. */
static enum park enter(struct session *s, const struct proxy_header *h)
{
    proxy_free(s);
    if (h->client.family != IP_NONE) {
        ip_write(&h->client, s->peer.address);
        s->peer.port = h->client_port;
        s->peer.local_port = h->local_port;
        session_set_limit_key(s, h->client.bytes, h->client.family == IP_V4 ? 4 : 8);
        if (!session_may_enter(s))
            return refuse(s, "too many sessions of the client's address");
    }
    s->since_ms = clock_mono_ms();
    s->phase = s->source->listener.is_implicit_tls ? PHASE_HANDSHAKE : PHASE_START;
    return PARK_NONE;
}

/* Takes n octets out of the socket, which are there. */
static bool take(struct session *s, size_t n)
{
    ssize_t got = recv(s->stream.fd, s->proxy->bytes + s->proxy->len, n, 0);
    s->proxy->len += n;
    return got == (ssize_t)n;
}

enum park proxy_advance(struct session *s)
{
    if (s->bits & BIT_SHUTDOWN)
        return session_end(s);
    if (!s->proxy) {
        s->proxy = mem_alloc(sizeof *s->proxy);
        s->since_ms = clock_mono_ms();
    }
    struct proxy *p = s->proxy;
    for (;;) {
        ssize_t n = recv(s->stream.fd, p->bytes + p->len, sizeof p->bytes - p->len, MSG_PEEK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            s->is_readable = false;
            return PARK_HANDSHAKE;
        }
        if (n <= 0)
            return session_end(s);
        struct proxy_header h;
        size_t had = p->len, used = had + (size_t)n;
        enum proxy_result result = proxy_header_parse(span_of(p->bytes, used), &h, &used);
        if (result == PROXY_BAD)
            return refuse(s, "no PROXY header from an address that must send one");
        if (!take(s, used - had))
            return session_end(s);
        if (result == PROXY_OK)
            return enter(s, &h);
    }
}
