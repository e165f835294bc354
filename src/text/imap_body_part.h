/*
 * imap_body_part.h - BODYPARTSTRUCTURE: the BODY of one part, cut out of the BODY of its message (RFC 5524 §3.2, RFC
 * 5259 §8), which is kept as a ready text (imap_structure.h). Pure; any thread.
 */
#pragma once
#include "base/strbuf.h"

/* The part that these section numbers name; none: the message itself. False: there is none, or the text is no BODY. */
bool imap_body_part(struct span body, const uint32_t *numbers, size_t depth, struct span *part);

/* The part as it is without its transfer encoding: "BINARY", so many octets, and so many lines where it is a text.
 * Others than leaves, whose octets are what they were, are written as they are. */
void imap_body_write_decoded(struct span part, uint64_t octets, uint64_t lines, struct strbuf *out);
