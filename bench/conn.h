/*
 * conn.h - a fiber's side of a connection: plain or TLS, lines and exact bytes.
 *
 * What is written is collected and sent when the fiber next reads, so that pipelined commands travel together. Every
 * function ends the program on an error, a connection that the server closed included, unless it says otherwise. Spans
 * that are returned are valid until the next read.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"
#include "base/strbuf.h"

struct conn;

/* To --host and port, or to --unix; TLS from the first byte if is_tls. Certificates are not verified: they are the
 * bench's own. */
struct conn *conn_open(uint16_t port, bool is_tls);
/* The other side: fd as accepted; TLS with a certificate made for this run. NULL where the client went away in the
 * handshake. */
struct conn *conn_accept(int fd, bool is_tls);
void conn_start_tls(struct conn *c);
void conn_close(struct conn *c);
/* Waits until the server closes, as it must after its last reply, and closes. */
void conn_finish(struct conn *c);

void conn_write(struct conn *c, const void *p, size_t n);
void conn_printf(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void conn_flush(struct conn *c);

/* The next line without its CRLF (which it must have); a NUL follows. */
struct span conn_line(struct conn *c);
/* Exactly n bytes. */
struct span conn_bytes(struct conn *c, size_t n);
/* All that has been read and not yet taken, at least `least` bytes; conn_take() takes from it. */
struct span conn_window(struct conn *c, size_t least);
void conn_take(struct conn *c, size_t n);
/* False at the end of the stream instead of ending the program: for servers of this bench. */
bool conn_more(struct conn *c);
/* Whether a whole line has been read and not yet taken. */
bool conn_has_line(const struct conn *c);
/* Gives the reading buffer back where nothing is in it: thousands of sessions idle. */
void conn_rest(struct conn *c);

/* A listening socket on loopback; port 0 takes a free one. Returns the descriptor and sets *port. */
int conn_listen(uint16_t *port);
