/* The preview and the thread of a message: valid UTF-8 on one line, of bounded length, the same again. */
#include "fuzz.h"
#include "text/charset.h"
#include "text/preview.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF first = STRBUF_INIT;
    AUTO_STRBUF second = STRBUF_INIT;
    struct span message = span_of(data, size);
    struct mime_message m;
    size_t characters = 0;
    mime_parse(&a, message, &m);
    preview_write(&m, message, &first);
    preview_write(&m, message, &second);
    CHECK(span_eq(strbuf_span(&first), strbuf_span(&second)));
    CHECK(utf8_is_valid(strbuf_span(&first)));
    for (size_t i = 0; i < first.len; i++) {
        CHECK((unsigned char)first.p[i] >= ' ' && first.p[i] != 0x7f);
        characters += ((unsigned char)first.p[i] & 0xc0) != 0x80;
    }
    CHECK(characters <= PREVIEW_CHARACTERS);
    preview_write(&m, span_take(message, size / 2), &second); /* a beginning only */
    CHECK(thread_number(message) == thread_number(message));
    return 0;
}
