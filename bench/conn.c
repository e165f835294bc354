/* conn.c - see conn.h. */
#include "conn.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/mem.h"
#include "bench.h"
#include "fiber.h"
#include "tls.h"

enum {
    READ_SIZE = 16 * 1024,
    LINE_MAX_SIZE = 1 << 20,
    SEND_AT = 64 * 1024, /* so much is collected before it is sent unasked */
};

struct conn {
    struct fiber_fd fd;
    SSL *ssl;
    char *in; /* in[start..end) is unread */
    size_t start, end, cap;
    struct strbuf out;
};

/* ---- bytes in and out */

/* Waits for what OpenSSL asked for; false where the connection is over. */
static bool wait_tls(struct conn *c, int result)
{
    int why = SSL_get_error(c->ssl, result);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return false;
    fiber_wait_fd(&c->fd, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
    return true;
}

static size_t send_some(struct conn *c, const char *p, size_t n)
{
    for (;;) {
        ssize_t sent;
        if (c->ssl) {
            ERR_clear_error();
            sent = SSL_write(c->ssl, p, n > 1 << 20 ? 1 << 20 : (int)n);
            if (sent <= 0 && wait_tls(c, (int)sent))
                continue;
        } else {
            sent = send(c->fd.fd, p, n, MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN) {
                fiber_wait_fd(&c->fd, EPOLLOUT);
                continue;
            }
        }
        if (sent <= 0)
            bench_fail("the server closed while we sent");
        return (size_t)sent;
    }
}

static void send_all(struct conn *c, const char *p, size_t n)
{
    while (n) {
        size_t sent = send_some(c, p, n);
        p += sent;
        n -= sent;
    }
}

void conn_flush(struct conn *c)
{
    send_all(c, c->out.p, c->out.len);
    if (c->out.cap > SEND_AT)
        strbuf_free(&c->out);
    strbuf_clear(&c->out);
}

void conn_write(struct conn *c, const void *p, size_t n)
{
    if (c->out.len + n <= SEND_AT) {
        strbuf_add_bytes(&c->out, p, n);
        return;
    }
    conn_flush(c);
    send_all(c, p, n);
}

void conn_printf(struct conn *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&c->out, fmt, ap);
    va_end(ap);
    if (c->out.len > SEND_AT)
        conn_flush(c);
}

static void make_room(struct conn *c)
{
    if (c->start == c->end)
        c->start = c->end = 0;
    if (c->cap - c->end >= READ_SIZE / 2)
        return;
    if (c->start > c->cap / 2) {
        memmove(c->in, c->in + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
        return;
    }
    c->cap = c->cap ? c->cap * 2 : READ_SIZE;
    c->in = mem_resize(c->in, c->cap);
}

static ssize_t read_once(struct conn *c)
{
    size_t room = c->cap - c->end;
    if (!c->ssl)
        return recv(c->fd.fd, c->in + c->end, room, 0);
    ERR_clear_error();
    return SSL_read(c->ssl, c->in + c->end, room > 1 << 20 ? 1 << 20 : (int)room);
}

bool conn_more(struct conn *c)
{
    conn_flush(c);
    for (;;) {
        make_room(c);
        ssize_t n = read_once(c);
        if (n > 0) {
            c->end += (size_t)n;
            return true;
        }
        conn_rest(c);
        if (c->ssl ? wait_tls(c, (int)n) : (n < 0 && errno == EAGAIN)) {
            if (!c->ssl)
                fiber_wait_fd(&c->fd, EPOLLIN);
            continue;
        }
        return false;
    }
}

void conn_rest(struct conn *c)
{
    if (c->start != c->end)
        return;
    free(c->in);
    c->in = NULL;
    c->start = c->end = c->cap = 0;
    if (c->out.len == 0)
        strbuf_free(&c->out);
}

/* ---- reading */

struct span conn_window(struct conn *c, size_t least)
{
    while (c->end - c->start < least)
        if (!conn_more(c))
            bench_fail("the server closed the connection");
    return span_of(c->in + c->start, c->end - c->start);
}

void conn_take(struct conn *c, size_t n)
{
    c->start += n;
}

struct span conn_bytes(struct conn *c, size_t n)
{
    struct span all = conn_window(c, n);
    conn_take(c, n);
    return span_take(all, n);
}

struct span conn_line(struct conn *c)
{
    size_t seen = 0;
    for (;;) {
        struct span all = conn_window(c, seen + 1);
        size_t lf = span_find_byte(all, '\n', seen);
        if (lf == SPAN_NPOS) {
            seen = all.len;
            if (seen > LINE_MAX_SIZE)
                bench_fail("a line is longer than %d bytes", LINE_MAX_SIZE);
            continue;
        }
        if (lf == 0 || all.p[lf - 1] != '\r')
            bench_fail("a line does not end with CRLF: %.*s", (int)lf, all.p);
        conn_take(c, lf + 1);
        c->in[c->start - 2] = '\0';
        return span_take(all, lf - 1);
    }
}

bool conn_has_line(const struct conn *c)
{
    return c->start != c->end && memchr(c->in + c->start, '\n', c->end - c->start);
}

/* ---- opening and closing */

static int new_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        bench_fail("socket: %s", strerror(errno));
    int on = 1;
    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static socklen_t address_of(uint16_t port, struct sockaddr_storage *to)
{
    memset(to, 0, sizeof *to);
    struct sockaddr_in *v4 = (void *)to;
    struct sockaddr_in6 *v6 = (void *)to;
    struct sockaddr_un *un = (void *)to;
    if (opt.unix_path && port == 0) {
        un->sun_family = AF_UNIX;
        if (strlen(opt.unix_path) >= sizeof un->sun_path)
            bench_fail("the socket's path is too long");
        memcpy(un->sun_path, opt.unix_path, strlen(opt.unix_path));
        return sizeof *un;
    }
    if (inet_pton(AF_INET, opt.host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, opt.host, &v6->sin6_addr) != 1)
        bench_fail("%s is no numeric address", opt.host);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof *v6;
}

struct conn *conn_open(uint16_t port, bool is_tls)
{
    struct sockaddr_storage to;
    socklen_t length = address_of(port, &to);
    struct conn *c = mem_alloc(sizeof *c);
    int fd = new_socket(to.ss_family);
    fiber_watch(&c->fd, fd);
    while (connect(fd, (struct sockaddr *)&to, length) != 0) {
        if (errno == EISCONN)
            break;
        if (errno == EAGAIN) /* AF_UNIX: the backlog is full */
            fiber_sleep_ms(1);
        else if (errno == EINPROGRESS || errno == EALREADY)
            fiber_wait_fd(&c->fd, EPOLLOUT);
        else
            bench_fail("connect to %s port %u: %s", opt.unix_path ? opt.unix_path : opt.host, port, strerror(errno));
    }
    if (is_tls)
        conn_start_tls(c);
    return c;
}

void conn_start_tls(struct conn *c)
{
    if (c->start != c->end)
        bench_fail("the server said more before the TLS handshake");
    conn_flush(c);
    c->ssl = tls_client(c->fd.fd);
    int result;
    while ((result = SSL_connect(c->ssl)) != 1)
        if (!wait_tls(c, result))
            bench_fail("the TLS handshake failed: %s", ERR_reason_error_string(ERR_peek_last_error()));
}

struct conn *conn_accept(int fd, bool is_tls)
{
    struct conn *c = mem_alloc(sizeof *c);
    fiber_watch(&c->fd, fd);
    if (!is_tls)
        return c;
    c->ssl = tls_server(fd);
    int result;
    while ((result = SSL_accept(c->ssl)) != 1)
        if (!wait_tls(c, result)) {
            conn_close(c);
            return NULL;
        }
    return c;
}

void conn_close(struct conn *c)
{
    if (c->ssl) {
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* so that the session may be resumed */
        SSL_free(c->ssl);
    }
    fiber_unwatch(&c->fd);
    close(c->fd.fd);
    free(c->in);
    strbuf_free(&c->out);
    free(c);
}

void conn_finish(struct conn *c)
{
    if (c->start != c->end || conn_more(c))
        bench_fail("the server said more after its last reply: %.*s", (int)(c->end - c->start), c->in + c->start);
    conn_close(c);
}

int conn_listen(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &length) != 0)
        bench_fail("listen on port %u: %s", *port, strerror(errno));
    *port = ntohs(at.sin_port);
    return fd;
}
