/* outbound.c - see outbound.h. */
#include "queue/outbound.h"
#include "text/address.h"
#include "base/banned.h"

static bool domain_matches(const char *pattern, struct span domain)
{
    struct span p = span_cstr(pattern);
    if (span_eq(p, SPAN("*")))
        return true;
    if (span_starts(p, SPAN(".")))
        return domain.len > p.len && span_ends(domain, p);
    return span_eq(p, domain);
}

static bool list_matches(const char **list, struct span domain)
{
    if (!list)
        return true;
    for (size_t i = 0; list[i]; i++)
        if (domain_matches(list[i], domain))
            return true;
    return false;
}

const struct config_route *outbound_route(const struct config_relay *c, struct span sender_domain,
                                          struct span recipient_domain)
{
    for (size_t i = 0; i < c->route_count; i++)
        if (list_matches(c->routes[i].recipients, recipient_domain) &&
            list_matches(c->routes[i].senders, sender_domain))
            return &c->routes[i];
    return NULL;
}

/* What IDNA refuses stays as it is; resolving it fails later, and the sender is told. */
static struct span canonical(struct arena *a, struct span domain)
{
    struct span ascii;
    struct err ignored;
    return domain.len && domain_to_ascii(a, domain, &ascii, &ignored) == ST_OK ? ascii : domain;
}

struct span outbound_destination(const struct config_relay *c, struct arena *a, struct span sender_domain,
                                 struct span recipient_domain)
{
    struct span domain = canonical(a, recipient_domain);
    const struct config_route *r = outbound_route(c, canonical(a, sender_domain), domain);
    if (!r)
        return domain;
    return arena_printf(a, "%.*s#%s", SPAN_ARG(r->host ? SPAN("") : domain), r->name);
}

bool outbound_parse(const struct config_relay *c, struct span destination, struct span *domain,
                    const struct config_route **route)
{
    struct span name = destination;
    *route = NULL;
    if (!span_cut(&name, '#', domain))
        return true;
    for (size_t i = 0; i < c->route_count; i++)
        if (span_eq(name, span_cstr(c->routes[i].name)))
            *route = &c->routes[i];
    return *route != NULL && ((*route)->host != NULL) == (domain->len == 0);
}

struct schedule outbound_schedule(const struct config_relay *c)
{
    return (struct schedule){c->retry_first, c->retry_longest, c->delay_warning, c->expiry};
}

int64_t outbound_first_deadline(const struct config_relay *c, int64_t now, const struct queue_wishes *w)
{
    struct schedule s = outbound_schedule(c);
    return schedule_deadline(&s, w->hold_until > now ? w->hold_until : now, w->deliver_by, false);
}
