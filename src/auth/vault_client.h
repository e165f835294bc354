/*
 * vault_client.h - asking the vault, from `gate`, `mx`, `mail` and `relay`. Calls block; any thread; the client keeps a
 * few connections and opens more as threads need them. A vault that restarts is asked once again on a new connection
 * (not in the middle of a SASL exchange).
 */
#pragma once
#include "auth/vault_protocol.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "net/tls.h"

struct vault_client;

/* channel: this role's channel to the vault; borrowed. */
struct vault_client *vault_client_new(int channel);
void vault_client_free(struct vault_client **c);

/* One SASL exchange; owned by one session. */
struct sasl_exchange;
enum sasl_result { SASL_CONTINUE, SASL_DONE, SASL_FAILED, SASL_UNAVAILABLE };

/* binding: what session_tls_exporter() gave, or empty. initial.p NULL: no initial response. *challenge gets what to send (raw, not base64). On SASL_DONE ticket holds
 * VAULT_TICKET_BYTES; a mechanism's last words were a challenge before it (SASL_CONTINUE) to which the response is empty. On
 * anything but SASL_CONTINUE the exchange is over and *x is NULL. Unknown mechanism: SASL_FAILED
 * with err->status ST_UNSUPPORTED. */
enum sasl_result vault_sasl_start(struct vault_client *c, struct span mechanism, struct span initial,
                                  const char *peer_address, struct span binding, struct sasl_exchange **x, struct strbuf *challenge,
                                  uint8_t ticket[VAULT_TICKET_BYTES], struct err *err);
enum sasl_result vault_sasl_next(struct vault_client *c, struct sasl_exchange **x, struct span response,
                                 struct strbuf *challenge, uint8_t ticket[VAULT_TICKET_BYTES], struct err *err);
void sasl_exchange_free(struct sasl_exchange **x);

enum status vault_redeem(struct vault_client *c, const uint8_t ticket[VAULT_TICKET_BYTES], struct strbuf *account,
                         struct err *err);
/* key: its id, as VAULT_CERTIFICATES gives it. */
enum status vault_sign(struct vault_client *c, uint32_t key, enum tls_sign_scheme scheme, struct span input,
                       struct strbuf *out, struct err *err);
/* A TLS context with the vault's certificates, signing through the vault. */
enum status vault_tls_context(struct vault_client *c, struct tls_context **out, struct err *err);
