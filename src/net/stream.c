/* stream.c - see stream.h. */
#include "net/stream.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "net/deflate.h"
#include "net/tls_internal.h"
#include "base/banned.h"

enum io socket_read(int fd, char *p, size_t size, size_t *n)
{
    ssize_t r;
    do
        r = recv(fd, p, size, MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    if (r > 0) {
        *n = (size_t)r;
        return IO_OK;
    }
    if (r == 0)
        return IO_EOF;
    return errno == EAGAIN || errno == EWOULDBLOCK ? IO_WANT_READ : IO_ERROR;
}

enum io socket_write(int fd, struct span data, size_t *n)
{
    ssize_t r;
    do
        r = send(fd, data.p, data.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
    if (r > 0) {
        *n = (size_t)r;
        return IO_OK;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? IO_WANT_WRITE : IO_ERROR;
}

/* What an SSL function that did not succeed means. After SSL and SYSCALL errors the object must not be used again. */
static enum io ssl_outcome(struct stream *st, int result)
{
    switch (SSL_get_error(st->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return IO_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return IO_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return IO_EOF;
    default:
        st->is_broken = true;
        return IO_ERROR;
    }
}

static enum io read_below(void *ctx, char *p, size_t size, size_t *n)
{
    struct stream *st = ctx;
    if (!st->ssl)
        return socket_read(st->fd, p, size, n);
    if (st->is_broken)
        return IO_ERROR;
    ERR_clear_error();
    int r = SSL_read_ex(st->ssl, p, size, n);
    return r == 1 ? IO_OK : ssl_outcome(st, r);
}

static enum io write_below(void *ctx, struct span data, size_t *n)
{
    struct stream *st = ctx;
    if (!st->ssl)
        return socket_write(st->fd, data, n);
    if (st->is_broken)
        return IO_ERROR;
    ERR_clear_error();
    int r = SSL_write_ex(st->ssl, data.p, data.len, n);
    return r == 1 ? IO_OK : ssl_outcome(st, r);
}

/* RFC 9266 §4.1. Before TLS 1.3 it would be unique only with an extended master secret. */
bool stream_export(const struct stream *st, uint8_t out[SESSION_EXPORTER_BYTES])
{
    static const char label[] = "EXPORTER-Channel-Binding";
    return st->ssl && !st->is_broken && SSL_is_init_finished(st->ssl) && SSL_version(st->ssl) == TLS1_3_VERSION &&
           SSL_export_keying_material(st->ssl, out, SESSION_EXPORTER_BYTES, label, sizeof label - 1, NULL, 0, 0) == 1;
}

static struct deflate_below below(struct stream *st)
{
    return (struct deflate_below){st, read_below, write_below};
}

enum io stream_read(struct stream *st, char *p, size_t size, size_t *n)
{
    if (!st->deflate)
        return read_below(st, p, size, n);
    const struct deflate_below b = below(st);
    return deflate_read(st->deflate, &b, p, size, n);
}

enum io stream_write(struct stream *st, struct span data, size_t *n)
{
    if (!st->deflate)
        return write_below(st, data, n);
    const struct deflate_below b = below(st);
    return deflate_write(st->deflate, &b, data, n);
}

void stream_start_deflate(struct stream *st)
{
    st->deflate = deflate_new();
}

enum io stream_end_deflate(struct stream *st, struct strbuf *beyond)
{
    const struct deflate_below b = below(st);
    enum io io = deflate_read_end(st->deflate, &b, beyond);
    if (io == IO_OK)
        deflate_free(&st->deflate);
    return io;
}

bool stream_has_pending(const struct stream *st)
{
    if (st->deflate && deflate_has_pending(st->deflate))
        return true;
    return st->ssl && !st->is_broken && SSL_has_pending(st->ssl);
}

enum status stream_start_tls(struct stream *st, struct tls_context *tls, struct err *err)
{
    st->ssl = SSL_new(tls_context_default(tls));
    if (!st->ssl || SSL_set_fd(st->ssl, st->fd) != 1) {
        SSL_free(st->ssl);
        st->ssl = NULL;
        return err_set(err, ST_IO, "a TLS session could not be made");
    }
    SSL_set_accept_state(st->ssl);
    return ST_OK;
}

enum io stream_handshake(struct stream *st, char *reason, size_t reason_size)
{
    if (st->is_broken)
        return IO_ERROR;
    ERR_clear_error();
    errno = 0;
    int r = SSL_do_handshake(st->ssl);
    if (r == 1)
        return IO_OK;
    int saved = errno;
    enum io io = ssl_outcome(st, r);
    if (io == IO_ERROR || io == IO_EOF) {
        unsigned long code = ERR_peek_last_error();
        const char *text = code ? ERR_reason_error_string(code) : saved ? strerror(saved) : "the peer closed";
        snprintf(reason, reason_size, "%s", text ? text : "unknown");
    }
    return io;
}

void stream_tls_facts(const struct stream *st, struct peer *peer)
{
    snprintf(peer->tls_version, sizeof peer->tls_version, "%s", SSL_get_version(st->ssl));
    snprintf(peer->tls_cipher, sizeof peer->tls_cipher, "%s", SSL_get_cipher_name(st->ssl));
    peer->tls_bits = (uint16_t)SSL_get_cipher_bits(st->ssl, NULL);
}

static void drop_tls(struct stream *st)
{
    SSL_free(st->ssl);
    st->ssl = NULL;
    ERR_clear_error();
}

void stream_finish(struct stream *st)
{
    deflate_free(&st->deflate);
    if (st->ssl) {
        if (!st->is_broken && SSL_is_init_finished(st->ssl)) {
            ERR_clear_error();
            SSL_shutdown(st->ssl); /* sends close_notify; whether it fitted into the socket matters to nobody */
        }
        drop_tls(st);
    }
    shutdown(st->fd, SHUT_WR);
}

void stream_close(struct stream *st)
{
    deflate_free(&st->deflate);
    if (st->ssl)
        drop_tls(st);
    if (st->fd >= 0)
        close(st->fd);
    st->fd = -1;
}
