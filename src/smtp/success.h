/*
 * success.h - notifications that mail arrived here (RFC 3461 §5.2.3, §5.2.7): "delivered" for a mailbox, "expanded" for
 * an alias of several addresses. What goes on to other hosts is the relay's to tell of. Role mail; blocks.
 */
#pragma once
#include "smtp/deliver.h"
#include "smtp/dsn.h"

struct success {
    const struct smtp_recipient *to;
    enum dsn_action action; /* DSN_DELIVERED, DSN_EXPANDED */
};

/* Puts one report about these recipients into relay's queue. The mail is delivered by then, so a queue that does not
 * take the report is no reason to refuse the mail: the log says what was lost. */
void success_tell(const struct delivery *d, const struct success *list, size_t count);
