/*
 * mutf7.h - modified UTF-7, in which IMAP4rev1 writes mailbox names (RFC 3501 §5.1.3).
 *
 * Decoding is strict, so that every name has exactly one spelling on the wire. Pure; any thread; output is appended.
 */
#pragma once
#include "base/strbuf.h"

/* Appends the name as UTF-8. False, and nothing appended, where it is not modified UTF-7: 8-bit bytes, a shift that is
 * not closed, encoded printable ASCII, two shifts in a row, lone surrogates, NUL, bits left over. */
bool mutf7_decode(struct span name, struct strbuf *out);

/* Appends a UTF-8 name as modified UTF-7. Invalid bytes become U+FFFD. */
void mutf7_encode(struct span utf8, struct strbuf *out);
