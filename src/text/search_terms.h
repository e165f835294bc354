/*
 * search_terms.h - folded text (text_fold) cut into terms, so that an index of terms answers for substrings.
 *
 * The rule that makes it exact: the text is cut only between characters whose kinds say so, and a needle is cut by the
 * same rule. So a needle that lies within one term of the text is found by looking for it in the list of all terms, and
 * that proves the match; a longer needle gives pieces that must all be in terms of the text, which says "maybe".
 *
 *   word characters   letters, digits, marks, "_" of scripts that are written with spaces; runs of them are a term
 *   joints            . @ - ' + : part of the term between two word characters, else a separator
 *   pair characters   Han, Kana, Thai, Khmer …, which are written without spaces: terms are the pairs of neighbours;
 * one that stands alone is a term itself separators        all the rest; never in a term. A line feed is one.
 *
 * Texts and needles are valid UTF-8, as charset_to_utf8() makes them. Pure; any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/span.h"

struct term_walk {
    struct span text;
    size_t at;
    bool is_in_pairs; /* the character at `at` was the second of a pair */
};
/* for (struct term_walk w = {text}; terms_next(&w, &term);) */
bool terms_next(struct term_walk *w, struct span *term);
/* The term is of pair characters: two, or one that stands alone. */
bool term_is_of_pairs(struct span term);

/* What to look for in a list of terms that stand in lines ("\n" term "\n" term "\n"). */
struct needle_plan {
    struct span whole;   /* a term with this in it proves the match; empty: no single term can */
    bool is_certain;     /* and without such a term there is no match */
    struct span *pieces; /* if not is_certain: each must be in a line, then it is a maybe. A "\n" at an end: the term
                          * begins or ends there */
    size_t count;        /* 0: any text may be a match */
};
enum { NEEDLE_PIECES_MAX = 64 }; /* what is behind is left to the text itself */
/* In the arena. The needle is folded and not empty. */
void needle_plan(struct arena *a, struct span needle, struct needle_plan *out);
