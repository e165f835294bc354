/*
 * index.h - the search index in the account's file; for src/store/sqlite only.
 *
 *   search_segment  a row for each segment (store/segment.h), with the contents it covers
 *   search_block    its blocks; the id says segment, field and number, so that a segment's lie together, in order
 *   search_state    how far the contents are indexed: their ids only grow, so one number says it
 *
 * States on disk, and why a crash in each loses nothing but work:
 *  1. A batch: segment, blocks and search_state come in one transaction. Either the contents are covered or they are
 * read.
 *  2. A merge: blocks of the new segment are written in several transactions while it is SEGMENT_BUILDING, which nobody
 *     reads; one transaction makes it live and its sources SEGMENT_DEAD. There is one indexer, so what is found
 * BUILDING at its start is from before a crash and goes.
 *  3. Dead segments are removed a few blocks at a time.
 */
#pragma once
#include "store/search_index.h"
#include "store/sqlite/internal.h"

enum segment_state { SEGMENT_BUILDING, SEGMENT_LIVE, SEGMENT_DEAD }; /* on disk */

enum {
    INDEX_FORMAT = 1, /* of what stands in the blocks, how texts are folded and cut; another one in a file is dropped */
    INDEX_BATCH_CONTENTS = 1024,
    INDEX_BATCH_BYTES = 16 * 1024 * 1024, /* of messages */
    INDEX_BUILDER_BYTES = 96 * 1024 * 1024,
    INDEX_BLOCKS_A_TXN = 16, /* some 2 MB: a delivery waits no longer than for that */
    INDEX_FAN = 8,           /* segments of a size that are merged */
};

/* search_block.id */
static inline uint64_t block_id(uint64_t segment, enum search_field field, uint32_t number)
{
    return segment << 28 | (uint64_t)field << 24 | number;
}
static inline enum search_field block_field(uint64_t id)
{
    return (enum search_field)(id >> 24 & 15);
}

/* contents as they stand in search_segment: differences, LEB128. */
void contents_pack(const content_id *list, size_t count, struct strbuf *out);
/* In the arena; ST_IO where the bytes are damaged. */
enum status contents_unpack(struct arena *a, struct span packed, size_t count, content_id **out, struct err *err);
/* The contents that messages have, ascending, each once; malloced. */
enum status contents_alive(struct txn *t, content_id **out, size_t *count, struct err *err);
bool contents_have(const content_id *sorted, size_t count, content_id id);

/* Blocks on their way into the file. */
struct block_store {
    struct account *account;
    uint64_t segment;
    uint32_t number; /* of the next in its field */
    enum search_field field;
    struct arena arena;
    struct stored_block *first, **end;
    size_t count;
    uint64_t bytes; /* of all so far */
};
struct stored_block {
    struct stored_block *next;
    uint64_t id; /* without its segment */
    struct span terms, postings;
};
/* A segment_sink: keeps the block in memory. */
enum status block_store_add(void *context, const struct segment_block *block, struct err *err);
/* Writes what is kept, and forgets it. */
enum status block_store_write(struct block_store *s, struct txn *t, struct err *err);
void block_store_init(struct block_store *s);
void block_store_free(struct block_store *s);

/* Adds the texts of a content to the builder; *text_bytes grows by them. `source` has its content. */
struct text_source;
enum status index_add_texts(struct segment_builder *b, struct text_source *source, struct strbuf *scratch,
                            uint64_t *text_bytes, struct err *err);

/* The steps; *did: something was done, and there may be more. */
enum status index_sweep(struct account *a, bool *did, struct err *err);
enum status index_batch(struct account *a, bool *did, struct err *err);
enum status index_merge(struct account *a, bool *did, struct err *err);
