/*
 * tls_policy.h - how a host must be spoken to, by what the destination publishes and the operator says: DANE (RFC 7672)
 * before MTA-STS (RFC 8461) before opportunistic TLS; REQUIRETLS (RFC 8689) and routes make it stricter. Counts the
 * results for TLS-RPT (RFC 8460). Blocking; any thread.
 */
#pragma once
#include "net/dial.h"
#include "relay/hosts.h"

/* What a message says of TLS (RFC 8689): REQUIRETLS, or "TLS-Required: No". */
enum tls_wish { TLS_WISH_NONE, TLS_WISH_REQUIRED, TLS_WISH_WAIVED };

struct link_maker;
struct config_route;
struct queue;
struct sts;
struct tls_policies;
/* Borrowed. */
struct tls_policies *tls_policies_new(struct queue *q, struct sts *sts);
void tls_policies_free(struct tls_policies **p);

enum tls_level {
    TLS_NEVER,
    TLS_MAY,     /* opportunistic: in clear if it does not work */
    TLS_MUST,    /* encrypted, to whomever; or verified, where dial.trust says so */
    TLS_IMPLICIT /* from the first octet */
};
enum tls_kind { TLS_KIND_NONE, TLS_KIND_DANE, TLS_KIND_STS, TLS_KIND_ROUTE, TLS_KIND_WAIVED };
enum tls_result { /* RFC 8460 §4.3 */
                  TLS_RESULT_SUCCESS,
                  TLS_RESULT_STARTTLS_NOT_SUPPORTED,
                  TLS_RESULT_HOST_MISMATCH,
                  TLS_RESULT_EXPIRED,
                  TLS_RESULT_NOT_TRUSTED,
                  TLS_RESULT_VALIDATION,
                  TLS_RESULT_TLSA_INVALID,
                  TLS_RESULT_DNSSEC_INVALID,
                  TLS_RESULT_DANE_REQUIRED,
                  TLS_RESULT_STS_FETCH,
                  TLS_RESULT_STS_INVALID,
                  TLS_RESULT_STS_WEBPKI,
                  TLS_RESULT_COUNT
};
enum tls_result tls_result_of(enum dial_fault f);

struct tls_need {
    enum tls_level level;
    enum tls_kind kind;
    struct dial_policy dial;
    struct span domain, host, policy; /* for the report; policy: its lines */
    const char *source;               /* "the domain's MTA-STS policy", for texts */
};
/* ST_TEMPORARY: the host must not be used now (its TLSA records cannot be had, or its name is not in the policy). */
enum status tls_policy_for(const struct link_maker *m, struct arena *a, struct span domain, const struct hosts *hosts,
                           const struct host *host, const struct config_route *route, enum tls_wish wish,
                           struct tls_need *out, struct err *err);
void tls_policy_count(struct tls_policies *p, const struct tls_need *need, const char *address, enum tls_result result);
