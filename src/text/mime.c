/*
 * mime.c - the walk over a message that finds its parts (RFC 2046 §5.1, RFC 5322 §2.1).
 *
 * One walk, line by line, from the first octet to the last. What is open at any moment is a path in the tree of parts:
 * `current` and its ancestors. The multiparts among them are frames on a stack that MIME_DEPTH_MAX bounds; a line that
 * begins with "--" is looked up among the boundaries of all frames, because an outer delimiter ends whatever is open
 * inside (RFC 2046 §5.1.2). The lookup hashes the line's beginnings once, so that its price is the length of
 * the line and not that times the depth. A line ends with LF; the CR before it belongs to the line end. That is how
 * bare LF in stored messages is understood.
 *
 * The line end before a delimiter belongs to the delimiter. A part that is closed there ends before it, but never
 * before it began.
 */
#include "text/mime.h"
#include <stdlib.h>
#include "base/mem.h"
#include "text/mime_type.h"
#include "base/banned.h"

enum {
    NO_FRAME = 0xff,
    BUCKETS = 256,
    SCRATCH_MAX = 1 << 16, /* octets after which the scratch memory is given back */
    PARTS_AT_FIRST = 8,
};
_Static_assert((int)MIME_DEPTH_MAX < (int)NO_FRAME, "frame numbers are octets");

/* An open multipart. Frames of one hash bucket are chained from the innermost outward. */
struct frame {
    uint32_t part;
    uint32_t hash;
    size_t boundary_at; /* in walk.boundaries */
    uint8_t boundary_len;
    uint8_t outer_in_bucket;
    bool is_done; /* its close delimiter was seen: what follows is epilogue */
};

struct walk {
    struct arena *arena;
    struct arena scratch;
    struct span message;
    struct mime_part *parts;
    uint32_t *last_child; /* beside parts: where to hang the next sibling */
    size_t count, room;
    uint32_t current; /* innermost open part */
    bool is_in_header;
    uint32_t lines; /* line ends before the line at hand */
    struct frame frames[MIME_DEPTH_MAX];
    size_t depth; /* frames open */
    struct strbuf boundaries;
    uint8_t buckets[BUCKETS];
};

/* FNV-1a, one octet further. */
static uint32_t hash_step(uint32_t h, char c)
{
    return (h ^ (unsigned char)c) * 16777619u;
}
#define HASH_START 2166136261u

static void frame_push(struct walk *w, uint32_t part, struct span boundary)
{
    uint32_t h = HASH_START;
    for (size_t i = 0; i < boundary.len; i++)
        h = hash_step(h, boundary.p[i]);
    uint8_t *bucket = &w->buckets[h % BUCKETS];
    w->frames[w->depth] = (struct frame){.part = part,
                                         .hash = h,
                                         .boundary_at = w->boundaries.len,
                                         .boundary_len = (uint8_t)boundary.len,
                                         .outer_in_bucket = *bucket};
    *bucket = (uint8_t)w->depth++;
    strbuf_add(&w->boundaries, boundary);
}

static void frame_pop(struct walk *w)
{
    struct frame *f = &w->frames[--w->depth];
    w->buckets[f->hash % BUCKETS] = f->outer_in_bucket; /* frames leave in the reverse order of their coming */
    strbuf_truncate(&w->boundaries, f->boundary_at);
}

/* The frame whose boundary the text begins with; of several the longest, of equal ones the innermost. "An exact match
 * of the entire candidate line is not required" (RFC 2046 §5.1.2); the longest wins because one boundary may begin with
 * another. */
static uint8_t frame_find(const struct walk *w, struct span text)
{
    uint8_t found = NO_FRAME;
    uint32_t h = HASH_START;
    for (size_t i = 0; i < text.len && i < MIME_BOUNDARY_MAX; i++) {
        h = hash_step(h, text.p[i]);
        for (uint8_t n = w->buckets[h % BUCKETS]; n != NO_FRAME; n = w->frames[n].outer_in_bucket) {
            const struct frame *f = &w->frames[n];
            if (f->hash == h && f->boundary_len == i + 1 &&
                memcmp(w->boundaries.p + f->boundary_at, text.p, i + 1) == 0) {
                found = n;
                break;
            }
        }
    }
    return found;
}

/* A new part below `parent` that begins with its header at `offset`; becomes current. */
static void part_open(struct walk *w, uint32_t parent, size_t offset)
{
    if (w->count == w->room) {
        w->room = w->room ? w->room * 4 : PARTS_AT_FIRST;
        w->parts = mem_resize(w->parts, w->room * sizeof *w->parts);
        w->last_child = mem_resize(w->last_child, w->room * sizeof *w->last_child);
    }
    uint32_t n = (uint32_t)w->count++;
    w->parts[n] = (struct mime_part){.parent = parent, .header_offset = offset};
    w->last_child[n] = 0;
    if (n != 0) {
        w->parts[n].depth = (uint16_t)(w->parts[parent].depth + 1);
        if (w->last_child[parent])
            w->parts[w->last_child[parent]].next_sibling = n;
        else
            w->parts[parent].first_child = n;
        w->last_child[parent] = n;
    }
    w->current = n;
    w->is_in_header = true;
}

/* The header of the current part ends before `end`, where `lines` line ends have passed: what is it? */
static void header_end(struct walk *w, size_t end, uint32_t lines)
{
    struct mime_part *p = &w->parts[w->current];
    p->header_size = end - p->header_offset;
    p->body_offset = end;
    p->body_lines = lines; /* until the part is closed: where it began */
    w->is_in_header = false;

    const struct mime_part *parent = &w->parts[p->parent];
    bool is_in_digest = w->current != 0 && parent->kind == MIME_MULTIPART && span_eq(parent->subtype, SPAN("digest"));
    struct span boundary;
    mime_part_describe(w->arena, &w->scratch, span_slice(w->message, p->header_offset, end), is_in_digest, p,
                       &boundary);

    if (p->kind != MIME_LEAF && (p->depth >= MIME_DEPTH_MAX || (p->kind == MIME_MESSAGE && w->count == MIME_PARTS_MAX)))
        mime_part_make_leaf(p, SPAN("application"), SPAN("octet-stream"));
    if (p->kind == MIME_MULTIPART)
        frame_push(w, w->current, boundary);
    else if (p->kind == MIME_MESSAGE)
        part_open(w, w->current, end);
    if (w->scratch.total > SCRATCH_MAX)
        arena_free(&w->scratch);
}

/* Everything that is open inside `until` ends before `end`, where `lines` line ends have passed; but nothing ends
 * before it began, nor before what it contains: where a delimiter follows an empty line at once, its line end is the
 * empty line's. */
static void parts_close(struct walk *w, uint32_t until, size_t end, uint32_t lines)
{
    while (w->is_in_header) { /* no empty line came; a second time for the message in a message/rfc822 part */
        size_t start = w->parts[w->current].header_offset;
        if (end < start) {
            end = start;
            lines++;
        }
        header_end(w, end, lines);
    }
    for (uint32_t n = w->current; n != until; n = w->parts[n].parent) {
        struct mime_part *p = &w->parts[n];
        if (end < p->body_offset) {
            end = p->body_offset;
            lines = p->body_lines;
        }
        p->body_size = end - p->body_offset;
        p->body_lines = lines - p->body_lines;
    }
    w->current = until;
}

/* The line [at, end) begins with "--". True where it is a delimiter; the parts are then closed and opened. */
static bool delimiter(struct walk *w, size_t at, size_t end)
{
    uint8_t n = frame_find(w, span_slice(w->message, at + 2, end));
    if (n == NO_FRAME)
        return false;
    struct frame *f = &w->frames[n];
    if (f->is_done)
        return true; /* a straggler in the epilogue; nothing is open inside */

    size_t before = at;
    uint32_t lines = w->lines;
    if (before > 0) {
        before--; /* the line end belongs to the delimiter */
        lines--;
        if (before > 0 && w->message.p[before - 1] == '\r')
            before--;
    }
    parts_close(w, f->part, before, lines);
    while (w->depth > (size_t)n + 1)
        frame_pop(w);
    struct span rest = span_slice(w->message, at + 2 + f->boundary_len, end);
    if (span_starts(rest, SPAN("--")))
        f->is_done = true;
    else if (w->count < MIME_PARTS_MAX)
        part_open(w, f->part, end);
    return true;
}

static bool is_blank(struct span message, size_t at, size_t end)
{
    return message.p[at] == '\n' || (message.p[at] == '\r' && end - at == 2 && message.p[at + 1] == '\n');
}

static void walk_lines(struct walk *w)
{
    const struct span m = w->message;
    for (size_t at = 0, end; at < m.len; at = end) {
        const char *lf = memchr(m.p + at, '\n', m.len - at);
        end = lf ? (size_t)(lf - m.p) + 1 : m.len;
        bool is_delimiter =
            w->depth > 0 && end - at > 2 && m.p[at] == '-' && m.p[at + 1] == '-' && delimiter(w, at, end);
        if (!is_delimiter && w->is_in_header && is_blank(m, at, end))
            header_end(w, end, w->lines + 1);
        if (lf)
            w->lines++;
    }
}

void mime_parse(struct arena *a, struct span message, struct mime_message *out)
{
    struct walk w = {.arena = a, .scratch = ARENA_INIT, .message = message};
    memset(w.buckets, NO_FRAME, sizeof w.buckets);
    part_open(&w, 0, 0);
    walk_lines(&w);
    parts_close(&w, 0, message.len, w.lines);
    w.parts[0].body_size = message.len - w.parts[0].body_offset;
    w.parts[0].body_lines = w.lines - w.parts[0].body_lines;

    out->count = w.count;
    out->parts = arena_array(a, w.count, sizeof *w.parts);
    memcpy(out->parts, w.parts, w.count * sizeof *w.parts);
    free(w.parts);
    free(w.last_child);
    strbuf_free(&w.boundaries);
    arena_free(&w.scratch);
}
