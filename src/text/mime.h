/*
 * mime.h - the structure of a message: a flat, bounded table of parts (RFC 2045, 2046, 2047, 2183, 5322).
 *
 * mime_parse() walks the bytes once and fills the table; nothing keeps a pointer into the message but the spans of the
 * result, which live in the arena or in the message given. The table can be packed to bytes and read back, so that the
 * store keeps it and FETCH never parses. What is over a limit becomes an opaque part (text/plain or
 * application/octet-stream leaf); parsing never fails. Pure; any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "text/header.h"

enum {
    MIME_PARTS_MAX = 10000, /* parts behind this number are left inside their parent as bytes */
    MIME_DEPTH_MAX = 100,   /* multiparts nested deeper are leaves */
};

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE /* message/rfc822 or message/global with one child */ };

/* Parts stand in document order; children of i follow i. Part 0 is the message itself (its kind is that of its body:
 * LEAF, MULTIPART or MESSAGE). For a MIME_MESSAGE part the only child is the embedded message. Offsets are into the
 * message, in octets. */
struct mime_part {
    uint32_t parent;       /* own index for part 0 */
    uint32_t next_sibling; /* 0: none */
    uint32_t first_child;  /* 0: none */
    uint8_t kind;          /* enum mime_kind */
    uint8_t encoding;      /* enum mime_encoding */
    uint16_t depth;
    uint64_t header_offset, header_size; /* MIME header of the part, with its empty line; for an embedded message: its header */
    uint64_t body_offset, body_size;
    uint32_t body_lines;   /* number of line ends in the body */
    struct span type, subtype; /* lower case, e.g. "text", "plain" */
    struct span charset;       /* of text parts, as sent; empty: none */
};
enum mime_encoding { MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_QP, MIME_BASE64, MIME_UNKNOWN };

struct mime_message {
    struct mime_part *parts;
    size_t count; /* >= 1 */
};

void mime_parse(struct arena *a, struct span message, struct mime_message *out);

/* Packed table, for the store; versioned. mime_unpack checks everything (the bytes come from disk): ST_SYNTAX. */
void mime_pack(const struct mime_message *m, struct strbuf *out);
enum status mime_unpack(struct arena *a, struct span packed, struct mime_message *out, struct err *err);

/* The part that IMAP's section numbers name (RFC 3501 §6.4.5): "1.2" is {1,2}. False where there is none. Count 0 is
 * part 0. For a non-multipart message {1} is part 0 itself, as the RFC says. */
bool mime_find_section(const struct mime_message *m, const uint32_t *numbers, size_t count, uint32_t *part);

/* The part's content decoded from its transfer encoding; for text parts also to UTF-8 when as_text. At most `limit`
 * octets are appended. */
void mime_decode_part(const struct mime_message *m, uint32_t part, struct span message, bool as_text, size_t limit,
                      struct strbuf *out);

/* text/html to plain text: tags, scripts, styles, comments dropped, entities resolved. For SEARCH and PREVIEW. */
void html_to_text(struct span html, struct strbuf *out);
