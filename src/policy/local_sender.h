/*
 * local_sender.h - which sender addresses a user of this machine may use.
 *
 *   root, and who is in [local] trusted      any
 *   anybody                                  the null reverse-path; NAME@DOMAIN with any subaddress; what [local]
 * senders gives
 *
 * DOMAIN is [local] domain. Where that is not said it is the hostname, and then only an address that nobody has: that
 * users of the machine and accounts of the same name are the same people is for the operator to say. Any thread.
 */
#pragma once
#include "store/directory.h"
#include "sys/config_local.h"
#include "text/address.h"

struct local_caller {
    uint32_t uid;
    const char *name; /* NULL: the number has none */
};

enum status local_may_send_as(const struct local_caller *who, const struct config_local *rules, const char *hostname,
                              struct directory *d, struct arena *a, const struct mailbox_address *from,
                              const char *separator, bool *may, struct err *err);
