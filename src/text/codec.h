/*
 * codec.h - transfer encodings: base64 (RFC 4648 §4, RFC 2045 §6.8), quoted-printable (RFC 2045 §6.7).
 *
 * Decoders of message content never fail: they do what mail readers do with broken input (skip, pass through).
 * Pure; any thread; output is appended.
 */
#pragma once
#include "base/arena.h"

void base64_encode(struct span in, struct strbuf *out); /* one line, padded */
/* Strict, for SASL: no white space, correct padding; false otherwise (out is then as before). */
bool base64_decode_strict(struct span in, struct strbuf *out);
/* Lenient, for bodies: everything outside the alphabet is skipped, stops at padding that ends the data. */
void base64_decode_body(struct span in, struct strbuf *out);
/* RFC 2045 §6.7; soft line breaks removed, trailing white space of lines dropped, broken escapes passed through. */
void qp_decode_body(struct span in, struct strbuf *out);
