/* config_local.c - the keys of [local] (see config_local.h). */
#include <stdio.h>
#include <string.h>
#include "sys/config_internal.h"
#include "text/address.h"
#include "base/banned.h"

void config_local_defaults(struct config *c)
{
    c->local.trusted = arena_array(&c->arena, CONFIG_LOCAL_ROWS_MAX + 1, sizeof *c->local.trusted);
    c->local.senders = arena_array(&c->arena, CONFIG_LOCAL_ROWS_MAX, sizeof *c->local.senders);
}

static bool is_user(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f || name.p[i] == ':' || name.p[i] == '@')
            return false;
    return name.len > 0 && name.len <= CONFIG_USER_MAX;
}

static enum status add_trusted(struct reader *r, const struct config_key *k, struct span word)
{
    const char **list = r->c->local.trusted;
    size_t n = 0;
    while (list[n])
        n++;
    if (n == CONFIG_LOCAL_ROWS_MAX)
        return err_set(r->err, ST_LIMIT, "%s: more than %d users", k->name, CONFIG_LOCAL_ROWS_MAX);
    if (!is_user(word))
        return err_set(r->err, ST_SYNTAX, "%s: '%.*s' is not a user", k->name, SPAN_ARG(word));
    list[n] = arena_cstr(&r->c->arena, word);
    return ST_OK;
}

/* A whole address, or "@domain"; the domain as A-labels. */
static enum status read_sender(struct arena *a, struct span text, const char **out, struct err *err)
{
    struct mailbox_address m = {0};
    struct span domain = SPAN_NONE;
    if (span_starts(text, SPAN("@"))) {
        TRY(domain_to_ascii(a, span_skip(text, 1), &domain, err));
        if (!domain_is_valid(domain, false))
            return err_set(err, ST_SYNTAX, "not a domain");
    } else {
        TRY(address_parse(a, text, true, &m, err));
        TRY(domain_to_ascii(a, m.domain, &domain, err));
    }
    *out = arena_cstr(a, arena_printf(a, "%.*s@%.*s", SPAN_ARG(m.local_part), SPAN_ARG(domain)));
    return ST_OK;
}

static enum status add_sender(struct reader *r, const struct config_key *k, struct span word)
{
    struct config_local *c = &r->c->local;
    struct span user, address = word;
    struct err why;
    if (c->sender_count == CONFIG_LOCAL_ROWS_MAX)
        return err_set(r->err, ST_LIMIT, "%s: more than %d rows", k->name, CONFIG_LOCAL_ROWS_MAX);
    struct config_local_sender *row = &c->senders[c->sender_count];
    if (!span_cut(&address, '=', &user) || !is_user(user) ||
        read_sender(&r->c->arena, address, &row->address, &why) != ST_OK)
        return err_set(r->err, ST_SYNTAX, "%s: '%.*s' is not USER=ADDRESS or USER=@DOMAIN", k->name, SPAN_ARG(word));
    row->user = arena_cstr(&r->c->arena, user);
    c->sender_count++;
    return ST_OK;
}

enum status config_local_key(struct reader *r, const struct config_key *k, const char *value)
{
    struct span ascii;
    switch ((enum local_key)k->number) {
    case LOCAL_DOMAIN:
        if (!domain_is_valid(span_cstr(value), true) ||
            domain_to_ascii(&r->c->arena, span_cstr(value), &ascii, r->err) != ST_OK)
            return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a domain", k->name, value);
        r->c->local.domain = arena_cstr(&r->c->arena, ascii);
        return ST_OK;
    case LOCAL_TRUSTED:
        return config_each_word(r, k, value, add_trusted);
    case LOCAL_SENDERS:
        return config_each_word(r, k, value, add_sender);
    }
    return ST_OK;
}
