/*
 * socket_transport.c - smtp/client.h over a connected stream socket, blocking.
 *
 * A reply is waited for by poll(2) and not by recv(2): a blocked recv() on a Unix-domain socket is woken also when the
 * other side takes what we sent, once for each piece of a message, only to sleep again.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/mem.h"
#include "smtp/client.h"
#include "base/banned.h"

enum { PIECES = 64 };

struct socket_ctx {
    int fd;
};

static enum status wait_readable(int fd, int64_t timeout_ms, struct err *err)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n;
    do
        n = poll(&p, 1, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return err_set(err, ST_TEMPORARY, "no reply in time");
    return n < 0 ? err_errno(err, "poll") : ST_OK;
}

static enum status socket_read(void *ctx, char *p, size_t n, size_t *got, int64_t timeout_ms, struct err *err)
{
    const struct socket_ctx *s = ctx;
    TRY(wait_readable(s->fd, timeout_ms, err));
    ssize_t r;
    do
        r = recv(s->fd, p, n, 0);
    while (r < 0 && errno == EINTR);
    if (r > 0) {
        *got = (size_t)r;
        return ST_OK;
    }
    if (r == 0 || errno == ECONNRESET)
        return err_set(err, ST_CLOSED, "the other side closed the connection");
    err_errno(err, "reading from a socket");
    return err->status = ST_IO;
}

static enum status write_failed(struct err *err)
{
    if (errno == EPIPE || errno == ECONNRESET)
        return err_set(err, ST_CLOSED, "the other side closed the connection");
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return err_set(err, ST_TEMPORARY, "the other side takes no bytes");
    err_errno(err, "writing to a socket");
    return err->status = ST_IO;
}

static enum status socket_write(void *ctx, const struct span *pieces, size_t count, struct err *err)
{
    struct socket_ctx *s = ctx;
    struct iovec iov[PIECES];
    while (count) {
        size_t n = count < PIECES ? count : PIECES;
        for (size_t i = 0; i < n; i++)
            iov[i] = (struct iovec){(void *)(uintptr_t)pieces[i].p, pieces[i].len};
        size_t first = 0;
        while (first < n) {
            struct msghdr m = {.msg_iov = iov + first, .msg_iovlen = n - first};
            ssize_t sent = sendmsg(s->fd, &m, MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR)
                continue;
            if (sent < 0)
                return write_failed(err);
            size_t left = (size_t)sent;
            while (first < n && left >= iov[first].iov_len)
                left -= iov[first++].iov_len;
            if (first < n) {
                iov[first].iov_base = (char *)iov[first].iov_base + left;
                iov[first].iov_len -= left;
            }
        }
        pieces += n;
        count -= n;
    }
    return ST_OK;
}

static void socket_close(void *ctx)
{
    struct socket_ctx *s = ctx;
    close(s->fd);
    free(s);
}

struct smtp_transport smtp_socket_transport(int fd, int64_t timeout_ms)
{
    struct socket_ctx *s = mem_alloc(sizeof *s);
    s->fd = fd;
    struct timeval tv = {.tv_sec = (time_t)(timeout_ms / 1000), .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    return (struct smtp_transport){s, socket_read, socket_write, socket_close};
}
