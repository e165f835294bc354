/*
 * body.h - the bytes of one message while it comes in: a heap buffer at first, a mapping of its own once it is large.
 *
 * Nothing here touches a disk or a file. A body below BODY_HEAP_MAX lives on the heap; a larger one moves once into an
 * anonymous mapping, whose growth moves pages and never copies what is already there. A body has room for a prefix in
 * front (trace header fields), so that a header can be put before a message without moving the message. Owner: whoever
 * called body_new(). One thread at a time.
 */
#pragma once
#include "base/err.h"
#include "base/span.h"

enum {
    BODY_HEAP_MAX = 256 * 1024, /* octets; beyond, a mapping */
    BODY_PREFIX_MAX = 8192      /* octets of a prefix */
};

struct body;

/* limit: largest number of octets body_append() takes. Costs no memory to speak of until something is appended. */
struct body *body_new(uint64_t limit);
void body_free(struct body **b);
AUTO_DEFINE(body)

/* Nothing is added where the status is bad: ST_LIMIT over the limit, ST_IO where there is no memory to be had, ST_TEMPORARY where all
 * bodies beyond BODY_HEAP_MAX together would take more than their share of the machine's memory. */
enum status body_append(struct body *b, struct span bytes, struct err *err);
/* That share, in octets; before the first call a quarter of the memory, but no less than 256 MB. Thread-safe. */
void body_set_large_total_max(uint64_t octets);
uint64_t body_size(const struct body *b);

/* All octets in one piece; valid until the next body_append(), body_prefix() or body_free(). ST_IO. */
enum status body_span(struct body *b, struct span *out, struct err *err);

/* The body with `prefix` right before it, in one piece; the body itself stays as it was, and body_span() never shows
 * the prefix. Valid as body_span()'s result; a second prefix takes the place of the first. ST_LIMIT over
 * BODY_PREFIX_MAX. */
enum status body_prefix(struct body *b, struct span prefix, struct span *out, struct err *err);
