/*
 * success.h - notifications of what became of mail here (RFC 3461 §5.2.3, §5.2.7): "expanded" for an alias of several
 * addresses, "delivered" for what a filter put into Junk. Other mail whose sender wants to hear of it goes by the
 * relay's queue, and the relay tells of it. Role mail; blocks.
 */
#pragma once
#include "smtp/deliver.h"
#include "smtp/dsn.h"

struct success {
    const struct smtp_recipient *to;
    enum dsn_action action; /* DSN_DELIVERED, DSN_EXPANDED */
};

/* Puts one report about these recipients into relay's queue. */
enum status success_tell(const struct delivery *d, const struct success *list, size_t count, struct err *err);
