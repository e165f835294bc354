/*
 * search_result.h - the answers of commands that search: "* ESEARCH (TAG "a") UID MIN 2 ALL 2,10:11" (RFC 4731, RFC
 * 9051 §7.3.4),
 * "* SEARCH 2 10 11", "* SORT 10 2 11". Only for src/imap.
 *
 * The text is made whole and then sent in pieces, each time the output has room.
 */
#pragma once
#include "imap/search.h"
#include "text/imap_search_return.h"

/* Message numbers of the client's view, in the order in which they are told: the mailbox's, or SORT's. */
struct search_hits {
    const uint32_t *seqs;
    size_t count;
    const uint8_t *scores; /* of each, 1 to 100; NULL: the search was not fuzzy */
};

struct search_reply {
    struct strbuf text;
    size_t sent;
};
/* More of the text into the output; true when all of it is there. */
bool search_reply_write(struct imap *im, struct search_reply *reply);

/* Appends numbers as a sequence-set, in their order: only ascending neighbours become ranges (RFC 5267 §3.2). */
void search_write_set(const struct view *view, bool is_uid, struct search_hits hits, struct strbuf *out);
/* Appends the ESEARCH response, for a named mailbox with its name and uidvalidity (RFC 7377 §2.1). `tag` is the
 * command's. has_modseq: MODSEQ was among the keys, and the greatest modseq of what is told is told, too (RFC 4731
 * §3.2, RFC 7162 §3.1.6). */
void search_write_esearch(const struct search_mailbox *in, struct span tag, bool is_uid,
                          const struct search_return *returns, struct search_hits hits, bool has_modseq,
                          struct strbuf *out);
/* Of its beginning what tells the mailbox: " MAILBOX INBOX UIDVALIDITY 1"; nothing where no name is to be told. */
void search_write_mailbox(const struct search_mailbox *in, struct strbuf *out);
/* Appends "* NAME" and the numbers. */
void search_write_numbers(const struct search_mailbox *in, const char *name, bool is_uid, struct search_hits hits,
                          bool has_modseq, struct strbuf *out);
/* Keeps what RETURN (SAVE) is to keep (RFC 5182 §2.4, RFC 9394 §3.2) as the session's "$". */
void search_save(const struct search_mailbox *in, struct arena *a, const struct search_return *returns,
                 struct search_hits hits);
