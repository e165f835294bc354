/*
 * search_text.c - what a message says, as SEARCH compares it: encoded words and transfer encodings decoded, charsets to
 * UTF-8, HTML to text, letters folded. Attachments that are no text are not searched.
 */
#include "imap/search.h"
#include "text/charset.h"
#include "text/mime.h"
#include "base/banned.h"

enum status search_read(struct search_matcher *s, uint64_t offset, uint64_t size, uint64_t max, struct strbuf *out,
                        struct err *err)
{
    if (size > max)
        size = max;
    s->bytes_read += size;
    return content_read(s->txn, s->message->content, offset, size, out, err);
}

/* ---- headers ------------------------------------------------------------------------------------------------- */

bool search_header_has(struct search_matcher *s, struct span block, struct span name, struct span text)
{
    struct header_field f;
    for (size_t at = 0; header_next(block, &at, &f);) {
        if (!span_ieq(f.name, name))
            continue;
        if (!text.len)
            return true;
        AUTO_ARENA a = ARENA_INIT;
        strbuf_clear(&s->scratch);
        text_fold(header_decode(&a, f.value), &s->scratch);
        if (span_find(strbuf_span(&s->scratch), text, 0) != SPAN_NPOS)
            return true;
    }
    return false;
}

void search_add_header(struct span block, struct strbuf *out)
{
    struct header_field f;
    for (size_t at = 0; header_next(block, &at, &f);) {
        AUTO_ARENA a = ARENA_INIT;
        text_fold(f.name, out);
        strbuf_add_cstr(out, ": ");
        text_fold(header_decode(&a, f.value), out);
        strbuf_add_char(out, '\n');
    }
}

/* ---- bodies -------------------------------------------------------------------------------------------------- */

/* Decodes a text part that has been read alone: a table of one part whose body is all there is. */
static void add_text_part(struct search_matcher *s, const struct mime_part *part, struct span octets)
{
    AUTO_STRBUF utf8 = STRBUF_INIT;
    struct mime_part alone = *part;
    struct mime_message m = {&alone, 1};
    alone.body_offset = 0;
    alone.body_size = octets.len;
    size_t room = SEARCH_MESSAGE_BYTES_MAX - s->text.len;
    mime_decode_part(&m, 0, octets, true, room, &utf8);
    if (span_eq(part->subtype, SPAN("html"))) {
        strbuf_clear(&s->scratch);
        html_to_text(strbuf_span(&utf8), &s->scratch);
        text_fold(strbuf_span(&s->scratch), &s->text);
    } else {
        text_fold(strbuf_span(&utf8), &s->text);
    }
    strbuf_add_char(&s->text, '\n');
}

static enum status add_part(struct search_matcher *s, const struct mime_part *part, bool is_embedded, struct err *err)
{
    AUTO_STRBUF octets = STRBUF_INIT;
    if (is_embedded) {
        TRY(search_read(s, part->header_offset, part->header_size, SEARCH_HEADER_BYTES_MAX, &octets, err));
        search_add_header(strbuf_span(&octets), &s->text);
    }
    if (part->kind != MIME_LEAF || !span_eq(part->type, SPAN("text")))
        return ST_OK;
    strbuf_clear(&octets);
    TRY(search_read(s, part->body_offset, part->body_size, SEARCH_PART_BYTES_MAX, &octets, err));
    add_text_part(s, part, strbuf_span(&octets));
    return ST_OK;
}

enum status search_read_text(struct search_matcher *s, struct err *err)
{
    struct mime_message m;
    TRY(mime_unpack(&s->arena, s->forms.parts, &m, err));
    for (size_t i = 0; i < m.count && s->text.len < SEARCH_MESSAGE_BYTES_MAX; i++) {
        bool is_embedded = i && m.parts[m.parts[i].parent].kind == MIME_MESSAGE;
        TRY(add_part(s, &m.parts[i], is_embedded, err));
    }
    return ST_OK;
}
