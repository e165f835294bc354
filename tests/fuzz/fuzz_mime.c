/*
 * fuzz_mime.c - any message: the table's invariants hold, it survives the store, every part decodes within its limit,
 * and the IMAP texts obey the grammar. The same octets are also tried as a packed table, as a header and as HTML.
 */
#include "../text/body_grammar.h"
#include "../text/mime_invariants.h"
#include "fuzz.h"
#include "text/imap_structure.h"

enum { DECODE_LIMIT = 1000, PARTS_DECODED_MAX = 200 };

static void decode_all(const struct mime_message *m, struct span message)
{
    for (uint32_t i = 0; i < m->count && i < PARTS_DECODED_MAX; i++)
        for (int as_text = 0; as_text < 2; as_text++) {
            AUTO_STRBUF out = STRBUF_INIT;
            mime_decode_part(m, i, message, as_text != 0, DECODE_LIMIT, &out);
            CHECK(out.len <= DECODE_LIMIT);
        }
}

static void write_all(struct arena *a, const struct mime_message *m, struct span message)
{
    for (int is_extended = 0; is_extended < 2; is_extended++) {
        AUTO_STRBUF body = STRBUF_INIT;
        imap_body_write(a, m, message, is_extended != 0, &body);
        CHECK(grammar_is_body(strbuf_span(&body), is_extended != 0));
    }
    AUTO_STRBUF envelope = STRBUF_INIT;
    imap_envelope_write(a, span_take(message, m->parts[0].header_size), &envelope);
    CHECK(grammar_is_envelope(strbuf_span(&envelope)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct span message = span_of(data, size);
    struct mime_message m, unpacked;
    struct err err;

    mime_parse(&a, message, &m);
    mime_check_invariants(&m, message);
    mime_check_round_trip(&m);
    decode_all(&m, message);
    write_all(&a, &m, message);

    html_to_text(message, &text);
    CHECK(text.len <= 3 * size);
    if (mime_unpack(&a, message, &unpacked, &err) == ST_OK) {
        mime_check_round_trip(&unpacked);
        decode_all(&unpacked, message);
        write_all(&a, &unpacked, message);
    }
    return 0;
}
