/*
 * names.h - mailbox names and their attributes on the wire. Only for src/imap.
 */
#pragma once
#include "imap/session.h"

/* The attribute's name without its backslash: "Sent"; NULL for USE_NONE. */
const char *imap_use_name(enum special_use use);
enum special_use imap_use_named(struct span attribute);
/* Whether a client may give a mailbox this use: \All and \Flagged are views on what lies elsewhere, which there are
 * none of here (RFC 6154 §2, §3). */
bool imap_use_is_given(enum special_use use);
/* The LIST response of a mailbox that a command has named, with the name that the client used where it is another
 * (RFC 9051 §6.3.9.7, OLDNAME). Only for clients that read extended LIST responses. m NULL: it does not exist (any
 * more). */
void imap_write_list(struct imap *im, struct span name, const struct mailbox *m, struct span as_sent);
/* The name as this client reads names: in modified UTF-7, or in UTF-8 where that is enabled; quoted or as a literal. */
void imap_write_name(const struct imap *im, struct span name, struct strbuf *out);
