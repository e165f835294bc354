/*
 * tls_internal.h - between tls.c, tls_key.c and stream.c.
 */
#pragma once
#include "net/tls.h"

struct ssl_ctx_st;
struct x509_st;
struct evp_pkey_st;

/* Where a handshake begins; SNI may move it to another chain's. */
struct ssl_ctx_st *tls_context_default(struct tls_context *t);

/* A private key that is not here: the public half of a certificate, and the way to whoever can sign with it. */
struct tls_key {
    struct tls_signer signer;
    uint32_t index;
};
/* key must outlive the EVP_PKEY's use in handshakes. */
enum status tls_key_new(struct x509_st *certificate, struct tls_key *key, struct evp_pkey_st **out, struct err *err);
