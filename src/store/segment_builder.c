/*
 * segment_builder.c - the terms of some documents, collected in a hash table and sorted at the end.
 */
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "store/segment.h"
#include "text/search_terms.h"
#include "base/banned.h"

struct entry {
    struct span term; /* in the arena */
    uint32_t hash;
    uint32_t last; /* 1 + the last document that has it */
    uint32_t count;
    uint32_t at; /* of its documents in the list of all, while emitting */
    uint8_t field;
};

struct posting {
    uint32_t entry, doc;
};

struct segment_builder {
    struct arena terms;
    struct entry *entries;
    size_t count, cap;
    uint32_t *slots; /* 1 + index of an entry; a power of two of them */
    size_t slot_count;
    struct posting *postings; /* by document */
    size_t posting_count, posting_cap;
    uint32_t docs;
};

enum { SLOTS_AT_START = 4096 };

struct segment_builder *segment_builder_new(void)
{
    struct segment_builder *b = mem_alloc(sizeof *b);
    b->slot_count = SLOTS_AT_START;
    b->slots = mem_array(b->slot_count, sizeof *b->slots);
    return b;
}

void segment_builder_free(struct segment_builder **bp)
{
    struct segment_builder *b = *bp;
    *bp = NULL;
    arena_free(&b->terms);
    free(b->entries);
    free(b->slots);
    free(b->postings);
    free(b);
}

void segment_builder_next(struct segment_builder *b)
{
    b->docs++;
}

size_t segment_builder_bytes(const struct segment_builder *b)
{
    return b->terms.total + b->cap * sizeof *b->entries + b->slot_count * sizeof *b->slots +
           b->posting_cap * sizeof *b->postings;
}

static uint32_t *slot_of(struct segment_builder *b, uint32_t hash, enum search_field field, struct span term)
{
    size_t i = hash & (b->slot_count - 1);
    for (; b->slots[i]; i = (i + 1) & (b->slot_count - 1)) {
        const struct entry *e = &b->entries[b->slots[i] - 1];
        if (e->hash == hash && e->field == field && span_eq(e->term, term))
            break;
    }
    return &b->slots[i];
}

static void grow(struct segment_builder *b)
{
    free(b->slots);
    b->slot_count *= 2;
    b->slots = mem_array(b->slot_count, sizeof *b->slots);
    for (size_t n = 0; n < b->count; n++) {
        size_t i = b->entries[n].hash & (b->slot_count - 1);
        while (b->slots[i])
            i = (i + 1) & (b->slot_count - 1);
        b->slots[i] = (uint32_t)n + 1;
    }
}

static struct entry *entry_of(struct segment_builder *b, enum search_field field, struct span term)
{
    uint32_t hash = (uint32_t)hash_bytes(term) ^ (uint32_t)field * 0x9e3779b9U;
    uint32_t *slot = slot_of(b, hash, field, term);
    if (*slot)
        return &b->entries[*slot - 1];
    if (b->count == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 1024;
        b->entries = mem_resize(b->entries, b->cap * sizeof *b->entries);
    }
    b->entries[b->count++] = (struct entry){.term = arena_copy(&b->terms, term), .hash = hash, .field = (uint8_t)field};
    *slot = (uint32_t)b->count;
    if (b->count * 2 > b->slot_count)
        grow(b);
    return &b->entries[b->count - 1];
}

void segment_builder_add(struct segment_builder *b, enum search_field field, struct span folded)
{
    struct span term;
    for (struct term_walk w = {folded, 0, false}; terms_next(&w, &term);) {
        struct entry *e = entry_of(b, field, term);
        if (e->last == b->docs)
            continue;
        e->last = b->docs;
        e->count++;
        if (b->posting_count == b->posting_cap) {
            b->posting_cap = b->posting_cap ? 2 * b->posting_cap : 4096;
            b->postings = mem_resize(b->postings, b->posting_cap * sizeof *b->postings);
        }
        b->postings[b->posting_count++] = (struct posting){(uint32_t)(e - b->entries), b->docs - 1};
    }
}

/* ---- emitting ---------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return x->field != y->field ? x->field - y->field : span_cmp(x->term, y->term);
}

/* The documents of each entry, one after the other, ascending; entry->at says where. */
static uint32_t *documents(struct segment_builder *b)
{
    uint32_t at = 0, *docs = mem_array(b->posting_count + 1, sizeof *docs);
    for (size_t i = 0; i < b->count; i++) {
        b->entries[i].at = at;
        at += b->entries[i].count;
    }
    for (size_t i = 0; i < b->posting_count; i++)
        docs[b->entries[b->postings[i].entry].at++] = b->postings[i].doc;
    for (size_t i = 0; i < b->count; i++)
        b->entries[i].at -= b->entries[i].count;
    return docs;
}

enum status segment_builder_emit(struct segment_builder *b, segment_sink *sink, void *context, struct err *err)
{
    struct segment_writer w = {.sink = sink, .context = context};
    uint32_t *docs = documents(b);
    struct entry **order = mem_array(b->count + 1, sizeof *order);
    for (size_t i = 0; i < b->count; i++)
        order[i] = &b->entries[i];
    qsort(order, b->count, sizeof *order, compare);
    enum status st = ST_OK;
    for (size_t i = 0; i < b->count && st == ST_OK; i++)
        st = segment_writer_term(&w, (enum search_field)order[i]->field, order[i]->term, docs + order[i]->at,
                                 order[i]->count, err);
    if (st == ST_OK)
        st = segment_writer_end(&w, err);
    segment_writer_free(&w);
    free(order);
    free(docs);
    return st;
}
