/* content.c - what is computed of a message before it is stored: its structure and the texts IMAP sends of it. */
#include "store/store.h"
#include "text/imap_structure.h"
#include "text/preview.h"
#include "base/banned.h"

static struct span body_form(struct arena *a, const struct mime_message *m, struct span raw, bool is_extended)
{
    AUTO_STRBUF text = STRBUF_INIT;
    imap_body_write(a, m, raw, is_extended, &text);
    return arena_strbuf(a, &text);
}

void content_prepare(struct arena *a, struct span raw, struct content *out)
{
    struct mime_message m;
    mime_parse(a, raw, &m);
    struct span header = span_slice(raw, m.parts[0].header_offset, m.parts[0].header_offset + m.parts[0].header_size);

    AUTO_STRBUF envelope = STRBUF_INIT, parts = STRBUF_INIT, preview = STRBUF_INIT;
    imap_envelope_write(a, header, &envelope);
    mime_pack(&m, &parts);
    preview_write(&m, raw, &preview);
    *out = (struct content){
        .raw = raw,
        .envelope = arena_strbuf(a, &envelope),
        .body = body_form(a, &m, raw, false),
        .bodystructure = body_form(a, &m, raw, true),
        .parts = arena_strbuf(a, &parts),
        .preview = arena_strbuf(a, &preview),
        .thread = thread_number(header),
        .header_size = m.parts[0].header_size,
    };
}
