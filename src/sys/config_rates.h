/*
 * config_rates.h - [rates]: how many of what an account or a client's address may have in an hour.
 */
#pragma once
#include "text/ip_set.h"

enum config_rate {
    RATE_ACCOUNT_MESSAGES, /* submission */
    RATE_ACCOUNT_RECIPIENTS,
    RATE_ADDRESS_CONNECTIONS, /* port 25 */
    RATE_ADDRESS_MESSAGES,
    RATE_ADDRESS_RECIPIENTS,
    RATE_COUNT
};
struct config_rates {
    uint32_t hourly[RATE_COUNT];  /* 0: no limit, the default */
    struct ip_set exempt;         /* whose connections to port 25 are not counted */
    struct span *exempt_accounts; /* canonical addresses */
    size_t exempt_account_count;
};
