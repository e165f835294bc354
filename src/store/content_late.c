/* content_late.c - what is made of messages that were stored before it was stored with them. */
#include "store/store.h"
#include "text/preview.h"
#include "base/banned.h"

enum { PREVIEW_MESSAGE_OCTETS = 256 * 1024 }; /* that are read for a preview; further parts are not looked at */

enum status content_make_preview(struct txn *t, content_id id, struct strbuf *out, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF raw = STRBUF_INIT;
    struct content_forms forms;
    struct mime_message m;
    TRY(content_load(t, id, CONTENT_PARTS, &a, &forms, err));
    TRY(mime_unpack(&a, forms.parts, &m, err));
    TRY(content_read(t, id, 0, PREVIEW_MESSAGE_OCTETS, &raw, err));
    preview_write(&m, strbuf_span(&raw), out);
    return ST_OK;
}

enum status content_make_thread(struct txn *t, content_id id, uint64_t *out, struct err *err)
{
    AUTO_STRBUF header = STRBUF_INIT;
    AUTO_ARENA a = ARENA_INIT;
    struct content_forms forms;
    TRY(content_load(t, id, 0, &a, &forms, err));
    uint64_t size = forms.header_size < THREAD_HEADER_OCTETS ? forms.header_size : THREAD_HEADER_OCTETS;
    TRY(content_read(t, id, 0, size, &header, err));
    *out = thread_number(strbuf_span(&header));
    return ST_OK;
}
