/*
 * fuzz_mime_convert.c - any message, converted both ways: what comes out fits, has as many parts, and converting it
 * again changes nothing.
 */
#include "fuzz.h"
#include "text/mime_convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span message = span_of(data, size);
    for (int fit = MIME_FIT_8BIT; fit <= MIME_FIT_7BIT; fit++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT, again = STRBUF_INIT;
        struct err err;
        if (mime_convert(&a, message, (enum mime_fit)fit, &out, &err) != ST_OK) {
            CHECK(out.len == 0);
            continue;
        }
        CHECK(mime_fits(strbuf_span(&out), (enum mime_fit)fit));
        CHECK(mime_convert(&a, strbuf_span(&out), (enum mime_fit)fit, &again, &err) == ST_OK);
        CHECK(span_eq(strbuf_span(&out), strbuf_span(&again)));
    }
    return 0;
}
