/*
 * fetch_body.c - the sections of a message that FETCH sends (RFC 3501 §6.4.5).
 *
 * A section is a range of the stored octets, found in the stored table of parts; nothing is parsed here but header
 * fields. Picked header fields are written at once. Everything else is streamed: the range is known before its literal
 * is announced, and is read a piece at a time, so that neither a large message nor a slow reader costs more than a
 * piece.
 */
#include <inttypes.h>
#include "imap/fetch.h"
#include "base/banned.h"

bool fetch_is_streamed(const struct fetch_item *item)
{
    return (item->kind == FETCH_SECTION && item->fields_mode == FETCH_FIELDS_ALL) || item->kind == FETCH_BINARY;
}

unsigned fetch_forms_of(const struct fetch_item *item)
{
    switch (item->kind) {
    case FETCH_PREVIEW:
        return CONTENT_PREVIEW;
    case FETCH_ENVELOPE:
        return CONTENT_ENVELOPE;
    case FETCH_BODY:
        return CONTENT_BODY;
    case FETCH_BODYSTRUCTURE:
        return CONTENT_BODYSTRUCTURE;
    case FETCH_SECTION:
    case FETCH_BINARY:
    case FETCH_BINARY_SIZE:
        return section_forms(item);
    default:
        return 0;
    }
}

enum status fetch_source_load(struct fetch_source *src, unsigned forms, struct err *err)
{
    TRY(content_load(src->txn, src->message->content, forms, src->arena, &src->forms, err));
    return forms & CONTENT_PARTS ? mime_unpack(src->arena, src->forms.parts, &src->parts, err) : ST_OK;
}

struct fetch_octets fetch_locate_whole(const struct fetch_source *src, const struct fetch_item *item)
{
    struct fetch_octets o = {0};
    o.exists = section_range(&src->forms, &src->parts, item, &o.offset, &o.size);
    return o.exists ? o : (struct fetch_octets){0};
}

enum status fetch_locate(const struct fetch_source *src, const struct fetch_item *item, struct fetch_octets *out,
                         struct err *err)
{
    if (item->kind == FETCH_BINARY)
        return fetch_locate_binary(src, item, out, err);
    *out = fetch_locate_whole(src, item);
    section_cut(item, &out->offset, &out->size);
    return ST_OK;
}

/* RFC 3501 §4.3.1 has no NUL in a literal, messages may: what other servers send in its place keeps all sizes. */
static void replace_nuls(char *p, size_t len)
{
    for (char *nul; (nul = memchr(p, '\0', len)); len -= (size_t)(nul + 1 - p), p = nul + 1)
        *nul = (char)0x80;
}

/* ---- header fields -------------------------------------------------------------------------------------------- */

static void write_literal(struct span s, struct strbuf *out)
{
    if (s.len == 0) {
        strbuf_add_cstr(out, "\"\"");
        return;
    }
    strbuf_add_char(out, '{');
    strbuf_add_u64(out, s.len);
    strbuf_add_cstr(out, "}\r\n");
    size_t start = out->len;
    strbuf_add(out, s);
    replace_nuls(out->p + start, s.len);
}

enum status fetch_write_fields(const struct fetch_source *src, const struct fetch_item *item, struct strbuf *out,
                               struct err *err)
{
    AUTO_STRBUF block = STRBUF_INIT;
    AUTO_STRBUF fields = STRBUF_INIT;
    struct fetch_octets o = fetch_locate_whole(src, item);
    if (!o.exists) {
        strbuf_add_cstr(out, "NIL");
        return ST_OK;
    }
    if (o.size > SECTION_HEADER_BYTES_MAX)
        o.size = SECTION_HEADER_BYTES_MAX;
    TRY(content_read(src->txn, src->message->content, o.offset, o.size, &block, err));
    fetch_select_fields(item, strbuf_span(&block), &fields);
    o = (struct fetch_octets){true, 0, fields.len};
    section_cut(item, &o.offset, &o.size);
    write_literal(span_slice(strbuf_span(&fields), (size_t)o.offset, (size_t)(o.offset + o.size)), out);
    return ST_OK;
}

/* ---- streaming ----------------------------------------------------------------------------------------------- */

/* Label and announcement of the next section. */
static void begin_section(struct fetch_job *job, struct strbuf *out)
{
    const struct fetch_octets *o = &job->octets[job->item - job->ready_count];
    if (job->item)
        strbuf_add_char(out, ' ');
    strbuf_add(out, job->what.items[job->item].label);
    if (!o->exists || o->size == 0) {
        strbuf_add_cstr(out, o->exists ? " \"\"" : " NIL");
        return;
    }
    strbuf_add_cstr(out, o->has_nul ? " ~{" : " {");
    strbuf_add_u64(out, o->size);
    strbuf_add_cstr(out, "}\r\n");
    job->offset = o->offset;
    job->left = o->size;
    job->is_decoding = job->what.items[job->item].kind == FETCH_BINARY;
    if (job->is_decoding)
        job->decoding = (struct fetch_decoding){.octets = *o};
}

static enum status send_piece(struct fetch_job *job, struct txn *txn, struct strbuf *out, struct err *err)
{
    size_t start = out->len;
    if (job->is_decoding) {
        TRY(fetch_decode_piece(&job->decoding, txn, job->message->content, job->left, out, err));
        job->left -= out->len - start;
        return ST_OK;
    }
    uint64_t want = SECTION_PIECE_BYTES - job->offset % SECTION_PIECE_BYTES;
    if (want > job->left)
        want = job->left;
    TRY(content_read(txn, job->message->content, job->offset, want, out, err));
    size_t got = out->len - start;
    if (got != want)
        return err_set_operator(err, ST_IO, "message cannot be read", "content %" PRIu64 " is shorter than it was",
                                job->message->content);
    replace_nuls(out->p + start, got);
    job->offset += got;
    job->left -= got;
    return ST_OK;
}

enum status fetch_stream(struct fetch_job *job, struct txn *txn, struct strbuf *out, struct err *err)
{
    while (out->len < SESSION_OUT_HIGH) {
        if (job->left) {
            TRY(send_piece(job, txn, out, err));
        } else if (job->item < job->what.count) {
            begin_section(job, out);
        } else {
            strbuf_add_cstr(out, job->end);
            job->message = NULL;
            return ST_OK;
        }
        if (!job->left)
            job->item++;
    }
    return ST_OK;
}
