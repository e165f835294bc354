/* dial.c - see dial.h: the socket, and reading and writing over either kind of connection. */
#include "net/dial.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/dial_internal.h"
#include "base/banned.h"

/* POLLIN or POLLOUT until the deadline. */
enum status dial_wait(int fd, short events, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        int64_t left = deadline_ms - clock_mono_ms();
        if (left <= 0)
            return err_set(err, ST_TEMPORARY, "no answer in time");
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0)
            return ST_OK;
        if (n < 0 && errno != EINTR) {
            (void)err_errno(err, "poll");
            return err->status = ST_IO;
        }
    }
}

struct dial *dial_over(int fd)
{
    struct dial *d = mem_alloc(sizeof *d);
    d->fd = fd;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return d;
}

static enum status connect_failed(int error, struct err *err)
{
    char text[80];
    const char *why = strerror_r(error, text, sizeof text);
    return err_set(err, ST_TEMPORARY, "cannot connect: %s", why);
}

enum status dial_connect(const struct sockaddr *to, socklen_t to_length, const struct sockaddr *source,
                         socklen_t source_length, int64_t timeout_ms, struct dial **out, struct err *err)
{
    int on = 1, error = 0;
    socklen_t size = sizeof error;
    AUTO_FD int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        (void)err_errno(err, "socket");
        return err->status = ST_IO;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* what is written together leaves together */
    if (source && bind(fd, source, source_length) != 0)
        return connect_failed(errno, err);
    if (connect(fd, to, to_length) != 0) {
        if (errno != EINPROGRESS)
            return connect_failed(errno, err);
        if (dial_wait(fd, POLLOUT, clock_mono_ms() + timeout_ms, err) != ST_OK)
            return err_set(err, ST_TEMPORARY, "cannot connect: no answer in time");
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
            return connect_failed(error, err);
    }
    *out = dial_over(fd);
    fd = -1;
    return ST_OK;
}

const struct dial_facts *dial_facts(const struct dial *d)
{
    return &d->facts;
}

int dial_fd(const struct dial *d)
{
    return d->fd;
}

void dial_close(struct dial **dp)
{
    struct dial *d = *dp;
    *dp = NULL;
    if (!d)
        return;
    if (d->ssl) {
        if (!d->is_broken)
            (void)SSL_shutdown(d->ssl); /* our half; nobody waits for the other */
        SSL_free(d->ssl);
    }
    close(d->fd);
    free(d->session_key);
    free(d);
}

static enum status closed(struct dial *d, struct err *err)
{
    d->is_broken = true;
    return err_set(err, ST_CLOSED, "the other side closed the connection");
}

static enum status plain_read(struct dial *d, char *p, size_t n, size_t *got, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        ssize_t r = recv(d->fd, p, n, 0);
        if (r > 0) {
            *got = (size_t)r;
            return ST_OK;
        }
        if (r == 0 || errno == ECONNRESET || errno == EPIPE)
            return closed(d, err);
        if (errno != EAGAIN && errno != EINTR) {
            (void)err_errno(err, "reading from a socket");
            return err->status = ST_IO;
        }
        TRY(dial_wait(d->fd, POLLIN, deadline_ms, err));
    }
}

static enum status plain_write(struct dial *d, const char *p, size_t n, size_t *put, int64_t deadline_ms,
                               struct err *err)
{
    for (;;) {
        ssize_t r = send(d->fd, p, n, MSG_NOSIGNAL);
        if (r >= 0) {
            *put = (size_t)r;
            return ST_OK;
        }
        if (errno == ECONNRESET || errno == EPIPE)
            return closed(d, err);
        if (errno != EAGAIN && errno != EINTR) {
            (void)err_errno(err, "writing to a socket");
            return err->status = ST_IO;
        }
        TRY(dial_wait(d->fd, POLLOUT, deadline_ms, err));
    }
}

enum status dial_read(struct dial *d, char *p, size_t n, size_t *got, int64_t timeout_ms, struct err *err)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    return d->ssl ? dial_tls_read(d, p, n, got, deadline, err) : plain_read(d, p, n, got, deadline, err);
}

enum status dial_write(struct dial *d, struct span bytes, int64_t idle_ms, struct err *err)
{
    while (bytes.len) {
        size_t put = 0;
        int64_t deadline = clock_mono_ms() + idle_ms;
        TRY(d->ssl ? dial_tls_write(d, bytes.p, bytes.len, &put, deadline, err)
                   : plain_write(d, bytes.p, bytes.len, &put, deadline, err));
        bytes = span_skip(bytes, put);
    }
    return ST_OK;
}
