/*
 * seqset.c - see seqset.h. Ranges in ascending order, which is what clients send, cost a comparison each; anything else
 * is sorted once after parsing.
 */
#include "text/seqset.h"
#include <stdlib.h>
#include "base/banned.h"

struct seqset *seqset_new(struct arena *a)
{
    return arena_alloc(a, sizeof(struct seqset));
}

static void grow(struct arena *a, struct seqset *s)
{
    if (s->ranges && s->count < s->cap)
        return;
    size_t cap = s->cap ? s->cap * 2 : 8;
    struct seqrange *ranges = arena_array(a, cap, sizeof *ranges);
    if (s->ranges)
        memcpy(ranges, s->ranges, s->count * sizeof *ranges);
    s->ranges = ranges;
    s->cap = cap;
}

/* Index of the first range that ends at or behind n. */
static size_t lower_bound(const struct seqset *s, uint64_t n)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->ranges[middle].last < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void seqset_add(struct arena *a, struct seqset *s, uint32_t first, uint32_t last)
{
    struct seqrange *end = s->count ? &s->ranges[s->count - 1] : NULL;
    if (!end || (uint64_t)end->last + 1 < first) {
        grow(a, s);
        s->ranges[s->count++] = (struct seqrange){first, last};
        return;
    }
    if (first >= end->first) {
        if (last > end->last)
            end->last = last;
        return;
    }
    /* Ranges from..to-1 touch the new one and are taken into it. */
    size_t from = lower_bound(s, first ? first - 1 : 0), to = from;
    for (; to < s->count && s->ranges[to].first <= (uint64_t)last + 1; to++) {
        if (s->ranges[to].first < first)
            first = s->ranges[to].first;
        if (s->ranges[to].last > last)
            last = s->ranges[to].last;
    }
    if (from == to) {
        grow(a, s);
        memmove(s->ranges + from + 1, s->ranges + from, (s->count - from) * sizeof *s->ranges);
        s->count++;
    } else if (to - from > 1) {
        memmove(s->ranges + from + 1, s->ranges + to, (s->count - to) * sizeof *s->ranges);
        s->count -= to - from - 1;
    }
    s->ranges[from] = (struct seqrange){first, last};
}

/* seq-number = nz-number / "*". *n is 0 for the "*" of an empty mailbox. */
static bool number_parse(struct span text, uint32_t last, uint32_t *n)
{
    if (span_eq(text, SPAN("*"))) {
        *n = last;
        return true;
    }
    uint64_t value;
    if (!text.len || text.p[0] == '0' || !span_to_u64(text, UINT32_MAX, &value))
        return false;
    *n = (uint32_t)value;
    return true;
}

static int by_first(const void *x, const void *y)
{
    const struct seqrange *a = x, *b = y;
    return a->first < b->first ? -1 : a->first > b->first;
}

/* Sorts and joins what parsing has put down in the client's order. */
static void normalise(struct seqset *s)
{
    qsort(s->ranges, s->count, sizeof *s->ranges, by_first);
    size_t kept = 0;
    for (size_t i = 1; i < s->count; i++) {
        struct seqrange *to = &s->ranges[kept], *from = &s->ranges[i];
        if (from->first > (uint64_t)to->last + 1)
            s->ranges[++kept] = *from;
        else if (from->last > to->last)
            to->last = from->last;
    }
    s->count = kept + 1;
}

enum status seqset_parse(struct arena *a, struct span text, uint32_t last, struct seqset **out, struct err *err)
{
    struct seqset *s = seqset_new(a);
    size_t items = 0;
    bool is_sorted = true;
    for (bool is_more = true; is_more;) {
        struct span item, first_text;
        is_more = span_cut(&text, ',', &item);
        bool is_range = span_cut(&item, ':', &first_text);
        uint32_t first, second;
        if (!number_parse(first_text, last, &first))
            return err_set(err, ST_SYNTAX, "invalid sequence set");
        second = first;
        if (is_range && !number_parse(item, last, &second))
            return err_set(err, ST_SYNTAX, "invalid sequence set");
        if (++items > SEQSET_RANGES_MAX)
            return err_set(err, ST_LIMIT, "too many ranges in a sequence set");
        if (first == 0 || second == 0)
            continue;
        if (first > second) {
            uint32_t swap = first;
            first = second;
            second = swap;
        }
        grow(a, s);
        is_sorted = is_sorted && (s->count == 0 || (uint64_t)s->ranges[s->count - 1].last + 1 < first);
        s->ranges[s->count++] = (struct seqrange){first, second};
    }
    if (!is_sorted)
        normalise(s);
    *out = s;
    return ST_OK;
}

struct seqset *seqset_both(struct arena *a, const struct seqset *x, const struct seqset *y)
{
    struct seqset *out = seqset_new(a);
    for (size_t i = 0, j = 0; i < x->count && j < y->count;) {
        struct seqrange p = x->ranges[i], q = y->ranges[j];
        uint32_t first = p.first > q.first ? p.first : q.first, last = p.last < q.last ? p.last : q.last;
        if (first <= last)
            seqset_add(a, out, first, last);
        if (p.last <= q.last)
            i++;
        if (q.last <= p.last)
            j++;
    }
    return out;
}

struct seqset *seqset_part(struct arena *a, const struct seqset *s, uint64_t from, uint64_t to)
{
    struct seqset *out = seqset_new(a);
    uint64_t before = 0; /* numbers in front of range i */
    for (size_t i = 0; i < s->count && before < to; i++) {
        struct seqrange r = s->ranges[i];
        uint64_t end = before + (r.last - r.first) + 1;
        if (end > from) {
            uint32_t first = from > before ? r.first + (uint32_t)(from - before) : r.first;
            uint32_t last = to < end ? r.first + (uint32_t)(to - before) - 1 : r.last;
            seqset_add(a, out, first, last);
        }
        before = end;
    }
    return out;
}

bool seqset_has(const struct seqset *s, uint32_t n)
{
    size_t i = lower_bound(s, n);
    return i < s->count && s->ranges[i].first <= n;
}

uint64_t seqset_count(const struct seqset *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->count; i++)
        sum += (uint64_t)s->ranges[i].last - s->ranges[i].first + 1;
    return sum;
}

void seqset_write(const struct seqset *s, struct strbuf *out)
{
    for (size_t i = 0; i < s->count; i++) {
        if (i)
            strbuf_add_char(out, ',');
        strbuf_add_u64(out, s->ranges[i].first);
        if (s->ranges[i].last != s->ranges[i].first) {
            strbuf_add_char(out, ':');
            strbuf_add_u64(out, s->ranges[i].last);
        }
    }
}
