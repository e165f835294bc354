/*
 * index_care.c - looking after the index: what it holds, whether it is right, dropping it.
 *
 * The check builds for each document a sum over its terms, once from the index and once from the text: they are equal
 * if and only if the terms are (but for a chance of 2^-64). So it needs a few octets a document and not a second index.
 */
#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"
#include "store/message_text.h"
#include "store/sqlite/index.h"
#include "base/banned.h"

enum { FINDINGS_MAX = 1000 };

/* ---- status -------------------------------------------------------------------------------------------------------
 */

static enum status count_contents(struct txn *t, struct index_status *out, struct err *err)
{
    content_id *alive;
    size_t count;
    sqlite3_stmt *s;
    enum status st = contents_alive(t, &alive, &count, err);
    out->contents = count;
    if (st == ST_OK)
        st = db_query(t->db, &s, err, "SELECT docs, bytes, text_bytes, contents FROM search_segment WHERE state = ?",
                      INT(SEGMENT_LIVE));
    enum status unpacked = ST_OK;
    while (st == ST_OK && unpacked == ST_OK && db_row(t->db, s, &st, err)) {
        AUTO_ARENA a = ARENA_INIT;
        content_id *list;
        size_t docs = column_u64(s, 0);
        unpacked = contents_unpack(&a, column_span(s, 3), docs, &list, err);
        for (size_t i = 0; unpacked == ST_OK && i < docs; i++) {
            bool is_alive = contents_have(alive, count, list[i]);
            out->indexed += is_alive;
            out->gone += !is_alive;
        }
        out->segments++;
        out->bytes += column_u64(s, 1);
        out->text_bytes += column_u64(s, 2);
        if (unpacked != ST_OK)
            db_done(s);
    }
    free(alive);
    return st != ST_OK ? st : unpacked;
}

enum status index_status_get(struct txn *t, struct index_status *out, struct err *err)
{
    *out = (struct index_status){.contents = 0};
    return count_contents(t, out, err);
}

/* ---- check --------------------------------------------------------------------------------------------------------
 */

struct sums {
    uint64_t *of; /* a document each */
    size_t docs;
    uint32_t doc; /* while adding from a text: the only one */
};

static uint64_t term_sum(enum search_field field, struct span term)
{
    return hash_bytes(term) * (2 * (uint64_t)field + 3);
}

/* A segment_sink. */
static enum status add_block(void *context, const struct segment_block *block, struct err *err)
{
    struct sums *sums = context;
    struct segment_reader r;
    bool is_damaged;
    segment_reader_init(&r, block);
    while (segment_reader_next(&r, &is_damaged)) {
        uint64_t sum = term_sum(block->field, r.term);
        struct span list = r.list;
        bool is_first = true;
        for (uint32_t doc = 0; list.len;) {
            if (!segment_list_next(&list, &is_first, &doc) || doc >= sums->docs)
                return err_set(err, ST_IO, "a list is damaged");
            sums->of[doc] += sum;
        }
    }
    return is_damaged ? err_set(err, ST_IO, "a block is damaged") : ST_OK;
}

static enum status sum_of_index(struct txn *t, uint64_t segment, struct sums *sums, struct err *err)
{
    sqlite3_stmt *s;
    enum status st, added = ST_OK;
    TRY(db_query(t->db, &s, err, "SELECT id, terms, postings FROM search_block WHERE id >= ? AND id < ?",
                 INT(block_id(segment, 0, 0)), INT(block_id(segment + 1, 0, 0))));
    while (added == ST_OK && db_row(t->db, s, &st, err)) {
        const struct segment_block block = {block_field(column_u64(s, 0)), column_span(s, 1), column_span(s, 2)};
        added = add_block(sums, &block, err);
        if (added != ST_OK)
            db_done(s);
    }
    return added != ST_OK ? added : st;
}

/* ST_NOTFOUND: the content is gone, which is no finding. */
static enum status sum_of_text(struct txn *t, content_id content, uint64_t *sum, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF scratch = STRBUF_INIT;
    AUTO(segment_builder) builder = segment_builder_new();
    struct content_forms forms;
    struct sums sums = {.of = sum, .docs = 1};
    uint64_t ignored = 0;
    TRY(content_load(t, content, CONTENT_PARTS, &a, &forms, err));
    struct text_source source = {
        .txn = t, .content = content, .size = forms.size, .header_size = forms.header_size, .parts = forms.parts};
    enum status st = index_add_texts(builder, &source, &scratch, &ignored, err);
    text_source_free(&source);
    return st == ST_OK ? segment_builder_emit(builder, add_block, &sums, err) : st;
}

struct check {
    struct txn *t;
    struct strbuf *report;
    uint32_t *findings;
};

static void find(struct check *c, uint64_t segment, content_id content, const char *what)
{
    if (++*c->findings <= FINDINGS_MAX)
        strbuf_addf(c->report, "search index: segment %llu content %llu: %s\n", (unsigned long long)segment,
                    (unsigned long long)content, what);
}

static enum status check_documents(struct check *c, uint64_t segment, const content_id *contents, struct sums *sums,
                                   struct err *err)
{
    for (size_t i = 0; i < sums->docs; i++) {
        uint64_t sum = 0;
        enum status st = sum_of_text(c->t, contents[i], &sum, err);
        if (st == ST_NOTFOUND)
            continue;
        if (st != ST_OK)
            return st;
        if (sum != sums->of[i])
            find(c, segment, contents[i], "the index does not hold what the message says");
    }
    return ST_OK;
}

static enum status check_segment(struct check *c, uint64_t segment, size_t docs, struct span packed, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    content_id *contents;
    if (contents_unpack(&a, packed, docs, &contents, err) != ST_OK) {
        find(c, segment, 0, "the list of contents is damaged");
        return ST_OK;
    }
    struct sums sums = {.of = arena_array(&a, docs, sizeof *sums.of), .docs = docs};
    struct err damage;
    enum status st = sum_of_index(c->t, segment, &sums, &damage);
    if (st != ST_OK) {
        find(c, segment, 0, damage.client);
        return ST_OK;
    }
    return check_documents(c, segment, contents, &sums, err);
}

enum status index_check(struct account *a, struct strbuf *report, uint32_t *findings, struct err *err)
{
    AUTO(txn) t = NULL;
    TRY(store_begin(a, TXN_READ, &t, err));
    struct check c = {t, report, findings};
    int64_t last = 0;
    for (;;) { /* a statement must not be open while texts are read */
        AUTO_ARENA arena = ARENA_INIT;
        sqlite3_stmt *s;
        enum status st;
        TRY(db_query(t->db, &s, err,
                     "SELECT id, docs, contents FROM search_segment WHERE state = ? AND id > ? ORDER BY id LIMIT 1",
                     INT(SEGMENT_LIVE), INT(last)));
        if (!db_row(t->db, s, &st, err))
            return st;
        last = column_i64(s, 0);
        size_t docs = column_u64(s, 1);
        struct span packed = arena_copy(&arena, column_span(s, 2));
        db_done(s);
        TRY(check_segment(&c, (uint64_t)last, docs, packed, err));
    }
}

/* ---- dropping ------------------------------------------------------------------------------------------------------
 */

static enum status forget(struct db *db, struct err *err)
{
    TRY(db_run(db, err, "UPDATE search_segment SET state = ?", INT(SEGMENT_DEAD)));
    return db_run(db, err, "UPDATE search_state SET indexed_to = 0, format = ?", INT(INDEX_FORMAT));
}

/* Beside store_begin(): a tool that may only read may still do this. The writer's lock keeps our own threads in order,
 * SQLite's keeps other processes. */
enum status index_forget(struct account *a, struct err *err)
{
    struct handle *h;
    TRY(handle_lease(a, &h, err));
    pthread_mutex_lock(&a->writer);
    enum status st = db_begin_write(h->db, err);
    if (st == ST_OK)
        st = forget(h->db, err);
    if (st == ST_OK)
        st = db_commit(h->db, err);
    if (st != ST_OK)
        db_rollback(h->db);
    pthread_mutex_unlock(&a->writer);
    handle_release(&h);
    if (st == ST_OK)
        index_want(a);
    return st;
}
