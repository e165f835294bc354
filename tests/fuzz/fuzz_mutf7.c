/* Modified UTF-7: a name that can be read has this one spelling; any bytes can be written and read again. */
#include "fuzz.h"
#include "text/charset.h"
#include "text/mutf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    AUTO_STRBUF utf8 = STRBUF_INIT;
    AUTO_STRBUF wire = STRBUF_INIT;
    AUTO_STRBUF back = STRBUF_INIT;
    if (mutf7_decode(in, &utf8)) {
        CHECK(utf8_is_valid(strbuf_span(&utf8)));
        mutf7_encode(strbuf_span(&utf8), &wire);
        CHECK(span_eq(strbuf_span(&wire), in));
    }
    strbuf_clear(&utf8);
    strbuf_clear(&wire);
    mutf7_encode(in, &wire);
    CHECK(mutf7_decode(strbuf_span(&wire), &back));
    if (utf8_is_valid(in) && span_find_byte(in, '\0', 0) == SPAN_NPOS)
        CHECK(span_eq(strbuf_span(&back), in));
    return 0;
}
