/* config_rates.c - see config_rates.h. */
#include "sys/config_internal.h"
#include "base/banned.h"

enum { HOURLY_MAX = 1000000000, EXEMPT_ACCOUNTS_MAX = 1000 };

void config_rates_defaults(struct config *c)
{
    c->rates.exempt_accounts = arena_array(&c->arena, EXEMPT_ACCOUNTS_MAX, sizeof *c->rates.exempt_accounts);
}

static enum status add_account(struct reader *r, const struct config_key *k, struct span word)
{
    struct config_rates *rates = &r->c->rates;
    if (rates->exempt_account_count == EXEMPT_ACCOUNTS_MAX)
        return err_set(r->err, ST_LIMIT, "%s: more than %d addresses", k->name, EXEMPT_ACCOUNTS_MAX);
    return config_account_address(r, k, word, &rates->exempt_accounts[rates->exempt_account_count++]);
}

static enum status add_network(struct reader *r, const struct config_key *k, struct span word)
{
    (void)k;
    return ip_set_add(&r->c->arena, &r->c->rates.exempt, word, r->err);
}

enum status config_rates_key(struct reader *r, const struct config_key *k, const char *value)
{
    uint64_t n;
    if (k->number == RATES_EXEMPT)
        return config_each_word(r, k, value, add_network);
    if (k->number == RATES_EXEMPT_ACCOUNTS)
        return config_each_word(r, k, value, add_account);
    if (!span_to_u64(span_cstr(value), HOURLY_MAX, &n))
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a number up to %d (0: no limit)", k->name, value,
                       HOURLY_MAX);
    r->c->rates.hourly[k->number] = (uint32_t)n;
    return ST_OK;
}
