/*
 * mime.h - the structure of a message: a flat, bounded table of parts (RFC 2045, 2046, 2047, 2183, 5322).
 *
 * mime_parse() walks the bytes once and fills the table; nothing keeps a pointer into the message but the spans of the
 * result, which live in the arena or in the message given. The table can be packed to bytes and read back, so that the
 * store keeps it and FETCH never parses. What is over a limit becomes an opaque part (text/plain or
 * application/octet-stream leaf); parsing never fails. Pure; any thread.
 *
 * A multipart without a usable boundary parameter is a text/plain leaf, as is a part whose Content-Type is garbage
 * (RFC 2045 §5.2); an embedded message in base64 or quoted-printable is an application/octet-stream leaf.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "text/header.h"

enum {
    MIME_PARTS_MAX = 10000, /* parts behind this number are left inside their parent as bytes */
    MIME_DEPTH_MAX = 100,   /* multiparts and messages nested deeper are leaves */
    MIME_TYPE_MAX = 127,    /* octets of a type or subtype (RFC 6838 §4.2); longer ones make the field garbage */
    MIME_CHARSET_MAX = 64,  /* octets of a charset name; what is longer is cut, no charset has such a name */
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
    uint8_t encoding;      /* enum mime_encoding; of multiparts and embedded messages MIME_7BIT, _8BIT or _BINARY */
    uint16_t depth;
    uint64_t header_offset,
        header_size; /* MIME header of the part, with its empty line; for an embedded message: its header */
    uint64_t body_offset, body_size;
    uint32_t body_lines;       /* number of line ends in the body */
    struct span type, subtype; /* lower case, e.g. "text", "plain" */
    struct span charset;       /* of text parts, as sent; empty: none (us-ascii, RFC 2045 §5.2) */
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
 * part 0. For a non-multipart message {1} is part 0 itself, as the RFC says; so too inside a message/rfc822 part. */
bool mime_find_section(const struct mime_message *m, const uint32_t *numbers, size_t count, uint32_t *part);

/* Which octets of the message a section is:
 *   WHOLE   no numbers: the whole message; else the part's body (still in its transfer encoding)
 *   HEADER  no numbers: the message's header; else that of the message inside a message/rfc822 part
 *   TEXT    no numbers: the message's body; else the body of the message inside a message/rfc822 part
 *   MIME    only with numbers: the part's own MIME header
 * Headers come with their empty line. The numbers are needed, not only the part, because BODY[1.HEADER] and
 * BODY[HEADER] of a message that is itself of type message/rfc822 both lead to part 0. False where there is no such
 * part, or where it has no such section (HEADER of a text part): FETCH answers NIL. */
enum mime_section { MIME_SECTION_WHOLE, MIME_SECTION_HEADER, MIME_SECTION_TEXT, MIME_SECTION_MIME };
bool mime_section_range(const struct mime_message *m, const uint32_t *numbers, size_t count, enum mime_section section,
                        uint64_t *offset, uint64_t *size);

/* The part's content decoded from its transfer encoding; for text parts also to UTF-8 when as_text (then cut between
 * characters). At most `limit` octets are appended. Multiparts and embedded messages give their octets as they stand.
 */
void mime_decode_part(const struct mime_message *m, uint32_t part, struct span message, bool as_text, size_t limit,
                      struct strbuf *out);

/* text/html (in UTF-8) to plain text: tags, scripts, styles, comments dropped, entities resolved, white space
 * collapsed, blocks on lines of their own. For SEARCH and PREVIEW. */
void html_to_text(struct span html, struct strbuf *out);
