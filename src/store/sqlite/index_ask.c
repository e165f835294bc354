/*
 * index_ask.c - questions to the index. One pass over the terms of each field that is asked for, a block at a time; of
 * blocks without a hit the postings are not even read.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "store/sqlite/index.h"
#include "text/search_terms.h"
#include "base/banned.h"

struct place { /* where a content stands in the bit sets */
    content_id content;
    uint32_t bit;
};

struct asked {
    struct index_question question;
    struct needle_plan plan;
    uint64_t *yes, *maybe; /* over all segments */
    uint64_t *pieces;      /* plan.count sets over the segment that is looked at */
    /* Of a fuzzy question, in place of these: */
    uint8_t *grades; /* of each document of the segment that is looked at, for each probe */
    uint8_t *scores; /* over all segments; 0: no */
};

struct index_answer {
    struct arena arena;
    struct asked *asked;
    size_t count;
    struct place *places; /* ascending by content */
    size_t place_count;
    size_t last; /* the place found last: the next is usually behind it */
};

struct segment_row {
    uint64_t id;
    uint32_t docs;
    uint32_t base; /* its first bit, a multiple of 64 */
};

void index_answer_free(struct index_answer **ap)
{
    struct index_answer *a = *ap;
    *ap = NULL;
    if (!a)
        return;
    arena_free(&a->arena);
    free(a);
}

static int compare_places(const void *a, const void *b)
{
    content_id x = ((const struct place *)a)->content, y = ((const struct place *)b)->content;
    return x < y ? -1 : x > y;
}

/* ---- segments
 * --------------------------------------------------------------------------------------------------------- */

static enum status add_places(struct index_answer *a, const struct segment_row *row, struct span packed,
                              struct err *err)
{
    AUTO_ARENA arena = ARENA_INIT;
    content_id *contents;
    TRY(contents_unpack(&arena, packed, row->docs, &contents, err));
    for (uint32_t d = 0; d < row->docs; d++)
        a->places[a->place_count++] = (struct place){contents[d], row->base + d};
    return ST_OK;
}

static void sort_places(struct index_answer *a)
{
    for (size_t i = 1; i < a->place_count; i++)
        if (a->places[i].content < a->places[i - 1].content) {
            qsort(a->places, a->place_count, sizeof *a->places, compare_places);
            return;
        }
}

/* The live segments of this transaction's snapshot; *bits is how long a set over all of them is. */
static enum status read_segments(struct txn *t, struct index_answer *a, struct segment_row **rows, size_t *count,
                                 uint32_t *bits, struct err *err)
{
    sqlite3_stmt *s;
    int64_t segments, docs, format;
    enum status st;
    *count = 0;
    *bits = 0;
    TRY(db_number_plain(t->db, 0, &format, err, "SELECT format FROM search_state"));
    if (format != INDEX_FORMAT)
        return ST_OK;
    TRY(db_number(t->db, 0, &segments, err, "SELECT count(*) FROM search_segment WHERE state = ?", INT(SEGMENT_LIVE)));
    TRY(db_number(t->db, 0, &docs, err, "SELECT sum(docs) FROM search_segment WHERE state = ?", INT(SEGMENT_LIVE)));
    *rows = arena_array(&a->arena, (size_t)segments, sizeof **rows);
    a->places = arena_array(&a->arena, (size_t)docs, sizeof *a->places);
    TRY(db_query(t->db, &s, err, "SELECT id, docs, contents FROM search_segment WHERE state = ? ORDER BY id",
                 INT(SEGMENT_LIVE)));
    while (db_row(t->db, s, &st, err)) {
        struct segment_row *row = &(*rows)[(*count)++];
        *row = (struct segment_row){column_u64(s, 0), column_u32(s, 1), *bits};
        *bits += (row->docs + 63) / 64 * 64;
        enum status added = add_places(a, row, column_span(s, 2), err);
        if (added != ST_OK) {
            db_done(s);
            return added;
        }
    }
    sort_places(a);
    return st;
}

/* ---- one field of one segment
 * ------------------------------------------------------------------------------------------ */

struct look {
    const struct segment_row *row;
    enum search_field field;
    sqlite3_stmt *s; /* at a block */
    struct segment_block block;
};

static enum status match(struct look *l, struct span pattern, uint64_t *bits, struct err *err)
{
    if (span_find(l->block.terms, pattern, 0) == SPAN_NPOS)
        return ST_OK;
    if (!l->block.postings.p)
        l->block.postings = column_span(l->s, 1);
    return segment_block_match(&l->block, pattern, bits, l->row->docs, err);
}

static enum status grade(struct look *l, struct asked *q, struct err *err)
{
    if (!l->block.postings.p)
        l->block.postings = column_span(l->s, 1);
    return segment_block_grade(&l->block, q->question.fuzzy, search_field_weight(q->question.fields, l->field),
                               q->grades, l->row->docs, err);
}

static bool is_asked(const struct asked *q, enum search_field field)
{
    return q->question.fields >> field & 1;
}

static size_t words_of(const struct look *l)
{
    return (l->row->docs + 63) / 64;
}

static enum status match_block(struct index_answer *a, struct look *l, struct err *err)
{
    for (size_t i = 0; i < a->count; i++) {
        struct asked *q = &a->asked[i];
        if (!is_asked(q, l->field))
            continue;
        if (q->question.fuzzy)
            TRY(grade(l, q, err));
        if (q->plan.whole.len)
            TRY(match(l, q->plan.whole, q->yes + l->row->base / 64, err));
        for (size_t p = 0; p < q->plan.count; p++)
            TRY(match(l, q->plan.pieces[p], q->pieces + p * words_of(l), err));
    }
    return ST_OK;
}

/* What has all pieces in this field may have the text. */
static void combine(struct index_answer *a, const struct look *l)
{
    size_t words = words_of(l);
    for (size_t i = 0; i < a->count; i++) {
        struct asked *q = &a->asked[i];
        if (!is_asked(q, l->field) || q->question.fuzzy || q->plan.is_certain)
            continue;
        uint64_t *maybe = q->maybe + l->row->base / 64;
        for (size_t w = 0; w < words; w++) {
            uint64_t all = UINT64_MAX;
            for (size_t p = 0; p < q->plan.count; p++)
                all &= q->pieces[p * words + w];
            maybe[w] |= all;
        }
        if (q->plan.count)
            memset(q->pieces, 0, q->plan.count * words * sizeof *q->pieces);
    }
}

static enum status ask_field(struct txn *t, struct index_answer *a, const struct segment_row *row,
                             enum search_field field, struct err *err)
{
    struct look l = {.row = row, .field = field};
    uint64_t first = block_id(row->id, field, 0), end = block_id(row->id, (enum search_field)(field + 1), 0);
    enum status st;
    TRY(db_query(t->db, &l.s, err, "SELECT terms, postings FROM search_block WHERE id >= ? AND id < ? ORDER BY id",
                 INT(first), INT(end)));
    while (db_row(t->db, l.s, &st, err)) {
        l.block = (struct segment_block){.field = field, .terms = column_span(l.s, 0)};
        enum status matched = match_block(a, &l, err);
        if (matched != ST_OK) {
            db_done(l.s);
            return matched;
        }
    }
    combine(a, &l);
    return st;
}

/* All fields of a segment have been looked at: what the words have come to. */
static void settle_scores(struct index_answer *a, const struct segment_row *row)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct fuzzy_query *fuzzy = a->asked[i].question.fuzzy;
        uint8_t *grades = a->asked[i].grades;
        if (!fuzzy)
            continue;
        size_t count = fuzzy_count(fuzzy);
        for (uint32_t d = 0; d < row->docs; d++)
            a->asked[i].scores[row->base + d] = (uint8_t)fuzzy_score(fuzzy, grades + d * count);
        memset(grades, 0, row->docs * count);
    }
}

/* ---- asking
 * ------------------------------------------------------------------------------------------------------------ */

static void prepare(struct index_answer *a, const struct index_question *questions, uint32_t bits)
{
    for (size_t i = 0; i < a->count; i++) {
        struct asked *q = &a->asked[i];
        q->question = questions[i];
        if (q->question.fuzzy) {
            q->scores = arena_alloc(&a->arena, bits);
            q->grades = arena_alloc(&a->arena, (bits < SEGMENT_DOCS_MAX ? bits : SEGMENT_DOCS_MAX) *
                                                   fuzzy_count(q->question.fuzzy));
            continue;
        }
        needle_plan(&a->arena, questions[i].text, &q->plan);
        q->yes = arena_array(&a->arena, bits / 64, sizeof *q->yes);
        q->maybe = arena_array(&a->arena, bits / 64, sizeof *q->maybe);
        size_t words = bits < SEGMENT_DOCS_MAX ? bits / 64 : SEGMENT_DOCS_MAX / 64;
        q->pieces = arena_array(&a->arena, q->plan.count * words, sizeof *q->pieces);
    }
}

static enum status ask(struct txn *t, struct index_answer *a, const struct index_question *questions, struct err *err)
{
    struct segment_row *rows;
    size_t count;
    uint32_t bits;
    TRY(read_segments(t, a, &rows, &count, &bits, err));
    prepare(a, questions, bits);
    unsigned fields = 0;
    for (size_t i = 0; i < a->count; i++)
        fields |= questions[i].fields;
    for (size_t i = 0; i < count; i++) {
        for (unsigned f = 0; f < SEARCH_FIELDS; f++)
            if (fields >> f & 1)
                TRY(ask_field(t, a, &rows[i], (enum search_field)f, err));
        settle_scores(a, &rows[i]);
    }
    return ST_OK;
}

enum status index_ask(struct txn *t, const struct index_question *questions, size_t count, struct index_answer **out,
                      struct err *err)
{
    AUTO(index_answer) a = mem_alloc(sizeof *a);
    a->asked = arena_array(&a->arena, count, sizeof *a->asked);
    a->count = count;
    TRY(ask(t, a, questions, err));
    *out = a;
    a = NULL;
    return ST_OK;
}

static const struct place *place_of(struct index_answer *a, content_id content)
{
    if (a->last < a->place_count && a->places[a->last].content == content)
        return &a->places[a->last];
    if (a->last + 1 < a->place_count && a->places[a->last + 1].content == content)
        return &a->places[++a->last];
    const struct place wanted = {.content = content};
    const struct place *p =
        a->place_count ? bsearch(&wanted, a->places, a->place_count, sizeof wanted, compare_places) : NULL;
    if (p)
        a->last = (size_t)(p - a->places);
    return p;
}

enum index_verdict index_verdict(struct index_answer *a, size_t question, content_id content)
{
    const struct asked *q = &a->asked[question];
    const struct place *p = place_of(a, content);
    if (!p)
        return INDEX_UNKNOWN;
    if (q->question.fuzzy && !q->scores[p->bit])
        return INDEX_NO;
    if (q->question.fuzzy)
        return q->question.is_hint ? INDEX_MAYBE : INDEX_YES;
    if (q->yes[p->bit / 64] >> (p->bit % 64) & 1)
        return q->question.is_hint ? INDEX_MAYBE : INDEX_YES;
    return q->maybe[p->bit / 64] >> (p->bit % 64) & 1 ? INDEX_MAYBE : INDEX_NO;
}

unsigned index_score(struct index_answer *a, size_t question, content_id content)
{
    const struct place *p = place_of(a, content);
    return p ? a->asked[question].scores[p->bit] : 0;
}
