/*
 * search_terms.c - see search_terms.h.
 */
#include "text/search_terms.h"
#include <string.h>
#include <utf8proc.h>
#include "text/utf8.h"
#include "base/banned.h"

enum kind { SEPARATOR, JOINT, WORD, PAIR };

static const struct {
    int32_t first, last;
    enum kind kind;
} ranges[] = {
    {0x80, 0xbf, SEPARATOR},                             /* signs of Latin-1 */
    {0xe00, 0xeff, PAIR},                                /* Thai, Lao */
    {0x1000, 0x109f, PAIR},                              /* Myanmar */
    {0x1780, 0x17ff, PAIR},                              /* Khmer */
    {0x2000, 0x206f, SEPARATOR},                         /* general punctuation */
    {0x2e80, 0x2fdf, PAIR},                              /* radicals */
    {0x3000, 0x3029, SEPARATOR},                         /* CJK punctuation */
    {0x3030, 0x303f, SEPARATOR}, {0x3040, 0x312f, PAIR}, /* Kana, Bopomofo */
    {0x31a0, 0x31ff, PAIR},      {0x3400, 0x4dbf, PAIR}, /* Han */
    {0x4e00, 0x9fff, PAIR},      {0xa000, 0xa4cf, PAIR}, /* Yi */
    {0xf900, 0xfaff, PAIR},                              /* Han, compatibility */
    {0x20000, 0x3ffff, PAIR},                            /* Han */
};

/* The kind of the character at `at`, and its length. Octets that are no UTF-8 are word characters. */
static enum kind kind_at(struct span text, size_t at, size_t *len)
{
    unsigned char c = (unsigned char)text.p[at];
    *len = 1;
    if (c < 0x80) {
        if (ascii_is_alpha((char)c) || ascii_is_digit((char)c) || c == '_')
            return WORD;
        return c == '.' || c == '@' || c == '-' || c == '\'' || c == '+' ? JOINT : SEPARATOR;
    }
    size_t bad, n = utf8_sequence_length(span_skip(text, at), &bad);
    if (!n)
        return WORD;
    *len = n;
    utf8proc_int32_t code;
    utf8proc_iterate((const utf8proc_uint8_t *)text.p + at, (utf8proc_ssize_t)n, &code);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges && code >= ranges[i].first; i++)
        if (code <= ranges[i].last)
            return ranges[i].kind;
    return WORD;
}

static size_t word_end(struct span text, size_t at)
{
    while (at < text.len) {
        size_t len, next_len;
        enum kind kind = kind_at(text, at, &len);
        bool is_joined = kind == JOINT && at + len < text.len && kind_at(text, at + len, &next_len) == WORD;
        if (kind != WORD && !is_joined)
            break;
        at += len;
    }
    return at;
}

/* At a pair character: the term that begins with it; false where it has been the second of one already. */
static bool pair_term(struct term_walk *w, size_t len, struct span *term)
{
    size_t start = w->at, next = start + len, next_len;
    bool was_second = w->is_in_pairs;
    w->at = next;
    w->is_in_pairs = next < w->text.len && kind_at(w->text, next, &next_len) == PAIR;
    if (w->is_in_pairs)
        *term = span_slice(w->text, start, next + next_len);
    else
        *term = span_slice(w->text, start, next);
    return w->is_in_pairs || !was_second;
}

bool terms_next(struct term_walk *w, struct span *term)
{
    while (w->at < w->text.len) {
        size_t len, start = w->at;
        switch (kind_at(w->text, start, &len)) {
        case WORD:
            w->at = word_end(w->text, start);
            *term = span_slice(w->text, start, w->at);
            return true;
        case PAIR:
            if (pair_term(w, len, term))
                return true;
            break;
        case SEPARATOR:
        case JOINT:
            w->at += len;
            break;
        }
    }
    return false;
}

/* ---- needles ------------------------------------------------------------------------------------------------------
 */

/* What is known of a needle as a whole. */
struct shape {
    struct span needle;
    bool is_one_word;         /* only word characters and joints: it may lie within one term */
    bool has_one_loose_joint; /* it begins or ends with a joint, and not both */
};

static struct shape shape_of(struct span needle)
{
    struct shape s = {.needle = needle, .is_one_word = true};
    enum kind first = SEPARATOR, last = SEPARATOR;
    for (size_t at = 0, len; at < needle.len; at += len) {
        last = kind_at(needle, at, &len);
        if (at == 0)
            first = last;
        if (last == SEPARATOR || last == PAIR)
            s.is_one_word = false;
    }
    s.has_one_loose_joint = (first == JOINT) != (last == JOINT);
    return s;
}

/*
 * Whether the term that begins (or ends) beside the joint at the needle's very edge does so in the text, too. If the
 * text joins it to something, the whole needle lies in one term, which `whole` finds, as long as the other edge has no
 * such joint: so for the rest it does.
 */
static bool is_edge_sure(const struct shape *s)
{
    return s->is_one_word && s->has_one_loose_joint;
}

static bool starts_there(const struct shape *s, size_t start)
{
    if (start == 0)
        return false;
    return start > 1 || strchr(".@-'+", s->needle.p[0]) == NULL || is_edge_sure(s);
}

static bool ends_there(const struct shape *s, size_t end)
{
    if (end == s->needle.len)
        return false;
    return end + 1 < s->needle.len || strchr(".@-'+", s->needle.p[end]) == NULL || is_edge_sure(s);
}

bool term_is_of_pairs(struct span term)
{
    size_t len;
    return term.len && kind_at(term, 0, &len) == PAIR;
}

/* Pairs are whole terms wherever they stand. */
static bool is_pair(struct span term)
{
    size_t len;
    return kind_at(term, 0, &len) == PAIR && len < term.len;
}

static struct span piece_of(struct arena *a, const struct shape *s, struct span term)
{
    size_t start = (size_t)(term.p - s->needle.p);
    bool is_whole = is_pair(term);
    return arena_printf(a, "%s%.*s%s", is_whole || starts_there(s, start) ? "\n" : "", SPAN_ARG(term),
                        is_whole || ends_there(s, start + term.len) ? "\n" : "");
}

void needle_plan(struct arena *a, struct span needle, struct needle_plan *out)
{
    struct shape s = shape_of(needle);
    struct span term, first = SPAN_NONE;
    size_t count = 0;
    for (struct term_walk w = {needle, 0, false}; terms_next(&w, &term); count++)
        if (count == 0)
            first = term;
    *out = (struct needle_plan){.whole = SPAN_NONE};
    if (s.is_one_word || (count == 1 && first.len == needle.len))
        out->whole = needle;
    out->is_certain = count == 1 && first.len == needle.len; /* every text that has it has it within a term */
    if (out->is_certain)
        return;
    out->pieces = arena_array(a, count < NEEDLE_PIECES_MAX ? count : NEEDLE_PIECES_MAX, sizeof *out->pieces);
    for (struct term_walk w = {needle, 0, false}; out->count < NEEDLE_PIECES_MAX && terms_next(&w, &term);)
        out->pieces[out->count++] = piece_of(a, &s, term);
}
