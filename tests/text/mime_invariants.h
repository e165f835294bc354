/*
 * mime_invariants.h - what holds for the table of parts of any message whatever. For unit tests and the fuzz target.
 * Ends the process with a message where it does not hold.
 */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include "text/mime.h"

#define HOLDS(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "part %zu: does not hold: %s\n", i, #condition);                                           \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static inline uint32_t mime_count_lines(struct span s)
{
    uint32_t n = 0;
    for (size_t at = 0; (at = span_find_byte(s, '\n', at)) != SPAN_NPOS; at++)
        n++;
    return n;
}

static inline void mime_check_invariants(const struct mime_message *m, struct span message)
{
    size_t i = 0;
    HOLDS(m->count >= 1 && m->count <= MIME_PARTS_MAX);
    HOLDS(m->parts[0].parent == 0 && m->parts[0].header_offset == 0 && m->parts[0].next_sibling == 0);
    HOLDS(m->parts[0].body_offset + m->parts[0].body_size == message.len);
    for (; i < m->count; i++) {
        const struct mime_part *p = &m->parts[i], *parent = &m->parts[p->parent];
        HOLDS(p->body_offset == p->header_offset + p->header_size);
        HOLDS(p->body_offset + p->body_size <= message.len);
        HOLDS(p->body_lines == mime_count_lines(span_slice(message, p->body_offset, p->body_offset + p->body_size)));
        HOLDS(p->depth <= MIME_DEPTH_MAX && p->kind <= MIME_MESSAGE && p->encoding <= MIME_UNKNOWN);
        HOLDS(p->type.len > 0 && p->subtype.len > 0);
        HOLDS((p->kind == MIME_MULTIPART) == span_eq(p->type, SPAN("multipart")));
        HOLDS(p->kind != MIME_LEAF || p->first_child == 0);
        HOLDS(p->kind != MIME_MESSAGE || (p->first_child == i + 1 && m->parts[i + 1].next_sibling == 0));
        HOLDS(p->first_child == 0 || (p->first_child == i + 1 && m->parts[i + 1].parent == i));
        if (p->next_sibling != 0) {
            const struct mime_part *next = &m->parts[p->next_sibling];
            HOLDS(p->next_sibling > i && p->next_sibling < m->count && next->parent == p->parent);
            HOLDS(next->header_offset >= p->body_offset + p->body_size);
        }
        if (i > 0) {
            HOLDS(p->parent < i && p->depth == parent->depth + 1 && parent->kind != MIME_LEAF);
            HOLDS(p->header_offset >= parent->body_offset);
            HOLDS(p->body_offset + p->body_size <= parent->body_offset + parent->body_size);
        }
    }
}

static inline void mime_check_equal(const struct mime_message *a, const struct mime_message *b)
{
    size_t i = 0;
    HOLDS(a->count == b->count);
    for (; i < a->count; i++) {
        const struct mime_part *p = &a->parts[i], *q = &b->parts[i];
        HOLDS(p->parent == q->parent && p->next_sibling == q->next_sibling && p->first_child == q->first_child);
        HOLDS(p->kind == q->kind && p->encoding == q->encoding && p->depth == q->depth);
        HOLDS(p->header_offset == q->header_offset && p->header_size == q->header_size);
        HOLDS(p->body_offset == q->body_offset && p->body_size == q->body_size && p->body_lines == q->body_lines);
        HOLDS(span_eq(p->type, q->type) && span_eq(p->subtype, q->subtype) && span_eq(p->charset, q->charset));
    }
}

/* Packs and unpacks, and wants the same. */
static inline void mime_check_round_trip(const struct mime_message *m)
{
    size_t i = 0;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF packed = STRBUF_INIT;
    struct mime_message again;
    struct err err;
    mime_pack(m, &packed);
    HOLDS(mime_unpack(&a, strbuf_span(&packed), &again, &err) == ST_OK);
    mime_check_equal(m, &again);
}
#undef HOLDS
