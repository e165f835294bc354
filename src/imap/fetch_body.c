/*
 * fetch_body.c - the sections of a message that FETCH sends (RFC 3501 §6.4.5).
 *
 * A section is a range of the stored octets, found in the stored table of parts; nothing is parsed here but header fields.
 * Headers are written at once. Everything else is streamed: the range is known before its literal is announced, and is read
 * a piece at a time, so that neither a large message nor a slow reader costs more than a piece.
 */
#include "imap/fetch.h"
#include "base/banned.h"

bool fetch_is_streamed(const struct fetch_item *item)
{
    if (item->kind != FETCH_SECTION || item->fields_mode != FETCH_FIELDS_ALL)
        return false;
    return item->depth || item->section != MIME_SECTION_HEADER;
}

unsigned fetch_forms_of(const struct fetch_item *item)
{
    switch (item->kind) {
    case FETCH_ENVELOPE:
        return CONTENT_ENVELOPE;
    case FETCH_BODY:
        return CONTENT_BODY;
    case FETCH_BODYSTRUCTURE:
        return CONTENT_BODYSTRUCTURE;
    case FETCH_SECTION:
        if (item->depth)
            return CONTENT_PARTS;
        return item->section == MIME_SECTION_HEADER ? CONTENT_HEADER : 0;
    default:
        return 0;
    }
}

/* "<origin.size>": what lies beyond the end is cut off, an origin beyond it gives nothing. */
static void apply_partial(const struct fetch_item *item, struct fetch_octets *o)
{
    if (!item->is_partial)
        return;
    uint64_t skip = item->offset < o->size ? item->offset : o->size;
    o->offset += skip;
    o->size -= skip;
    if (o->size > item->size)
        o->size = item->size;
}

static enum status locate_whole(const struct fetch_item *item, const struct content_forms *forms, struct arena *a,
                                struct fetch_octets *o, struct err *err)
{
    struct mime_message parts;
    o->exists = true;
    if (!item->depth) {
        o->offset = item->section == MIME_SECTION_TEXT ? forms->header_size : 0;
        o->size = (item->section == MIME_SECTION_HEADER ? forms->header_size : forms->size) - o->offset;
        return ST_OK;
    }
    TRY(mime_unpack(a, forms->parts, &parts, err));
    o->exists = mime_section_range(&parts, item->numbers, item->depth, item->section, &o->offset, &o->size);
    return ST_OK;
}

enum status fetch_locate(const struct fetch_item *item, const struct content_forms *forms, struct arena *a,
                         struct fetch_octets *out, struct err *err)
{
    *out = (struct fetch_octets){0};
    TRY(locate_whole(item, forms, a, out, err));
    apply_partial(item, out);
    return ST_OK;
}

/* RFC 3501 §4.3.1 has no NUL in a literal, messages may: what other servers send in its place keeps all sizes. */
static void replace_nuls(char *p, size_t len)
{
    for (char *nul; (nul = memchr(p, '\0', len)); len -= (size_t)(nul + 1 - p), p = nul + 1)
        *nul = (char)0x80;
}

/* ---- headers ------------------------------------------------------------------------------------------------- */

static bool is_named(const struct fetch_item *item, struct span name)
{
    for (size_t i = 0; i < item->field_count; i++)
        if (span_ieq(item->fields[i], name))
            return true;
    return false;
}

/* The fields wanted, each as it stands, and the empty line. */
static void select_fields(const struct fetch_item *item, struct span block, struct strbuf *out)
{
    struct header_field f;
    for (size_t at = 0; header_next(block, &at, &f);) {
        if (is_named(item, f.name) != (item->fields_mode == FETCH_FIELDS_ONLY))
            continue;
        strbuf_add(out, f.whole);
        if (!span_ends(f.whole, SPAN("\n")))
            strbuf_add_cstr(out, "\r\n");
    }
    strbuf_add_cstr(out, "\r\n");
}

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

/* The header block the item is about; exists false where its part has none. */
static enum status read_block(struct txn *txn, const struct view_message *m, const struct fetch_item *item,
                              const struct content_forms *forms, struct arena *a, struct strbuf *block, bool *exists,
                              struct err *err)
{
    struct fetch_octets o = {0};
    TRY(locate_whole(item, forms, a, &o, err));
    *exists = o.exists;
    return o.exists ? content_read(txn, m->content, o.offset, o.size, block, err) : ST_OK;
}

enum status fetch_write_header(struct txn *txn, const struct view_message *m, const struct fetch_item *item,
                               const struct content_forms *forms, struct arena *a, struct strbuf *out, struct err *err)
{
    AUTO_STRBUF nested = STRBUF_INIT;
    AUTO_STRBUF fields = STRBUF_INIT;
    struct span text = forms->header;
    bool exists = true;
    if (item->depth) {
        TRY(read_block(txn, m, item, forms, a, &nested, &exists, err));
        text = strbuf_span(&nested);
    }
    if (!exists) {
        strbuf_add_cstr(out, "NIL");
        return ST_OK;
    }
    if (item->fields_mode != FETCH_FIELDS_ALL) {
        select_fields(item, text, &fields);
        text = strbuf_span(&fields);
    }
    struct fetch_octets o = {true, 0, text.len};
    apply_partial(item, &o);
    write_literal(span_slice(text, (size_t)o.offset, (size_t)(o.offset + o.size)), out);
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
    strbuf_add_cstr(out, " {");
    strbuf_add_u64(out, o->size);
    strbuf_add_cstr(out, "}\r\n");
    job->offset = o->offset;
    job->left = o->size;
}

static enum status send_piece(struct fetch_job *job, struct txn *txn, struct strbuf *out, struct err *err)
{
    size_t start = out->len;
    uint64_t want = FETCH_STREAM_BYTES - job->offset % FETCH_STREAM_BYTES;
    if (want > job->left)
        want = job->left;
    TRY(content_read(txn, job->message->content, job->offset, want, out, err));
    size_t got = out->len - start;
    if (got != want)
        return err_set_operator(err, ST_IO, "message cannot be read", "content %llu ends at %llu, should go on",
                                (unsigned long long)job->message->content, (unsigned long long)(job->offset + got));
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
            strbuf_add_cstr(out, ")\r\n");
            job->message = NULL;
            return ST_OK;
        }
        if (!job->left)
            job->item++;
    }
    return ST_OK;
}
