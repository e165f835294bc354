/*
 * search_index.h - a SEARCH program's texts asked of the index (store/search_index.h). Only for src/imap.
 */
#pragma once
#include "imap/search.h"

/* What the index knows of a key with a text for the matcher's message. A search over a few messages never asks it: the
 * first call that comes after enough messages does, for all texts of the program at once. */
enum index_verdict search_index_verdict(struct search_matcher *s, const struct search_key *key);

/* What the index has said to one search, for the next one of the same program in another mailbox of the same account:
 * contents do not change, and what is newer the index does not know. Begin with zeroes; search_index_memory_free(). */
struct search_index_memory {
    const struct account *owner;
    struct index_answer *answer;
    uint32_t read_in_all;
};
void search_index_remember(struct search_matcher *s, struct search_index_memory *m); /* takes the answer */
void search_index_recall(struct search_matcher *s, struct search_index_memory *m);   /* gives it */
void search_index_memory_free(struct search_index_memory *m);
