/* fuzz_proxy_header.c - any octets: what is used is of the input, no prefix of a whole header is whole, and what
 * follows does not matter. */
#include "fuzz.h"
#include "text/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct proxy_header h, again;
    size_t used = 0, less = 0;
    enum proxy_result r = proxy_header_parse(in, &h, &used);
    if (r == PROXY_MORE)
        CHECK(size < PROXY_HEADER_MAX);
    if (r != PROXY_OK)
        return 0;
    CHECK(used > 0 && used <= size && used <= PROXY_HEADER_MAX);
    CHECK(proxy_header_parse(span_take(in, used), &again, &less) == PROXY_OK && less == used);
    CHECK(again.client.family == h.client.family && again.client_port == h.client_port);
    for (size_t n = 0; n < used; n++)
        CHECK(proxy_header_parse(span_take(in, n), &again, &less) == PROXY_MORE);
    return 0;
}
