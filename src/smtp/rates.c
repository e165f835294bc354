/* rates.c - see rates.h. */
#include "smtp/rates.h"
#include "policy/rate.h"
#include "base/banned.h"

static const struct {
    struct smtp_code code;
    const char *words;
} refusals[RATE_COUNT] = {
    [RATE_ACCOUNT_MESSAGES] = {{451, "4.7.1"}, "Too many messages of this account within an hour"},
    [RATE_ACCOUNT_RECIPIENTS] = {{451, "4.7.1"}, "Too many recipients of this account within an hour"},
    [RATE_ADDRESS_CONNECTIONS] = {{421, "4.7.0"}, "Too many connections from your address within an hour"},
    [RATE_ADDRESS_MESSAGES] = {{451, "4.7.1"}, "Too many messages from your address within an hour"},
    [RATE_ADDRESS_RECIPIENTS] = {{451, "4.7.1"}, "Too many recipients from your address within an hour"},
};

enum { IPV6_NETWORK_BYTES = 8 }; /* what one customer has */

/* Who is counted; empty: nobody. */
static struct span network_of(const struct smtp *sm, const struct config_rates *limits, struct ip_address *ip)
{
    if (!ip_parse(span_cstr(session_peer(sm->session)->address), ip) || ip_set_has(&limits->exempt, ip))
        return SPAN_NONE;
    return span_of(ip->bytes, ip->family == IP_V4 ? 4 : IPV6_NETWORK_BYTES);
}

static struct span sender_of(struct smtp *sm, const struct config_rates *limits)
{
    for (size_t i = 0; sm->account && i < limits->exempt_account_count; i++)
        if (span_eq(limits->exempt_accounts[i], span_cstr(sm->account)))
            return SPAN_NONE;
    if (sm->account)
        return span_cstr(sm->account);
    return sm->user ? span_cstr(sm->user) : SPAN_NONE; /* without "@": no account's */
}

bool rates_allow(struct smtp *sm, struct rate *counts, const struct config_rates *limits, enum config_rate kind)
{
    if (!limits || !limits->hourly[kind])
        return true;
    struct ip_address ip;
    bool is_account = kind == RATE_ACCOUNT_MESSAGES || kind == RATE_ACCOUNT_RECIPIENTS;
    struct span who = is_account ? sender_of(sm, limits) : network_of(sm, limits, &ip);
    if (who.len == 0 || rate_take(counts, kind, who, limits->hourly[kind]))
        return true;
    struct smtp_code c = refusals[kind].code;
    smtp_reply(sm, c.code, c.enhanced, "%s, try again later", refusals[kind].words);
    smtp_log_refused(sm, SPAN_NONE, c.code, refusals[kind].words);
    return false;
}
