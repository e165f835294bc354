/*
 * config_smtp.h - what the config's [smtp] says about the doors (see docs/administration.md). Strings belong to the
 * config.
 */
#pragma once
#include "base/span.h"
#include "text/ip_set.h"

struct config_smtp {
    struct ip_set etrn;              /* who may say ETRN on port 25 */
    struct ip_set priority_networks; /* who may ask for a priority above 0 on port 25 */
    struct span *priority_accounts;  /* likewise when logged in: addresses, or domains for all of theirs; lower case */
    size_t priority_account_count;
};
enum { CONFIG_PRIORITY_ACCOUNTS_MAX = 1000 };
