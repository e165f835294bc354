/* BODYPARTSTRUCTURE: the first octets are section numbers, the rest is a BODY. A part lies within its message. */
#include "fuzz.h"
#include "text/imap_body_part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_STRBUF out = STRBUF_INIT;
    uint32_t numbers[3];
    struct span part;
    if (size < 4)
        return 0;
    for (size_t i = 0; i < 3; i++)
        numbers[i] = 1 + data[i] % 4u;
    struct span body = span_of(data + 4, size - 4);
    if (!imap_body_part(body, numbers, data[3] % 4u, &part))
        return 0;
    CHECK(part.p >= body.p && part.p + part.len <= body.p + body.len && part.len >= 2);
    imap_body_write_decoded(part, 123, 7, &out);
    return 0;
}
