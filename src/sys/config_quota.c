/* config_quota.c - see config_quota.h. */
#include "sys/config_internal.h"
#include "text/address.h"
#include "base/banned.h"

enum { ADMINISTRATORS_MAX = 100 };
#define AMOUNT_MOST ((uint64_t)1 << 62)

bool config_parse_size(struct span text, uint64_t max, uint64_t *out)
{
    static const char suffixes[] = "kmgt";
    uint64_t unit = 1, n;
    for (size_t i = 0; text.len > 0 && i < sizeof suffixes - 1; i++)
        if (ascii_lower(text.p[text.len - 1]) == suffixes[i]) {
            unit = (uint64_t)1 << (10 * (i + 1));
            text = span_take(text, text.len - 1);
            break;
        }
    if (!span_to_u64(text, max / unit, &n))
        return false;
    *out = n * unit;
    return true;
}

void config_quota_defaults(struct config *c)
{
    c->quota.storage = c->quota.messages = c->quota.mailboxes = CONFIG_NO_QUOTA;
    c->quota.administrators = arena_array(&c->arena, ADMINISTRATORS_MAX, sizeof *c->quota.administrators);
}

static enum status read_amount(struct reader *r, const struct config_key *k, const char *value)
{
    struct config_quota *q = &r->c->quota;
    uint64_t n;
    bool is_size = k->number == QUOTA_KEY_STORAGE;
    if (is_size ? !config_parse_size(span_cstr(value), AMOUNT_MOST, &n)
                : !span_to_u64(span_cstr(value), AMOUNT_MOST, &n))
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a %s (0: no limit)", k->name, value,
                       is_size ? "size: octets, or with K, M, G or T" : "number");
    *(is_size ? &q->storage : k->number == QUOTA_KEY_MESSAGES ? &q->messages : &q->mailboxes) = n ? n : CONFIG_NO_QUOTA;
    return ST_OK;
}

static enum status read_when_full(struct reader *r, const struct config_key *k, const char *value)
{
    if (strcmp(value, "later") != 0 && strcmp(value, "refuse") != 0)
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is neither later nor refuse", k->name, value);
    r->c->quota.is_permanent = value[0] == 'r';
    return ST_OK;
}

enum status config_account_address(struct reader *r, const struct config_key *k, struct span word, struct span *out)
{
    struct arena *a = &r->c->arena;
    struct mailbox_address m;
    struct span domain;
    struct err why;
    if (address_parse(a, word, true, &m, &why) != ST_OK || domain_to_ascii(a, m.domain, &domain, &why) != ST_OK ||
        domain.len == 0)
        return err_set(r->err, ST_SYNTAX, "%s: '%.*s' is not an account's address", k->name, SPAN_ARG(word));
    char *local = arena_cstr(a, m.local_part);
    for (char *p = local; *p; p++)
        *p = ascii_lower(*p);
    *out = arena_printf(a, "%s@%.*s", local, SPAN_ARG(domain));
    return ST_OK;
}

static enum status add_administrator(struct reader *r, const struct config_key *k, struct span word)
{
    struct config_quota *q = &r->c->quota;
    if (q->administrator_count == ADMINISTRATORS_MAX)
        return err_set(r->err, ST_LIMIT, "%s: more than %d addresses", k->name, ADMINISTRATORS_MAX);
    return config_account_address(r, k, word, &q->administrators[q->administrator_count++]);
}

enum status config_quota_key(struct reader *r, const struct config_key *k, const char *value)
{
    switch (k->number) {
    case QUOTA_KEY_WHEN_FULL:
        return read_when_full(r, k, value);
    case QUOTA_KEY_ADMINISTRATORS:
        return config_each_word(r, k, value, add_administrator);
    default:
        return read_amount(r, k, value);
    }
}
