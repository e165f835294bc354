/*
 * status.h - STATUS items (RFC 3501 §6.3.10 and extensions), for STATUS itself and for whoever else tells them
 * (LIST-STATUS, NOTIFY). Only for src/imap.
 */
#pragma once
#include "imap/session.h"

/* Bits of a set of items, in the order of the table in cmd_status.c. */
typedef uint32_t status_items;

/* The bit of an item that is in the table: "UIDNEXT". */
status_items imap_status_item(const char *name);
/* "(MESSAGES UIDNEXT)", at least one. An item that counts as enabling an extension enables it. */
enum status imap_args_status_items(struct imap *im, struct imap_args *args, status_items *out, struct err *err);
/* The untagged response "* STATUS name (…)". `m` can be selected. No transaction may be open. */
void imap_write_status_line(struct imap *im, const struct mailbox *m, status_items items);
