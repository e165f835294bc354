/*
 * message_text.h - what a message says, as SEARCH compares it and as the search index holds it: encoded words and
 * transfer encodings decoded, charsets to UTF-8, HTML to text, in a comparator's form (the index: i;unicode-casemap).
 * Attachments that are no text are not searched. One definition for both, so that the index cannot say anything else
 * than the message.
 */
#pragma once
#include "store/store.h"
#include "text/comparator.h"

enum {
    TEXT_HEADER_BYTES_MAX = 1024 * 1024,       /* of a header; what lies behind is not searched */
    TEXT_PART_BYTES_MAX = 8 * 1024 * 1024,     /* of an encoded text part */
    TEXT_MESSAGE_BYTES_MAX = 16 * 1024 * 1024, /* of a message's text, decoded */
    TEXT_WHOLE_BYTES = 1024 * 1024,            /* messages up to this are read in one go */
};

/* Appends every field of a header block as a line "NAME: value". */
void text_add_header(struct span block, enum comparator form, struct strbuf *out);
/* Appends the values of the fields of this name, a line each. */
void text_add_fields(struct span block, struct span name, enum comparator form, struct strbuf *out);

/* The octets of one message. Begin with zeroes and txn, content and size set; may be used again for the next message
 * after text_source_clear(). */
struct text_source {
    struct txn *txn;
    content_id content;
    uint64_t size, header_size;
    struct span parts;    /* packed; needed for bodies only */
    struct strbuf octets; /* from the message's start */
    struct strbuf part;
    uint64_t bytes_read; /* from the store, by all messages */
};
void text_source_clear(struct text_source *s);
void text_source_free(struct text_source *s);
/* The header block, at most TEXT_HEADER_BYTES_MAX of it; valid until the source is cleared. ST_NOTFOUND: the content is
 * gone. */
enum status text_source_header(struct text_source *s, struct span *block, struct err *err);
/* Appends the texts of all parts, with the headers of embedded messages. */
enum status text_add_bodies(struct text_source *s, enum comparator form, struct strbuf *out, struct err *err);
