/* config_smtp.c - the keys of [smtp] that are about what clients may ask for (see config_smtp.h). */
#include "sys/config_internal.h"
#include "text/address.h"
#include "base/banned.h"

static enum status add_etrn(struct reader *r, const struct config_key *k, struct span word)
{
    (void)k;
    return ip_set_add(&r->c->arena, &r->c->smtp.etrn, word, r->err);
}

static enum status add_account(struct reader *r, const struct config_key *k, struct span word)
{
    struct config_smtp *c = &r->c->smtp;
    if (c->priority_account_count == CONFIG_PRIORITY_ACCOUNTS_MAX)
        return err_set(r->err, ST_LIMIT, "%s: more than %d names", k->name, CONFIG_PRIORITY_ACCOUNTS_MAX);
    if (!c->priority_accounts)
        c->priority_accounts = arena_array(&r->c->arena, CONFIG_PRIORITY_ACCOUNTS_MAX, sizeof *c->priority_accounts);
    struct span copy = arena_copy(&r->c->arena, word);
    char *p = (char *)(uintptr_t)copy.p; /* our own copy */
    for (size_t i = 0; i < copy.len; i++)
        p[i] = ascii_lower(p[i]);
    c->priority_accounts[c->priority_account_count++] = copy;
    return ST_OK;
}

/* An address of a client, an account or a domain: what it is, its shape says. */
static enum status add_priority(struct reader *r, const struct config_key *k, struct span word)
{
    struct ip_address address;
    size_t at = span_rfind_byte(word, '@'), slash = span_find_byte(word, '/', 0);
    if (at != SPAN_NPOS)
        return at > 0 && domain_is_valid(span_skip(word, at + 1), false)
                   ? add_account(r, k, word)
                   : err_set(r->err, ST_SYNTAX, "%s: '%.*s' is not the address of an account", k->name, SPAN_ARG(word));
    if (slash != SPAN_NPOS || ip_parse(word, &address) || !domain_is_valid(word, false))
        return ip_set_add(&r->c->arena, &r->c->smtp.priority_networks, word, r->err);
    return add_account(r, k, word);
}

enum status config_smtp_etrn(struct reader *r, const struct config_key *k, const char *value)
{
    return config_each_word(r, k, value, add_etrn);
}

enum status config_smtp_priority(struct reader *r, const struct config_key *k, const char *value)
{
    return config_each_word(r, k, value, add_priority);
}
