/* config_milter.c - the keys of [milter NAME] (see config_milter.h). */
#include <string.h>
#include "sys/config_internal.h"
#include "text/address.h"
#include "base/banned.h"

void config_milter_defaults(struct config *c)
{
    c->milters.list = arena_array(&c->arena, CONFIG_MILTERS_MAX, sizeof *c->milters.list);
}

enum status config_milter_check(struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->milters.count; i++) {
        struct config_milter *m = &c->milters.list[i];
        if (!m->host)
            return err_set(err, ST_SYNTAX, "[milter %s] needs an address", m->name);
        if (!m->doors)
            m->doors = MILTER_DOOR_SMTP;
    }
    return ST_OK;
}

static struct config_milter *newest(struct reader *r)
{
    return &r->c->milters.list[r->c->milters.count - 1];
}

const char *config_milter_section(struct reader *r, const char *section, enum status *st)
{
    struct span name = span_cstr(section);
    struct config_milters *c = &r->c->milters;
    if (!span_eq(name, SPAN("milter")) && !span_starts(name, SPAN("milter ")))
        return section;
    name = span_trim(span_skip(name, 6));
    bool is_good = name.len > 0 && name.len <= CONFIG_MILTER_NAME_MAX;
    for (size_t i = 0; is_good && i < name.len; i++)
        is_good = ascii_is_alpha(name.p[i]) || ascii_is_digit(name.p[i]) || name.p[i] == '-' || name.p[i] == '_';
    if (!is_good)
        *st = err_set(r->err, ST_SYNTAX, "[%s]: a milter's name is made of letters, digits, - and _", section);
    else if (r->milter && span_eq(name, span_cstr(r->milter)))
        return "milter";
    else if (c->count == CONFIG_MILTERS_MAX)
        *st = err_set(r->err, ST_LIMIT, "more than %d milters", CONFIG_MILTERS_MAX);
    for (size_t i = 0; *st == ST_OK && i < c->count; i++)
        if (span_eq(name, span_cstr(c->list[i].name)))
            *st = err_set(r->err, ST_SYNTAX, "[milter %s] is there already", c->list[i].name);
    if (*st == ST_OK) {
        r->milter = arena_cstr(&r->c->arena, name);
        c->list[c->count++] = (struct config_milter){
            .name = r->milter, .connect_ms = 5000, .reply_ms = 30 * 1000, .message_ms = 5 * 60 * 1000};
    }
    return "milter";
}

/* "127.0.0.1:8891", "[::1]:8891", "filter.example.test:8891", "/run/opendkim/opendkim.sock". */
static enum status read_address(struct reader *r, const struct config_key *k, const char *value)
{
    struct config_milter *m = newest(r);
    struct span text = span_cstr(value);
    uint64_t port;
    if (value[0] == '/') {
        m->host = config_keep(r, value);
        return ST_OK;
    }
    if (config_split_address(&r->c->arena, text, &m->host, &m->port))
        return ST_OK;
    size_t colon = span_rfind_byte(text, ':');
    if (colon == SPAN_NPOS || !span_to_u64(span_skip(text, colon + 1), UINT16_MAX, &port) || port == 0 ||
        !domain_is_valid(span_take(text, colon), false))
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is neither host:port nor the path of a socket", k->name, value);
    m->host = arena_cstr(&r->c->arena, span_take(text, colon));
    m->port = (uint16_t)port;
    return ST_OK;
}

static enum status add_door(struct reader *r, const struct config_key *k, struct span word)
{
    if (span_eq(word, SPAN("smtp")))
        newest(r)->doors |= MILTER_DOOR_SMTP;
    else if (span_eq(word, SPAN("submission")))
        newest(r)->doors |= MILTER_DOOR_SUBMISSION;
    else
        return err_set(r->err, ST_SYNTAX, "%s: '%.*s' is neither smtp nor submission", k->name, SPAN_ARG(word));
    return ST_OK;
}

static enum status read_time(struct reader *r, const struct config_key *k, const char *value, int64_t *ms)
{
    enum { LONGEST_SECONDS = 600 }; /* a client waits ten minutes at most (RFC 5321 §4.5.3.2.6) */
    int64_t seconds;
    TRY(config_positive_duration(r, k, value, &seconds));
    if (seconds > LONGEST_SECONDS)
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is longer than %d seconds", k->name, value, LONGEST_SECONDS);
    *ms = seconds * 1000;
    return ST_OK;
}

enum status config_milter_key(struct reader *r, const struct config_key *k, const char *value)
{
    switch ((enum milter_key)k->number) {
    case MILTER_ADDRESS:
        return read_address(r, k, value);
    case MILTER_DOORS:
        return config_each_word(r, k, value, add_door);
    case MILTER_FAIL:
        if (strcmp(value, "open") != 0 && strcmp(value, "closed") != 0)
            return err_set(r->err, ST_SYNTAX, "%s: '%s' is neither open nor closed", k->name, value);
        newest(r)->is_open = value[0] == 'o';
        return ST_OK;
    case MILTER_CONNECT_TIMEOUT:
        return read_time(r, k, value, &newest(r)->connect_ms);
    case MILTER_REPLY_TIMEOUT:
        return read_time(r, k, value, &newest(r)->reply_ms);
    case MILTER_MESSAGE_TIMEOUT:
        return read_time(r, k, value, &newest(r)->message_ms);
    }
    return err_set(r->err, ST_BUG, "internal error");
}
