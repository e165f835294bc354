/*
 * ip_set.h - IP addresses and networks ("192.0.2.0/24 2001:db8::/32 127.0.0.1"), and whether an address is among them.
 * An IPv4-mapped IPv6 address is its IPv4 address. Pure; memory is the arena's; once built only read, by any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

enum ip_family { IP_NONE, IP_V4 = 4, IP_V6 = 6 };
struct ip_address {
    enum ip_family family;
    uint8_t bytes[16]; /* network order; 4 of them for IPv4 */
};
enum { IP_TEXT_MAX = 46 }; /* octets of an address as text, with NUL */

/* "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1" (then IPv4); without brackets, port or zone. False: none. */
bool ip_parse(struct span text, struct ip_address *out);
void ip_write(const struct ip_address *a, char out[IP_TEXT_MAX]);

struct ip_net {
    struct ip_address address;
    uint8_t prefix; /* bits */
};
struct ip_set {
    struct ip_net *nets;
    size_t count;
};
enum { IP_SET_MAX = 1000 };

/* Adds one word, "address" or "address/prefix"; IPv6 also in brackets. ST_SYNTAX, ST_LIMIT. */
enum status ip_set_add(struct arena *a, struct ip_set *set, struct span word, struct err *err);
bool ip_set_has(const struct ip_set *set, const struct ip_address *address);
/* The same for an address as text; what is none is in no set. */
bool ip_set_has_text(const struct ip_set *set, struct span text);
