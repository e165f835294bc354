/*
 * accept.c - new connections, on the loop thread: taken, counted against the limits, queued for their first job.
 *
 * A connection over a limit gets the protocol's words for it if those can be said in clear at once, and is closed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "net/engine.h"
#include "sys/channel.h"
#include "base/banned.h"

enum { ACCEPT_BATCH = 64, OUT_OF_FDS_PAUSE_MS = 1000, REFUSAL_LOG_MS = 1000 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    struct sockaddr_storage room;
};

void session_set_limit_key(struct session *s, const void *bytes, uint8_t len)
{
    memcpy(s->limit_key, bytes, len);
    s->limit_key_len = len;
}

static uint16_t port_of(const union address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohs(a->v4.sin_port);
    return a->any.sa_family == AF_INET6 ? ntohs(a->v6.sin6_port) : 0;
}

static void note_peer(struct session *s, const union address *from)
{
    struct peer *peer = &s->peer;
    peer->port = port_of(from);
    if (from->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &from->v4.sin_addr, peer->address, sizeof peer->address);
        session_set_limit_key(s, &from->v4.sin_addr, 4);
    } else if (from->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&from->v6.sin6_addr)) {
        inet_ntop(AF_INET, &from->v6.sin6_addr.s6_addr[12], peer->address, sizeof peer->address);
        session_set_limit_key(s, &from->v6.sin6_addr.s6_addr[12], 4);
    } else if (from->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &from->v6.sin6_addr, peer->address, sizeof peer->address);
        session_set_limit_key(s, &from->v6.sin6_addr, 8);
    } else {
        return;
    }
    union address local = {0};
    socklen_t len = sizeof local;
    if (getsockname(s->stream.fd, &local.any, &len) == 0)
        peer->local_port = port_of(&local);
    int on = 1;
    setsockopt(s->stream.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(s->stream.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

bool session_may_enter(struct session *s)
{
    struct server *sv = s->server;
    bool may = atomic_load(&sv->session_count) < atomic_load(&sv->sessions_max);
    if (may && s->limit_key_len)
        may = limiter_enter(sv->addresses, span_of(s->limit_key, s->limit_key_len),
                            atomic_load(&sv->sessions_per_address));
    if (!may)
        s->limit_key_len = 0; /* not counted, so nothing to give back */
    return may;
}

/* At most one line a second: a flood of connections must not become a flood of lines. */
static void log_refusal(struct server *sv, const struct session *s)
{
    int64_t now_ms = clock_mono_ms();
    sv->refused++;
    if (now_ms < sv->refusal_log_ms)
        return;
    struct log_line l;
    session_log_begin(s, &l, LOG_WARN, "session-limit");
    log_u64(&l, "refused", sv->refused);
    log_end(&l);
    sv->refused = 0;
    sv->refusal_log_ms = now_ms + REFUSAL_LOG_MS;
}

static void refuse(struct session *s)
{
    log_refusal(s->server, s);
    if (!s->source->listener.is_implicit_tls && s->protocol->goodbye) {
        size_t n;
        s->protocol->goodbye(s, BYE_LIMIT);
        if (s->out.len)
            socket_write(s->stream.fd, strbuf_span(&s->out), &n);
    }
    session_release(s);
    session_free(&s);
}

static void begin_session(struct server *sv, const struct source *src, int fd, const union address *from)
{
    struct session *s = session_new(sv, src, fd);
    note_peer(s, from);
    const struct ip_set *proxies = atomic_load(&sv->proxies);
    if (proxies && s->limit_key_len && ip_set_has_text(proxies, span_cstr(s->peer.address))) {
        s->phase = PHASE_PROXY;
        s->limit_key_len = 0; /* counted when the client is known */
    }
    if (!session_may_enter(s)) {
        refuse(s);
        return;
    }
    s->next = sv->sessions;
    if (s->next)
        s->next->previous = s;
    sv->sessions = s;
    atomic_fetch_add(&sv->session_count, 1);
    pool_add(sv->pool, &s->job);
}

void accept_listening(struct server *sv, bool is_listening)
{
    for (struct source *src = sv->sources; src; src = src->next) {
        struct err err;
        if (src->kind != SOURCE_LISTENER || src->fd < 0)
            continue;
        if (is_listening)
            source_arm(sv, src, &err);
        else
            epoll_ctl(sv->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
    }
    sv->accept_again_ms = is_listening ? 0 : clock_mono_ms() + OUT_OF_FDS_PAUSE_MS;
}

/* Out of descriptors or memory: asking again at once would only burn the processor. */
static void pause_accepting(struct server *sv)
{
    if (!sv->has_told_shortage)
        log_text(LOG_ERROR, "accept-failed", "out of descriptors or memory (%s); new connections wait",
                 strerror(errno));
    sv->has_told_shortage = true;
    accept_listening(sv, false);
}

static void accept_socket(struct server *sv, struct source *src)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        union address from = {0};
        socklen_t len = sizeof from;
        int fd = accept4(src->fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            sv->has_told_shortage = false;
            begin_session(sv, src, fd, &from);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(sv);
            return;
        } /* else: that one connection is gone already; the next */
    }
}

static void accept_passed(struct server *sv, struct source *src)
{
    static const union address unix_peer = {.any = {.sa_family = AF_UNIX}};
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct err err;
        int fd = -1;
        enum status st = channel_accept(src->fd, &fd, &err);
        if (st == ST_OK) {
            begin_session(sv, src, fd, &unix_peer);
        } else if (st == ST_TEMPORARY) {
            return;
        } else if (st == ST_CLOSED || st == ST_IO) {
            epoll_ctl(sv->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
            close(src->fd);
            src->fd = -1;
            return;
        } else {
            log_text(LOG_WARN, "connection-lost", "%s", err.operator_text);
        }
    }
}

void accept_ready(struct server *sv, struct source *src)
{
    if (sv->is_stopping || src->fd < 0 || sv->accept_again_ms)
        return;
    if (src->listener.kind == LISTEN_SOCKET)
        accept_socket(sv, src);
    else
        accept_passed(sv, src);
}
