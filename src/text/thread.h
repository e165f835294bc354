/*
 * thread.h - messages into threads, ORDEREDSUBJECT and REFERENCES (RFC 5256 §3, THREAD). Pure; one thread.
 */
#pragma once
#include "base/arena.h"
#include "base/strbuf.h"

struct thread_message {
    uint32_t number;         /* what is written for it */
    int64_t date;            /* sent date (§2.2) */
    struct span subject;     /* base subject, folded */
    bool is_reply;           /* or a forward, by its subject */
    struct span id;          /* normalised; empty: none */
    struct span *references; /* the oldest first */
    size_t reference_count;
};

enum { THREAD_REFERENCES_MAX = 200 }; /* of one message; the last ones count */

/* Normalised message ids of a References or In-Reply-To value, at most `max`, the last ones; in the arena. What is
 * between < and > and has an @ is one; quotes and white space in it are no part of it. */
size_t thread_ids(struct arena *a, struct span value, struct span *list, size_t max);

/* Messages stand in mailbox order. Appends "(1 2)(3 (4)(5))". */
void thread_by_subject(struct arena *a, const struct thread_message *list, size_t count, struct strbuf *out);
void thread_by_references(struct arena *a, const struct thread_message *list, size_t count, struct strbuf *out);
