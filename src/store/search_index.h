/*
 * search_index.h - the search index of an account: asking it, keeping it, looking after it.
 *
 * The index makes SEARCH fast and may never change an answer. It knows contents, not messages: for each of those that
 * it covers it can say yes, no or maybe to "is this text in that field?"; of all others it says unknown, and the
 * message itself is read. So it may lag behind, be absent, or still hold what was expunged.
 *
 * It is made in the background by one thread of low priority (index_worker_start), never by a delivery: in batches,
 * each prepared outside of transactions and written in a short one that does not flush. What a crash takes is made
 * again.
 */
#pragma once
#include "store/segment.h"
#include "store/store.h"

/* ---- asking ----------------------------------------------------------------------------------------------------- */

struct index_question {
    unsigned fields;                 /* bits 1 << enum search_field; any of them */
    struct span text;                /* folded, not empty */
    const struct fuzzy_query *fuzzy; /* in place of the text: what is like it (RFC 6203); borrowed until asked */
    bool is_hint;                    /* the fields have more in them than what is asked for: yes is only maybe */
};
enum index_verdict { INDEX_UNKNOWN, INDEX_NO, INDEX_MAYBE, INDEX_YES };

/* Owned by who asked; one thread. It stays right whatever happens to the account: contents do not change. */
struct index_answer;
enum status index_ask(struct txn *t, const struct index_question *questions, size_t count, struct index_answer **out,
                      struct err *err);
enum index_verdict index_verdict(struct index_answer *a, size_t question, content_id content);
/* Of a fuzzy question whose verdict is INDEX_YES: how relevant the content is, 1 to 100. */
unsigned index_score(struct index_answer *a, size_t question, content_id content);
void index_answer_free(struct index_answer **a);
AUTO_DEFINE(index_answer)

/* ---- keeping ---------------------------------------------------------------------------------------------------- */

/* Starts the thread of this store; store_free() ends it. Only where the process may write. */
void index_worker_start(struct store *s);
/* There may be something to index in this account; cheap. Does nothing without a worker. */
void index_want(struct account *a);
/* One piece of the work, by the calling thread (the worker's, a tool's, a test's): a batch indexed, segments merged, or
 * remains removed. *is_done: there was nothing to do. One thread at a time for an account. */
enum status index_step(struct account *a, bool *is_done, struct err *err);

/* ---- looking after --------------------------------------------------------------------------------------------------
 */

struct index_status {
    uint64_t contents; /* in the account */
    uint64_t indexed;  /* of them */
    uint64_t gone;     /* indexed, but not in the account any more */
    uint64_t segments;
    uint64_t bytes;      /* of the index */
    uint64_t text_bytes; /* of the texts that it covers */
};
enum status index_status_get(struct txn *t, struct index_status *out, struct err *err);
/* Compares the index with the texts, document by document; findings as account_check(). */
enum status index_check(struct account *a, struct strbuf *report, uint32_t *findings, struct err *err);
/* Drops the index, so that it is made anew: one short transaction. May be called by another process than the server's
 * (even with store_options.is_reader), as nothing of the index is kept in memory. */
enum status index_forget(struct account *a, struct err *err);
