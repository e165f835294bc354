/*
 * segment.h - a piece of the search index in memory: which terms stand in which of its documents.
 *
 * A segment covers some contents ("documents", numbered from 0). For each field it has blocks: `terms`, the terms in
 * order of their octets as lines ("\n" term "\n" term "\n"), and `postings`, for each term a length and the documents
 * that have it (differences, LEB128). Looking for a part of a word is one pass over the lines; what lies behind a line
 * that has it is the answer. Blocks are small enough to be read, written and merged one at a time.
 *
 * Pure but for memory; one thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "text/fuzzy.h"

enum search_field { /* the numbers are on disk */
                    FIELD_BODY,
                    FIELD_HEADER, /* every line of the header, names and all */
                    FIELD_SUBJECT,
                    FIELD_FROM,
                    FIELD_TO,
                    FIELD_CC,
                    FIELD_BCC,
                    SEARCH_FIELDS
};

enum {
    SEGMENT_BLOCK_BYTES = 64 * 1024, /* of terms or of postings: then a block is full */
    SEGMENT_DOCS_MAX = 32 * 1024,    /* a segment of so many documents grows no more */
};

struct segment_block {
    enum search_field field;
    struct span terms, postings;
};
typedef enum status segment_sink(void *context, const struct segment_block *block, struct err *err);

/* ---- making one from texts ------------------------------------------------------------------------------------- */

struct segment_builder;
struct segment_builder *segment_builder_new(void);
void segment_builder_free(struct segment_builder **b);
AUTO_DEFINE(segment_builder)
/* What is added from here on is of the next document. */
void segment_builder_next(struct segment_builder *b);
void segment_builder_add(struct segment_builder *b, enum search_field field, struct span folded);
size_t segment_builder_bytes(const struct segment_builder *b); /* memory, about */
/* Gives the blocks in order of fields and terms. */
enum status segment_builder_emit(struct segment_builder *b, segment_sink *sink, void *context, struct err *err);

/* ---- writing and reading blocks ---------------------------------------------------------------------------------- */

struct segment_writer {
    segment_sink *sink;
    void *context;
    enum search_field field;
    struct strbuf terms, postings, list;
};
/* Terms in order of field and octets; docs ascending, at least one. */
enum status segment_writer_term(struct segment_writer *w, enum search_field field, struct span term,
                                const uint32_t *docs, size_t count, struct err *err);
enum status segment_writer_end(struct segment_writer *w, struct err *err); /* the last block; frees */
void segment_writer_free(struct segment_writer *w);

/* Term by term. */
struct segment_reader {
    struct span terms, postings; /* what is left; a block's at the start */
    struct span term, list;
};
void segment_reader_init(struct segment_reader *r, const struct segment_block *block);
/* False at the end, or (*is_damaged) where the block is not whole. */
bool segment_reader_next(struct segment_reader *r, bool *is_damaged);
/* Walks a list: for (uint32_t doc = 0; segment_list_next(&list, &is_first, &doc);) */
bool segment_list_next(struct span *list, bool *is_first, uint32_t *doc);

/* Sets the bits of the documents that have a term whose line has the pattern in it (needle_plan's `whole` or a piece).
 * `docs` is how many bits there are. ST_IO where the block is damaged. */
enum status segment_block_match(const struct segment_block *block, struct span pattern, uint64_t *bits, uint32_t docs,
                                struct err *err);

/* The same for a fuzzy question: raises grades[doc * fuzzy_count(q) + probe] of the documents that have a term which is
 * like one of the probes. */
enum status segment_block_grade(const struct segment_block *block, const struct fuzzy_query *q, unsigned weight,
                                uint8_t *grades, uint32_t docs, struct err *err);
/* What a word in this field counts, in percent, where several are asked for: the subject says most, then the rest of
 * the header. */
static inline unsigned search_field_weight(unsigned fields, enum search_field field)
{
    if (!(fields & (fields - 1)) || field == FIELD_SUBJECT)
        return 100;
    return field == FIELD_BODY ? 70 : 85;
}

void varint_add(struct strbuf *out, uint64_t v);
bool varint_take(struct span *in, uint64_t *v); /* false: cut off, or longer than 64 bits */
