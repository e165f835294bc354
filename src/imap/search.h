/*
 * search.h - evaluating a SEARCH program (text/imap_search_args.h) on one message. Only for src/imap.
 *
 * A matcher reads as little as the keys need: those that the view answers are asked first (search_args has them in that
 * order), the header is read when a key asks for it, the bodies last. What was read for one message stays until the
 * next.
 */
#pragma once
#include "imap/session.h"
#include "text/imap_search_args.h"

enum {
    SEARCH_HEADER_BYTES_MAX = 1024 * 1024,       /* of a header; what lies behind is not searched */
    SEARCH_PART_BYTES_MAX = 8 * 1024 * 1024,     /* of an encoded text part */
    SEARCH_MESSAGE_BYTES_MAX = 16 * 1024 * 1024, /* of a message's text, decoded */
};

struct search_matcher {
    struct imap *im;
    int64_t now;           /* seconds, for OLDER and YOUNGER: the same for all messages */
    unsigned forms_wanted; /* CONTENT_ bits, for the dearest of the keys */
    struct txn *txn;       /* of the batch; NULL while only the view is asked */

    /* The message that is looked at. */
    const struct view_message *message;
    uint32_t seq;
    bool has_forms, has_header, has_text; /* read already */
    struct arena arena;
    struct content_forms forms; /* forms_wanted */
    struct strbuf header;       /* as it stands */
    struct strbuf header_text;  /* decoded and folded, for TEXT */
    struct strbuf text;         /* bodies, decoded and folded */
    struct strbuf scratch;
    struct span object_name; /* of the mailbox's account, where the program asks for object ids */
    uint64_t bytes_read;     /* by all messages; the batch's measure */
};

void search_matcher_free(struct search_matcher *s);
/* Looks the program's keywords up: each gets its bit (0: no message has it). */
enum status search_prepare(struct txn *txn, struct search_key *key, struct err *err);
/* ST_NOTFOUND: the message's content is gone. */
enum status search_match(struct search_matcher *s, const struct search_key *root, uint32_t seq, bool *out,
                         struct err *err);

/* search_text.c: the texts of a message, as they are compared. */
/* Whether a field of that name has the text in it; an empty text: whether the field is there (RFC 3501 §6.4.4). */
bool search_header_has(struct search_matcher *s, struct span block, struct span name, struct span text);
/* Appends octets of the message, at most `max` of them. */
enum status search_read(struct search_matcher *s, uint64_t offset, uint64_t size, uint64_t max, struct strbuf *out,
                        struct err *err);
/* Appends every field of a header block, decoded and folded, a line each. */
void search_add_header(struct span block, struct strbuf *out);
/* Appends the texts of all parts to s->text. */
enum status search_read_text(struct search_matcher *s, struct err *err);
