/*
 * ticket.h - one-time tickets: 32 random bytes that stand for an account for VAULT_TICKET_SECONDS. In the vault's
 * memory alone. Thread-safe.
 */
#pragma once
#include "auth/vault_protocol.h"
#include "base/err.h"
#include "base/strbuf.h"

enum { TICKETS_MAX = 10000 }; /* not yet redeemed */

struct tickets;
struct tickets *tickets_new(void);
void tickets_free(struct tickets **t);
/* ST_TEMPORARY where TICKETS_MAX are waiting. */
enum status ticket_issue(struct tickets *t, struct span account, uint8_t out[VAULT_TICKET_BYTES], struct err *err);
/* Appends the account and forgets the ticket. ST_DENIED: unknown, used, or too old, without saying which. */
enum status ticket_redeem(struct tickets *t, const uint8_t ticket[VAULT_TICKET_BYTES], struct strbuf *account,
                          struct err *err);
