/*
 * fuzzy.h - how well a text says what somebody looks for, word by word (RFC 6203): forms of the words, small typos,
 * parts of words.
 *
 * What is looked for is cut into words ("probes") as search_terms.h cuts texts, and at joints as well; a text is given
 * term by term, in any order, and the best grade of each probe is kept by the caller. So an index of terms and the text
 * itself give the same answer.
 *
 *   100 the word, 95 but for accents, 85 another form of it, 80 a word that begins with it (from 2 letters on),
 *   70 one typo (from 4 letters on), 60 a word with it inside (from 3 letters on), 50 two typos (from 8 letters on)
 *
 * A typo is a letter too many, missing, or wrong, or two neighbours exchanged; words with digits have none. All words
 * must be there. Of a run of characters of scripts without spaces half of the pairs of neighbours must be.
 *
 * Pure but for memory; one thread. Texts are folded (text_fold).
 */
#pragma once
#include "base/arena.h"
#include "base/span.h"
#include "text/stem.h"

enum { FUZZY_PROBES_MAX = 32 }; /* what is behind is not looked for */

struct fuzzy_query;
/* In the arena; `stemmer` is borrowed. NULL: there is no word in it. */
struct fuzzy_query *fuzzy_new(struct arena *a, struct stemmer *stemmer, struct span folded);
size_t fuzzy_count(const struct fuzzy_query *q); /* of probes */

/* Raises grades[0..count) by a term of the text; `weight` (1..100) is what the place of the term counts, in percent.
 * False: nothing was raised. */
bool fuzzy_grade(const struct fuzzy_query *q, struct span term, unsigned weight, uint8_t *grades);
/* By all terms of a text. */
void fuzzy_grade_text(const struct fuzzy_query *q, struct span folded, unsigned weight, uint8_t *grades);
/* The relevancy score of RFC 6203 §4, 1 to 100; 0: no match. */
unsigned fuzzy_score(const struct fuzzy_query *q, const uint8_t *grades);
