/*
 * tls.c - contexts: one SSL_CTX for each certificate chain, chosen by SNI (tls.h).
 *
 * What a parked TLS session costs is decided here: read and write buffers are released when empty, no session cache is
 * kept, and a client gets one stateless ticket.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/mem.h"
#include "net/tls_internal.h"
#include "base/banned.h"

/* Forward secrecy always; AEAD first, CBC behind it for the old mail clients that have no other. */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES256:ECDHE+AES128:!aNULL:!eNULL:!PSK:!SRP"

enum { CHAIN_CERTIFICATES_MAX = 16 };

struct chain {
    SSL_CTX *ctx;
    X509 *leaf;
    struct tls_key key;
};

struct tls_context {
    _Atomic uint32_t refs;
    size_t count;
    struct chain chains[];
};

SSL_CTX *tls_context_default(struct tls_context *t)
{
    return t->chains[0].ctx;
}

static enum status tls_error(struct err *err, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return err_set_operator(err, ST_IO, "TLS is not available", "%s: %s", what, reason ? reason : "unknown");
}

/* RFC 6066 §3: the name is ASCII without a trailing dot. Wildcards match one label (RFC 6125 §6.4.3). */
static bool chain_matches(const struct chain *c, const char *name)
{
    unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    return X509_check_host(c->leaf, name, 0, flags, NULL) == 1;
}

/* An unknown name is not an error: the first chain is tried, and the client judges. */
static int choose_chain(SSL *ssl, int *alert, void *arg)
{
    struct tls_context *t = arg;
    (void)alert;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    for (size_t i = 0; name && i < t->count; i++)
        if (chain_matches(&t->chains[i], name)) {
            SSL_set_SSL_CTX(ssl, t->chains[i].ctx);
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_NOACK;
}

static enum status configure(SSL_CTX *ctx, struct tls_context *t, struct err *err)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record's header and what it announces are one read */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_chain);
    SSL_CTX_set_tlsext_servername_arg(ctx, t);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_cipher_list(ctx, TLS12_CIPHERS) != 1)
        return tls_error(err, "TLS settings");
    return ST_OK;
}

static enum status load_chain(struct chain *c, struct span pem, struct err *err)
{
    if (pem.len > INT32_MAX)
        return err_set(err, ST_LIMIT, "certificate chain too large");
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
    c->leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    bool is_good = c->leaf && SSL_CTX_use_certificate(c->ctx, c->leaf) == 1;
    X509 *issuer;
    for (int i = 1; is_good && (issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; i++)
        if (i == CHAIN_CERTIFICATES_MAX || SSL_CTX_add0_chain_cert(c->ctx, issuer) != 1) {
            X509_free(issuer);
            is_good = false;
        }
    BIO_free(bio);
    if (!is_good)
        return tls_error(err, "certificate chain");
    ERR_clear_error(); /* the end of the text counts as an error there */
    return ST_OK;
}

static enum status add_chain(struct tls_context *t, struct span pem, const struct tls_signer *signer, struct err *err)
{
    struct chain *c = &t->chains[t->count];
    c->key = (struct tls_key){*signer, (uint32_t)t->count};
    t->count++;
    c->ctx = SSL_CTX_new(TLS_server_method());
    if (!c->ctx)
        return tls_error(err, "SSL_CTX_new");
    TRY(configure(c->ctx, t, err));
    TRY(load_chain(c, pem, err));
    EVP_PKEY *key;
    TRY(tls_key_new(c->leaf, &c->key, &key, err));
    int is_set = SSL_CTX_use_PrivateKey(c->ctx, key);
    EVP_PKEY_free(key);
    return is_set == 1 ? ST_OK : tls_error(err, "SSL_CTX_use_PrivateKey");
}

enum status tls_context_new(const struct span *pem_chains, size_t count, const struct tls_signer *signer,
                            struct tls_context **out, struct err *err)
{
    if (count == 0 || count > TLS_CHAINS_MAX)
        return err_set(err, ST_LIMIT, "between 1 and %d certificate chains are needed", TLS_CHAINS_MAX);
    AUTO(tls_context) t = mem_alloc(sizeof *t + count * sizeof t->chains[0]);
    atomic_store(&t->refs, 1);
    for (size_t i = 0; i < count; i++)
        TRY(add_chain(t, pem_chains[i], signer, err));
    *out = t;
    t = NULL;
    return ST_OK;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void tls_context_free(struct tls_context **tp)
{
    struct tls_context *t = *tp;
    *tp = NULL;
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    for (size_t i = 0; i < t->count; i++) {
        SSL_CTX_free(t->chains[i].ctx);
        X509_free(t->chains[i].leaf);
    }
    free(t);
}
