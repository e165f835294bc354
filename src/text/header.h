/*
 * header.h - the header block of a message: finding fields, unfolding, decoded words, parameters (RFC 5322 §2.2,
 * RFC 2047, RFC 2045 §5.1, RFC 2231). Reads what is really sent: bare LF as line end inside stored messages is
 * understood, broken fields are skipped. Pure; any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

/* One field as it stands in the message; both spans point into the block. */
struct header_field {
    struct span name;  /* without the colon and white space before it */
    struct span value; /* after the colon, folds and all, without the final line end */
    struct span whole; /* the whole field including its final CRLF */
};

/* Where the header block ends: offset of the first body byte (just behind the empty line), or text.len where there is
 * no empty line. *with_blank (may be NULL) tells whether the empty line is there. */
size_t header_block_end(struct span message, bool *with_blank);

/* Walks the fields: for (size_t at = 0; header_next(block, &at, &f);). Lines that are no field are skipped. */
bool header_next(struct span block, size_t *at, struct header_field *out);

/* First field of that name (case-insensitive); false where there is none. */
bool header_find(struct span block, struct span name, struct header_field *out);

/* Value with folds removed (every CR and LF dropped) and trimmed. In the arena only when it had to change. */
struct span header_unfold(struct arena *a, struct span value);

/* Unfolded value with RFC 2047 encoded-words decoded, as valid UTF-8 on one line (an encoded CR, LF or NUL becomes a
 * space). Raw 8-bit text is read as UTF-8 or windows-1252. */
struct span header_decode(struct arena *a, struct span value);

/* Value without RFC 5322 comments (parenthesised), outside quoted strings; a space stays where one separated words. */
struct span header_strip_comments(struct arena *a, struct span value);

/* A value of the form  token *(";" name "=" value)  : Content-Type, Content-Disposition. RFC 2231 continuations
 * and charsets are joined; names are lower-cased. A broken parameter is skipped; of several with one name the first counts. */
struct mime_param {
    struct span name, value;   /* value: RFC 2231 parts joined, percent-decoded, as UTF-8 where a charset was given */
};
struct mime_params {
    struct mime_param *list;
    size_t count;
};
enum { MIME_PARAMS_MAX = 64 };
/* *token gets what stands before the first ";" (trimmed, comments stripped). */
void header_params(struct arena *a, struct span value, struct span *token, struct mime_params *out);
/* The same, each parameter as it was sent: names keep RFC 2231's stars, values their percent signs. */
void header_params_as_sent(struct arena *a, struct span value, struct span *token, struct mime_params *out);
/* Value of that parameter (name case-insensitive); false where absent. */
bool mime_param_find(const struct mime_params *ps, struct span name, struct span *value);
