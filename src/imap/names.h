/*
 * names.h - mailbox names and their attributes on the wire. Only for src/imap.
 */
#pragma once
#include "imap/session.h"

/* The attribute's name without its backslash: "Sent"; NULL for USE_NONE. */
const char *imap_use_name(enum special_use use);
enum special_use imap_use_named(struct span attribute);
/* "\HasChildren \Sent": what LIST says of a mailbox. */
void imap_write_attributes(const struct mailbox *m, struct strbuf *out);
/* The name as this client reads names: in modified UTF-7, or in UTF-8 where that is enabled; quoted or as a literal. */
void imap_write_name(const struct imap *im, struct span name, struct strbuf *out);
