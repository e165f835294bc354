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

/* ---- in pieces ----------------------------------------------------------------------------------------------- */

enum { QP_HELD_MAX = 1000 }; /* white space longer than this is passed through wherever it stands (lines have 76) */

/* A body that comes in pieces, zeroed before the first. The output is that of the functions above, however the input
 * is cut, and what is held between two pieces is bounded. */
struct base64_decoder {
    uint32_t digits; /* of a group not complete yet */
    unsigned count;
    bool is_over; /* behind the padding */
};
void base64_decode_some(struct base64_decoder *d, struct span in, struct strbuf *out);
void base64_decode_end(struct base64_decoder *d, struct strbuf *out);

struct qp_decoder {
    size_t len; /* of what cannot be decided yet: an escape, white space, a CR */
    char held[QP_HELD_MAX];
};
void qp_decode_some(struct qp_decoder *d, struct span in, struct strbuf *out);
void qp_decode_end(struct qp_decoder *d, struct strbuf *out);
