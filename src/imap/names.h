/*
 * names.h - mailbox names and their attributes on the wire. Only for src/imap.
 */
#pragma once
#include "imap/session.h"

/* The attribute's name without its backslash: "Sent"; NULL for USE_NONE. */
const char *imap_use_name(enum special_use use);
enum special_use imap_use_named(struct span attribute);
/* The name in modified UTF-7, quoted or as a literal. */
void imap_write_name(struct span name, struct strbuf *out);
