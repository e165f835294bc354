/*
 * config_quota.h - [quota]: how much accounts may hold where nothing else is said for them (store/quota.h), and who may
 * say so.
 */
#pragma once
#include "base/span.h"

#define CONFIG_NO_QUOTA UINT64_MAX

struct config_quota {
    uint64_t storage, messages, mailboxes; /* octets, numbers; CONFIG_NO_QUOTA: any amount, which is the default */
    bool is_permanent;                     /* when_full = refuse: senders are told at once; default: to try later */
    struct span *administrators;           /* canonical addresses; who may see and change every account's limits */
    size_t administrator_count;
};

/* "500", "20K", "1.5G" is not: digits and one of K, M, G, T for powers of 1024, up to `max`. */
bool config_parse_size(struct span text, uint64_t max, uint64_t *out);
