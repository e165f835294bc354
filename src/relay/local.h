/*
 * local.h - what is ours after all: asking `mail` whether a domain is, and handing messages over to it by LMTP.
 * Blocking; any thread.
 */
#pragma once
#include "relay/attempt.h"
#include "smtp/pool.h"

struct local;
/* mail: borrowed. */
struct local *local_new(struct smtp_pool *mail);
void local_free(struct local **l);

enum { LOCAL_REMEMBER_MS = 60 * 1000, LOCAL_DOMAINS_MAX = 10000 };
/* Domain in A-label form. Asked by RCPT to its postmaster, whom every domain of ours has (RFC 5321 §4.5.1); the answer
 * is remembered for LOCAL_REMEMBER_MS. */
enum status local_has(struct local *l, struct span domain, bool *is_ours, struct err *err);
/* One transaction, a verdict for each of m's recipients. */
void local_deliver(struct local *l, const struct queue_message *m, struct span body, struct verdict *v);
