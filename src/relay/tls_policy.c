/*
 * tls_policy.c - see tls_policy.h.
 *
 * DANE counts where the MX answer and the host's addresses are validated, and secure TLSA records are found at the
 * host's name (RFC 7672 §2.2). Where they cannot be had because the zone is broken, the host must not be used (§2.2):
 * somebody may be hiding them.
 */
#include "relay/tls_policy.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/dane.h"
#include "queue/tls_store.h"
#include "relay/link.h"
#include "relay/sts.h"
#include "base/banned.h"

struct tls_policies {
    struct queue *queue;
    struct sts *sts;
};

struct tls_policies *tls_policies_new(struct queue *q, struct sts *sts)
{
    struct tls_policies *p = mem_alloc(sizeof *p);
    *p = (struct tls_policies){q, sts};
    return p;
}

void tls_policies_free(struct tls_policies **p)
{
    free(*p);
    *p = NULL;
}

enum tls_result tls_result_of(enum dial_fault f)
{
    static const enum tls_result results[] = {[DIAL_FAULT_NONE] = TLS_RESULT_VALIDATION,
                                              [DIAL_FAULT_HOST_MISMATCH] = TLS_RESULT_HOST_MISMATCH,
                                              [DIAL_FAULT_EXPIRED] = TLS_RESULT_EXPIRED,
                                              [DIAL_FAULT_NOT_TRUSTED] = TLS_RESULT_NOT_TRUSTED,
                                              [DIAL_FAULT_VALIDATION] = TLS_RESULT_VALIDATION};
    return results[f];
}

/* ---- DANE
 * -------------------------------------------------------------------------------------------------------------- */

struct asking {
    const struct link_maker *m;
    struct arena *a;
    struct span domain;
    const struct hosts *hosts;
    const struct host *host;
    struct tls_need *out;
};

static void describe_tlsa(struct asking *w, size_t count)
{
    AUTO_STRBUF lines = STRBUF_INIT; /* RFC 8460 §4.4: policy-string, as the records are written */
    for (size_t i = 0; i < count; i++) {
        const struct dial_tlsa *r = &w->out->dial.tlsa[i];
        strbuf_addf(&lines, "%s%u %u %u ", i ? "\n" : "", r->usage, r->selector, r->matching);
        for (size_t k = 0; k < r->data.len; k++)
            strbuf_addf(&lines, "%02X", (unsigned char)r->data.p[k]);
    }
    w->out->policy = arena_strbuf(w->a, &lines);
}

/* ST_OK: *found says whether DANE counts. */
static enum status dane_at(struct asking *w, struct span name, bool *found, struct err *err)
{
    struct dns_answer answer;
    struct dial_tlsa *list = arena_array(w->a, DIAL_TLSA_MAX, sizeof *list);
    *found = false;
    dns_ask(w->m->dns, w->a, arena_printf(w->a, "_%u._tcp.%.*s", w->m->settings->port, SPAN_ARG(name)), DNS_TLSA,
            DNS_DEFAULT_MS, &answer);
    if (answer.result == DNS_FAILED) {
        tls_policy_count(w->m->policies, w->out, "", TLS_RESULT_DNSSEC_INVALID);
        return err_set(err, ST_TEMPORARY, "the TLSA records of %.*s cannot be had: %s", SPAN_ARG(name), answer.why);
    }
    if (answer.result != DNS_FOUND || !answer.is_secure)
        return ST_OK;
    *found = true;
    size_t count = dane_records_read(answer.records, answer.count, list);
    w->out->kind = TLS_KIND_DANE;
    w->out->level = TLS_MUST;
    w->out->source = "its TLSA record";
    w->out->dial.server_name = arena_cstr(w->a, name); /* RFC 7672 §8.1: SNI is the TLSA base domain */
    w->out->dial.tlsa = list;
    w->out->dial.tlsa_count = count;
    describe_tlsa(w, count);
    if (count == 0) /* §2.2: none of them usable: encrypted, to whomever */
        return ST_OK;
    w->out->dial.trust = DIAL_TRUST_DANE;
    w->out->dial.names[0] = w->out->dial.server_name;
    w->out->dial.names[1] = arena_cstr(w->a, w->domain); /* §3.2.2 */
    if (!span_eq(name, w->host->name))
        w->out->dial.names[2] = arena_cstr(w->a, w->host->name);
    return ST_OK;
}

static enum status dane(struct asking *w, bool *found, struct err *err)
{
    *found = false;
    if (!w->hosts->is_mx_secure || !w->host->is_secure)
        return ST_OK;
    if (!span_eq(w->host->canonical, w->host->name)) { /* §2.2.2: the name at the CNAMEs' end first */
        TRY(dane_at(w, w->host->canonical, found, err));
        if (*found)
            return ST_OK;
    }
    return dane_at(w, w->host->name, found, err);
}

/* ---- MTA-STS
 * ------------------------------------------------------------------------------------------------------------ */

static enum status sts(struct asking *w, struct err *err)
{
    static const enum tls_result failures[] = {[STS_NONE] = TLS_RESULT_SUCCESS,
                                               [STS_FOUND] = TLS_RESULT_SUCCESS,
                                               [STS_FETCH_FAILED] = TLS_RESULT_STS_FETCH,
                                               [STS_WEBPKI_FAILED] = TLS_RESULT_STS_WEBPKI,
                                               [STS_INVALID] = TLS_RESULT_STS_INVALID};
    struct mta_sts_policy policy;
    struct span text;
    if (!w->m->policies || span_starts(w->domain, SPAN("[")))
        return ST_OK;
    enum sts_result result = sts_find(w->m->policies->sts, w->a, w->domain, &policy, &text);
    if (failures[result] != TLS_RESULT_SUCCESS)
        tls_policy_count(w->m->policies, w->out, "", failures[result]);
    if (result != STS_FOUND || policy.mode == MTA_STS_NONE)
        return ST_OK;
    w->out->kind = TLS_KIND_STS;
    w->out->source = "the domain's MTA-STS policy";
    w->out->policy = text;
    w->out->dial.trust = DIAL_TRUST_PKIX;
    w->out->dial.names[0] = w->out->dial.server_name;
    w->out->dial.is_lenient = policy.mode == MTA_STS_TESTING;
    w->out->level = policy.mode == MTA_STS_ENFORCE ? TLS_MUST : TLS_MAY;
    if (mta_sts_host_matches(&policy, w->host->name))
        return ST_OK;
    tls_policy_count(w->m->policies, w->out, "", TLS_RESULT_VALIDATION);
    if (policy.mode == MTA_STS_ENFORCE) /* RFC 8461 §5: not one of the domain's hosts */
        return err_set(err, ST_TEMPORARY, "%.*s is not in the domain's MTA-STS policy", SPAN_ARG(w->host->name));
    return ST_OK;
}

/* ---- all together
 * ------------------------------------------------------------------------------------------------------- */

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

/* RFC 8689 §4.2.1: the host must be the domain's by DNSSEC or MTA-STS, and its certificate good. */
static enum status be_strict(struct asking *w, struct err *err)
{
    struct tls_need *n = w->out;
    n->dial.is_lenient = false;
    if (n->level == TLS_NEVER)
        return err_set(err, ST_TEMPORARY, "the message asks for TLS, and the route for none");
    if (n->level == TLS_MAY)
        n->level = TLS_MUST;
    if (n->dial.trust != DIAL_TRUST_ANY)
        return ST_OK;
    if (n->kind == TLS_KIND_NONE && !w->hosts->is_mx_secure)
        return err_set(err, ST_TEMPORARY, "the message asks for REQUIRETLS, and who %.*s is cannot be verified",
                       SPAN_ARG(w->host->name));
    n->dial.trust = DIAL_TRUST_PKIX;
    n->dial.names[0] = n->dial.server_name;
    return ST_OK;
}

enum status tls_policy_for(const struct link_maker *m, struct arena *a, struct span domain, const struct hosts *hosts,
                           const struct host *host, const struct config_route *route, enum tls_wish wish,
                           struct tls_need *out, struct err *err)
{
    struct asking w = {m, a, domain, hosts, host, out};
    struct host_address literal;
    bool is_dane = false;
    *out = (struct tls_need){.level = TLS_MAY, .domain = domain, .host = host->name, .source = "the message"};
    if (!host_address_read(host->name, 0, &literal)) /* RFC 6066 §3: no addresses in SNI */
        out->dial.server_name = arena_cstr(a, host->name);
    if (route && (route->tls != ROUTE_TLS_DEFAULT || (route->host && !route->is_mx_followed))) {
        by_route(route, out);
    } else if (wish == TLS_WISH_WAIVED) { /* RFC 8689 §3: TLS if it can be had, whatever the destination publishes */
        out->kind = TLS_KIND_WAIVED;
    } else {
        TRY(dane(&w, &is_dane, err));
        if (!is_dane) /* RFC 8461 §2: DANE goes first */
            TRY(sts(&w, err));
    }
    return wish == TLS_WISH_REQUIRED ? be_strict(&w, err) : ST_OK;
}

/* ---- counting (RFC 8460)
 * ------------------------------------------------------------------------------------------------ */

void tls_policy_count(struct tls_policies *p, const struct tls_need *need, const char *address, enum tls_result result)
{
    static const char *const kinds[] = {[TLS_KIND_NONE] = "no-policy-found",
                                        [TLS_KIND_DANE] = "tlsa",
                                        [TLS_KIND_STS] = "sts",
                                        [TLS_KIND_ROUTE] = "",
                                        [TLS_KIND_WAIVED] = ""};
    static const char *const results[TLS_RESULT_COUNT] = {[TLS_RESULT_SUCCESS] = "",
                                                          [TLS_RESULT_STARTTLS_NOT_SUPPORTED] =
                                                              "starttls-not-supported",
                                                          [TLS_RESULT_HOST_MISMATCH] = "certificate-host-mismatch",
                                                          [TLS_RESULT_EXPIRED] = "certificate-expired",
                                                          [TLS_RESULT_NOT_TRUSTED] = "certificate-not-trusted",
                                                          [TLS_RESULT_VALIDATION] = "validation-failure",
                                                          [TLS_RESULT_TLSA_INVALID] = "tlsa-invalid",
                                                          [TLS_RESULT_DNSSEC_INVALID] = "dnssec-invalid",
                                                          [TLS_RESULT_DANE_REQUIRED] = "dane-required",
                                                          [TLS_RESULT_STS_FETCH] = "sts-policy-fetch-error",
                                                          [TLS_RESULT_STS_INVALID] = "sts-policy-invalid",
                                                          [TLS_RESULT_STS_WEBPKI] = "sts-webpki-invalid"};
    struct err err;
    if (!p || need->kind == TLS_KIND_ROUTE || need->kind == TLS_KIND_WAIVED || span_starts(need->domain, SPAN("[")))
        return;
    bool is_failure = result != TLS_RESULT_SUCCESS;
    struct tls_count c = {.day = clock_wall_ms() / 1000 / 86400,
                          .domain = need->domain,
                          .kind = span_cstr(kinds[need->kind]),
                          .policy = need->policy,
                          .mx = is_failure ? need->host : SPAN_NONE,
                          .address = is_failure ? span_cstr(address) : SPAN_NONE,
                          .result = span_cstr(results[result]),
                          .sessions = 1};
    if (queue_tls_count(p->queue, &c, &err) != ST_OK)
        log_text(LOG_WARN, "queue-failed", "a TLS session was not counted: %s", err.operator_text);
}
