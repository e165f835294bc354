/*
 * search.h - evaluating a SEARCH program (text/imap_search_args.h) on one message. Only for src/imap.
 *
 * A matcher reads as little as the keys need: those that the view answers are asked first (search_args has them in that
 * order), the header is read when a key asks for it, the bodies last. What was read for one message stays until the
 * next.
 */
#pragma once
#include "imap/session.h"
#include "store/message_text.h"
#include "store/search_index.h"
#include "text/imap_search_args.h"

/* The mailbox that is searched: the selected one as its client knows it, or another as it is (RFC 7377). All borrowed.
 */
struct search_mailbox {
    struct imap *im;
    struct account *owner;
    acl_rights rights; /* of who has logged in */
    struct view *view;
    bool is_selected; /* its flags are those that the client has been told, and \Recent is the session's */
    struct span name; /* told in the answer, with the uidvalidity; empty: not told */
    uint32_t uidvalidity;
};
/* The selected mailbox; its view is loaded. */
struct search_mailbox search_selected(struct imap *im);
const struct view_message *search_message(const struct search_mailbox *in, uint32_t seq);
/* A transaction for reading in it. */
enum status search_begin(const struct search_mailbox *in, struct txn **out, struct err *err);

/* A key with FUZZY and what it looks for. */
struct search_fuzzy {
    const struct search_key *key;
    struct fuzzy_query *query; /* NULL: there is no word in the text, it is matched exactly */
};

struct search_matcher {
    struct search_mailbox in;
    int64_t now;           /* seconds, for OLDER and YOUNGER: the same for all messages */
    unsigned forms_wanted; /* CONTENT_ bits, for the dearest of the keys */
    struct arena *program_arena;
    struct search_key *root;
    enum comparator comparator;
    struct index_answer *index; /* NULL: not asked, or it has failed */
    bool was_asked;
    uint32_t read_in_all; /* messages that had to be read */
    uint32_t unknown;     /* questions that the index knew nothing of */
    struct txn *txn;      /* of the batch; NULL while only the view is asked */

    /* The message that is looked at. */
    const struct view_message *message;
    uint32_t seq;
    bool has_forms, has_header, has_text; /* read already */
    struct arena arena;
    struct content_forms forms; /* forms_wanted */
    struct text_source source;
    struct span header;        /* as it stands */
    struct strbuf header_text; /* decoded, in the comparator's form, for TEXT */
    struct strbuf text;        /* bodies, likewise */
    struct strbuf scratch;
    struct span object_name; /* of the mailbox's account, where the program asks for object ids */
    /* What was found of FUZZY keys (RFC 6203). */
    bool is_scored; /* scores are wanted: of several that could match, all are looked at */
    unsigned score; /* of the last match, 1 to 100; 0: no key of it was fuzzy */
    struct stemmer *stemmer;
    struct search_fuzzy fuzzy[SEARCH_FUZZY_MAX];
    size_t fuzzy_count;
    uint32_t messages_read; /* the step's measure, with source.bytes_read */
};

void search_matcher_free(struct search_matcher *s);
/* Looks the program's keywords up: each gets its bit (0: no message has it). */
enum status search_prepare(struct txn *txn, struct search_key *key, struct err *err);
/* What a key with FUZZY looks for, made when first asked for; NULL: it is matched exactly. */
const struct fuzzy_query *search_fuzzy_query(struct search_matcher *s, const struct search_key *key);
/* ST_NOTFOUND: the message's content is gone. */
enum status search_match(struct search_matcher *s, const struct search_key *root, uint32_t seq, bool *out,
                         struct err *err);
