/*
 * dns.h - asking the DNS, with DNSSEC validation (libunbound; RFC 4033-4035).
 *
 * Every answer says whether it is secure (validated up to a trust anchor), insecure (provably unsigned) or bogus. Bogus
 * answers have no data. Questions may come from any thread; one thread of the resolver's own carries them to
 * libunbound, which works in another. A question waits for at most its time, whatever the network does.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52 };
enum { DNS_RECORDS_MAX = 100, DNS_DEFAULT_MS = 30000 };

struct dns_answer {
    enum {
        DNS_FOUND,   /* there are records */
        DNS_NO_DATA, /* the name is there, without this type */
        DNS_NO_NAME, /* NXDOMAIN */
        DNS_FAILED   /* SERVFAIL, bogus, no answer in time: try again later */
    } result;
    bool is_secure, is_bogus;
    uint32_t ttl_seconds;
    struct span canonical; /* the name at the end of CNAMEs, lower case, no trailing dot */
    struct span *records;  /* RDATA, in wire form; in the order of the answer */
    size_t count;
    const char *why; /* FAILED: for the log */
};

struct dns;
struct dns_settings {
    const char *resolver;     /* address:port or [address]:port of a forwarder; NULL: those of /etc/resolv.conf */
    struct span trust_anchor; /* DS or DNSKEY records, a line each; empty: the root's */
};
/* Reads what it needs from files now; its threads begin with the first question, so the caller may shut itself in
 * between. */
enum status dns_new(const struct dns_settings *s, struct dns **out, struct err *err);
/* No question may be waiting. */
void dns_free(struct dns **d);

/* name: ASCII, with or without trailing dot. Never fails otherwise than by DNS_FAILED. */
void dns_ask(struct dns *d, struct arena *a, struct span name, enum dns_type type, int64_t timeout_ms,
             struct dns_answer *out);

/* A name in wire form (uncompressed, as libunbound gives it) at the front of rdata, as text in lower case without
 * trailing dot; "" is the root. False where it is malformed. Labels with dots or other odd octets are refused: no mail
 * host has such a name. */
bool dns_name_read(struct arena *a, struct span rdata, struct span *out);
/* A TXT record's strings joined. False where malformed. */
bool dns_txt_read(struct arena *a, struct span rdata, struct span *out);
