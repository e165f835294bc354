/*
 * mime_pack.c - the table of parts as bytes, for the store.
 *
 *   octet    version, 1
 *   number   count of parts
 *   each     number parent, octet kind + 4 * encoding, number gap, number header_size, number body_size,
 *            number body_lines, text type, text subtype, text charset
 *
 * A number is little-endian base 128, the high bit on all octets but the last. A text is its length and its octets. The
 * gap is the distance from the octet where the part could begin at the earliest: behind the sibling before it, or where
 * the parent's body begins. Where a header ends its body begins. What can be derived (siblings, children, depth)
 * is derived, so that a table read back is sound: that is all that mime_unpack() has to check.
 */
#include "text/mime.h"
#include "base/banned.h"

enum { PACK_VERSION = 1, OFFSET_BITS_MAX = 56 };

static void number_add(struct strbuf *out, uint64_t v)
{
    char b[10];
    size_t n = 0;
    while (v >= 0x80) {
        b[n++] = (char)(v | 0x80);
        v >>= 7;
    }
    b[n++] = (char)v;
    strbuf_add_bytes(out, b, n);
}

static void text_add(struct strbuf *out, struct span s)
{
    number_add(out, s.len);
    strbuf_add(out, s);
}

static uint64_t part_end(const struct mime_part *p)
{
    return p->body_offset + p->body_size;
}

void mime_pack(const struct mime_message *m, struct strbuf *out)
{
    strbuf_add_char(out, PACK_VERSION);
    number_add(out, m->count);
    uint64_t earliest[MIME_DEPTH_MAX + 2] = {0}; /* by depth: where the next part of that depth could begin */
    for (size_t i = 0; i < m->count; i++) {
        const struct mime_part *p = &m->parts[i];
        number_add(out, p->parent);
        strbuf_add_char(out, (char)(p->kind + 4 * p->encoding));
        number_add(out, p->header_offset - earliest[p->depth]);
        number_add(out, p->header_size);
        number_add(out, p->body_size);
        number_add(out, p->body_lines);
        text_add(out, p->type);
        text_add(out, p->subtype);
        text_add(out, p->charset);
        earliest[p->depth] = part_end(p);
        earliest[p->depth + 1] = p->body_offset;
    }
}

/* The readers take from the front of *in; false at its end or beyond `max`. */
static bool number_take(struct span *in, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < OFFSET_BITS_MAX + 7 && in->len > 0; shift += 7) {
        unsigned char c = (unsigned char)in->p[0];
        *in = span_skip(*in, 1);
        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *out = v;
            return v <= max;
        }
    }
    return false;
}

static bool text_take(struct span *in, size_t max, struct span *out)
{
    uint64_t len;
    if (!number_take(in, max, &len) || len > in->len)
        return false;
    *out = span_take(*in, (size_t)len);
    *in = span_skip(*in, (size_t)len);
    return true;
}

/* IMAP's grammar has a form of its own for each kind (RFC 3501 §7.4.2), so the kind must be that of the type. */
static bool kind_fits(const struct mime_part *p)
{
    bool is_message = span_eq(p->type, SPAN("message")) &&
                      (span_eq(p->subtype, SPAN("rfc822")) || span_eq(p->subtype, SPAN("global")));
    enum mime_kind kind = span_eq(p->type, SPAN("multipart")) ? MIME_MULTIPART : is_message ? MIME_MESSAGE : MIME_LEAF;
    return p->kind == kind && p->encoding <= (kind == MIME_LEAF ? MIME_UNKNOWN : MIME_BINARY);
}

static bool part_take(struct span *in, size_t index, uint64_t *gap, struct mime_part *p)
{
    const uint64_t offset_max = (uint64_t)1 << OFFSET_BITS_MAX;
    uint64_t parent, kinds, lines;
    if (!number_take(in, index > 0 ? index - 1 : 0, &parent) || !number_take(in, 0x7f, &kinds) ||
        !number_take(in, offset_max, gap) || !number_take(in, offset_max, &p->header_size) ||
        !number_take(in, offset_max, &p->body_size) || !number_take(in, UINT32_MAX, &lines) ||
        !text_take(in, MIME_TYPE_MAX, &p->type) || !text_take(in, MIME_TYPE_MAX, &p->subtype) ||
        !text_take(in, MIME_CHARSET_MAX, &p->charset))
        return false;
    p->parent = (uint32_t)parent;
    p->kind = kinds & 3;
    p->encoding = (uint8_t)(kinds >> 2);
    p->body_lines = (uint32_t)lines;
    return kind_fits(p) && p->type.len > 0 && p->subtype.len > 0;
}

struct path { /* while unpacking: the last part of each depth, and where the next could begin */
    uint32_t last[MIME_DEPTH_MAX + 2];
    uint64_t earliest[MIME_DEPTH_MAX + 2];
    uint16_t depth; /* of the part before */
};

/* Hangs part i in the tree: its parent must be open, of a kind that has children, and hold it wholly. */
static bool part_link(struct mime_part *parts, uint32_t i, uint64_t gap, struct path *path)
{
    struct mime_part *p = &parts[i], *parent = &parts[p->parent];
    if (i > 0) {
        bool is_first = parent->first_child == 0;
        if (parent->kind == MIME_LEAF || (parent->kind == MIME_MESSAGE && !is_first) ||
            parent->depth >= MIME_DEPTH_MAX || parent->depth > path->depth || path->last[parent->depth] != p->parent)
            return false;
        p->depth = (uint16_t)(parent->depth + 1);
        if (is_first)
            parent->first_child = i;
        else
            parts[path->last[p->depth]].next_sibling = i;
    }
    p->header_offset = path->earliest[p->depth] + gap;
    p->body_offset = p->header_offset + p->header_size;
    if (i > 0 && part_end(p) > part_end(parent))
        return false;
    path->depth = p->depth;
    path->last[p->depth] = i;
    path->earliest[p->depth] = part_end(p);
    path->earliest[p->depth + 1] = p->body_offset;
    return true;
}

enum status mime_unpack(struct arena *a, struct span packed, struct mime_message *out, struct err *err)
{
    struct span in = arena_copy(a, packed);
    uint64_t version, count;
    if (!number_take(&in, 0x7f, &version) || version != PACK_VERSION)
        return err_set(err, ST_SYNTAX, "stored message structure: unknown version");
    if (!number_take(&in, MIME_PARTS_MAX, &count) || count == 0)
        return err_set(err, ST_SYNTAX, "stored message structure: bad number of parts");

    struct path path = {0};
    struct mime_part *parts = arena_array(a, (size_t)count, sizeof *parts);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t gap;
        if (!part_take(&in, i, &gap, &parts[i]) || !part_link(parts, i, gap, &path))
            return err_set(err, ST_SYNTAX, "stored message structure: bad part %u", (unsigned)i);
    }
    for (uint32_t i = 0; i < count; i++)
        if (parts[i].kind == MIME_MESSAGE && parts[i].first_child == 0)
            return err_set(err, ST_SYNTAX, "stored message structure: part %u is empty", (unsigned)i);
    if (in.len > 0)
        return err_set(err, ST_SYNTAX, "stored message structure: too long");
    out->parts = parts;
    out->count = (size_t)count;
    return ST_OK;
}
