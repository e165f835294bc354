/*
 * stem.h - whether two words are forms of one: "invoices", "invoiced" (Snowball's stemmers, libstemmer).
 *
 * Which language a word is of is not known; its script says which may be, and two words are forms of one if any of
 * these languages says so. Words are in lower case, without accents, as code points. A struct stemmer is for one
 * thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STEM_LETTERS_MAX = 32 };

struct stemmer;
struct stemmer *stemmer_new(void);
void stemmer_free(struct stemmer **s);

enum { STEM_LANGUAGES_MAX = 5 }; /* of one script */
/* The stems of a word, in as many languages as its script has here; none: there is no stemmer for it. */
struct stems {
    size_t count;
    struct {
        char bytes[4 * STEM_LETTERS_MAX];
        size_t len;
    } of[STEM_LANGUAGES_MAX];
};
void stems_of(struct stemmer *s, const uint32_t *letters, size_t count, struct stems *out);
/* The word has one of these stems; `stems` are of a word of the same script. */
bool stems_match(struct stemmer *s, const struct stems *stems, const uint32_t *letters, size_t count);
