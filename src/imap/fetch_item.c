/*
 * fetch_item.c - the FETCH items that are written at once: from the view without any disk (FLAGS, UID, INTERNALDATE,
 * RFC822.SIZE), or from the texts that were made at delivery (ENVELOPE, BODY, BODYSTRUCTURE).
 */
#include "imap/fetch.h"
#include "imap/object_id.h"
#include "text/imap_structure.h"
#include "base/banned.h"

uint64_t fetch_flags(const struct fetch_job *job, const struct view_message *m)
{
    return job->sets_seen && m->uid <= job->seen_uid ? m->flags | FLAG_SEEN : m->flags;
}

uint64_t fetch_modseq(const struct imap *im, const struct fetch_job *job, const struct view_message *m)
{
    if (job->seen_modseq && seqset_has(job->seen, m->uid))
        return job->seen_modseq;
    uint32_t newer = im->told_flags ? view_seq_of(im->told_flags, m->uid) : 0;
    return newer ? view_message(im->told_flags, newer)->modseq : m->modseq;
}

static void write_date(int64_t utc, int zone_minutes, struct strbuf *out)
{
    strbuf_add_char(out, '"');
    date_write_imap(utc, zone_minutes, out);
    strbuf_add_char(out, '"');
}

static enum status write_thread(const struct fetch_source *src, struct strbuf *out, struct err *err)
{
    uint64_t thread;
    TRY(imap_thread_of(src->txn, src->message->content, &src->forms, &thread, err));
    strbuf_add_char(out, '(');
    imap_write_thread_id(src->object_name, thread, src->message->content, out);
    strbuf_add_char(out, ')');
    return ST_OK;
}

static enum status write_preview(const struct imap *im, const struct fetch_source *src, const struct fetch_item *item,
                                 struct strbuf *out, struct err *err)
{
    AUTO_STRBUF made = STRBUF_INIT;
    struct span text = src->forms.preview;
    if (!src->forms.has_preview) {
        if (item->is_lazy) {
            strbuf_add_cstr(out, "NIL");
            return ST_OK;
        }
        TRY(content_make_preview(src->txn, src->message->content, &made, err));
        text = strbuf_span(&made);
    }
    if (imap_has(im, IMAP_UTF8))
        imap_utf8_string_write(text, out);
    else
        imap_string_write(text, out);
    return ST_OK;
}

enum status fetch_write_item(struct imap *im, const struct imap_call *call, const struct fetch_source *src,
                             const struct fetch_item *item, struct err *err)
{
    const struct view_message *m = src->message;
    struct strbuf *out = imap_out(im);
    strbuf_add(out, item->label);
    strbuf_add_char(out, ' ');
    switch (item->kind) {
    case FETCH_FLAGS:
        imap_write_flags(im, call, m->uid, fetch_flags(src->job, m), out);
        break;
    case FETCH_UID:
        strbuf_add_u64(out, m->uid);
        break;
    case FETCH_INTERNALDATE:
        write_date(m->received_utc, m->received_zone, out);
        break;
    case FETCH_SAVEDATE:
        write_date(m->saved_utc, 0, out);
        break;
    case FETCH_MODSEQ:
        strbuf_add_char(out, '(');
        strbuf_add_u64(out, fetch_modseq(im, src->job, m));
        strbuf_add_char(out, ')');
        break;
    case FETCH_SIZE:
        strbuf_add_u64(out, m->size);
        break;
    case FETCH_EMAILID:
        strbuf_add_char(out, '(');
        imap_write_email_id(src->object_name, m->content, out);
        strbuf_add_char(out, ')');
        break;
    case FETCH_THREADID:
        return write_thread(src, out, err);
    case FETCH_PREVIEW:
        return write_preview(im, src, item, out, err);
    case FETCH_ENVELOPE:
        strbuf_add(out, src->forms.envelope);
        break;
    case FETCH_BODY:
        strbuf_add(out, src->forms.body);
        break;
    case FETCH_BODYSTRUCTURE:
        strbuf_add(out, src->forms.bodystructure);
        break;
    case FETCH_BINARY_SIZE: {
        struct fetch_octets o;
        TRY(fetch_locate_binary(src, item, &o, err));
        strbuf_add_u64(out, o.size);
        break;
    }
    case FETCH_BINARY: /* is streamed */
        break;
    case FETCH_SECTION:
        return fetch_write_fields(src, item, out, err);
    }
    return ST_OK;
}
