/*
 * sts.h - a domain's MTA-STS policy (RFC 8461): looked up, fetched when its id is new, kept durably. Blocking; any
 * thread.
 */
#pragma once
#include "policy/mta_sts.h"
#include "relay/https.h"

struct queue;
struct sts;
/* Borrowed: queue and what https holds. */
struct sts *sts_new(struct queue *q, const struct https *h);
void sts_free(struct sts **s);

enum {
    STS_ASK_MS = 60 * 1000,  /* the record is asked for this often, for each domain */
    STS_RETRY_SECONDS = 300, /* a policy that could not be fetched (§3.3: five minutes) */
    STS_DOMAINS_MAX = 10000
};
enum sts_result {
    STS_NONE,
    STS_FOUND,
    STS_FETCH_FAILED,
    STS_WEBPKI_FAILED,
    STS_INVALID
}; /* but for the first two: nothing is known, and why */
/* domain in A-label form. text: the policy as fetched. */
enum sts_result sts_find(struct sts *s, struct arena *a, struct span domain, struct mta_sts_policy *out,
                         struct span *text);
