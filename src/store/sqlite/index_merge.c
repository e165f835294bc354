/*
 * index_merge.c - small segments become larger ones, and what was expunged leaves the index.
 *
 * Of INDEX_FAN segments of about one size one is made, until they are SEGMENT_DOCS_MAX large: so a term is written a
 * few times in all, and a search has few segments to ask. A merge drops the contents that no message has any more; a
 * segment with many of those, or with any for more than a day, is made anew alone.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "store/sqlite/index.h"
#include "base/banned.h"

enum {
    SWEEP_BLOCKS = 64,
    INDEX_SEGMENTS_MAX = 4096, /* looked at in one step */
    DEAD_SHARE = 8,            /* a segment is made anew when one in so many is gone */
    DEAD_SECONDS = 24 * 60 * 60,
};

/* ---- remains
 * ---------------------------------------------------------------------------------------------------------- */

enum status index_sweep(struct account *a, bool *did, struct err *err)
{
    AUTO(txn) t = NULL;
    int64_t segment;
    TRY(store_begin(a, TXN_READ, &t, err));
    TRY(db_number(t->db, 0, &segment, err, "SELECT id FROM search_segment WHERE state <> ? LIMIT 1",
                  INT(SEGMENT_LIVE)));
    txn_free(&t);
    *did = segment != 0;
    if (!segment)
        return ST_OK;
    uint64_t first = block_id((uint64_t)segment, 0, 0), end = block_id((uint64_t)segment + 1, 0, 0);
    TRY(store_begin(a, TXN_FLAGS, &t, err));
    TRY_WRITE(t, db_run(t->db, err,
                        "DELETE FROM search_block WHERE id IN"
                        " (SELECT id FROM search_block WHERE id >= ? AND id < ? LIMIT ?)",
                        INT(first), INT(end), INT(SWEEP_BLOCKS)));
    if (db_changes(t->db) < SWEEP_BLOCKS)
        TRY_WRITE(t, db_run(t->db, err, "DELETE FROM search_segment WHERE id = ?", INT(segment)));
    return store_commit(&t, err);
}

/* ---- what is to be merged
 * -------------------------------------------------------------------------------------------- */

struct source {
    uint64_t id;
    size_t docs, dead;
    uint64_t text_bytes;
    int64_t made;
    content_id *contents; /* in the plan's arena */
    uint32_t *renumber;   /* document to new document; UINT32_MAX: gone */
    /* the walk */
    uint64_t at; /* id of the block that is read */
    struct strbuf terms, postings;
    struct segment_reader reader;
    enum search_field field;
    bool is_over;
};

struct plan {
    struct arena arena;
    struct source *all;
    size_t count;
    struct source *chosen[2 * INDEX_FAN];
    size_t chosen_count;
};

static unsigned level_of(size_t docs)
{
    unsigned level = 0;
    for (size_t n = 64; docs >= n; n *= INDEX_FAN)
        level++;
    return level;
}

static enum status read_segments(struct txn *t, struct plan *p, struct err *err)
{
    sqlite3_stmt *s;
    p->all = arena_array(&p->arena, INDEX_SEGMENTS_MAX, sizeof *p->all);
    TRY(db_query(
        t->db, &s, err,
        "SELECT id, docs, text_bytes, made_utc, contents FROM search_segment WHERE state = ? ORDER BY id LIMIT ?",
        INT(SEGMENT_LIVE), INT(INDEX_SEGMENTS_MAX)));
    enum status st;
    while (db_row(t->db, s, &st, err)) {
        struct source *x = &p->all[p->count++];
        x->id = column_u64(s, 0);
        x->docs = column_u64(s, 1);
        x->text_bytes = column_u64(s, 2);
        x->made = column_i64(s, 3);
        enum status unpacked = contents_unpack(&p->arena, column_span(s, 4), x->docs, &x->contents, err);
        if (unpacked != ST_OK) {
            db_done(s);
            return unpacked;
        }
    }
    return st;
}

static enum status count_dead(struct txn *t, struct plan *p, struct err *err)
{
    content_id *alive;
    size_t count;
    enum status st = contents_alive(t, &alive, &count, err);
    for (size_t i = 0; st == ST_OK && i < p->count; i++) {
        struct source *x = &p->all[i];
        x->renumber = arena_array(&p->arena, x->docs, sizeof *x->renumber);
        for (size_t d = 0; d < x->docs; d++) {
            bool is_gone = !contents_have(alive, count, x->contents[d]);
            x->renumber[d] = is_gone ? UINT32_MAX : 0;
            x->dead += is_gone;
        }
    }
    free(alive);
    return st;
}

/* A segment to be made anew alone. */
static bool is_worn(const struct source *x)
{
    return x->dead && (x->dead * DEAD_SHARE >= x->docs || clock_wall_ms() / 1000 - x->made > DEAD_SECONDS);
}

static void choose_by_size(struct plan *p)
{
    for (unsigned level = 0; level <= level_of(SEGMENT_DOCS_MAX / 2); level++) {
        size_t docs = 0;
        p->chosen_count = 0;
        for (size_t i = 0; i < p->count && p->chosen_count < INDEX_FAN; i++) {
            if (level_of(p->all[i].docs) > level || p->all[i].docs > SEGMENT_DOCS_MAX / 2 ||
                p->all[i].docs + docs > SEGMENT_DOCS_MAX)
                continue; /* what is more than half full is never written again for the sake of others */
            docs += p->all[i].docs;
            p->chosen[p->chosen_count++] = &p->all[i];
        }
        if (p->chosen_count == INDEX_FAN || (p->chosen_count > 1 && docs > SEGMENT_DOCS_MAX * 3 / 4))
            return;
    }
    p->chosen_count = 0;
}

static void choose_worn(struct plan *p)
{
    for (size_t i = 0; i < p->count && !p->chosen_count; i++)
        if (is_worn(&p->all[i]))
            p->chosen[p->chosen_count++] = &p->all[i];
}

/* ---- walking
 * --------------------------------------------------------------------------------------------------------- */

static enum status load_block(struct account *a, struct source *x, struct err *err)
{
    AUTO(txn) t = NULL;
    sqlite3_stmt *s;
    enum status st;
    TRY(store_begin(a, TXN_READ, &t, err));
    TRY(db_query(t->db, &s, err,
                 "SELECT id, terms, postings FROM search_block WHERE id > ? AND id < ? ORDER BY id LIMIT 1", INT(x->at),
                 INT(block_id(x->id + 1, 0, 0))));
    x->is_over = !db_row(t->db, s, &st, err);
    if (x->is_over)
        return st;
    x->at = column_u64(s, 0);
    x->field = block_field(x->at);
    strbuf_clear(&x->terms);
    strbuf_clear(&x->postings);
    strbuf_add(&x->terms, column_span(s, 1));
    strbuf_add(&x->postings, column_span(s, 2));
    db_done(s);
    const struct segment_block block = {x->field, strbuf_span(&x->terms), strbuf_span(&x->postings)};
    segment_reader_init(&x->reader, &block);
    return ST_OK;
}

/* To the source's next term, or its end. */
static enum status advance(struct account *a, struct source *x, struct err *err)
{
    bool is_damaged = false;
    while (!x->is_over && !segment_reader_next(&x->reader, &is_damaged)) {
        if (is_damaged)
            return err_set_operator(err, ST_IO, "internal error, try again later",
                                    "%s: block %llu of the search index is damaged", a->file,
                                    (unsigned long long)x->at);
        TRY(load_block(a, x, err));
    }
    return ST_OK;
}

static int compare_terms(const struct source *x, const struct source *y)
{
    return x->field != y->field ? (int)x->field - (int)y->field : span_cmp(x->reader.term, y->reader.term);
}

/* ---- merging
 * --------------------------------------------------------------------------------------------------------- */

struct merge {
    struct account *account;
    struct plan *plan;
    struct block_store blocks;
    struct segment_writer writer;
    uint32_t *docs; /* of one term */
    content_id *contents;
    size_t count;
    uint64_t text_bytes;
};

static enum status write_blocks(struct merge *m, struct err *err)
{
    AUTO(txn) t = NULL;
    TRY(store_begin(m->account, TXN_FLAGS, &t, err));
    TRY(block_store_write(&m->blocks, t, err));
    return store_commit(&t, err);
}

static enum status keep_block(void *context, const struct segment_block *block, struct err *err)
{
    struct merge *m = context;
    TRY(block_store_add(&m->blocks, block, err));
    return m->blocks.count < INDEX_BLOCKS_A_TXN ? ST_OK : write_blocks(m, err);
}

static void renumber(struct merge *m)
{
    for (size_t i = 0; i < m->plan->chosen_count; i++) {
        struct source *x = m->plan->chosen[i];
        m->text_bytes += x->docs ? x->text_bytes / x->docs * (x->docs - x->dead) : 0;
        for (size_t d = 0; d < x->docs; d++) {
            if (x->renumber[d] == UINT32_MAX)
                continue;
            x->renumber[d] = (uint32_t)m->count;
            m->contents[m->count++] = x->contents[d];
        }
    }
}

static enum status new_segment(struct merge *m, struct err *err)
{
    AUTO(txn) t = NULL;
    AUTO_STRBUF packed = STRBUF_INIT;
    contents_pack(m->contents, m->count, &packed);
    TRY(store_begin(m->account, TXN_FLAGS, &t, err));
    TRY_WRITE(t, db_run(t->db, err,
                        "INSERT INTO search_segment(state, docs, bytes, text_bytes, made_utc, contents)"
                        " VALUES(?, ?, ?, ?, ?, ?)",
                        INT(SEGMENT_BUILDING), INT(m->count), INT(packed.len), INT(m->text_bytes),
                        INT(clock_wall_ms() / 1000), BLOB(strbuf_span(&packed))));
    m->blocks.segment = (uint64_t)sqlite3_last_insert_rowid(t->db->conn);
    return store_commit(&t, err);
}

/* The documents of one term in one source, renumbered. */
static size_t add_docs(struct merge *m, const struct source *x, size_t n)
{
    struct span list = x->reader.list;
    bool is_first = true;
    uint32_t doc = 0;
    while (list.len && segment_list_next(&list, &is_first, &doc) && doc < x->docs)
        if (x->renumber[doc] != UINT32_MAX)
            m->docs[n++] = x->renumber[doc];
    return n;
}

/* One term of the new segment: of all sources that stand at it, in their order, so that the numbers ascend. */
static enum status merge_term(struct merge *m, const struct source *least, struct err *err)
{
    enum search_field field = least->field;
    const struct source same = {.field = field, .reader = {.term = least->reader.term}};
    size_t n = 0;
    bool is_at[2 * INDEX_FAN] = {false};
    for (size_t i = 0; i < m->plan->chosen_count; i++) {
        struct source *x = m->plan->chosen[i];
        is_at[i] = !x->is_over && compare_terms(x, &same) == 0;
        if (is_at[i])
            n = add_docs(m, x, n);
    }
    if (n)
        TRY(segment_writer_term(&m->writer, field, same.reader.term, m->docs, n, err));
    for (size_t i = 0; i < m->plan->chosen_count; i++)
        if (is_at[i])
            TRY(advance(m->account, m->plan->chosen[i], err));
    return ST_OK;
}

static enum status merge_terms(struct merge *m, struct err *err)
{
    for (size_t i = 0; i < m->plan->chosen_count; i++) {
        struct source *x = m->plan->chosen[i];
        x->at = block_id(x->id, 0, 0) - 1;
        TRY(load_block(m->account, x, err));
        TRY(advance(m->account, x, err));
    }
    for (;;) {
        const struct source *least = NULL;
        for (size_t i = 0; i < m->plan->chosen_count; i++) {
            const struct source *x = m->plan->chosen[i];
            if (!x->is_over && (!least || compare_terms(x, least) < 0))
                least = x;
        }
        if (!least)
            break;
        TRY(merge_term(m, least, err));
    }
    TRY(segment_writer_end(&m->writer, err));
    return write_blocks(m, err);
}

/* The new segment takes the place of its sources, unless the index was dropped meanwhile. */
static enum status switch_over(struct merge *m, struct err *err)
{
    AUTO(txn) t = NULL;
    TRY(store_begin(m->account, TXN_FLAGS, &t, err));
    for (size_t i = 0; i < m->plan->chosen_count; i++) {
        TRY_WRITE(t, db_run(t->db, err, "UPDATE search_segment SET state = ? WHERE id = ? AND state = ?",
                            INT(SEGMENT_DEAD), INT(m->plan->chosen[i]->id), INT(SEGMENT_LIVE)));
        if (db_changes(t->db) != 1)
            return ST_OK;
    }
    TRY_WRITE(t, db_run(t->db, err, "UPDATE search_segment SET state = ?, bytes = bytes + ? WHERE id = ?",
                        INT(m->count ? SEGMENT_LIVE : SEGMENT_DEAD), INT(m->blocks.bytes), INT(m->blocks.segment)));
    return store_commit(&t, err);
}

static enum status merge(struct account *a, struct plan *p, struct err *err)
{
    struct merge m = {.account = a, .plan = p};
    size_t docs = 0;
    for (size_t i = 0; i < p->chosen_count; i++)
        docs += p->chosen[i]->docs;
    m.docs = arena_array(&p->arena, docs, sizeof *m.docs);
    m.contents = arena_array(&p->arena, docs, sizeof *m.contents);
    block_store_init(&m.blocks);
    m.writer = (struct segment_writer){.sink = keep_block, .context = &m};
    renumber(&m);
    enum status st = new_segment(&m, err);
    if (st == ST_OK)
        st = merge_terms(&m, err);
    if (st == ST_OK)
        st = switch_over(&m, err);
    segment_writer_free(&m.writer);
    block_store_free(&m.blocks);
    return st;
}

enum status index_merge(struct account *a, bool *did, struct err *err)
{
    struct plan p = {.count = 0};
    AUTO(txn) t = NULL;
    bool has_expunged = atomic_exchange(&a->has_expunged, false);
    enum status st = store_begin(a, TXN_READ, &t, err);
    if (st == ST_OK)
        st = read_segments(t, &p, err);
    if (st == ST_OK)
        choose_by_size(&p);
    if (st == ST_OK && p.count && (p.chosen_count || has_expunged))
        st = count_dead(t, &p, err);
    txn_free(&t);
    if (st == ST_OK && !p.chosen_count && has_expunged)
        choose_worn(&p);
    if (has_expunged && p.chosen_count)
        a->has_expunged = true; /* there may be more */
    *did = st == ST_OK && p.chosen_count;
    if (*did)
        st = merge(a, &p, err);
    for (size_t i = 0; i < p.chosen_count; i++) {
        strbuf_free(&p.chosen[i]->terms);
        strbuf_free(&p.chosen[i]->postings);
    }
    arena_free(&p.arena);
    return st;
}

/* An index of another making is dropped. */
static enum status check_format(struct account *a, struct err *err)
{
    AUTO(txn) t = NULL;
    int64_t format;
    TRY(store_begin(a, TXN_READ, &t, err));
    TRY(db_number_plain(t->db, 0, &format, err, "SELECT format FROM search_state"));
    txn_free(&t);
    return format == INDEX_FORMAT ? ST_OK : index_forget(a, err);
}

enum status index_step(struct account *a, bool *is_done, struct err *err)
{
    TRY(check_format(a, err));
    bool did = false;
    *is_done = false;
    TRY(index_sweep(a, &did, err));
    if (did)
        return ST_OK;
    if (!a->is_caught_up) { /* what comes while segments are merged is the next batch's, so that it is not a small one
                             */
        TRY(index_batch(a, &did, err));
        a->is_caught_up = !did;
        return ST_OK;
    }
    TRY(index_merge(a, &did, err));
    *is_done = !did;
    a->is_caught_up = did;
    return ST_OK;
}
