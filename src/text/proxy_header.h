/*
 * proxy_header.h - what a proxy says before the client's own bytes: the PROXY protocol, versions 1 and 2 (HAProxy's
 * "The PROXY protocol", 2020). Pure; any thread.
 */
#pragma once
#include "text/ip_set.h"

enum {
    PROXY_V1_MAX = 107,               /* octets with CRLF (§2.1) */
    PROXY_V2_FIXED = 16,              /* octets of version 2's first part */
    PROXY_HEADER_MAX = 16 + 216 + 768 /* §2.2 lets a receiver bound it: addresses, and some fields that we skip */
};

struct proxy_header {
    struct ip_address client; /* IP_NONE: the proxy speaks for itself (LOCAL), or for something without an IP address */
    uint16_t client_port, local_port;
};
enum proxy_result {
    PROXY_MORE, /* all octets so far belong to a header that is not whole */
    PROXY_BAD,  /* this is no header */
    PROXY_OK    /* *used: its octets */
};
enum proxy_result proxy_header_parse(struct span in, struct proxy_header *out, size_t *used);
