/*
 * channel.c - see channel.h. Descriptors travel as SCM_RIGHTS (unix(7)); SOCK_SEQPACKET keeps a message and its
 * descriptors together.
 *
 * What comes out of a channel was put in by another role, which may have been captured: it is taken only if it is a
 * Unix stream socket, and made non-blocking here, whatever the sender said.
 */
#include "sys/channel.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/banned.h"

union control {
    char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
    struct cmsghdr align;
};

enum status channel_new(int *caller_end, int *service_end, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(err, "socketpair");
    *caller_end = pair[0];
    *service_end = pair[1];
    return ST_OK;
}

/* A full channel is the other role's slowness, not an error of ours. ETOOMANYREFS: too many descriptors in flight. */
static enum status send_error(struct err *err)
{
    switch (errno) {
    case EAGAIN:
    case ENOBUFS:
    case ETOOMANYREFS:
        return err_set_operator(err, ST_TEMPORARY, "busy, try again later", "the channel is full");
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return err_set_operator(err, ST_CLOSED, "not available, try again later", "the channel's other end is closed");
    default:
        return err_errno(err, "channel sendmsg");
    }
}

static enum status send_with_fds(int channel, struct span message, const int *fds, size_t fd_count, int flags,
                                 struct err *err)
{
    union control control = {0};
    struct iovec iov = {(void *)(uintptr_t)message.p, message.len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    ssize_t n;
    do
        n = sendmsg(channel, &msg, MSG_NOSIGNAL | flags);
    while (n < 0 && errno == EINTR);
    return n < 0 ? send_error(err) : ST_OK;
}

enum status channel_connect(int channel, bool is_nonblocking, int *fd, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return err_errno(err, "socketpair");
    AUTO_FD int mine = pair[0], theirs = pair[1];
    if (!is_nonblocking && fcntl(mine, F_SETFL, 0) != 0)
        return err_errno(err, "fcntl");
    TRY(send_with_fds(channel, SPAN("c"), &theirs, 1, MSG_DONTWAIT, err));
    *fd = mine;
    mine = -1;
    return ST_OK;
}

/* Receives one message; descriptors beyond *fd_count's room are closed. *is_cut: the kernel had to drop descriptors. */
static enum status receive_with_fds(int channel, struct span room, size_t *length, int *fds, size_t *fd_count,
                                    int flags, bool *is_cut, struct err *err)
{
    union control control;
    struct iovec iov = {(void *)(uintptr_t)room.p, room.len};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    size_t max = *fd_count;
    *fd_count = 0;
    ssize_t n;
    do
        n = recvmsg(channel, &msg, MSG_CMSG_CLOEXEC | flags);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return err_set(err, ST_TEMPORARY, "nothing waits in the channel");
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return err_set(err, ST_CLOSED, "the channel's other end is closed");
    if (n < 0)
        return err_errno(err, "channel recvmsg");
    *length = (size_t)n;
    *is_cut = (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            if (*fd_count < max)
                fds[(*fd_count)++] = fd;
            else {
                close(fd);
                *is_cut = true;
            }
        }
    }
    return ST_OK;
}

static bool is_unix_stream(int fd)
{
    int type = 0, domain = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM)
        return false;
    len = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

enum status channel_accept(int channel, int *fd, struct err *err)
{
    char note[8] = "";
    size_t length, count = 1;
    bool is_cut;
    AUTO_FD int passed = -1;
    TRY(receive_with_fds(channel, span_of(note, sizeof note), &length, &passed, &count, MSG_DONTWAIT, &is_cut, err));
    if (is_cut || count != 1)
        return err_set(err, ST_LIMIT, "a passed connection could not be received (out of descriptors?)");
    if (!is_unix_stream(passed) || fcntl(passed, F_SETFL, O_NONBLOCK) != 0)
        return err_set(err, ST_DENIED, "what was passed is no stream socket");
    *fd = passed;
    passed = -1;
    return ST_OK;
}

enum status channel_send(int channel, struct span message, const int *fds, size_t fd_count, struct err *err)
{
    if (message.len == 0 || message.len > CHANNEL_MESSAGE_MAX || fd_count > CHANNEL_FDS_MAX)
        return err_set(err, ST_LIMIT, "channel message too large or empty");
    return send_with_fds(channel, message, fds, fd_count, 0, err);
}

enum status channel_receive(int channel, char *buffer, size_t size, size_t *length, int *fds, size_t *fd_count,
                            struct err *err)
{
    bool is_cut = false;
    TRY(receive_with_fds(channel, span_of(buffer, size), length, fds, fd_count, 0, &is_cut, err));
    if (!is_cut)
        return ST_OK;
    for (size_t i = 0; i < *fd_count; i++)
        close(fds[i]);
    *fd_count = 0;
    return err_set(err, ST_LIMIT, "a channel message did not fit");
}

/* Waits until fd is ready or the deadline has passed. */
static enum status wait_ready(int fd, short events, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        int64_t left = deadline_ms - clock_mono_ms();
        if (left <= 0)
            return err_set(err, ST_TEMPORARY, "timed out");
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0)
            return ST_OK;
        if (n < 0 && errno != EINTR)
            return err_errno(err, "poll");
    }
}

enum status fd_read_exact(int fd, void *p, size_t n, int64_t timeout_ms, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    for (size_t done = 0; done < n;) {
        ssize_t r = recv(fd, (char *)p + done, n - done, MSG_DONTWAIT);
        if (r > 0)
            done += (size_t)r;
        else if (r == 0 || errno == ECONNRESET)
            return err_set(err, ST_CLOSED, "the other side closed the connection");
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            TRY(wait_ready(fd, POLLIN, deadline_ms, err));
        else if (errno != EINTR)
            return err_errno(err, "recv");
    }
    return ST_OK;
}

enum status fd_write_all(int fd, const void *p, size_t n, int64_t timeout_ms, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    for (size_t done = 0; done < n;) {
        ssize_t r = send(fd, (const char *)p + done, n - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (r >= 0)
            done += (size_t)r;
        else if (errno == EPIPE || errno == ECONNRESET)
            return err_set(err, ST_CLOSED, "the other side closed the connection");
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            TRY(wait_ready(fd, POLLOUT, deadline_ms, err));
        else if (errno != EINTR)
            return err_errno(err, "send");
    }
    return ST_OK;
}
