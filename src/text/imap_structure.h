/*
 * imap_structure.h - ENVELOPE, BODY and BODYSTRUCTURE texts, ready to send (RFC 3501 §7.4.2, RFC 9051 §7.5.2).
 *
 * They are made once, at delivery, and stored. Strings are quoted where RFC 3501 allows it, else literals {n}. What is
 * written obeys the grammar whatever the message: beyond the limits below optional things are left out.
 * Pure; any thread; output is appended.
 */
#pragma once
#include "text/mime.h"

enum {
    IMAP_STRUCTURE_MAX =
        4 << 20, /* octets of one text, beyond which addresses, parameters and envelopes are left out */
    IMAP_STRUCTURE_STRING_MAX = 65536, /* a longer subject, file name… is cut */
};

/* "(date subject from sender reply-to to cc bcc in-reply-to message-id)" of the message whose header block is given. */
void imap_envelope_write(struct arena *a, struct span header_block, struct strbuf *out);

/* Both forms of the whole message. */
void imap_body_write(struct arena *a, const struct mime_message *m, struct span message, bool is_extended,
                     struct strbuf *out);

/* A string: quoted where RFC 3501 §4.3 allows it (7-bit, no CR, LF), else a literal. NULs are dropped, IMAP has none.
 */
void imap_string_write(struct span s, struct strbuf *out);
/* As imap_string_write(), where UTF-8 may be quoted too (RFC 9051 §9, RFC 6855 §3: utf8-quoted). */
void imap_utf8_string_write(struct span s, struct strbuf *out);
/* As imap_string_write(), NIL where there is none. */
void imap_nstring_write(bool has, struct span s, struct strbuf *out);
