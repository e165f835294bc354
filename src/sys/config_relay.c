/* config_relay.c - the keys of [relay] and [route NAME] (see config_relay.h). */
#include <string.h>
#include "sys/config_internal.h"
#include "text/address.h"
#include "base/banned.h"

enum { ROUTE_NAME_MAX = 40, CONNECTIONS_MAX = 5000 };

void config_relay_defaults(struct config *c)
{
    c->relay = (struct config_relay){.port = 25,
                                     .https_port = 443,
                                     .connections = 200,
                                     .per_destination = 20,
                                     .retry_first = 60,
                                     .retry_longest = 4 * 3600,
                                     .delay_warning = 4 * 3600,
                                     .expiry = 5 * 86400, /* RFC 5321 §4.5.4.1: at least 4-5 days */
                                     .connect_ms = 30 * 1000,
                                     .reply_ms = 5 * 60 * 1000,
                                     .is_tls_report_sent = true};
    c->relay.routes = arena_array(&c->arena, CONFIG_ROUTES_MAX, sizeof *c->relay.routes);
}

enum status config_relay_check(struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->relay.route_count; i++) {
        const struct config_route *r = &c->relay.routes[i];
        if (!r->recipients && !r->senders)
            return err_set(err, ST_SYNTAX, "[route %s] needs recipients or senders", r->name);
        if ((r->user != NULL) != (r->password_file != NULL))
            return err_set(err, ST_SYNTAX, "[route %s] needs user and password_file together", r->name);
        if (r->protocol == ROUTE_LMTP && !r->host)
            return err_set(err, ST_SYNTAX, "[route %s] speaks LMTP and needs a host", r->name);
        if (r->user && r->tls == ROUTE_TLS_DEFAULT)
            return err_set(err, ST_SYNTAX, "[route %s] has a password: say tls = verified, implicit, required or none",
                           r->name);
    }
    return ST_OK;
}

/* ---- values ---------------------------------------------------------------------------------------------------------
 */

static enum status bad(struct reader *r, const struct config_key *k, const char *value, const char *what)
{
    return err_set(r->err, ST_SYNTAX, "%s: '%s' is not %s", k->name, value, what);
}

static enum status number(struct reader *r, const struct config_key *k, const char *value, uint64_t max, uint64_t *out)
{
    if (!span_to_u64(span_cstr(value), max, out) || *out == 0)
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a number from 1 to %llu", k->name, value,
                       (unsigned long long)max);
    return ST_OK;
}

/* "90s", "5m", "4h", "5d". */
enum status config_duration(struct reader *r, const struct config_key *k, const char *value, int64_t *seconds)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    struct span text = span_cstr(value);
    uint64_t n = 0;
    for (size_t i = 0; text.len > 1 && i < 4; i++)
        if (text.p[text.len - 1] == units[i].unit && span_to_u64(span_take(text, text.len - 1), 10000, &n)) {
            *seconds = (int64_t)n * units[i].seconds;
            return ST_OK;
        }
    if (span_eq(text, SPAN("0"))) {
        *seconds = 0;
        return ST_OK;
    }
    return bad(r, k, value, "a time like 30s, 5m, 4h or 5d");
}

enum status config_positive_duration(struct reader *r, const struct config_key *k, const char *value, int64_t *seconds)
{
    TRY(config_duration(r, k, value, seconds));
    return *seconds > 0 ? ST_OK : bad(r, k, value, "a time above 0");
}

static enum status source(struct reader *r, const struct config_key *k, const char *value, bool is_6, const char **out)
{
    if (!config_is_ip(value) || (strchr(value, ':') != NULL) != is_6)
        return bad(r, k, value, is_6 ? "an IPv6 address" : "an IPv4 address");
    *out = config_keep(r, value);
    return ST_OK;
}

static enum status host_name(struct reader *r, const struct config_key *k, const char *value, const char **out)
{
    if (!domain_is_valid(span_cstr(value), false))
        return bad(r, k, value, "a host name");
    *out = config_keep(r, value);
    return ST_OK;
}

enum status config_relay_key(struct reader *r, const struct config_key *k, const char *value)
{
    struct config_relay *c = &r->c->relay;
    uint64_t n = 0;
    switch ((enum relay_key)k->number) {
    case RELAY_PORT:
        TRY(number(r, k, value, 65535, &n));
        c->port = (uint16_t)n;
        return ST_OK;
    case RELAY_HTTPS_PORT:
        TRY(number(r, k, value, 65535, &n));
        c->https_port = (uint16_t)n;
        return ST_OK;
    case RELAY_HELLO:
        return host_name(r, k, value, &c->hello);
    case RELAY_SOURCE:
        return source(r, k, value, false, &c->source);
    case RELAY_SOURCE6:
        return source(r, k, value, true, &c->source6);
    case RELAY_CONNECTIONS:
        TRY(number(r, k, value, CONNECTIONS_MAX, &n));
        c->connections = (uint32_t)n;
        return ST_OK;
    case RELAY_PER_DESTINATION:
        TRY(number(r, k, value, CONNECTIONS_MAX, &n));
        c->per_destination = (uint32_t)n;
        return ST_OK;
    case RELAY_RETRY_FIRST:
        return config_positive_duration(r, k, value, &c->retry_first);
    case RELAY_RETRY_LONGEST:
        return config_positive_duration(r, k, value, &c->retry_longest);
    case RELAY_DELAY_WARNING:
        return config_duration(r, k, value, &c->delay_warning);
    case RELAY_EXPIRY:
        return config_positive_duration(r, k, value, &c->expiry);
    case RELAY_CONNECT_TIMEOUT:
        TRY(config_positive_duration(r, k, value, &c->connect_ms));
        c->connect_ms *= 1000;
        return ST_OK;
    case RELAY_REPLY_TIMEOUT:
        TRY(config_positive_duration(r, k, value, &c->reply_ms));
        c->reply_ms *= 1000;
        return ST_OK;
    case RELAY_CA:
        c->ca = value[0] ? config_keep_path(r, value) : NULL;
        return ST_OK;
    case RELAY_TLS_REPORTS:
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
            return bad(r, k, value, "yes or no");
        c->is_tls_report_sent = value[0] == 'y';
        return ST_OK;
    }
    return err_set(r->err, ST_BUG, "internal error");
}

/* ---- routes ---------------------------------------------------------------------------------------------------------
 */

const char *config_relay_section(struct reader *r, const char *section, enum status *st)
{
    struct span name = span_cstr(section);
    *st = ST_OK;
    if (!span_eq(name, SPAN("route")) && !span_starts(name, SPAN("route ")))
        return section;
    name = span_trim(span_skip(name, 5));
    bool is_good = name.len > 0 && name.len <= ROUTE_NAME_MAX;
    for (size_t i = 0; is_good && i < name.len; i++)
        is_good = ascii_is_alpha(name.p[i]) || ascii_is_digit(name.p[i]) || name.p[i] == '-' || name.p[i] == '_';
    struct config_relay *c = &r->c->relay;
    if (!is_good)
        *st = err_set(r->err, ST_SYNTAX, "[%s]: a route's name is made of letters, digits, - and _", section);
    else if (r->route && span_eq(name, span_cstr(r->route)))
        return "route";
    else if (c->route_count == CONFIG_ROUTES_MAX)
        *st = err_set(r->err, ST_LIMIT, "more than %d routes", CONFIG_ROUTES_MAX);
    for (size_t i = 0; *st == ST_OK && i < c->route_count; i++)
        if (span_eq(name, span_cstr(c->routes[i].name)))
            *st = err_set(r->err, ST_SYNTAX, "[route %s] is there already", c->routes[i].name);
    if (*st == ST_OK) {
        r->route = arena_cstr(&r->c->arena, name);
        c->routes[c->route_count++] = (struct config_route){.name = r->route};
    }
    return "route";
}

static enum status add_domain(struct reader *r, const struct config_key *k, struct span word)
{
    struct config_route *route = &r->c->relay.routes[r->c->relay.route_count - 1];
    const char ***list = k->number == ROUTE_SENDERS ? &route->senders : &route->recipients;
    struct span name = span_starts(word, SPAN(".")) ? span_skip(word, 1) : word, lower = word;
    if (!span_eq(word, SPAN("*")) &&
        (!domain_is_valid(name, true) || domain_to_ascii(&r->c->arena, name, &lower, r->err) != ST_OK))
        return err_set(r->err, ST_SYNTAX, "%s: '%.*s' is not a domain, .domain or *", k->name, SPAN_ARG(word));
    if (span_eq(word, SPAN("*")))
        lower = word;
    if (!*list)
        *list = arena_array(&r->c->arena, CONFIG_ROUTE_DOMAINS_MAX + 1, sizeof **list);
    size_t n = 0;
    while ((*list)[n])
        n++;
    if (n == CONFIG_ROUTE_DOMAINS_MAX)
        return err_set(r->err, ST_LIMIT, "%s: more than %d domains", k->name, CONFIG_ROUTE_DOMAINS_MAX);
    struct span kept = arena_printf(&r->c->arena, "%s%.*s", name.len != word.len ? "." : "", SPAN_ARG(lower));
    (*list)[n] = arena_cstr(&r->c->arena, kept);
    return ST_OK;
}

/* "smtp.example.test", "smtp.example.test:587", "192.0.2.1:25", "[2001:db8::1]:25", "mx:example.test", "/run/lmtp". */
static enum status read_host(struct reader *r, const struct config_key *k, const char *value)
{
    struct config_route *route = &r->c->relay.routes[r->c->relay.route_count - 1];
    struct span text = span_cstr(value);
    uint64_t port = 0;
    if (value[0] == '/') {
        route->host = config_keep(r, value);
        return ST_OK;
    }
    route->is_mx_followed = span_starts(text, SPAN("mx:"));
    if (route->is_mx_followed)
        return host_name(r, k, value + 3, &route->host);
    if (config_is_ip(value)) {
        route->host = config_keep(r, value);
        return ST_OK;
    }
    if (config_split_address(&r->c->arena, text, &route->host, &route->port))
        return ST_OK;
    size_t colon = span_rfind_byte(text, ':');
    if (colon != SPAN_NPOS) {
        if (!span_to_u64(span_skip(text, colon + 1), 65535, &port) || port == 0)
            return bad(r, k, value, "host:port");
        route->port = (uint16_t)port;
        text = span_take(text, colon);
    }
    return host_name(r, k, arena_cstr(&r->c->arena, text), &route->host);
}

static enum status read_word(struct reader *r, const struct config_key *k, const char *value, const char *const *words,
                             size_t count, int *out)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(value, words[i]) == 0) {
            *out = (int)i;
            return ST_OK;
        }
    return bad(r, k, value, "one of the words known here");
}

enum status config_route_key(struct reader *r, const struct config_key *k, const char *value)
{
    static const char *const protocols[] = {"smtp", "lmtp"};
    static const char *const tls[] = {"default", "none", "required", "verified", "implicit"};
    struct config_route *route = &r->c->relay.routes[r->c->relay.route_count - 1];
    int n = 0;
    switch ((enum route_key)k->number) {
    case ROUTE_RECIPIENTS:
    case ROUTE_SENDERS:
        return config_each_word(r, k, value, add_domain);
    case ROUTE_HOST:
        return read_host(r, k, value);
    case ROUTE_PROTOCOL:
        TRY(read_word(r, k, value, protocols, 2, &n));
        route->protocol = (enum route_protocol)n;
        return ST_OK;
    case ROUTE_TLS:
        TRY(read_word(r, k, value, tls, 5, &n));
        route->tls = (enum route_tls)n;
        return ST_OK;
    case ROUTE_USER:
        route->user = config_keep(r, value);
        return ST_OK;
    case ROUTE_PASSWORD_FILE:
        route->password_file = config_keep_path(r, value);
        return ST_OK;
    case ROUTE_SOURCE:
        return source(r, k, value, false, &route->source);
    case ROUTE_SOURCE6:
        return source(r, k, value, true, &route->source6);
    case ROUTE_HELLO:
        return host_name(r, k, value, &route->hello);
    }
    return err_set(r->err, ST_BUG, "internal error");
}
