/*
 * seqset.h - sets of message numbers ("1:4,7,9:*", RFC 9051 §9 sequence-set, RFC 3501 §9).
 *
 * A seqset is a sorted list of disjoint, non-adjacent ranges. It is built by parsing or adding and then only read, so
 * it may be shared between threads. Memory: the arena given. Numbers are 1..UINT32_MAX.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct seqrange {
    uint32_t first, last; /* inclusive, first <= last */
};
struct seqset {
    struct seqrange *ranges;
    size_t count, cap;
};

/* At most this many ranges are read from a client's text (ST_LIMIT beyond). */
enum { SEQSET_RANGES_MAX = 20000 };

/* Parses text; "*" becomes `last` (0 where the mailbox is empty: then a "*" adds nothing, "5:*" and "*:5" neither).
 * "n:m" and "m:n" are the same. Numbers beyond `last` are kept. ST_SYNTAX where text is not a sequence-set. */
enum status seqset_parse(struct arena *a, struct span text, uint32_t last, struct seqset **out, struct err *err);

struct seqset *seqset_new(struct arena *a);
/* Adds first..last; cheap at the end, merges as needed anywhere. */
void seqset_add(struct arena *a, struct seqset *s, uint32_t first, uint32_t last);

/* Those numbers that are in both. */
struct seqset *seqset_both(struct arena *a, const struct seqset *x, const struct seqset *y);

/* The numbers from index `from` up to (not including) `to`, in ascending order, counted from 0. */
struct seqset *seqset_part(struct arena *a, const struct seqset *s, uint64_t from, uint64_t to);

bool seqset_has(const struct seqset *s, uint32_t n);
uint64_t seqset_count(const struct seqset *s);
/* Writes "1:4,7"; nothing for an empty set. */
void seqset_write(const struct seqset *s, struct strbuf *out);
