/*
 * preview.c - see preview.h.
 *
 * The first text part that is no attachment and says something is taken, of alternatives so the plain one. Quoted lines
 * ("> ") are left out, as is everything behind a signature's "-- "; if nothing else is there the quotes are better than
 * nothing. Padding that senders of newsletters put behind their own preview is dropped with the other characters that
 * nobody sees.
 */
#include "text/preview.h"
#include "text/charset.h"
#include "text/utf8.h"
#include "base/banned.h"

/* ---- characters ------------------------------------------------------------------------------------------------ */

/* What shows as nothing, beyond control characters: soft hyphen, joiners, direction marks, byte order mark. */
static bool is_invisible(struct span c)
{
    static const char *const list[] = {"\xc2\xad",     "\xcd\x8f",     "\xe2\x80\x8b", "\xe2\x80\x8c",
                                       "\xe2\x80\x8d", "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x81\xa0",
                                       "\xef\xbb\xbf", "\xe1\x85\x9f", "\xe2\x80\xaa", "\xe2\x80\xac"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (span_eq(c, span_cstr(list[i])))
            return true;
    bool is_c1 = c.len == 2 && (unsigned char)c.p[0] == 0xc2 && (unsigned char)c.p[1] < 0xa0;
    return is_c1;
}

static bool is_blank(struct span c)
{
    return (c.len == 1 && ((unsigned char)c.p[0] <= ' ' || c.p[0] == 0x7f)) || span_eq(c, SPAN("\xc2\xa0")) ||
           span_eq(c, SPAN("\xe3\x80\x80"));
}

struct line_writer {
    struct strbuf *out;
    size_t characters;
    bool has_gap; /* white space was seen since the last character */
};

/* Adds the text's characters, white space as one space. False: there is enough. */
static bool add_text(struct line_writer *w, struct span text)
{
    while (text.len && w->characters < PREVIEW_CHARACTERS) {
        size_t bad, n = utf8_sequence_length(text, &bad);
        struct span c = span_take(text, n ? n : bad);
        text = span_skip(text, c.len);
        if (!n || is_invisible(c))
            continue;
        if (is_blank(c)) {
            w->has_gap = true;
            continue;
        }
        if (w->has_gap && w->characters) {
            strbuf_add_char(w->out, ' ');
            w->characters++;
            if (w->characters == PREVIEW_CHARACTERS)
                break;
        }
        w->has_gap = false;
        strbuf_add(w->out, c);
        w->characters++;
    }
    return w->characters < PREVIEW_CHARACTERS;
}

static void add_lines(struct span text, bool has_quotes, struct strbuf *out)
{
    struct line_writer w = {.out = out};
    struct span line;
    for (bool is_more = true; is_more;) {
        is_more = span_cut(&text, '\n', &line);
        if (span_eq(line, SPAN("-- ")) || span_eq(line, SPAN("-- \r")))
            return;
        if (!has_quotes && span_starts(line, SPAN(">")))
            continue;
        w.has_gap = true;
        if (!add_text(&w, line))
            return;
    }
}

/* ---- parts ----------------------------------------------------------------------------------------------------- */

static bool is_attachment(const struct mime_part *p, struct span message)
{
    struct header_field f;
    struct span header = span_slice(message, p->header_offset, p->header_offset + p->header_size);
    return header_find(header, SPAN("Content-Disposition"), &f) && span_istarts(span_trim(f.value), SPAN("attachment"));
}

static void add_part(const struct mime_message *m, uint32_t i, struct span message, struct strbuf *out)
{
    AUTO_STRBUF text = STRBUF_INIT;
    mime_decode_part(m, i, message, true, PREVIEW_OCTETS, &text);
    if (span_eq(m->parts[i].subtype, SPAN("html"))) {
        AUTO_STRBUF plain = STRBUF_INIT;
        html_to_text(strbuf_span(&text), &plain);
        add_lines(strbuf_span(&plain), true, out);
        return;
    }
    if (span_starts(span_trim(strbuf_span(&text)), SPAN("-----BEGIN PGP MESSAGE-----")))
        return;
    size_t start = out->len;
    add_lines(strbuf_span(&text), false, out);
    if (out->len == start)
        add_lines(strbuf_span(&text), true, out);
}

void preview_write(const struct mime_message *m, struct span message, struct strbuf *out)
{
    size_t start = out->len, tried = 0;
    for (uint32_t i = 0; i < m->count && out->len == start && tried < PREVIEW_PARTS; i++) {
        const struct mime_part *p = &m->parts[i];
        if (p->kind != MIME_LEAF || !span_eq(p->type, SPAN("text")) || is_attachment(p, message))
            continue;
        bool is_shown = span_eq(p->subtype, SPAN("plain")) || span_eq(p->subtype, SPAN("html")) ||
                        span_eq(p->subtype, SPAN("enriched"));
        if (!is_shown)
            continue;
        tried++;
        add_part(m, i, message, out);
    }
}

/* ---- threads --------------------------------------------------------------------------------------------------- */

/* The first "<…>" of the field, or all of it where there is none; without white space, which folding may have put in.
 */
static bool first_id(struct span header, struct span name, struct span *id)
{
    struct header_field f;
    if (!header_find(header, name, &f))
        return false;
    size_t open = span_find_byte(f.value, '<', 0);
    size_t close = open == SPAN_NPOS ? SPAN_NPOS : span_find_byte(f.value, '>', open);
    *id = close == SPAN_NPOS ? span_trim(f.value) : span_slice(f.value, open + 1, close);
    return id->len > 0;
}

/* FNV-1a, finished so that short ids differ in all bits. A number that a sender aims at only joins his own thread. */
static uint64_t hash(struct span s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] > ' ')
            h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    return h ? h : 1;
}

uint64_t thread_number(struct span header)
{
    struct span id;
    header = span_take(header, THREAD_HEADER_OCTETS);
    if (first_id(header, SPAN("References"), &id) || first_id(header, SPAN("In-Reply-To"), &id) ||
        first_id(header, SPAN("Message-ID"), &id))
        return hash(id);
    return 0;
}
