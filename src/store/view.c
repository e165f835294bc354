/*
 * view.c - snapshots of mailboxes: building them from messages and from other snapshots, looking up, comparing.
 *
 * Chunks make a snapshot cheap to follow another: a commit that touches ten messages of 100,000 copies the chunks these
 * lie in and shares the rest. A chunk that shrank is joined with its neighbour when both fit in one, so that many small
 * changes do not leave many small chunks. Counts before each chunk make sequence numbers a binary search.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "store/view_internal.h"
#include "base/banned.h"

/* ---- references ----------------------------------------------------------------------------------------------- */

static void chunk_free(struct view_chunk *c)
{
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        free(c);
}

struct view *view_ref(struct view *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void view_free(struct view **vp)
{
    struct view *v = *vp;
    *vp = NULL;
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < v->chunk_count; i++)
        chunk_free(v->chunks[i]);
    free(v->chunks);
    free(v->starts);
    free(v);
}

/* ---- building ------------------------------------------------------------------------------------------------- */

static void append_chunk(struct view_build *b, struct view_chunk *c)
{
    if (b->chunk_count == b->chunk_cap) {
        b->chunk_cap = b->chunk_cap ? b->chunk_cap * 2 : 16;
        b->chunks = mem_resize(b->chunks, b->chunk_cap * sizeof(struct view_chunk *));
    }
    b->chunks[b->chunk_count++] = c;
}

static void flush_open(struct view_build *b)
{
    if (b->open)
        append_chunk(b, b->open);
    b->open = NULL;
}

void view_build_add(struct view_build *b, const struct view_message *m)
{
    if (b->open && b->open->count == VIEW_CHUNK_MESSAGES)
        flush_open(b);
    if (!b->open) {
        /* Not zeroed: a chunk is 14 KB and only its first `count` messages are ever read. */
        b->open = mem_resize(NULL, sizeof *b->open);
        atomic_init(&b->open->refs, 1);
        b->open->count = b->open->unseen = 0;
        b->open->modseq = 0;
    }
    struct view_chunk *c = b->open;
    c->messages[c->count++] = *m;
    c->unseen += !(m->flags & FLAG_SEEN);
    if (m->modseq > c->modseq)
        c->modseq = m->modseq;
}

void view_build_share(struct view_build *b, struct view_chunk *c)
{
    if (b->open && b->open->count + c->count <= VIEW_CHUNK_MESSAGES) {
        for (uint32_t i = 0; i < c->count; i++)
            view_build_add(b, &c->messages[i]);
        return;
    }
    flush_open(b);
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    append_chunk(b, c);
}

struct view *view_build_finish(struct view_build *b, uint32_t uidnext, uint64_t modseq)
{
    flush_open(b);
    struct view *v = mem_alloc(sizeof *v);
    atomic_init(&v->refs, 1);
    v->uidnext = uidnext;
    v->modseq = modseq;
    v->chunks = b->chunks;
    v->chunk_count = b->chunk_count;
    v->starts = mem_array(b->chunk_count + 1u, sizeof *v->starts);
    for (uint32_t i = 0; i < b->chunk_count; i++) {
        v->starts[i] = v->count;
        v->count += b->chunks[i]->count;
    }
    *b = (struct view_build){0};
    return v;
}

void view_build_drop(struct view_build *b)
{
    flush_open(b);
    for (uint32_t i = 0; i < b->chunk_count; i++)
        chunk_free(b->chunks[i]);
    free(b->chunks);
    *b = (struct view_build){0};
}

/* ---- looking up ----------------------------------------------------------------------------------------------- */

uint32_t view_count(const struct view *v)
{
    return v->count;
}

uint32_t view_uidnext(const struct view *v)
{
    return v->uidnext;
}

uint64_t view_modseq(const struct view *v)
{
    return v->modseq;
}

uint32_t view_chunk_of_seq(const struct view *v, uint32_t seq)
{
    uint32_t low = 0, high = v->chunk_count;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (v->starts[mid] < seq)
            low = mid;
        else
            high = mid;
    }
    return low;
}

const struct view_message *view_message(const struct view *v, uint32_t seq)
{
    if (seq == 0 || seq > v->count)
        panic("view_message: no such sequence number");
    uint32_t c = view_chunk_of_seq(v, seq);
    return &v->chunks[c]->messages[seq - 1 - v->starts[c]];
}

static uint32_t chunk_last_uid(const struct view_chunk *c)
{
    return c->messages[c->count - 1].uid;
}

uint32_t view_seq_at_or_after(const struct view *v, uint32_t uid)
{
    uint32_t low = 0, high = v->chunk_count; /* first chunk whose last uid is not below uid */
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (chunk_last_uid(v->chunks[mid]) < uid)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == v->chunk_count)
        return v->count + 1;
    const struct view_chunk *c = v->chunks[low];
    uint32_t from = 0, to = c->count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (c->messages[mid].uid < uid)
            from = mid + 1;
        else
            to = mid;
    }
    return v->starts[low] + from + 1;
}

uint32_t view_seq_of(const struct view *v, uint32_t uid)
{
    uint32_t seq = view_seq_at_or_after(v, uid);
    return seq <= v->count && view_message(v, seq)->uid == uid ? seq : 0;
}

uint32_t view_seq_changed(const struct view *v, uint32_t seq, uint64_t modseq)
{
    for (uint32_t i = seq <= v->count ? view_chunk_of_seq(v, seq) : v->chunk_count; i < v->chunk_count; i++) {
        const struct view_chunk *c = v->chunks[i];
        if (c->modseq > modseq)
            for (uint32_t at = seq > v->starts[i] ? seq - 1 - v->starts[i] : 0; at < c->count; at++)
                if (c->messages[at].modseq > modseq)
                    return v->starts[i] + at + 1;
    }
    return v->count + 1;
}

uint32_t view_last_uid(const struct view *v)
{
    return v->chunk_count ? chunk_last_uid(v->chunks[v->chunk_count - 1]) : 0;
}

uint32_t view_first_unseen(const struct view *v)
{
    for (uint32_t i = 0; i < v->chunk_count; i++) {
        const struct view_chunk *c = v->chunks[i];
        for (uint32_t j = 0; c->unseen && j < c->count; j++)
            if (!(c->messages[j].flags & FLAG_SEEN))
                return v->starts[i] + j + 1;
    }
    return 0;
}

void view_build_copy(struct view_build *b, const struct view *base, uint32_t *seq, uint32_t until)
{
    while (*seq <= base->count) {
        uint32_t i = view_chunk_of_seq(base, *seq), at = *seq - 1 - base->starts[i];
        struct view_chunk *c = base->chunks[i];
        bool is_tail = i + 1 == base->chunk_count && c->count < VIEW_CHUNK_MESSAGES && until != UINT32_MAX;
        if (at == 0 && chunk_last_uid(c) < until && !is_tail) {
            view_build_share(b, c);
            *seq += c->count;
            continue;
        }
        /* Part of a chunk, or the last one, which new messages will go on filling. */
        for (; at < c->count; at++, ++*seq) {
            if (c->messages[at].uid >= until)
                return;
            view_build_add(b, &c->messages[at]);
        }
    }
}

/* ---- comparing ------------------------------------------------------------------------------------------------ */

struct cursor {
    const struct view *v;
    uint32_t chunk, at;
};

static const struct view_message *cursor_message(const struct cursor *c)
{
    return c->chunk < c->v->chunk_count ? &c->v->chunks[c->chunk]->messages[c->at] : NULL;
}

static void cursor_next(struct cursor *c)
{
    if (++c->at == c->v->chunks[c->chunk]->count) {
        c->chunk++;
        c->at = 0;
    }
}

/* Steps over chunks that both views share. */
static void skip_shared(struct cursor *a, struct cursor *b)
{
    while (a->at == 0 && b->at == 0 && a->chunk < a->v->chunk_count && b->chunk < b->v->chunk_count &&
           a->v->chunks[a->chunk] == b->v->chunks[b->chunk]) {
        a->chunk++;
        b->chunk++;
    }
}

void view_diff(struct arena *a, const struct view *from, const struct view *to, struct view_diff *out)
{
    *out = (struct view_diff){seqset_new(a), seqset_new(a), seqset_new(a), seqset_new(a)};
    struct cursor old = {from, 0, 0}, new = {to, 0, 0};
    if (from == to)
        return;
    for (;;) {
        skip_shared(&old, &new);
        const struct view_message *o = cursor_message(&old), *n = cursor_message(&new);
        if (!o && !n)
            return;
        if (o && (!n || o->uid < n->uid)) {
            uint32_t seq = from->starts[old.chunk] + old.at + 1;
            seqset_add(a, out->expunged_uids, o->uid, o->uid);
            seqset_add(a, out->expunged_seqs, seq, seq);
            cursor_next(&old);
        } else if (!o || n->uid < o->uid) {
            seqset_add(a, out->added_uids, n->uid, n->uid);
            cursor_next(&new);
        } else {
            if (o->modseq != n->modseq)
                seqset_add(a, out->changed_uids, n->uid, n->uid);
            cursor_next(&old);
            cursor_next(&new);
        }
    }
}

/* ---- resolving ------------------------------------------------------------------------------------------------ */

/* Adds the uids of sequence numbers first..last; a chunk without gaps is one range. */
static void add_uids(struct arena *a, const struct view *v, uint32_t first, uint32_t last, struct seqset *out)
{
    for (uint32_t i = first <= last ? view_chunk_of_seq(v, first) : 0; first <= last; i++) {
        const struct view_chunk *c = v->chunks[i];
        uint32_t at = first - 1 - v->starts[i];
        uint32_t end = last - v->starts[i] < c->count ? last - v->starts[i] : c->count; /* not included */
        uint32_t low = c->messages[at].uid, high = c->messages[end - 1].uid;
        if (high - low == end - 1 - at) {
            seqset_add(a, out, low, high);
        } else {
            for (uint32_t j = at; j < end; j++)
                seqset_add(a, out, c->messages[j].uid, c->messages[j].uid);
        }
        first += end - at;
    }
}

struct seqset *view_resolve(struct arena *a, const struct view *v, const struct seqset *set, bool is_uid)
{
    struct seqset *out = seqset_new(a);
    for (size_t i = 0; i < set->count; i++) {
        uint32_t first = set->ranges[i].first, last = set->ranges[i].last;
        if (is_uid) {
            first = view_seq_at_or_after(v, first);
            last = last == UINT32_MAX ? v->count : view_seq_at_or_after(v, last + 1) - 1;
        } else if (last > v->count) {
            last = v->count;
        }
        if (first >= 1 && first <= last)
            add_uids(a, v, first, last, out);
    }
    return out;
}
