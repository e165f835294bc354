/*
 * html_text.c - what a reader would see of an HTML body, roughly: good enough to search in and to show two lines of.
 *
 * A tokenizer in the manner of the HTML standard (§13.2.5) without a tree: text, tags, comments, and the elements whose
 * content is no text. It goes forward only. What never ends (a comment, a quoted attribute, a script) takes the rest
 * of the input with it, as it does in a browser; that also keeps the walk linear.
 */
#include <stdlib.h>
#include "text/html_entities.h"
#include "text/mime.h"
#include "base/banned.h"

enum { TAG_NAME_MAX = 10, UNICODE_MAX = 0x10ffff, REPLACEMENT = 0xfffd };

/* What stands between two words. The larger one wins. */
enum gap { GAP_NONE, GAP_SPACE, GAP_LINE };

struct html {
    struct span in;
    size_t at;
    struct strbuf *out;
    size_t start; /* out's length at the beginning: no white space goes before the first word */
    enum gap gap;
};

/* Elements that do not flow in a line (HTML §15.3), sorted. */
static const char block_tags[][TAG_NAME_MAX + 1] = {
    "address", "article",  "aside",   "blockquote", "body",   "br", "center", "dd",  "div", "dl",
    "dt",      "fieldset", "footer",  "form",       "h1",     "h2", "h3",     "h4",  "h5",  "h6",
    "head",    "header",   "hr",      "html",       "legend", "li", "main",   "nav", "ol",  "option",
    "p",       "pre",      "section", "table",      "title",  "tr", "ul",
};
/* Elements whose content is not shown as text (HTML §13.2.5.1). */
static const char silent_tags[][TAG_NAME_MAX + 1] = {"iframe",   "noembed", "script", "style",
                                                     "textarea", "title",   "xmp"};

static void gap_set(struct html *h, enum gap gap)
{
    if (gap > h->gap)
        h->gap = gap;
}

static void gap_flush(struct html *h)
{
    if (h->gap != GAP_NONE && h->out->len > h->start)
        strbuf_add_char(h->out, h->gap == GAP_LINE ? '\n' : ' ');
    h->gap = GAP_NONE;
}

/* A character from an entity. Those without width, by which senders pad previews and break up words, are dropped. */
static void emit_char(struct html *h, uint32_t c)
{
    if (c == 0xad || c == 0x34f || (c >= 0x200b && c <= 0x200f) || c == 0x2060 || c == 0xfeff)
        return;
    if (c <= ' ' || c == 0xa0 || (c >= 0x2000 && c <= 0x200a)) {
        gap_set(h, GAP_SPACE);
        return;
    }
    gap_flush(h);
    char b[4];
    size_t n = 0;
    if (c < 0x80) {
        b[n++] = (char)c;
    } else if (c < 0x800) {
        b[n++] = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        b[n++] = (char)(0xe0 | c >> 12);
        b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        b[n++] = (char)(0xf0 | c >> 18);
        b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80)
        b[n++] = (char)(0x80 | (c & 0x3f));
    strbuf_add_bytes(h->out, b, n);
}

/* HTML §13.2.5.80: the numbers of C1 controls mean windows-1252. */
static uint32_t number_meant(uint32_t c)
{
    static const uint16_t windows_1252[32] = {
        0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8d,   0x017d, 0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178,
    };
    if (c == 0 || c > UNICODE_MAX || (c >= 0xd800 && c <= 0xdfff))
        return REPLACEMENT;
    return c >= 0x80 && c < 0xa0 ? windows_1252[c - 0x80] : c;
}

static int hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "&#8364;" or "&#x20ac;": at stands on '&', in[at + 1] is '#'. False where no digit follows. */
static bool numeric_entity(struct html *h)
{
    size_t i = h->at + 2;
    unsigned base = 10;
    if (i < h->in.len && ascii_lower(h->in.p[i]) == 'x') {
        base = 16;
        i++;
    }
    size_t digits = i;
    uint32_t c = 0;
    for (; i < h->in.len; i++) {
        int d = hex_value(h->in.p[i]);
        if (d < 0 || (unsigned)d >= base)
            break;
        if (c <= UNICODE_MAX)
            c = c * base + (unsigned)d;
    }
    if (i == digits)
        return false;
    emit_char(h, number_meant(c));
    h->at = i < h->in.len && h->in.p[i] == ';' ? i + 1 : i;
    return true;
}

static int entity_compare(const void *key, const void *entry)
{
    return strcmp(key, ((const struct html_entity *)entry)->name);
}

static bool named_entity(struct html *h)
{
    char name[HTML_ENTITY_NAME_MAX + 1];
    size_t n = 0, i = h->at + 1;
    while (i < h->in.len && n < HTML_ENTITY_NAME_MAX && (ascii_is_alpha(h->in.p[i]) || ascii_is_digit(h->in.p[i])))
        name[n++] = h->in.p[i++];
    name[n] = '\0';
    const struct html_entity *e = bsearch(name, html_entities, sizeof html_entities / sizeof html_entities[0],
                                          sizeof html_entities[0], entity_compare);
    uint32_t code = e ? e->code : strcmp(name, "apos") == 0 ? '\'' : 0;
    if (code == 0)
        return false;
    emit_char(h, code);
    h->at = i < h->in.len && h->in.p[i] == ';' ? i + 1 : i;
    return true;
}

static void entity(struct html *h)
{
    bool is_known = h->at + 1 < h->in.len && h->in.p[h->at + 1] == '#' ? numeric_entity(h) : named_entity(h);
    if (!is_known) {
        emit_char(h, '&');
        h->at++;
    }
}

/* From `at` behind the next '>' that is not in a quoted attribute value. */
static void skip_tag(struct html *h)
{
    const struct span in = h->in;
    size_t i = h->at;
    while (i < in.len && in.p[i] != '>') {
        if (in.p[i++] != '=')
            continue;
        while (i < in.len && memchr(" \t\r\n\f", in.p[i], 5))
            i++;
        if (i < in.len && (in.p[i] == '"' || in.p[i] == '\'')) {
            size_t close = span_find_byte(in, in.p[i], i + 1);
            i = close == SPAN_NPOS ? in.len : close + 1;
        }
    }
    h->at = i < in.len ? i + 1 : in.len;
}

static void skip_behind(struct html *h, size_t from, struct span what)
{
    size_t found = span_find(h->in, what, from);
    h->at = found == SPAN_NPOS ? h->in.len : found + what.len;
}

/* Lower-cased name at `from`, cut to what any name in the tables could be. */
static void tag_name(const struct html *h, size_t from, char name[TAG_NAME_MAX + 1])
{
    size_t n = 0;
    memset(name, 0, TAG_NAME_MAX + 1);
    while (from < h->in.len && n < TAG_NAME_MAX && !memchr(" \t\r\n\f/>", h->in.p[from], 7))
        name[n++] = ascii_lower(h->in.p[from++]);
}

static bool name_in(const char (*names)[TAG_NAME_MAX + 1], size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* From `at` to the "</name" that ends the element. */
static void skip_content(struct html *h, const char *name)
{
    for (size_t i = h->at; (i = span_find_byte(h->in, '<', i)) != SPAN_NPOS; i++) {
        char other[TAG_NAME_MAX + 1];
        if (i + 1 == h->in.len || h->in.p[i + 1] != '/')
            continue;
        tag_name(h, i + 2, other);
        if (strcmp(other, name) == 0) {
            h->at = i;
            return;
        }
    }
    h->at = h->in.len;
}

/* `at` stands on '<'. */
static void markup(struct html *h)
{
    struct span rest = span_skip(h->in, h->at);
    char next = rest.len > 1 ? rest.p[1] : '\0';
    bool is_end = next == '/' && rest.len > 2 && ascii_is_alpha(rest.p[2]);
    if (ascii_is_alpha(next) || is_end) {
        char name[TAG_NAME_MAX + 1];
        tag_name(h, h->at + (is_end ? 2 : 1), name);
        skip_tag(h);
        if (name_in(block_tags, sizeof block_tags / sizeof block_tags[0], name))
            gap_set(h, GAP_LINE);
        else if (strcmp(name, "td") == 0 || strcmp(name, "th") == 0 || strcmp(name, "img") == 0)
            gap_set(h, GAP_SPACE);
        if (!is_end && name_in(silent_tags, sizeof silent_tags / sizeof silent_tags[0], name))
            skip_content(h, name);
    } else if (span_starts(rest, SPAN("<!--"))) {
        if (span_starts(rest, SPAN("<!-->")) || span_starts(rest, SPAN("<!--->")))
            skip_behind(h, h->at, SPAN(">"));
        else
            skip_behind(h, h->at + 4, SPAN("-->"));
    } else if (next == '!' || next == '?' || next == '/') {
        skip_behind(h, h->at, SPAN(">"));
    } else {
        emit_char(h, '<');
        h->at++;
    }
}

void html_to_text(struct span html, struct strbuf *out)
{
    struct html h = {.in = html, .out = out, .start = out->len};
    while (h.at < html.len) {
        size_t end = h.at;
        while (end < html.len && (unsigned char)html.p[end] > ' ' && html.p[end] != '<' && html.p[end] != '&')
            end++;
        if (end > h.at) { /* a run of plain characters */
            gap_flush(&h);
            strbuf_add_bytes(out, html.p + h.at, end - h.at);
            h.at = end;
        } else if (html.p[end] == '<') {
            markup(&h);
        } else if (html.p[end] == '&') {
            entity(&h);
        } else {
            gap_set(&h, GAP_SPACE);
            h.at++;
        }
    }
}
