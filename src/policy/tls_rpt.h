/*
 * tls_rpt.h - the texts of TLS-RPT (RFC 8460): the record that says where reports go. Pure; any thread.
 */
#pragma once
#include "base/arena.h"

enum { TLS_RPT_ADDRESSES_MAX = 5 };
struct tls_rpt_target {
    bool is_https;   /* else mailto */
    struct span uri; /* "https://…" whole; of mailto the address */
};
/* The texts of all TXT records at _smtp._tls.DOMAIN (§3). False: none, more than one, or malformed. */
bool tls_rpt_record_read(const struct span *texts, size_t count, struct tls_rpt_target out[TLS_RPT_ADDRESSES_MAX],
                         size_t *targets);
