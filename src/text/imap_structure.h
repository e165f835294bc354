/*
 * imap_structure.h - ENVELOPE, BODY and BODYSTRUCTURE texts, ready to send (RFC 3501 §7.4.2, RFC 9051 §7.5.2).
 *
 * They are made once, at delivery, and stored. Strings are quoted where RFC 3501 allows it, else literals {n}.
 * Pure; any thread; output is appended.
 */
#pragma once
#include "text/mime.h"

/* "(date subject from sender reply-to to cc bcc in-reply-to message-id)" of the message whose header block is given. */
void imap_envelope_write(struct arena *a, struct span header_block, struct strbuf *out);

/* Both forms of the whole message. */
void imap_body_write(struct arena *a, const struct mime_message *m, struct span message, bool is_extended,
                     struct strbuf *out);

/* nstring / astring-safe string: NIL for has=false, quoted where possible, else a literal. Bytes with NUL lose the NUL. */
void imap_string_write(struct span s, struct strbuf *out);
