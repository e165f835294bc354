/*
 * channel.h - how one role reaches a service of another: a SOCK_SEQPACKET pair that the master made and gave an end to each.
 *
 * To connect, the caller makes a socketpair, keeps one end and passes the other through the channel; the service takes it
 * as if it had been accepted. A role therefore reaches exactly the services it was given a channel to: there is no path and
 * no port that a captured process could try, and it needs no right to call connect(2). The master keeps both ends open, so a
 * connection asked for while the service restarts waits in the channel.
 */
#pragma once
#include "base/err.h"
#include "base/span.h"

/* Makes a channel (master). */
enum status channel_new(int *caller_end, int *service_end, struct err *err);
/* Connects: *fd is a connected SOCK_STREAM socket, blocking unless is_nonblocking. ST_TEMPORARY where the channel is full. Any thread. */
enum status channel_connect(int channel, bool is_nonblocking, int *fd, struct err *err);
/* The service's side: *fd is the next passed connection, non-blocking; ST_TEMPORARY if none waits, ST_CLOSED if the master is gone. */
enum status channel_accept(int channel, int *fd, struct err *err);

/* Messages with descriptors, for the master's control channel. At most CHANNEL_MESSAGE_MAX bytes and 16 descriptors. */
enum { CHANNEL_MESSAGE_MAX = 4096, CHANNEL_FDS_MAX = 16 };
enum status channel_send(int channel, struct span message, const int *fds, size_t fd_count, struct err *err);
/* Blocking or not as the socket is; received descriptors are close-on-exec and the caller's. */
enum status channel_receive(int channel, char *buffer, size_t size, size_t *length, int *fds, size_t *fd_count,
                            struct err *err);

/* Blocking read/write of exactly n bytes with a deadline on the whole, on a blocking or non-blocking socket. ST_CLOSED, ST_TEMPORARY (time). */
enum status fd_read_exact(int fd, void *p, size_t n, int64_t timeout_ms, struct err *err);
enum status fd_write_all(int fd, const void *p, size_t n, int64_t timeout_ms, struct err *err);
