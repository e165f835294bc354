/*
 * hosts.h - the hosts that take a domain's mail (RFC 5321 §5.1, RFC 7505), with their addresses, in the order in which
 * they are to be tried. Blocks on the DNS; any thread; memory is the arena's.
 */
#pragma once
#include <sys/socket.h>
#include "net/dns.h"

enum {
    HOSTS_MAX = 20,        /* MX records that are looked at, best first */
    HOST_ADDRESSES_MAX = 8 /* of one host */
};

struct host_address {
    struct sockaddr_storage address;
    socklen_t length;
    char text[48];
};
struct host {
    struct span name; /* A-labels, lower case; an address literal's text where the domain is one */
    uint16_t preference;
    bool is_secure;        /* DNSSEC: the addresses, with CNAMEs on the way */
    struct span canonical; /* at the end of CNAMEs; the name itself where there is none */
    struct host_address *addresses;
    size_t address_count;
};
struct hosts {
    struct host *list;
    size_t count;
    bool is_mx_secure; /* DNSSEC: the MX answer, or that there is none */
    bool is_implicit;  /* no MX record: the domain itself */
};

struct hosts_self; /* relay/self.h: what is ours */

/* ST_TEMPORARY: the DNS does not answer (or lies), try later. ST_NOTFOUND: no such domain, or a domain that takes no
 * mail; err->client has the enhanced code first ("5.1.10 …"). ST_STATE: the mail would come back to us ("5.4.6 …"). */
enum status hosts_by_mx(struct dns *d, struct arena *a, struct span domain, uint16_t port,
                        const struct hosts_self *self, struct hosts *out, struct err *err);
/* One host by name or address, without MX. */
enum status hosts_by_name(struct dns *d, struct arena *a, struct span host, uint16_t port, struct hosts *out,
                          struct err *err);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3), or a plain address. */
bool host_address_read(struct span text, uint16_t port, struct host_address *out);
