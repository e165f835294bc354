/* client.c - see client.h. */
#include "client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024 };

struct client {
    int fd;
    SSL *ssl;
    uint64_t received;
    size_t start, end;
    char *buffer; /* only while there is something in it: thousands of clients idle */
};

static SSL_CTX *tls;

_Noreturn void bench_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("tassis-bench: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

int64_t bench_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int dial(const char *host, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    if (!is_v4 && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        bench_fail("%s is no numeric address", host);
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        bench_fail("socket: %s", strerror(errno));
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, is_v4 ? (void *)&v4 : (void *)&v6, is_v4 ? sizeof v4 : sizeof v6) != 0)
        bench_fail("connect to %s port %u: %s", host, port, strerror(errno));
    return fd;
}

struct client *client_open(const char *host, uint16_t port, bool is_tls)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        bench_fail("out of memory");
    c->fd = dial(host, port);
    if (!is_tls)
        return c;
    if (!tls && !(tls = SSL_CTX_new(TLS_client_method())))
        bench_fail("no TLS");
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    c->ssl = SSL_new(tls);
    if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1)
        bench_fail("TLS handshake with %s port %u failed", host, port);
    return c;
}

void client_close(struct client *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    free(c->buffer);
    free(c);
}

void client_send(struct client *c, const void *p, size_t n)
{
    const char *at = p;
    while (n) {
        ssize_t sent;
        if (c->ssl)
            sent = SSL_write(c->ssl, at, n > 1 << 20 ? 1 << 20 : (int)n);
        else
            sent = send(c->fd, at, n, MSG_NOSIGNAL);
        if (sent <= 0)
            bench_fail("the server closed while we sent");
        at += sent;
        n -= (size_t)sent;
    }
}

void client_sendf(struct client *c, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof text)
        bench_fail("command too long");
    client_send(c, text, (size_t)n);
}

static void fill(struct client *c)
{
    if (!c->buffer && !(c->buffer = malloc(BUFFER)))
        bench_fail("out of memory");
    if (c->start > 0) {
        memmove(c->buffer, c->buffer + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
    }
    if (c->end == BUFFER)
        bench_fail("a line is longer than %d bytes", BUFFER);
    ssize_t n;
    if (c->ssl)
        n = SSL_read(c->ssl, c->buffer + c->end, (int)(BUFFER - c->end));
    else
        n = recv(c->fd, c->buffer + c->end, BUFFER - c->end, 0);
    if (n <= 0)
        bench_fail("the server closed the connection");
    c->end += (size_t)n;
    c->received += (uint64_t)n;
}

const char *client_line(struct client *c)
{
    size_t seen = 0;
    if (c->start == c->end) {
        c->start = c->end = 0;
    }
    for (;;) {
        size_t have = c->end - c->start;
        char *lf = have > seen ? memchr(c->buffer + c->start + seen, '\n', have - seen) : NULL;
        if (lf) {
            char *line = c->buffer + c->start;
            if (lf == line || lf[-1] != '\r')
                bench_fail("a line does not end with CRLF");
            lf[-1] = '\0';
            c->start = (size_t)(lf + 1 - c->buffer);
            return line;
        }
        seen = have;
        fill(c);
    }
}

const char *client_until(struct client *c, const char *start, const char *expect)
{
    size_t n = strlen(start);
    for (;;) {
        const char *line = client_line(c);
        if (strncmp(line, start, n) != 0)
            continue;
        if (expect && strncmp(line + n, expect, strlen(expect)) != 0)
            bench_fail("expected \"%s%s\", got \"%s\"", start, expect, line);
        return line;
    }
}

void client_reply(struct client *c, const char *code)
{
    for (;;) {
        const char *line = client_line(c);
        if (strncmp(line, code, strlen(code)) != 0)
            bench_fail("expected %s, got \"%s\"", code, line);
        if (strlen(line) < 4 || line[3] != '-')
            return;
    }
}

void client_skip(struct client *c, size_t n)
{
    while (n) {
        if (c->start == c->end) {
            c->start = c->end = 0;
            fill(c);
        }
        size_t have = c->end - c->start;
        size_t take = have < n ? have : n;
        c->start += take;
        n -= take;
    }
    if (c->start == c->end) {
        free(c->buffer);
        c->buffer = NULL;
        c->start = c->end = 0;
    }
}

uint64_t client_received(const struct client *c)
{
    return c->received;
}
