/* The preface of a hand-over. What was read is written again as the same bytes, and each shorter input is partial. */
#include "fuzz.h"
#include "auth/preface.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct preface p, q;
    size_t used, again;
    struct span input = span_of(data, size);
    if (preface_read(input, &p, &used) != PREFACE_WHOLE)
        return 0;
    CHECK(used <= size && used <= PREFACE_MAX && p.tag.len <= PREFACE_TAG_MAX);
    CHECK(p.tag.len == 0 || (p.tag.p >= input.p && p.tag.p + p.tag.len <= input.p + used));
    AUTO_STRBUF out = STRBUF_INIT;
    preface_write(&p, &out);
    CHECK(span_eq(strbuf_span(&out), span_take(input, used)));
    for (size_t n = 0; n < used; n++)
        CHECK(preface_read(span_take(input, n), &q, &again) == PREFACE_PARTIAL);
    return 0;
}
