/*
 * self.c - see self.h.
 *
 * Who listens on a wildcard has all addresses of the machine, and those of 127.0.0.0/8 that no interface names. An MX
 * record may lead here by the wildcard itself, too: 0.0.0.0 and :: as a destination are this host (RFC 1122 §3.2.1.3),
 * whatever we listen on, so they are nobody else's mail host.
 */
#include "relay/self.h"
#include <ifaddrs.h>
#include <netinet/in.h>
#include "base/log.h"
#include "base/banned.h"

enum { ADDRESSES_MAX = 1000 };

static uint16_t port_of(const struct host_address *h)
{
    return h->address.ss_family == AF_INET ? ((const struct sockaddr_in *)&h->address)->sin_port
                                           : ((const struct sockaddr_in6 *)&h->address)->sin6_port;
}

static bool is_any(const struct host_address *h)
{
    return h->address.ss_family == AF_INET
               ? ((const struct sockaddr_in *)&h->address)->sin_addr.s_addr == htonl(INADDR_ANY)
               : IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&h->address)->sin6_addr);
}

static bool is_loopback(const struct host_address *h)
{
    return h->address.ss_family == AF_INET
               ? ntohl(((const struct sockaddr_in *)&h->address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
               : IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&h->address)->sin6_addr);
}

static bool is_same_ip(const struct host_address *a, const struct host_address *b)
{
    if (a->address.ss_family != b->address.ss_family)
        return false;
    return a->address.ss_family == AF_INET ? ((const struct sockaddr_in *)&a->address)->sin_addr.s_addr ==
                                                 ((const struct sockaddr_in *)&b->address)->sin_addr.s_addr
                                           : IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)&a->address)->sin6_addr,
                                                                &((const struct sockaddr_in6 *)&b->address)->sin6_addr);
}

/* The interfaces' addresses of the wildcard's family, with its port. Scopes of link-local ones are left out: an AAAA
 * record has none either. */
static size_t expand(const struct host_address *any, struct host_address *out, size_t max)
{
    struct ifaddrs *list = NULL;
    size_t n = 0;
    if (getifaddrs(&list) != 0) {
        log_text(LOG_WARN, "no-interfaces", "this host's addresses are not known: mail that loops is seen by its name");
        return 0;
    }
    for (const struct ifaddrs *i = list; i && n < max; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != any->address.ss_family)
            continue;
        out[n] = *any;
        if (any->address.ss_family == AF_INET)
            ((struct sockaddr_in *)&out[n].address)->sin_addr =
                ((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr;
        else
            ((struct sockaddr_in6 *)&out[n].address)->sin6_addr =
                ((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
        n++;
    }
    freeifaddrs(list);
    return n;
}

struct hosts_self hosts_self_new(struct arena *a, const struct config *c)
{
    struct host_address *list = arena_array(a, ADDRESSES_MAX, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < c->listen_count && n < ADDRESSES_MAX; i++) {
        const struct listen_address *l = &c->listen[i];
        if (l->service != SERVICE_SMTP || !l->host || !host_address_read(span_cstr(l->host), l->port, &list[n]))
            continue;
        const struct host_address *listening = &list[n++];
        if (is_any(listening))
            n += expand(listening, &list[n], ADDRESSES_MAX - n);
    }
    return (struct hosts_self){c->hostname, list, n};
}

static bool is_ours(const struct hosts_self *self, const struct host_address *h)
{
    if (is_any(h))
        return true;
    for (size_t i = 0; i < self->address_count; i++) {
        const struct host_address *ours = &self->addresses[i];
        if (port_of(ours) != port_of(h))
            continue;
        if (is_same_ip(ours, h))
            return true;
        if (is_any(ours) && is_loopback(h) && ours->address.ss_family == h->address.ss_family)
            return true;
    }
    return false;
}

bool hosts_is_self(const struct hosts_self *self, const struct host *h)
{
    if (span_ieq(h->name, span_cstr(self->hostname)))
        return true;
    for (size_t i = 0; i < h->address_count; i++)
        if (is_ours(self, &h->addresses[i]))
            return true;
    return false;
}
