/*
 * tls_keys.h - certificate chains with their private keys, in the vault alone.
 *
 * A key is asked for by its id, the first four octets of the SHA-256 of its public key: so a role may go on with the
 * certificates it fetched before the vault was restarted or its keys were replaced. Filled by one thread, then only
 * read, by any.
 */
#pragma once
#include "base/err.h"
#include "base/strbuf.h"
#include "net/tls.h"

struct tls_keys;
struct tls_keys *tls_keys_new(void);
void tls_keys_free(struct tls_keys **k);
AUTO_DEFINE(tls_keys)

/* Reads both files from their start. ST_SYNTAX: not PEM, not RSA or ECDSA, or the key is not the certificate's. */
enum status tls_keys_add(struct tls_keys *k, int certificate_fd, int key_fd, struct err *err);
/* The self-signed certificate for hostname (and its key) in this folder, made where it is missing or for another name.
 */
enum status tls_keys_add_self_signed(struct tls_keys *k, const char *folder, const char *hostname, struct err *err);

size_t tls_keys_count(const struct tls_keys *k);
uint32_t tls_keys_id(const struct tls_keys *k, size_t index);
struct span tls_keys_chain(const struct tls_keys *k, size_t index); /* PEM */
bool tls_keys_has(const struct tls_keys *k, uint32_t id);
/* ST_NOTFOUND: no such key. ST_SYNTAX: an input that this key cannot sign. */
enum status tls_keys_sign(const struct tls_keys *k, uint32_t id, enum tls_sign_scheme scheme, struct span input,
                          struct strbuf *out, struct err *err);
