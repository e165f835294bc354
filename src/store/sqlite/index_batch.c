/*
 * index_batch.c - a batch of contents becomes a segment. The texts are read and cut in a read transaction; only the
 * finished blocks are written under the account's writer lock.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/message_text.h"
#include "store/sqlite/index.h"
#include "base/banned.h"

/* ---- lists of contents ---------------------------------------------------------------------------------------------
 */

void contents_pack(const content_id *list, size_t count, struct strbuf *out)
{
    for (size_t i = 0; i < count; i++)
        varint_add(out, i ? list[i] - list[i - 1] : list[i]);
}

enum status contents_unpack(struct arena *a, struct span packed, size_t count, content_id **out, struct err *err)
{
    content_id *list = arena_array(a, count, sizeof *list);
    uint64_t v;
    for (size_t i = 0; i < count; i++) {
        if (!varint_take(&packed, &v))
            return err_set_operator(err, ST_IO, "internal error, try again later",
                                    "a segment of the search index is damaged; tassis index rebuild makes it anew");
        list[i] = i ? list[i - 1] + v : v; /* a merged segment's may fall: the difference wraps */
    }
    *out = list;
    return ST_OK;
}

static int compare_ids(const void *a, const void *b)
{
    content_id x = *(const content_id *)a, y = *(const content_id *)b;
    return x < y ? -1 : x > y;
}

enum status contents_alive(struct txn *t, content_id **out, size_t *count, struct err *err)
{
    sqlite3_stmt *s;
    size_t n = 0, cap = 0;
    content_id *list = NULL;
    *out = NULL;
    TRY(db_query(t->db, &s, err, "SELECT content FROM message WHERE mailbox >= ?", INT(0)));
    enum status st;
    while (db_row(t->db, s, &st, err)) {
        if (n == cap) {
            cap = cap ? 2 * cap : 1024;
            list = mem_resize(list, cap * sizeof *list);
        }
        list[n++] = column_u64(s, 0);
    }
    if (n)
        qsort(list, n, sizeof *list, compare_ids);
    *count = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || list[i] != list[i - 1])
            list[(*count)++] = list[i];
    *out = list;
    return st;
}

bool contents_have(const content_id *sorted, size_t count, content_id id)
{
    return count && bsearch(&id, sorted, count, sizeof id, compare_ids);
}

/* ---- blocks ---------------------------------------------------------------------------------------------------------
 */

void block_store_init(struct block_store *s)
{
    s->end = &s->first;
}

void block_store_free(struct block_store *s)
{
    arena_free(&s->arena);
    s->first = NULL;
    s->end = &s->first;
    s->count = 0;
}

enum status block_store_add(void *context, const struct segment_block *block, struct err *err)
{
    (void)err;
    struct block_store *s = context;
    struct stored_block *new = arena_alloc(&s->arena, sizeof *new);
    if (block->field != s->field)
        s->number = 0;
    s->field = block->field;
    new->id = block_id(0, block->field, s->number++);
    new->terms = arena_copy(&s->arena, block->terms);
    new->postings = arena_copy(&s->arena, block->postings);
    s->bytes += block->terms.len + block->postings.len;
    s->count++;
    *s->end = new;
    s->end = &new->next;
    return ST_OK;
}

enum status block_store_write(struct block_store *s, struct txn *t, struct err *err)
{
    for (const struct stored_block *b = s->first; b; b = b->next)
        TRY_WRITE(t, db_run(t->db, err, "INSERT INTO search_block(id, terms, postings) VALUES(?, ?, ?)",
                            INT(block_id(s->segment, 0, 0) | b->id), BLOB(b->terms), BLOB(b->postings)));
    block_store_free(s);
    return ST_OK;
}

/* ---- texts
 * ----------------------------------------------------------------------------------------------------------- */

static const struct {
    enum search_field field;
    const char *name;
} named_fields[] = {
    {FIELD_SUBJECT, "Subject"}, {FIELD_FROM, "From"}, {FIELD_TO, "To"}, {FIELD_CC, "Cc"}, {FIELD_BCC, "Bcc"},
};

enum status index_add_texts(struct segment_builder *b, struct text_source *source, struct strbuf *scratch,
                            uint64_t *text_bytes, struct err *err)
{
    struct span header;
    segment_builder_next(b);
    TRY(text_source_header(source, &header, err));
    strbuf_clear(scratch);
    text_add_header(header, COMPARATOR_UNICODE_CASEMAP, scratch);
    *text_bytes += scratch->len;
    segment_builder_add(b, FIELD_HEADER, strbuf_span(scratch));
    for (size_t i = 0; i < sizeof named_fields / sizeof *named_fields; i++) {
        strbuf_clear(scratch);
        text_add_fields(header, span_cstr(named_fields[i].name), COMPARATOR_UNICODE_CASEMAP, scratch);
        segment_builder_add(b, named_fields[i].field, strbuf_span(scratch));
    }
    strbuf_clear(scratch);
    TRY(text_add_bodies(source, COMPARATOR_UNICODE_CASEMAP, scratch, err));
    *text_bytes += scratch->len;
    segment_builder_add(b, FIELD_BODY, strbuf_span(scratch));
    return ST_OK;
}

/* ---- a batch --------------------------------------------------------------------------------------------------------
 */

struct batch {
    uint64_t indexed_to; /* before */
    content_id *contents;
    size_t count;
    uint64_t text_bytes;
    bool is_full; /* there may be more */
    struct segment_builder *builder;
};

/* One row of the batch's contents, so that no statement is open while the text is read. */
static enum status next_content(struct txn *t, content_id after, struct arena *a, struct text_source *source,
                                bool *is_there, struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err, "SELECT id, size, header_size, parts FROM content WHERE id > ? ORDER BY id LIMIT 1",
                 INT(after)));
    enum status st;
    *is_there = db_row(t->db, s, &st, err);
    if (!*is_there)
        return st;
    source->content = column_u64(s, 0);
    source->size = column_u64(s, 1);
    source->header_size = column_u64(s, 2);
    source->parts = arena_copy(a, column_span(s, 3));
    db_done(s);
    return ST_OK;
}

static enum status read_batch(struct account *a, struct batch *b, struct err *err)
{
    AUTO(txn) t = NULL;
    AUTO_STRBUF scratch = STRBUF_INIT;
    int64_t indexed_to;
    TRY(store_begin(a, TXN_READ, &t, err));
    TRY(db_number_plain(t->db, 0, &indexed_to, err, "SELECT indexed_to FROM search_state"));
    b->indexed_to = (uint64_t)indexed_to;
    struct text_source source = {.txn = t, .content = b->indexed_to};
    enum status st = ST_OK;
    bool is_there = true;
    while (st == ST_OK && b->count < INDEX_BATCH_CONTENTS && source.bytes_read < INDEX_BATCH_BYTES &&
           segment_builder_bytes(b->builder) < INDEX_BUILDER_BYTES) {
        AUTO_ARENA arena = ARENA_INIT;
        text_source_clear(&source);
        st = next_content(t, source.content, &arena, &source, &is_there, err);
        if (st != ST_OK || !is_there)
            break;
        st = index_add_texts(b->builder, &source, &scratch, &b->text_bytes, err);
        b->contents[b->count++] = source.content;
    }
    b->is_full = b->count && is_there;
    text_source_free(&source);
    return st;
}

static enum status write_batch(struct account *a, const struct batch *b, struct block_store *blocks, struct err *err)
{
    AUTO(txn) t = NULL;
    AUTO_STRBUF packed = STRBUF_INIT;
    int64_t indexed_to;
    contents_pack(b->contents, b->count, &packed);
    TRY(store_begin(a, TXN_FLAGS, &t, err));
    TRY(db_number_plain(t->db, 0, &indexed_to, err, "SELECT indexed_to FROM search_state"));
    if ((uint64_t)indexed_to != b->indexed_to)
        return ST_OK; /* the index was dropped meanwhile */
    TRY_WRITE(t, db_run(t->db, err,
                        "INSERT INTO search_segment(state, docs, bytes, text_bytes, made_utc, contents)"
                        " VALUES(?, ?, ?, ?, ?, ?)",
                        INT(SEGMENT_LIVE), INT(b->count), INT(blocks->bytes + packed.len), INT(b->text_bytes),
                        INT(clock_wall_ms() / 1000), BLOB(strbuf_span(&packed))));
    blocks->segment = (uint64_t)sqlite3_last_insert_rowid(t->db->conn);
    TRY(block_store_write(blocks, t, err));
    TRY_WRITE(t, db_run(t->db, err, "UPDATE search_state SET indexed_to = ?", INT(b->contents[b->count - 1])));
    return store_commit(&t, err);
}

enum status index_batch(struct account *a, bool *did, struct err *err)
{
    AUTO(segment_builder) builder = segment_builder_new();
    struct block_store blocks = {.account = a};
    struct batch b = {.builder = builder};
    b.contents = mem_array(INDEX_BATCH_CONTENTS, sizeof *b.contents);
    block_store_init(&blocks);
    enum status st = read_batch(a, &b, err);
    if (st == ST_OK && b.count)
        st = segment_builder_emit(builder, block_store_add, &blocks, err);
    if (st == ST_OK && b.count)
        st = write_batch(a, &b, &blocks, err);
    *did = b.is_full;
    block_store_free(&blocks);
    free(b.contents);
    return st;
}
