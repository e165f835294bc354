/*
 * sort.h - what messages are sorted and threaded by, read from their stored envelopes and headers (RFC 5256). Only for
 * src/imap.
 */
#pragma once
#include "imap/session.h"
#include "text/imap_sort_args.h"
#include "text/thread.h"

/* A value by which a message is sorted: a number or a folded text. */
struct sort_value {
    int64_t number;
    struct span text;
};

/* The values of one message, args->count of them; `score` is its relevancy where the search was fuzzy (else 0); texts
 * in the arena. txn may be NULL if sort_is_view_enough(). */
enum status sort_values(struct txn *txn, const struct view_message *m, const struct sort_args *args, unsigned score,
                        struct arena *a, struct sort_value *out, struct err *err);
bool sort_is_view_enough(const struct sort_args *args);
/* < 0, 0, > 0 by the criteria in their order. */
int sort_compare(const struct sort_args *args, const struct sort_value *x, const struct sort_value *y);

/* What THREAD needs of a message; spans in the arena. References only where asked for. */
enum status thread_read(struct txn *txn, const struct view_message *m, bool has_references, enum comparator form,
                        struct arena *a, struct thread_message *out, struct err *err);
