/*
 * hosts.c - see hosts.h. Hosts of one preference are put in random order (RFC 5321 §5.1); of one host, IPv6 and IPv4
 * addresses take turns, IPv6 first, so that one family that leads nowhere costs one try.
 */
#include "relay/hosts.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/random.h>
#include "relay/self.h"
#include "base/banned.h"

static uint32_t random_number(void)
{
    uint32_t r = 0;
    return getrandom(&r, sizeof r, 0) == (ssize_t)sizeof r ? r : 0;
}

bool host_address_read(struct span text, uint16_t port, struct host_address *out)
{
    *out = (struct host_address){0};
    if (text.len > 2 && text.p[0] == '[' && text.p[text.len - 1] == ']')
        text = span_slice(text, 1, text.len - 1);
    if (span_istarts(text, SPAN("IPv6:")))
        text = span_skip(text, 5);
    if (text.len >= sizeof out->text)
        return false;
    memcpy(out->text, text.p, text.len);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->address;
    struct in_addr ip4;
    struct in6_addr ip6;
    bool is_4 = inet_pton(AF_INET, out->text, &ip4) == 1;
    if (!is_4 && inet_pton(AF_INET6, out->text, &ip6) != 1)
        return false;
    if (!is_4 && IN6_IS_ADDR_V4MAPPED(&ip6)) { /* RFC 4291 §2.5.5.2: an IPv4 node, and as such it may be ourselves */
        memcpy(&ip4, &ip6.s6_addr[12], sizeof ip4);
        is_4 = true;
    }
    out->length = is_4 ? sizeof *v4 : sizeof *v6;
    if (is_4)
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = ip4};
    else
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = ip6};
    return true;
}

static void address_of(struct span rdata, uint16_t port, struct host_address *out)
{
    char text[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(rdata.len == 4 ? AF_INET : AF_INET6, rdata.p, text, sizeof text);
    (void)host_address_read(span_cstr(text), port, out);
}

static enum status temporary(struct span name, const char *why, struct err *err)
{
    return err_set(err, ST_TEMPORARY, "4.4.3 the DNS does not answer about %.*s: %s", SPAN_ARG(name), why ? why : "");
}

/* Fills h's addresses; ST_OK with none where the name has none. ST_TEMPORARY only where nothing is known at all. */
static enum status find_addresses(struct dns *d, struct arena *a, uint16_t port, struct host *h, struct err *err)
{
    struct dns_answer answers[2];
    dns_ask(d, a, h->name, DNS_AAAA, DNS_DEFAULT_MS, &answers[0]);
    dns_ask(d, a, h->name, DNS_A, DNS_DEFAULT_MS, &answers[1]);
    h->canonical = h->name;
    h->is_secure = true;
    h->addresses = arena_array(a, HOST_ADDRESSES_MAX, sizeof *h->addresses);
    size_t at[2] = {answers[0].count ? random_number() % answers[0].count : 0,
                    answers[1].count ? random_number() % answers[1].count : 0};
    for (size_t i = 0; i < DNS_RECORDS_MAX; i++)
        for (size_t f = 0; f < 2; f++) {
            if (i >= answers[f].count || h->address_count == HOST_ADDRESSES_MAX)
                continue;
            struct span rdata = answers[f].records[(at[f] + i) % answers[f].count];
            if (rdata.len == (f ? 4u : 16u))
                address_of(rdata, port, &h->addresses[h->address_count++]);
        }
    for (size_t f = 0; f < 2; f++) {
        if (answers[f].result == DNS_FOUND && answers[f].canonical.len)
            h->canonical = answers[f].canonical;
        if (answers[f].result == DNS_FAILED && h->address_count == 0)
            return temporary(h->name, answers[f].why, err);
        if (answers[f].result != DNS_FAILED && !answers[f].is_secure)
            h->is_secure = false;
    }
    return ST_OK;
}

enum status hosts_by_name(struct dns *d, struct arena *a, struct span name, uint16_t port, struct hosts *out,
                          struct err *err)
{
    struct host *h = arena_alloc(a, sizeof *h);
    struct host_address literal;
    *out = (struct hosts){.list = h, .count = 1, .is_implicit = true};
    h->name = h->canonical = name;
    if (host_address_read(name, port, &literal)) {
        h->addresses = arena_alloc(a, sizeof literal);
        h->addresses[0] = literal;
        h->address_count = 1;
        h->name = h->canonical = span_cstr(arena_cstr(a, span_cstr(literal.text)));
        return ST_OK;
    }
    TRY(find_addresses(d, a, port, h, err));
    if (h->address_count == 0)
        return err_set(err, ST_NOTFOUND, "5.4.4 the host %.*s has no address", SPAN_ARG(name));
    return ST_OK;
}

/* ---- MX ------------------------------------------------------------------------------------------------------------
 */

static void sort(struct hosts *hs)
{
    for (size_t i = hs->count; i > 1; i--) { /* shuffled first: a stable sort keeps that among equals */
        size_t k = random_number() % i;
        struct host h = hs->list[i - 1];
        hs->list[i - 1] = hs->list[k];
        hs->list[k] = h;
    }
    for (size_t i = 1; i < hs->count; i++)
        for (size_t k = i; k > 0 && hs->list[k].preference < hs->list[k - 1].preference; k--) {
            struct host h = hs->list[k];
            hs->list[k] = hs->list[k - 1];
            hs->list[k - 1] = h;
        }
}

/* RFC 7505 §3: one record, preference 0, the root. */
static enum status read_mx(struct arena *a, const struct dns_answer *answer, struct hosts *out, struct err *err)
{
    out->list = arena_array(a, answer->count, sizeof *out->list);
    for (size_t i = 0; i < answer->count; i++) {
        struct span rdata = answer->records[i], name;
        if (rdata.len < 3 || !dns_name_read(a, span_skip(rdata, 2), &name))
            continue;
        if (name.len == 0) {
            if (answer->count == 1)
                return err_set(err, ST_NOTFOUND, "5.1.10 the domain takes no mail");
            continue;
        }
        struct host *h = &out->list[out->count++];
        h->name = name;
        h->preference = (uint16_t)((unsigned char)rdata.p[0] << 8 | (unsigned char)rdata.p[1]);
    }
    if (out->count == 0)
        return err_set(err, ST_NOTFOUND, "5.4.4 the domain's MX records are malformed");
    sort(out);
    if (out->count > HOSTS_MAX)
        out->count = HOSTS_MAX;
    return ST_OK;
}

/* RFC 5321 §5.1: where we are in the list, hosts as far away as we, or farther, are not tried. */
static enum status cut_at_self(struct hosts *hs, struct span domain, const struct hosts_self *self, struct err *err)
{
    for (size_t i = 0; i < hs->count; i++) {
        if (!hosts_is_self(self, &hs->list[i]))
            continue;
        size_t keep = 0;
        while (hs->list[keep].preference < hs->list[i].preference)
            keep++;
        hs->count = keep;
    }
    if (hs->count == 0)
        return err_set(err, ST_STATE, "5.4.6 mail for %.*s loops back to myself", SPAN_ARG(domain));
    return ST_OK;
}

/* Addresses of all hosts; those without are dropped. */
static enum status fill_addresses(struct dns *d, struct arena *a, uint16_t port, struct hosts *hs, struct err *err)
{
    size_t kept = 0;
    struct err why;
    enum status worst = ST_OK;
    for (size_t i = 0; i < hs->count; i++) {
        struct host h = hs->list[i];
        enum status st = find_addresses(d, a, port, &h, &why);
        if (st != ST_OK) {
            worst = st;
            *err = why;
        } else if (h.address_count) {
            hs->list[kept++] = h;
        }
    }
    hs->count = kept;
    if (kept || worst != ST_OK)
        return kept ? ST_OK : worst;
    return err_set(err, ST_NOTFOUND, "5.4.4 no host of the domain has an address");
}

enum status hosts_by_mx(struct dns *d, struct arena *a, struct span domain, uint16_t port,
                        const struct hosts_self *self, struct hosts *out, struct err *err)
{
    *out = (struct hosts){0};
    if (span_starts(domain, SPAN("[")))
        return hosts_by_name(d, a, domain, port, out, err);
    struct dns_answer mx;
    dns_ask(d, a, domain, DNS_MX, DNS_DEFAULT_MS, &mx);
    switch (mx.result) {
    case DNS_FAILED:
        return temporary(domain, mx.why, err);
    case DNS_NO_NAME:
        return err_set(err, ST_NOTFOUND, "5.1.2 there is no domain %.*s", SPAN_ARG(domain));
    case DNS_NO_DATA: /* RFC 5321 §5.1: implicit MX */
        out->list = arena_alloc(a, sizeof *out->list);
        out->list[0].name = domain;
        out->count = 1;
        out->is_implicit = true;
        break;
    case DNS_FOUND:
        TRY(read_mx(a, &mx, out, err));
        break;
    }
    out->is_mx_secure = mx.is_secure;
    TRY(fill_addresses(d, a, port, out, err));
    return cut_at_self(out, domain, self, err);
}
