/*
 * imap_fetch_args.h - what a FETCH asks for (RFC 3501 §6.4.5, fetch-att of §9), as a row of items.
 *
 * Macros are resolved, section numbers read, and each item has the label under which the answer names it. Lives in the
 * arena of the arguments; spans may point into the command. Pure; one thread.
 */
#pragma once
#include "text/imap_search_return.h"
#include "text/mime.h"

enum {
    FETCH_ITEMS_MAX = 1000,        /* of one command */
    FETCH_FIELDS_MAX = 1000,       /* header field names in it */
    FETCH_SECTION_DEPTH_MAX = 100, /* numbers of a section, as parts are not nested deeper */
};

enum fetch_kind {
    FETCH_FLAGS,
    FETCH_UID,
    FETCH_INTERNALDATE,
    FETCH_SAVEDATE, /* RFC 8514 */
    FETCH_MODSEQ,   /* RFC 7162 §3.1.4.2 */
    FETCH_SIZE,     /* RFC822.SIZE; up to here the view knows the answer */
    FETCH_EMAILID,  /* RFC 8474 §5; from here on the content is needed */
    FETCH_THREADID,
    FETCH_PREVIEW, /* RFC 8970 */
    FETCH_ENVELOPE,
    FETCH_BODY, /* BODY without a section */
    FETCH_BODYSTRUCTURE,
    FETCH_BINARY_SIZE, /* BINARY.SIZE[...] (RFC 3516 §4.2, RFC 9051 §6.4.5) */
    FETCH_BINARY,      /* BINARY[...]: octets of a part without its transfer encoding */
    FETCH_SECTION      /* BODY[...], RFC822, RFC822.HEADER, RFC822.TEXT: octets of the message */
};

enum fetch_fields {
    FETCH_FIELDS_ALL,
    FETCH_FIELDS_ONLY,
    FETCH_FIELDS_NOT
}; /* HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT */

struct fetch_item {
    enum fetch_kind kind;
    struct span label; /* "FLAGS", "BODY[1.HEADER.FIELDS (SUBJECT)]<0>" */
    /* Of sections: */
    uint32_t *numbers; /* of the part; none: the message */
    size_t depth;
    enum mime_section section;
    enum fetch_fields fields_mode;
    struct span *fields;
    size_t field_count;
    bool is_partial;
    uint64_t offset, size; /* of the partial */
    bool is_lazy;          /* of FETCH_PREVIEW: NIL where it would have to be made (RFC 8970 §4.1) */
};

struct fetch_args {
    struct fetch_item *items;
    size_t count;
    bool sets_seen; /* an item that is no PEEK reads the text (RFC 3501 §6.4.5) */
};

/* fetch-modifiers (RFC 4466 §2.4). */
struct fetch_modifiers {
    bool has_changed_since; /* RFC 7162 §3.1.4.1 */
    uint64_t changed_since;
    bool has_partial; /* RFC 9394 §3.3 */
    struct search_return partial;
    bool is_vanished_wanted; /* RFC 7162 §3.2.6; only with CHANGEDSINCE */
};

/* Reads a macro, one item or a list of items; what may follow is the caller's. */
enum status fetch_args_parse(struct imap_args *args, struct fetch_args *out, struct err *err);
/* " (modifier …)" where something follows the items. */
enum status fetch_modifiers_parse(struct imap_args *args, struct fetch_modifiers *out, struct err *err);
/* Adds an item that has no section, unless it is there. */
void fetch_args_add(struct arena *a, struct fetch_args *f, enum fetch_kind kind);
/* Of a header block the fields that HEADER.FIELDS or HEADER.FIELDS.NOT wants, each as it stands, and the empty line. */
void fetch_select_fields(const struct fetch_item *item, struct span block, struct strbuf *out);
/* Whether one of the items is of that kind. */
bool fetch_args_has(const struct fetch_args *f, enum fetch_kind kind);
