/* What is looked for and a text, divided by a line end: grades stay in their range, and by terms or by text is the
 * same. */
#include "fuzz.h"
#include <string.h>
#include "text/charset.h"
#include "text/fuzzy.h"
#include "text/search_terms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF utf8 = STRBUF_INIT, folded = STRBUF_INIT;
    uint8_t grades[FUZZY_PROBES_MAX] = {0}, again[FUZZY_PROBES_MAX] = {0};
    charset_to_utf8(SPAN("utf-8"), span_of(data, size), &utf8);
    text_fold(strbuf_span(&utf8), &folded);
    struct span text = strbuf_span(&folded), line, term;
    if (!span_cut(&text, '\n', &line))
        return 0;
    struct stemmer *stemmer = stemmer_new();
    struct fuzzy_query *q = fuzzy_new(&a, stemmer, line);
    if (q) {
        CHECK(fuzzy_count(q) > 0 && fuzzy_count(q) <= FUZZY_PROBES_MAX);
        fuzzy_grade_text(q, text, 70, grades);
        for (struct term_walk w = {text, 0, false}; terms_next(&w, &term);)
            fuzzy_grade(q, term, 70, again);
        CHECK(memcmp(grades, again, sizeof grades) == 0);
        CHECK(fuzzy_score(q, grades) <= 100);
        memset(grades, 0, sizeof grades);
        fuzzy_grade_text(q, line, 100, grades); /* it is like itself */
        CHECK(fuzzy_score(q, grades) > 0);
    }
    stemmer_free(&stemmer);
    return 0;
}
