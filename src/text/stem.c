/*
 * stem.c - see stem.h.
 */
#include "text/stem.h"
#include <libstemmer.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "base/mem.h"
#include "base/banned.h"

static const struct script {
    uint32_t first, last; /* of the word's first letter */
    const char *languages[STEM_LANGUAGES_MAX];
} scripts[] = {
    {'a', 0x24f, {"english", "german", "french", "spanish", "italian"}},
    {0x370, 0x3ff, {"greek"}},
    {0x400, 0x4ff, {"russian"}},
    {0x600, 0x6ff, {"arabic"}},
};
enum { SCRIPTS = sizeof scripts / sizeof *scripts };

struct stemmer {
    struct sb_stemmer *of[SCRIPTS][STEM_LANGUAGES_MAX]; /* made when first asked for */
};

struct stemmer *stemmer_new(void)
{
    return mem_alloc(sizeof(struct stemmer));
}

void stemmer_free(struct stemmer **sp)
{
    struct stemmer *s = *sp;
    *sp = NULL;
    for (size_t i = 0; s && i < SCRIPTS; i++)
        for (size_t k = 0; k < STEM_LANGUAGES_MAX; k++)
            if (s->of[i][k])
                sb_stemmer_delete(s->of[i][k]);
    free(s);
}

/* The language's number k for a script; NULL: there are no more. */
static struct sb_stemmer *language(struct stemmer *s, size_t script, size_t k)
{
    if (k == STEM_LANGUAGES_MAX || !scripts[script].languages[k])
        return NULL;
    if (!s->of[script][k])
        s->of[script][k] = sb_stemmer_new(scripts[script].languages[k], "UTF_8");
    return s->of[script][k];
}

static size_t script_of(uint32_t letter)
{
    size_t i = 0;
    while (i < SCRIPTS && (letter < scripts[i].first || letter > scripts[i].last))
        i++;
    return i;
}

static int encode(const uint32_t *letters, size_t count, sb_symbol out[4 * STEM_LETTERS_MAX])
{
    utf8proc_ssize_t len = 0;
    for (size_t i = 0; i < count && i < STEM_LETTERS_MAX; i++)
        len += utf8proc_encode_char((utf8proc_int32_t)letters[i], out + len);
    return (int)len;
}

void stems_of(struct stemmer *s, const uint32_t *letters, size_t count, struct stems *out)
{
    sb_symbol word[4 * STEM_LETTERS_MAX];
    size_t script = count ? script_of(letters[0]) : SCRIPTS;
    out->count = 0;
    if (script == SCRIPTS)
        return;
    int len = encode(letters, count, word);
    struct sb_stemmer *stemmer;
    for (size_t k = 0; (stemmer = language(s, script, k)) != NULL; k++) {
        const sb_symbol *stem = sb_stemmer_stem(stemmer, word, len);
        size_t n = stem ? (size_t)sb_stemmer_length(stemmer) : 0;
        if (n > sizeof out->of[k].bytes)
            n = 0;
        if (n)
            memcpy(out->of[k].bytes, stem, n);
        out->of[k].len = n;
        out->count = k + 1;
    }
}

bool stems_match(struct stemmer *s, const struct stems *stems, const uint32_t *letters, size_t count)
{
    struct stems other;
    if (!stems->count)
        return false;
    stems_of(s, letters, count, &other);
    for (size_t k = 0; k < stems->count && k < other.count; k++)
        if (stems->of[k].len && stems->of[k].len == other.of[k].len &&
            memcmp(stems->of[k].bytes, other.of[k].bytes, other.of[k].len) == 0)
            return true;
    return false;
}
