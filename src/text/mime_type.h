/*
 * mime_type.h - what the header of a part says about its body: Content-Type and Content-Transfer-Encoding
 * (RFC 2045 §5, §6). For mime.c and imap_body.c. Pure; any thread.
 */
#pragma once
#include "text/mime.h"

enum {
    MIME_BOUNDARY_MAX = 255,       /* RFC 2046 §5.1.1 says 70; some senders say more */
    MIME_FIELD_VALUE_MAX = 1 << 16 /* octets of a Content-* value that are looked at */
};

/* The Content-* fields of a part; values of the first field of each name, empty where absent. Spans into the header. */
struct mime_fields {
    struct span type, encoding;
    bool has_type, has_encoding;
};
void mime_fields_read(struct span header, struct mime_fields *out);

/* Splits "Type/Subtype" (as header_params() gives it) in two tokens; false where that is not what it is. */
bool mime_type_split(struct span text, struct span *type, struct span *subtype);

/* Content-Transfer-Encoding's value. An empty one is MIME_7BIT, an unheard-of one MIME_UNKNOWN. */
enum mime_encoding mime_encoding_parse(struct arena *a, struct span value);

/* Reads the header of a part and fills kind, encoding, type, subtype and charset, the texts in the arena. The default
 * type (RFC 2046 §5.1.5) is message/rfc822 inside multipart/digest. A multipart's boundary goes to *boundary, which is
 * valid until the scratch arena is freed. */
void mime_part_describe(struct arena *a, struct arena *scratch, struct span header, bool is_in_digest,
                        struct mime_part *part, struct span *boundary);

/* Makes an opaque leaf of a part that cannot be taken apart. */
void mime_part_make_leaf(struct mime_part *part, struct span type, struct span subtype);
