/* tls_policy.c - see tls_policy.h. */
#include "relay/tls_policy.h"
#include "relay/link.h"
#include "base/banned.h"

enum tls_result tls_result_of(enum dial_fault f)
{
    static const enum tls_result results[] = {[DIAL_FAULT_NONE] = TLS_RESULT_VALIDATION,
                                              [DIAL_FAULT_HOST_MISMATCH] = TLS_RESULT_HOST_MISMATCH,
                                              [DIAL_FAULT_EXPIRED] = TLS_RESULT_EXPIRED,
                                              [DIAL_FAULT_NOT_TRUSTED] = TLS_RESULT_NOT_TRUSTED,
                                              [DIAL_FAULT_VALIDATION] = TLS_RESULT_VALIDATION};
    return results[f];
}

/* What the operator says of a route stands above what the destination publishes. */
static void by_route(const struct config_route *route, struct tls_need *out)
{
    static const enum tls_level levels[] = {[ROUTE_TLS_DEFAULT] = TLS_MAY,
                                            [ROUTE_TLS_NONE] = TLS_NEVER,
                                            [ROUTE_TLS_REQUIRED] = TLS_MUST,
                                            [ROUTE_TLS_VERIFIED] = TLS_MUST,
                                            [ROUTE_TLS_IMPLICIT] = TLS_IMPLICIT};
    out->level = levels[route->tls];
    out->kind = TLS_KIND_ROUTE;
    out->source = "the route";
    if (route->tls == ROUTE_TLS_VERIFIED || route->tls == ROUTE_TLS_IMPLICIT) {
        out->dial.trust = DIAL_TRUST_PKIX;
        out->dial.names[0] = out->dial.server_name;
    }
}

enum status tls_policy_for(const struct link_maker *m, struct arena *a, struct span domain, const struct hosts *hosts,
                           const struct host *host, const struct config_route *route, bool must_be_tls,
                           struct tls_need *out, struct err *err)
{
    (void)m;
    (void)hosts;
    (void)err;
    *out = (struct tls_need){.level = TLS_MAY, .domain = domain, .host = host->name, .source = "the message"};
    struct host_address literal;
    if (!host_address_read(host->name, 0, &literal)) /* RFC 6066 §3: no addresses in SNI */
        out->dial.server_name = arena_cstr(a, host->name);
    if (route && route->tls != ROUTE_TLS_DEFAULT)
        by_route(route, out);
    if (must_be_tls && out->level == TLS_MAY)
        out->level = TLS_MUST;
    return ST_OK;
}

void tls_policy_count(struct tls_policies *p, const struct tls_need *need, const char *address, enum tls_result result)
{
    (void)p;
    (void)need;
    (void)address;
    (void)result;
}
