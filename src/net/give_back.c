/*
 * give_back.c - a client that was handed over goes back to the role that carries for it (IMAP's UNAUTHENTICATE).
 *
 * What the client says meanwhile may be anywhere on its way, and none of it may be lost (RFC 8437 §3: the next
 * AUTHENTICATE may follow at once). So the two ends agree first where the stream ends:
 *
 *   1. far side   sends all its output, then one octet with a descriptor beside it, the mark: such a message cannot be
 *                 made by anything that a client or a mailbox contains
 *   2. carrier    at the mark stops to carry, and ends its direction (FIN)
 *   3. far side   sends back what it has not acted upon, unread input first, then all that still comes, up to the FIN;
 *                 closes
 *   4. carrier    collects that up to the end; it and what the carrier itself still held are the session's unread input
 *
 * Nobody in this waits for the client but the carrier, which has deadlines of its own.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "net/engine.h"
#include "sys/channel.h"
#include "base/banned.h"

enum { RETURN_BYTES_MAX = 1024 * 1024 }; /* sent back at most: more than both sockets and buffers hold */

enum park return_begin(struct session *s)
{
    if (!session_is_from_role(s))
        return session_end(s);
    session_end_protocol(s); /* nothing of the account is open from here on, */
    session_leave_hold(s);   /* and its next login finds it gone */
    if (s->stream.deflate && session_unread(s))
        return session_end(s); /* RFC 8437 §4.1: what follows the command is not compressed */
    strbuf_add(&s->out, session_input(s));
    session_consume(s, session_unread(s));
    s->since_ms = clock_mono_ms();
    s->moved = 0;
    s->phase = PHASE_RETURN;
    return PARK_NONE;
}

/* Any descriptor will do for the mark, the carrier closes it; the socket's own is at hand. */
static enum park send_mark(struct session *s)
{
    struct err err;
    enum status st = channel_send(s->stream.fd, SPAN("R"), &s->stream.fd, 1, &err);
    if (st == ST_TEMPORARY) {
        s->wants_write = true;
        return PARK_RETURN;
    }
    if (st != ST_OK)
        return session_end(s);
    s->has_marked = true;
    return PARK_NONE;
}

static enum park send_back(struct session *s)
{
    switch (session_flush(s)) {
    case IO_OK:
        return PARK_NONE;
    case IO_WANT_READ:
    case IO_WANT_WRITE:
        return PARK_OUTPUT;
    default:
        return session_end(s);
    }
}

enum park return_advance(struct session *s)
{
    if (s->bits & BIT_SHUTDOWN)
        return session_end(s);
    if (s->stream.deflate) {
        enum io io = stream_end_deflate(&s->stream, &s->out);
        if (io != IO_OK)
            return io == IO_WANT_READ ? PARK_RETURN : session_end(s);
    }
    if (!s->has_marked) {
        enum park why = send_mark(s);
        if (why != PARK_NONE)
            return why;
    }
    for (;;) {
        char bytes[4096];
        size_t n = 0;
        enum park why = send_back(s);
        if (why != PARK_NONE)
            return why;
        enum io io = socket_read(s->stream.fd, bytes, sizeof bytes, &n);
        if (io == IO_WANT_READ)
            return PARK_RETURN;
        s->moved += n;
        if (io != IO_OK || s->moved > RETURN_BYTES_MAX)
            return session_end(s);
        strbuf_add(&s->out, span_of(bytes, n));
    }
}

/* Closes the descriptors that came along; whether there were any. */
static bool close_descriptors(struct msghdr *msg)
{
    bool has = false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            close(fd);
            has = true;
        }
    }
    return has;
}

/* The kernel never joins a message with descriptors to the bytes behind it, but may to those before: the mark is the
 * last octet. */
enum io return_read(int fd, char *p, size_t size, size_t *n, bool *is_mark)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec iov = {p, size};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t r;
    do
        r = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (r < 0 && errno == EINTR);
    *is_mark = r > 0 && close_descriptors(&msg);
    if (r > 0) {
        *n = (size_t)r - (*is_mark ? 1 : 0);
        return IO_OK;
    }
    if (r == 0)
        return IO_EOF;
    return errno == EAGAIN || errno == EWOULDBLOCK ? IO_WANT_READ : IO_ERROR;
}
