/*
 * dial_tls.c - see dial.h: TLS as the calling side.
 *
 * Sessions are resumed. What a session was verified against is part of the key it is kept under: one that was made
 * without looking at the certificate can never stand in for one that must be verified, nor one that was good by
 * yesterday's TLSA records for today's. TLS 1.3 tickets are used once (RFC 8446 §C.4): a session is taken out of the
 * cache to be used.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/dial_internal.h"
#include "base/banned.h"

struct dial_tls {
    SSL_CTX *opportunistic, *strict;
    pthread_mutex_t lock;
    struct map *sessions;
};

static enum status tls_error(struct err *err, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return err_set(err, ST_TEMPORARY, "TLS: %s: %s", what, reason ? reason : "the connection broke");
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

static void forget_all(struct dial_tls *t)
{
    struct span key;
    void *value;
    for (size_t at = 0; map_next(t->sessions, &at, &key, &value);)
        SSL_SESSION_free(value);
    map_free(&t->sessions);
    t->sessions = map_new();
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct dial *d = SSL_get_app_data(ssl);
    if (!d || !d->session_key || !SSL_SESSION_is_resumable(session))
        return 0;
    pthread_mutex_lock(&d->tls->lock);
    if (map_count(d->tls->sessions) >= DIAL_SESSIONS_MAX)
        forget_all(d->tls);
    SSL_SESSION *old = map_put(d->tls->sessions, span_cstr(d->session_key), session);
    pthread_mutex_unlock(&d->tls->lock);
    SSL_SESSION_free(old);
    return 1; /* the reference is ours now */
}

static SSL_SESSION *take_session(struct dial_tls *t, const char *key)
{
    pthread_mutex_lock(&t->lock);
    SSL_SESSION *s = map_remove(t->sessions, span_cstr(key));
    pthread_mutex_unlock(&t->lock);
    return s;
}

/* Peer, trust, names and TLSA records. */
static char *session_key(const struct dial *d, const struct dial_policy *p)
{
    AUTO_STRBUF key = STRBUF_INIT;
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof peer;
    if (getpeername(d->fd, (struct sockaddr *)&peer, &size) != 0)
        return NULL;
    strbuf_add_bytes(&key, &peer, size);
    strbuf_addf(&key, "|%d%d|%s", (int)p->trust, p->is_lenient, p->server_name ? p->server_name : "");
    for (size_t i = 0; i < DIAL_NAMES_MAX && p->names[i]; i++)
        strbuf_addf(&key, "|%s", p->names[i]);
    for (size_t i = 0; i < p->tlsa_count; i++) {
        const struct dial_tlsa *r = &p->tlsa[i];
        strbuf_addf(&key, "|%u %u %u ", r->usage, r->selector, r->matching);
        strbuf_add(&key, r->data);
    }
    AUTO_STRBUF hex = STRBUF_INIT; /* map keys are octets, but ours is kept as a string */
    for (size_t i = 0; i < key.len; i++)
        strbuf_addf(&hex, "%02x", (unsigned char)key.p[i]);
    return mem_cstr(hex.p, hex.len);
}

/* ---- contexts -----------------------------------------------------------------------------------------------------
 */

static bool add_roots(SSL_CTX *ctx, struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
    X509 *x;
    bool any = false;
    while (bio && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        any = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1 || any;
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error(); /* the end of the text counts as an error there */
    return any;
}

/* RFC 7672 §8.1, RFC 8461 §4: TLS 1.2 at least. Opportunistic TLS takes what there is (RFC 7435 §3), as it is better
 * than nothing; OpenSSL's own lower bound is 1.2, too, so only the ciphers differ. */
static SSL_CTX *new_context(bool is_strict)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    bool is_good = SSL_CTX_set_min_proto_version(ctx, is_strict ? TLS1_2_VERSION : TLS1_VERSION) == 1 &&
                   SSL_CTX_set_cipher_list(ctx, is_strict ? "DEFAULT:!aNULL:!eNULL:!SHA1:!kRSA"
                                                          : "DEFAULT@SECLEVEL=0:!eNULL") == 1 &&
                   SSL_CTX_dane_enable(ctx) == 1;
    if (!is_good)
        SSL_CTX_free(ctx);
    return is_good ? ctx : NULL;
}

enum status dial_tls_new(struct span ca_pem, struct dial_tls **out, struct err *err)
{
    struct dial_tls *t = mem_alloc(sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    t->sessions = map_new();
    t->opportunistic = new_context(false);
    t->strict = new_context(true);
    enum status st = ST_OK;
    if (!t->opportunistic || !t->strict)
        st = tls_error(err, "settings");
    else if (ca_pem.len && (ca_pem.len > INT32_MAX || !add_roots(t->strict, ca_pem)))
        st = err_set(err, ST_SYNTAX, "there is no certificate in the file of trusted ones");
    if (st != ST_OK)
        dial_tls_free(&t);
    *out = t;
    return st;
}

void dial_tls_free(struct dial_tls **tp)
{
    struct dial_tls *t = *tp;
    *tp = NULL;
    if (!t)
        return;
    forget_all(t);
    map_free(&t->sessions);
    SSL_CTX_free(t->opportunistic);
    SSL_CTX_free(t->strict);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- the handshake --------------------------------------------------------------------------------------------------
 */

static enum dial_fault fault_of(long verify)
{
    switch (verify) {
    case X509_V_OK:
        return DIAL_FAULT_NONE;
    case X509_V_ERR_HOSTNAME_MISMATCH:
        return DIAL_FAULT_HOST_MISMATCH;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return DIAL_FAULT_EXPIRED;
    case X509_V_ERR_DANE_NO_MATCH:
        return DIAL_FAULT_VALIDATION;
    default:
        return DIAL_FAULT_NOT_TRUSTED;
    }
}

static bool set_names(SSL *ssl, const struct dial_policy *p)
{
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    for (size_t i = 0; i < DIAL_NAMES_MAX && p->names[i]; i++)
        if (SSL_add1_host(ssl, p->names[i]) != 1)
            return false;
    return true;
}

/* RFC 7671 §4.1, RFC 7672 §3.1: usages 2 and 3 only, which the caller has chosen; expiry and names do not count for 3.
 */
static bool set_dane(SSL *ssl, const struct dial_policy *p)
{
    if (SSL_dane_enable(ssl, p->names[0] ? p->names[0] : p->server_name) <= 0)
        return false;
    (void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    bool any = false;
    for (size_t i = 0; i < p->tlsa_count; i++) {
        const struct dial_tlsa *r = &p->tlsa[i];
        any = SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching, (const unsigned char *)r->data.p,
                                r->data.len) > 0 ||
              any;
    }
    for (size_t i = 1; i < DIAL_NAMES_MAX && p->names[i]; i++)
        if (SSL_add1_host(ssl, p->names[i]) != 1)
            return false;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return any;
}

static enum status prepare(struct dial *d, struct dial_tls *t, const struct dial_policy *p, SSL **out, struct err *err)
{
    SSL *ssl = SSL_new(p->trust == DIAL_TRUST_ANY ? t->opportunistic : t->strict);
    bool is_good = ssl && SSL_set_fd(ssl, d->fd) == 1;
    if (is_good && p->trust == DIAL_TRUST_DANE)
        is_good = set_dane(ssl, p);
    if (is_good && p->trust == DIAL_TRUST_PKIX)
        is_good = set_names(ssl, p);
    if (is_good && p->server_name)
        is_good = SSL_set_tlsext_host_name(ssl, p->server_name) == 1;
    if (!is_good) {
        SSL_free(ssl);
        return tls_error(err, "preparing");
    }
    SSL_set_verify(ssl, p->trust == DIAL_TRUST_ANY || p->is_lenient ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_set_app_data(ssl, d);
    d->tls = t;
    d->session_key = session_key(d, p);
    SSL_SESSION *old = d->session_key ? take_session(t, d->session_key) : NULL;
    if (old) {
        (void)SSL_set_session(ssl, old);
        SSL_SESSION_free(old);
    }
    *out = ssl;
    return ST_OK;
}

/* Waits for what OpenSSL wants after r; ST_OK: try again. */
static enum status wait_for_ssl(struct dial *d, SSL *ssl, int r, int64_t deadline_ms, const char *what, struct err *err)
{
    switch (SSL_get_error(ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return dial_wait(d->fd, POLLIN, deadline_ms, err);
    case SSL_ERROR_WANT_WRITE:
        return dial_wait(d->fd, POLLOUT, deadline_ms, err);
    case SSL_ERROR_ZERO_RETURN:
        d->is_broken = true;
        return err_set(err, ST_CLOSED, "the other side closed the connection");
    case SSL_ERROR_SYSCALL:
        d->is_broken = true;
        ERR_clear_error();
        return err_set(err, ST_CLOSED, "the other side broke the connection");
    default:
        d->is_broken = true;
        return tls_error(err, what);
    }
}

static void take_facts(struct dial *d, SSL *ssl, const struct dial_policy *p)
{
    d->facts.is_tls = true;
    d->facts.is_verified = p->trust != DIAL_TRUST_ANY && SSL_get_verify_result(ssl) == X509_V_OK;
    d->facts.fault = p->trust != DIAL_TRUST_ANY ? fault_of(SSL_get_verify_result(ssl)) : DIAL_FAULT_NONE;
    d->facts.is_resumed = SSL_session_reused(ssl) == 1;
    snprintf(d->facts.version, sizeof d->facts.version, "%s", SSL_get_version(ssl));
    snprintf(d->facts.cipher, sizeof d->facts.cipher, "%s", SSL_get_cipher_name(ssl));
}

enum status dial_start_tls(struct dial *d, struct dial_tls *t, const struct dial_policy *p, int64_t timeout_ms,
                           enum dial_fault *fault, struct err *err)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    SSL *ssl;
    *fault = DIAL_FAULT_VALIDATION;
    TRY(prepare(d, t, p, &ssl, err));
    d->ssl = ssl;
    for (int r; (r = SSL_connect(ssl)) != 1;) {
        long verify = SSL_get_verify_result(ssl);
        enum status st = wait_for_ssl(d, ssl, r, deadline, "handshake", err);
        if (st == ST_OK)
            continue;
        d->is_broken = true;
        if (p->trust != DIAL_TRUST_ANY && !p->is_lenient && verify != X509_V_OK) {
            *fault = fault_of(verify);
            return err_set(err, ST_DENIED, "the certificate is not good: %s", X509_verify_cert_error_string(verify));
        }
        return st == ST_CLOSED ? err_set(err, ST_TEMPORARY, "TLS: the other side broke off the handshake") : st;
    }
    *fault = DIAL_FAULT_NONE;
    take_facts(d, ssl, p);
    return ST_OK;
}

enum status dial_tls_read(struct dial *d, char *p, size_t n, size_t *got, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        ERR_clear_error();
        int r = SSL_read_ex(d->ssl, p, n, got);
        if (r == 1)
            return ST_OK;
        TRY(wait_for_ssl(d, d->ssl, r, deadline_ms, "reading", err));
    }
}

enum status dial_tls_write(struct dial *d, const char *p, size_t n, size_t *put, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        ERR_clear_error();
        int r = SSL_write_ex(d->ssl, p, n, put);
        if (r == 1)
            return ST_OK;
        TRY(wait_for_ssl(d, d->ssl, r, deadline_ms, "writing", err));
    }
}
