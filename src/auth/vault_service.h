/*
 * vault_service.h - the vault's side of vault_protocol.h: what a connection may ask is what its listener allows.
 *
 * A struct vault owns the credentials, the keys, the tickets and the guard against guessing; it outlives the server.
 * The protocol runs on net's workers: a worker that hashes a password waits its turn among the few that may hash at
 * once, and no more than VAULT_HASH_WAITERS_MAX wait, so that a worker for signatures is always free. The pool must
 * have more workers than that.
 */
#pragma once
#include "auth/credentials.h"
#include "auth/tls_keys.h"
#include "auth/vault_protocol.h"
#include "net/session.h"

enum { VAULT_HASH_WAITERS_MAX = 64, VAULT_WORKERS = VAULT_HASH_WAITERS_MAX + 64 };

struct vault;
/* Takes over the credentials. hashers: how many passwords are hashed at once. */
struct vault *vault_new(struct credentials **c, unsigned hashers);
void vault_free(struct vault **v);
/* Takes over the keys; those before stay usable for handshakes with the certificates that roles still have. Any thread.
 */
void vault_set_keys(struct vault *v, struct tls_keys **keys);

/* session_app() of a listener with vault_protocol. */
struct vault_listener {
    struct vault *vault;
    unsigned verbs; /* bits 1 << enum vault_verb */
};
extern const struct protocol vault_protocol;

/* The verbs of each role. */
#define VAULT_VERBS_GATE  (1u << VAULT_SASL_START | 1u << VAULT_SASL_NEXT | 1u << VAULT_SIGN | 1u << VAULT_CERTIFICATES)
#define VAULT_VERBS_MX    (1u << VAULT_SIGN | 1u << VAULT_CERTIFICATES)
#define VAULT_VERBS_MAIL  (1u << VAULT_REDEEM)
#define VAULT_VERBS_RELAY 0u

/* One frame: verb and its fields in, the reply's frame appended to *out. The SASL exchange of the connection is in *x.
 * For the protocol and the fuzzer. False: the connection must end. */
struct vault_exchange;
bool vault_answer(const struct vault_listener *l, struct vault_exchange **x, uint8_t verb, struct span fields,
                  struct strbuf *out);
void vault_exchange_free(struct vault_exchange **x);
