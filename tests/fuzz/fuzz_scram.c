/* SCRAM's two messages from a client; no proof is ever good, since the stored key has none. */
#include "auth/scram.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char binding[SCRAM_BINDING_BYTES] = "binding";
    const struct scram_keys keys = {.iterations = SCRAM_ITERATIONS};
    if (size < 1)
        return 0;
    struct span rest = span_of(data + 1, size - 1), first;
    struct scram x = {0};
    AUTO_STRBUF out = STRBUF_INIT;
    x.is_plus = data[0] & 1;
    x.binding = span_of(binding, data[0] & 2 ? sizeof binding : 0);
    span_cut(&rest, '\n', &first);
    if (scram_first(&x, first)) {
        scram_challenge(&x, &keys, SPAN("0123456789abcdef01234567"), &out);
        CHECK(!scram_final(&x, rest, &out));
    }
    scram_end(&x);
    return 0;
}
