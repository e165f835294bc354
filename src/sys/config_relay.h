/*
 * config_relay.h - what the config says about mail that goes out: [relay], and a [route NAME] section for each
 * exception (see docs/administration.md). Strings belong to the config.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum route_protocol { ROUTE_SMTP, ROUTE_LMTP };
enum route_tls {
    ROUTE_TLS_DEFAULT,  /* by the destination's own policies: DANE, MTA-STS, else opportunistic */
    ROUTE_TLS_NONE,     /* in clear */
    ROUTE_TLS_REQUIRED, /* encrypted, whoever it is */
    ROUTE_TLS_VERIFIED, /* and the certificate must be good for the host's name */
    ROUTE_TLS_IMPLICIT  /* from the first octet (RFC 8314), and verified */
};

/* A route that names no host only changes how the ordinary ones are reached. */
struct config_route {
    const char *name;
    const char **recipients, **senders; /* domains, ".example.test" for all below; NULL-ended; empty: any */
    const char *host;                   /* a host, an address, or a Unix path (LMTP); NULL: by MX */
    uint16_t port;                      /* 0: the protocol's */
    bool is_mx_followed;                /* host was written in without brackets as "mx:DOMAIN" */
    enum route_protocol protocol;
    enum route_tls tls;
    const char *user, *password_file; /* AUTH; NULL: none */
    const char *source, *source6;     /* NULL: [relay]'s */
    const char *hello;
};

struct config_relay {
    uint16_t port, https_port; /* 25 and 443; others are for tests */
    const char *hello;         /* NULL: the hostname */
    const char *source, *source6;
    uint32_t connections, per_destination;
    int64_t retry_first, retry_longest, delay_warning, expiry; /* seconds */
    int64_t connect_ms, reply_ms;
    const char *ca; /* file; NULL: the system's */
    bool is_tls_report_sent;
    struct config_route *routes;
    size_t route_count;
};
enum { CONFIG_ROUTES_MAX = 200, CONFIG_ROUTE_DOMAINS_MAX = 500 };
