/*
 * fuzzy.c - see fuzzy.h. Most words are told from a probe by their length and a mask of their letters; only what is
 * left is compared.
 */
#include "text/fuzzy.h"
#include <string.h>
#include <utf8proc.h>
#include "text/search_terms.h"
#include "text/utf8.h"
#include "base/banned.h"

enum {
    GRADE_SAME = 100,
    GRADE_ACCENTS = 95,
    GRADE_FORM = 85,
    GRADE_BEGINNING = 80,
    GRADE_TYPO = 70,
    GRADE_INSIDE = 60,
    GRADE_TYPOS = 50,
    WEIGHT_LEAST = 70,                              /* that is in use (search_field_weight) */
    SCORE_LEAST = GRADE_TYPOS * WEIGHT_LEAST / 100, /* is 1 of the range 1-100 */
    LETTERS_MAX = STEM_LETTERS_MAX,                 /* longer words are known by their beginning */
    FIRST_LETTERS = 3,                              /* which forms of a word have in common */
    BREVE = 0x306,
    DIAERESIS = 0x308,
};

struct word {
    struct span text; /* as it stands */
    uint32_t letters[LETTERS_MAX];
    size_t count;
    uint64_t mask; /* a bit for each letter, of its code's low bits */
    bool has_digit;
    bool is_cut; /* it is longer */
};

struct probe {
    struct word word;
    bool is_pairs; /* of a script without spaces: two neighbours, or one that stands alone */
    bool is_first; /* of its unit: a word, or a run of pairs */
    struct stems stems;
};

struct fuzzy_query {
    struct stemmer *stemmer;
    struct probe probes[FUZZY_PROBES_MAX];
    size_t count;
};

/* ---- words --------------------------------------------------------------------------------------------------------
 */

static bool is_mark(uint32_t c)
{
    return (c >= 0x300 && c <= 0x36f) || (c >= 0x64b && c <= 0x655);
}

/* Decomposed letters that are letters of their own in their alphabet. */
static bool compose(struct word *w, uint32_t mark)
{
    uint32_t *last = w->count ? &w->letters[w->count - 1] : NULL;
    if (last && *last == 0x438 && mark == BREVE)
        *last = 0x439; /* й */
    else if (last && *last == 0x456 && mark == DIAERESIS)
        *last = 0x457; /* ї */
    else
        return false;
    w->mask |= 1ULL << (*last % 64);
    return true;
}

static void add_letter(struct word *w, uint32_t c)
{
    if (is_mark(c)) {
        compose(w, c);
        return;
    }
    if (w->count == LETTERS_MAX) {
        w->is_cut = true;
        return;
    }
    w->letters[w->count++] = c;
    w->mask |= 1ULL << (c % 64);
}

static bool is_joint(char c)
{
    return c == '.' || c == '@' || c == '-' || c == '\'' || c == '+';
}

/* The next word of a term, which joints divide. */
static bool next_word(struct span *term, struct word *w)
{
    while (term->len && is_joint(term->p[0]))
        *term = span_skip(*term, 1);
    w->count = 0;
    w->mask = 0;
    w->has_digit = w->is_cut = false;
    size_t at = 0;
    while (at < term->len && !is_joint(term->p[at])) {
        unsigned char c = (unsigned char)term->p[at];
        utf8proc_int32_t code = c;
        utf8proc_ssize_t n = 1;
        if (c >= 0x80) {
            n = utf8proc_iterate((const utf8proc_uint8_t *)term->p + at, (utf8proc_ssize_t)(term->len - at), &code);
            code = n > 0 ? utf8proc_tolower(code) : c;
        } else if (c >= 'A' && c <= 'Z') {
            code = c + ('a' - 'A');
        } else if (c >= '0' && c <= '9') {
            w->has_digit = true;
        }
        add_letter(w, (uint32_t)code);
        at += n > 0 ? (size_t)n : 1;
    }
    w->text = span_take(*term, at);
    *term = span_skip(*term, at);
    return w->count > 0;
}

/* ---- typos --------------------------------------------------------------------------------------------------------
 */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, substitutions and exchanges of neighbours (the "optimal string alignment" distance). */
static unsigned distance(const struct word *x, const struct word *y)
{
    unsigned rows[3][LETTERS_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t k = 0; k <= y->count; k++)
        before[k] = last[k] = (unsigned)k;
    for (size_t i = 1; i <= x->count; i++) {
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= y->count; k++) {
            bool is_same = x->letters[i - 1] == y->letters[k - 1];
            row[k] = least(least(last[k], row[k - 1]) + 1, last[k - 1] + !is_same);
            if (i > 1 && k > 1 && x->letters[i - 1] == y->letters[k - 2] && x->letters[i - 2] == y->letters[k - 1])
                row[k] = least(row[k], before[k - 2] + 1);
        }
        unsigned *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[y->count];
}

static unsigned typos_allowed(const struct word *w)
{
    if (w->has_digit || w->is_cut || w->count < 4)
        return 0;
    return w->count < 8 ? 1 : 2;
}

/* One edit changes at most two bits of the mask. */
static bool may_be_typo(const struct word *probe, const struct word *w, unsigned allowed)
{
    size_t more = probe->count > w->count ? probe->count - w->count : w->count - probe->count;
    return !w->has_digit && !w->is_cut && more <= allowed &&
           (unsigned)__builtin_popcountll(probe->mask ^ w->mask) <= 2 * allowed;
}

/* ---- grades --------------------------------------------------------------------------------------------------------
 */

static bool has_at(const struct word *w, const struct word *part, size_t at)
{
    return memcmp(w->letters + at, part->letters, part->count * sizeof *part->letters) == 0;
}

/* The probe is a part of the word: at its beginning, or inside. */
static unsigned grade_part(const struct word *probe, const struct word *w)
{
    if (probe->is_cut || probe->count < 2 || probe->count >= w->count || (probe->mask & ~w->mask))
        return 0;
    if (has_at(w, probe, 0))
        return GRADE_BEGINNING;
    for (size_t at = 1; probe->count >= 3 && at + probe->count <= w->count; at++)
        if (has_at(w, probe, at))
            return GRADE_INSIDE;
    return 0;
}

static bool may_be_form(const struct word *probe, const struct word *w)
{
    size_t first = probe->count < FIRST_LETTERS ? probe->count : FIRST_LETTERS;
    return !probe->has_digit && !w->has_digit && w->count >= first && w->count <= 2 * probe->count + 2 &&
           memcmp(probe->letters, w->letters, first * sizeof *w->letters) == 0;
}

static unsigned grade_word(const struct fuzzy_query *q, const struct probe *p, const struct word *w)
{
    const struct word *probe = &p->word;
    if (probe->count == w->count && probe->mask == w->mask && has_at(w, probe, 0)) {
        if (span_eq(probe->text, w->text))
            return GRADE_SAME;
        if (!probe->is_cut && !w->is_cut)
            return GRADE_ACCENTS;
    }
    if (may_be_form(probe, w) && stems_match(q->stemmer, &p->stems, w->letters, w->count))
        return GRADE_FORM;
    unsigned part = grade_part(probe, w), allowed = typos_allowed(probe);
    if (part == GRADE_BEGINNING || !allowed || !may_be_typo(probe, w, allowed))
        return part;
    unsigned typos = distance(probe, w);
    if (typos <= 1)
        return GRADE_TYPO;
    return part || typos > allowed ? part : GRADE_TYPOS;
}

static unsigned grade_pairs(const struct probe *p, struct span term)
{
    struct span text = p->word.text;
    bool is_there = p->word.count > 1 ? span_eq(term, text) : span_find(term, text, 0) != SPAN_NPOS;
    return is_there ? GRADE_SAME : 0;
}

static bool raise_to(uint8_t *grade, unsigned by, unsigned weight)
{
    by = by * weight / 100;
    if (by <= *grade)
        return false;
    *grade = (uint8_t)by;
    return true;
}

bool fuzzy_grade(const struct fuzzy_query *q, struct span term, unsigned weight, uint8_t *grades)
{
    bool is_raised = false;
    if (term_is_of_pairs(term)) {
        for (size_t i = 0; i < q->count; i++)
            if (q->probes[i].is_pairs)
                is_raised |= raise_to(&grades[i], grade_pairs(&q->probes[i], term), weight);
        return is_raised;
    }
    struct word w;
    while (next_word(&term, &w))
        for (size_t i = 0; i < q->count; i++)
            if (!q->probes[i].is_pairs)
                is_raised |= raise_to(&grades[i], grade_word(q, &q->probes[i], &w), weight);
    return is_raised;
}

void fuzzy_grade_text(const struct fuzzy_query *q, struct span folded, unsigned weight, uint8_t *grades)
{
    struct span term;
    for (struct term_walk walk = {folded, 0, false}; terms_next(&walk, &term);)
        fuzzy_grade(q, term, weight, grades);
}

unsigned fuzzy_score(const struct fuzzy_query *q, const uint8_t *grades)
{
    unsigned sum = 0, units = 0;
    for (size_t i = 0, end; i < q->count; i = end, units++) {
        unsigned of_unit = 0, there = 0;
        for (end = i; end == i || (end < q->count && !q->probes[end].is_first); end++) {
            of_unit += grades[end];
            there += grades[end] > 0;
        }
        if (2 * there < end - i)
            return 0;
        sum += of_unit / (unsigned)(end - i);
    }
    unsigned mean = units ? sum / units : 0; /* a query has one at least */
    return mean <= SCORE_LEAST ? 1 : 1 + (mean - SCORE_LEAST) * 99 / (GRADE_SAME - SCORE_LEAST);
}

/* ---- queries -------------------------------------------------------------------------------------------------------
 */

size_t fuzzy_count(const struct fuzzy_query *q)
{
    return q->count;
}

static struct probe *add(struct fuzzy_query *q, const struct word *w)
{
    struct probe *p = &q->probes[q->count++];
    p->word = *w;
    p->is_first = true;
    return p;
}

static void add_words(struct fuzzy_query *q, struct span term)
{
    struct word w;
    while (q->count < FUZZY_PROBES_MAX && next_word(&term, &w)) {
        struct probe *p = add(q, &w);
        stems_of(q->stemmer, p->word.letters, p->word.count, &p->stems);
    }
}

struct fuzzy_query *fuzzy_new(struct arena *a, struct stemmer *stemmer, struct span folded)
{
    struct fuzzy_query *q = arena_alloc(a, sizeof *q);
    struct span term, last = SPAN_NONE;
    q->stemmer = stemmer;
    folded = arena_copy(a, folded);
    for (struct term_walk walk = {folded, 0, false}; q->count < FUZZY_PROBES_MAX && terms_next(&walk, &term);) {
        if (!term_is_of_pairs(term)) {
            add_words(q, term);
            continue;
        }
        struct word w;
        struct span rest = term;
        if (!next_word(&rest, &w))
            continue;
        struct probe *p = add(q, &w);
        p->is_pairs = true;
        p->is_first = !last.len || term.p >= last.p + last.len; /* else they share a character */
        last = term;
    }
    return q->count ? q : NULL;
}
