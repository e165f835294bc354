/*
 * mta_sts.h - the texts of MTA-STS (RFC 8461): the TXT record that says there is a policy, and the policy itself. Pure;
 * any thread; memory is the arena's.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

enum {
    MTA_STS_POLICY_MAX = 64 * 1024, /* octets, RFC 8461 §3.3 */
    MTA_STS_AGE_MAX = 31557600,     /* seconds, §3.2 */
    MTA_STS_MX_MAX = 100,
    MTA_STS_ID_MAX = 32
};
enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };

struct mta_sts_policy {
    enum mta_sts_mode mode;
    uint32_t max_age; /* seconds */
    struct span *mx;  /* patterns, lower case: "mail.example.com", "*.example.net" */
    size_t mx_count;
};

/* The texts of all TXT records at _mta-sts.DOMAIN (§3.1). False: there is none, or more than one, or it is malformed.
 */
bool mta_sts_record_read(const struct span *texts, size_t count, struct span *id);
/* §3.2. ST_SYNTAX with a text that says what is wrong. */
enum status mta_sts_policy_read(struct arena *a, struct span text, struct mta_sts_policy *out, struct err *err);
/* §4.1: host in lower case. */
bool mta_sts_host_matches(const struct mta_sts_policy *p, struct span host);
