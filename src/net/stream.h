/*
 * stream.h - one connection's bytes, plain or TLS, compressed or not, never blocking. One thread at a time.
 */
#pragma once
#include "base/err.h"
#include "base/span.h"
#include "net/session.h"
#include "net/tls.h"

struct ssl_st;
struct deflate;

struct stream {
    struct ssl_st *ssl;      /* NULL: plain */
    struct deflate *deflate; /* NULL: not compressed */
    int fd;
    bool is_broken; /* a TLS error happened: nothing more may be asked of ssl */
};

enum io {
    IO_OK,
    IO_WANT_READ,  /* nothing now; try again when the socket is readable */
    IO_WANT_WRITE, /* … writable */
    IO_EOF,        /* the peer has said its last */
    IO_ERROR       /* the connection is gone */
};

/* On IO_OK 0 < *n <= size. */
enum io stream_read(struct stream *st, char *p, size_t size, size_t *n);
/* On IO_OK 0 < *n <= data.len. After IO_WANT_* the next call begins with the same bytes. */
enum io stream_write(struct stream *st, struct span data, size_t *n);
/* True where bytes wait inside the layers, of which epoll knows nothing. */
bool stream_has_pending(const struct stream *st);

enum status stream_start_tls(struct stream *st, struct tls_context *tls, struct err *err);
/* reason: set on IO_ERROR, for the log. */
enum io stream_handshake(struct stream *st, char *reason, size_t reason_size);
/* Version and cipher of the handshake that succeeded. */
void stream_tls_facts(const struct stream *st, struct peer *peer);

/* See session_tls_exporter(). */
bool stream_export(const struct stream *st, uint8_t out[SESSION_EXPORTER_BYTES]);

/* From here on both directions are compressed (RFC 4978). */
void stream_start_deflate(struct stream *st);
/* Not any more; as deflate_read_end(). On IO_WANT_* to be called again. */
enum io stream_end_deflate(struct stream *st, struct strbuf *beyond);

/* close_notify where there is TLS, then FIN; gives the TLS state's memory back. The socket can still be read raw. */
void stream_finish(struct stream *st);
void stream_close(struct stream *st);

/* The same two on any socket. */
enum io socket_read(int fd, char *p, size_t size, size_t *n);
enum io socket_write(int fd, struct span data, size_t *n);
