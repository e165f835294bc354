/*
 * tls.h - the TLS side of a role: certificates by name, private keys elsewhere.
 *
 * A tls_context holds public certificate chains. Handshake signatures are asked of a tls_signer, which in the roles is the
 * vault's client: no private key is ever in a process that speaks TLS. TLS 1.2 and 1.3 only, no renegotiation, no compression; SNI
 * chooses the chain whose SAN matches, else the first.
 */
#pragma once
#include "base/err.h"
#include "base/strbuf.h"

enum tls_sign_scheme {
    TLS_SIGN_RSA_RAW = 1, /* the input is already padded: one raw private operation */
    TLS_SIGN_ECDSA = 2,   /* the input is a digest; output: DER ECDSA-Sig-Value */
};

struct tls_signer {
    /* key: the chain's index. Blocks (asks the vault). Any thread. */
    enum status (*sign)(void *ctx, uint32_t key, enum tls_sign_scheme scheme, struct span input, struct strbuf *out,
                        struct err *err);
    void *ctx;
};

enum { TLS_CHAINS_MAX = 64 };

struct tls_context;
/* pem_chains: each a PEM text, leaf first (RSA or ECDSA P-256/P-384). The signer is kept by value. One reference to the caller. */
enum status tls_context_new(const struct span *pem_chains, size_t count, const struct tls_signer *signer,
                            struct tls_context **out, struct err *err);
struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_free(struct tls_context **t);
AUTO_DEFINE(tls_context)
