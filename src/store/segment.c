/*
 * segment.c - see segment.h: blocks, their lines and lists.
 */
#include "store/segment.h"
#include <string.h>
#include "base/banned.h"

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

void varint_add(struct strbuf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        strbuf_add_char(out, (char)(v | 0x80));
    strbuf_add_char(out, (char)v);
}

bool varint_take(struct span *in, uint64_t *v)
{
    *v = 0;
    for (unsigned i = 0, shift = 0; i < in->len && shift < 64; i++, shift += 7) {
        uint64_t c = (unsigned char)in->p[i];
        *v |= (c & 0x7f) << shift;
        if (c < 0x80) {
            *in = span_skip(*in, i + 1);
            return true;
        }
    }
    return false;
}

/* ---- writing ------------------------------------------------------------------------------------------------------
 */

static enum status flush_block(struct segment_writer *w, struct err *err)
{
    if (!w->terms.len)
        return ST_OK;
    const struct segment_block block = {w->field, strbuf_span(&w->terms), strbuf_span(&w->postings)};
    TRY(w->sink(w->context, &block, err));
    strbuf_clear(&w->terms);
    strbuf_clear(&w->postings);
    return ST_OK;
}

enum status segment_writer_term(struct segment_writer *w, enum search_field field, struct span term,
                                const uint32_t *docs, size_t count, struct err *err)
{
    bool is_full = w->terms.len + term.len > SEGMENT_BLOCK_BYTES || w->postings.len > SEGMENT_BLOCK_BYTES;
    if (field != w->field || is_full)
        TRY(flush_block(w, err));
    w->field = field;
    if (!w->terms.len)
        strbuf_add_char(&w->terms, '\n');
    strbuf_add(&w->terms, term);
    strbuf_add_char(&w->terms, '\n');
    strbuf_clear(&w->list);
    for (size_t i = 0; i < count; i++)
        varint_add(&w->list, i ? docs[i] - docs[i - 1] : docs[i]);
    varint_add(&w->postings, w->list.len);
    strbuf_add(&w->postings, strbuf_span(&w->list));
    return ST_OK;
}

void segment_writer_free(struct segment_writer *w)
{
    strbuf_free(&w->terms);
    strbuf_free(&w->postings);
    strbuf_free(&w->list);
}

enum status segment_writer_end(struct segment_writer *w, struct err *err)
{
    enum status st = flush_block(w, err);
    segment_writer_free(w);
    return st;
}

/* ---- reading ------------------------------------------------------------------------------------------------------
 */

static enum status damaged(struct err *err)
{
    return err_set_operator(err, ST_IO, "internal error, try again later",
                            "a block of the search index is damaged; tassis index rebuild makes the index anew");
}

void segment_reader_init(struct segment_reader *r, const struct segment_block *block)
{
    *r = (struct segment_reader){.terms = span_skip(block->terms, 1), .postings = block->postings};
}

static bool take_list(struct span *postings, struct span *list)
{
    uint64_t len;
    if (!varint_take(postings, &len) || len == 0 || len > postings->len)
        return false;
    *list = span_take(*postings, (size_t)len);
    *postings = span_skip(*postings, (size_t)len);
    return true;
}

bool segment_reader_next(struct segment_reader *r, bool *is_damaged)
{
    *is_damaged = false;
    if (!r->terms.len && !r->postings.len)
        return false;
    *is_damaged = !r->terms.len || !span_cut(&r->terms, '\n', &r->term) || !take_list(&r->postings, &r->list);
    return !*is_damaged;
}

bool segment_list_next(struct span *list, bool *is_first, uint32_t *doc)
{
    uint64_t v;
    if (!varint_take(list, &v))
        return false;
    *doc = *is_first ? (uint32_t)v : *doc + (uint32_t)v;
    *is_first = false;
    return true;
}

/* The list of line `index`, from the one that *at stands behind. */
static bool seek_list(struct span *postings, size_t *at, size_t index, struct span *list)
{
    for (; *at <= index; ++*at)
        if (!take_list(postings, list))
            return false;
    return true;
}

static size_t count_lines(const char *p, size_t n)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n';
    return lines;
}

static bool set_bits(struct span list, uint64_t *bits, uint32_t docs)
{
    bool is_first = true;
    uint32_t doc = 0;
    while (list.len) {
        if (!segment_list_next(&list, &is_first, &doc) || doc >= docs)
            return false;
        bits[doc / 64] |= 1ULL << (doc % 64);
    }
    return true;
}

enum status segment_block_match(const struct segment_block *block, struct span pattern, uint64_t *bits, uint32_t docs,
                                struct err *err)
{
    struct span postings = block->postings, list = SPAN_NONE, terms = block->terms;
    size_t lists = 0, lines = 0, counted = 0;
    for (size_t from = 0, hit; (hit = span_find(terms, pattern, from)) != SPAN_NPOS;) {
        size_t inside = hit + (pattern.p[0] == '\n'); /* the term's line is the one that this octet is in */
        size_t end = span_find_byte(terms, '\n', inside);
        if (end == SPAN_NPOS || inside == 0)
            return damaged(err);
        lines += count_lines(terms.p + counted, inside - counted);
        counted = inside;
        if (!seek_list(&postings, &lists, lines - 1, &list) || !set_bits(list, bits, docs))
            return damaged(err);
        from = end; /* its "\n" begins the next line */
    }
    return ST_OK;
}

/* ---- grades --------------------------------------------------------------------------------------------------------
 */

static bool raise_grades(struct span list, const uint8_t *by, size_t count, uint8_t *grades, uint32_t docs)
{
    bool is_first = true;
    uint32_t doc = 0;
    while (list.len) {
        if (!segment_list_next(&list, &is_first, &doc) || doc >= docs)
            return false;
        uint8_t *of_doc = grades + (size_t)doc * count;
        for (size_t i = 0; i < count; i++)
            if (by[i] > of_doc[i])
                of_doc[i] = by[i];
    }
    return true;
}

enum status segment_block_grade(const struct segment_block *block, const struct fuzzy_query *q, unsigned weight,
                                uint8_t *grades, uint32_t docs, struct err *err)
{
    struct segment_reader r;
    bool is_damaged;
    segment_reader_init(&r, block);
    while (segment_reader_next(&r, &is_damaged)) {
        uint8_t by[FUZZY_PROBES_MAX] = {0};
        if (fuzzy_grade(q, r.term, weight, by) && !raise_grades(r.list, by, fuzzy_count(q), grades, docs))
            return damaged(err);
    }
    return is_damaged ? damaged(err) : ST_OK;
}
