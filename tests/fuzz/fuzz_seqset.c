/* Sequence sets: written and read again they are the same, and built by adding they are the same as parsed. */
#include "fuzz.h"
#include "text/seqset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF out = STRBUF_INIT;
    AUTO_STRBUF added_out = STRBUF_INIT;
    struct seqset *s, *again, *added = seqset_new(&a);
    struct err err;
    uint32_t last = size ? data[0] : 0;
    if (seqset_parse(&a, span_of(data, size), last, &s, &err) != ST_OK)
        return 0;
    for (size_t i = 1; i < s->count; i++)
        CHECK((uint64_t)s->ranges[i - 1].last + 1 < s->ranges[i].first);
    seqset_write(s, &out);
    if (s->count) {
        CHECK(seqset_parse(&a, strbuf_span(&out), 1, &again, &err) == ST_OK);
        CHECK(seqset_count(again) == seqset_count(s));
    }
    for (size_t i = 0; i < s->count; i++) /* from the middle outwards, ends last */
        for (int half = 0; half < 2; half++) {
            struct seqrange r = s->ranges[(i * 7) % s->count];
            uint32_t middle = r.first + (r.last - r.first) / 2;
            seqset_add(&a, added, half ? r.first : middle, half ? middle : r.last);
        }
    for (size_t i = s->count; i-- > 0;)
        seqset_add(&a, added, s->ranges[i].first, s->ranges[i].last);
    seqset_write(added, &added_out);
    CHECK(span_eq(strbuf_span(&added_out), strbuf_span(&out)));
    return 0;
}
