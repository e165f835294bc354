/* A needle and a text: where the text has the needle, the plan must find it among the text's terms; and where the plan
 * says that a term proves it, the text must have it. */
#include "fuzz.h"
#include "text/charset.h"
#include "text/search_terms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF lines = STRBUF_INIT;
    size_t n = 1 + data[0] % (size - 1);
    struct span needle = span_of(data + 1, n), text = span_skip(span_of(data, size), 1 + n), term;
    struct needle_plan plan;
    if (!utf8_is_valid(needle) || !utf8_is_valid(text))
        return 0;
    needle_plan(&a, needle, &plan);
    strbuf_add_char(&lines, '\n');
    for (struct term_walk w = {text, 0, false}; terms_next(&w, &term);) {
        CHECK(term.len && span_find_byte(term, '\n', 0) == SPAN_NPOS);
        strbuf_add(&lines, term);
        strbuf_add_char(&lines, '\n');
    }
    bool is_there = span_find(text, needle, 0) != SPAN_NPOS;
    bool is_proven = plan.whole.len && span_find(strbuf_span(&lines), plan.whole, 0) != SPAN_NPOS;
    bool may_be = !plan.is_certain;
    for (size_t i = 0; i < plan.count; i++)
        may_be &= span_find(strbuf_span(&lines), plan.pieces[i], 0) != SPAN_NPOS;
    CHECK(!is_proven || is_there);
    CHECK(!is_there || is_proven || may_be);
    return 0;
}
