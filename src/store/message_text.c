/*
 * message_text.c - see message_text.h.
 */
#include "store/message_text.h"
#include "text/charset.h"
#include "text/mime.h"
#include "base/banned.h"

/* ---- headers ------------------------------------------------------------------------------------------------- */

void text_add_header(struct span block, enum comparator form, struct strbuf *out)
{
    struct header_field f;
    for (size_t at = 0; header_next(block, &at, &f);) {
        AUTO_ARENA a = ARENA_INIT;
        comparator_fold(form, f.name, out);
        strbuf_add_cstr(out, ": ");
        comparator_fold(form, header_decode(&a, f.value), out);
        strbuf_add_char(out, '\n');
    }
}

void text_add_fields(struct span block, struct span name, enum comparator form, struct strbuf *out)
{
    struct header_field f;
    for (size_t at = 0; header_next(block, &at, &f);) {
        if (!span_ieq(f.name, name))
            continue;
        AUTO_ARENA a = ARENA_INIT;
        comparator_fold(form, header_decode(&a, f.value), out);
        strbuf_add_char(out, '\n');
    }
}

/* ---- octets -------------------------------------------------------------------------------------------------- */

void text_source_clear(struct text_source *s)
{
    strbuf_clear(&s->octets);
}

void text_source_free(struct text_source *s)
{
    strbuf_free(&s->octets);
    strbuf_free(&s->part);
}

/* Octets from..from+size of the message, at most `max` of them; valid until the next call. */
static enum status octets(struct text_source *s, uint64_t from, uint64_t size, uint64_t max, struct span *out,
                          struct err *err)
{
    if (size > max)
        size = max;
    if (s->size <= TEXT_WHOLE_BYTES && s->octets.len < s->size) {
        strbuf_clear(&s->octets);
        TRY(content_read(s->txn, s->content, 0, s->size, &s->octets, err));
        s->bytes_read += s->size;
    }
    if (from + size <= s->octets.len) {
        *out = span_slice(strbuf_span(&s->octets), (size_t)from, (size_t)(from + size));
        return ST_OK;
    }
    strbuf_clear(&s->part);
    TRY(content_read(s->txn, s->content, from, size, &s->part, err));
    s->bytes_read += size;
    *out = strbuf_span(&s->part);
    return ST_OK;
}

enum status text_source_header(struct text_source *s, struct span *block, struct err *err)
{
    uint64_t size = s->header_size < TEXT_HEADER_BYTES_MAX ? s->header_size : TEXT_HEADER_BYTES_MAX;
    if (s->octets.len < size) {
        strbuf_clear(&s->octets);
        TRY(content_read(s->txn, s->content, 0, size, &s->octets, err));
        s->bytes_read += size;
    }
    *block = span_take(strbuf_span(&s->octets), (size_t)size);
    return ST_OK;
}

/* ---- bodies -------------------------------------------------------------------------------------------------- */

/* Decodes a text part that has been read alone: a table of one part whose body is all there is. */
static void add_text_part(const struct mime_part *part, struct span octets_of, size_t room, enum comparator form,
                          struct strbuf *out)
{
    AUTO_STRBUF utf8 = STRBUF_INIT, text = STRBUF_INIT;
    struct mime_part alone = *part;
    struct mime_message m = {&alone, 1};
    alone.body_offset = 0;
    alone.body_size = octets_of.len;
    mime_decode_part(&m, 0, octets_of, true, room, &utf8);
    bool is_html = span_eq(part->subtype, SPAN("html"));
    if (is_html)
        html_to_text(strbuf_span(&utf8), &text);
    comparator_fold(form, strbuf_span(is_html ? &text : &utf8), out);
    strbuf_add_char(out, '\n');
}

static enum status add_part(struct text_source *s, const struct mime_part *part, bool is_embedded, size_t room,
                            enum comparator form, struct strbuf *out, struct err *err)
{
    struct span piece;
    if (is_embedded) {
        TRY(octets(s, part->header_offset, part->header_size, TEXT_HEADER_BYTES_MAX, &piece, err));
        text_add_header(piece, form, out);
    }
    if (part->kind != MIME_LEAF || !span_eq(part->type, SPAN("text")))
        return ST_OK;
    TRY(octets(s, part->body_offset, part->body_size, TEXT_PART_BYTES_MAX, &piece, err));
    add_text_part(part, piece, room, form, out);
    return ST_OK;
}

enum status text_add_bodies(struct text_source *s, enum comparator form, struct strbuf *out, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct mime_message m;
    size_t before = out->len;
    TRY(mime_unpack(&a, s->parts, &m, err));
    for (size_t i = 0; i < m.count && out->len - before < TEXT_MESSAGE_BYTES_MAX; i++) {
        bool is_embedded = i && m.parts[m.parts[i].parent].kind == MIME_MESSAGE;
        TRY(add_part(s, &m.parts[i], is_embedded, TEXT_MESSAGE_BYTES_MAX - (out->len - before), form, out, err));
    }
    return ST_OK;
}
