/* section.c - see section.h. */
#include "store/section.h"
#include <inttypes.h>
#include "base/banned.h"

unsigned section_forms(const struct fetch_item *item)
{
    return item->depth ? CONTENT_PARTS : 0;
}

bool section_range(const struct content_forms *forms, const struct mime_message *parts, const struct fetch_item *item,
                   uint64_t *offset, uint64_t *size)
{
    *offset = 0;
    *size = forms->size;
    if (item->depth)
        return mime_section_range(parts, item->numbers, item->depth, item->section, offset, size);
    if (item->section == MIME_SECTION_HEADER) {
        *size = forms->header_size;
    } else if (item->section == MIME_SECTION_TEXT) {
        *offset = forms->header_size;
        *size = forms->size - forms->header_size;
    }
    return true;
}

void section_cut(const struct fetch_item *item, uint64_t *offset, uint64_t *size)
{
    if (!item->is_partial)
        return;
    uint64_t skip = item->offset < *size ? item->offset : *size;
    *offset += skip;
    *size -= skip;
    if (*size > item->size)
        *size = item->size;
}

/* ---- what a URL names ------------------------------------------------------------------------------------------ */

enum status section_find_message(struct account *account, uint64_t reader, mailbox_id mailbox,
                                 const struct imap_url *url, struct view **view, uint32_t *seq, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct mailbox m;
    {
        AUTO(txn) txn = NULL;
        TRY(store_begin(account, TXN_READ, &txn, err));
        TRY(mailbox_get(txn, mailbox, &a, &m, err));
    }
    if (url->uidvalidity && url->uidvalidity != m.uidvalidity)
        return err_set(err, ST_NOTFOUND, "the mailbox is not the one it was");
    TRY(view_get_for(account, reader, mailbox, view, err));
    *seq = view_seq_of(*view, url->uid);
    return *seq ? ST_OK : err_set(err, ST_NOTFOUND, "there is no such message");
}

static enum status append_fields(struct txn *txn, content_id content, const struct fetch_item *item, uint64_t offset,
                                 uint64_t size, struct body *to, struct err *err)
{
    AUTO_STRBUF block = STRBUF_INIT;
    AUTO_STRBUF fields = STRBUF_INIT;
    if (size > SECTION_HEADER_BYTES_MAX)
        size = SECTION_HEADER_BYTES_MAX;
    TRY(content_read(txn, content, offset, size, &block, err));
    fetch_select_fields(item, strbuf_span(&block), &fields);
    offset = 0;
    size = fields.len;
    section_cut(item, &offset, &size);
    return body_append(to, span_slice(strbuf_span(&fields), (size_t)offset, (size_t)(offset + size)), err);
}

static enum status append_octets(struct txn *txn, content_id content, uint64_t offset, uint64_t size, struct body *to,
                                 struct err *err)
{
    AUTO_STRBUF piece = STRBUF_INIT;
    while (size) {
        uint64_t want = SECTION_PIECE_BYTES - offset % SECTION_PIECE_BYTES;
        if (want > size)
            want = size;
        strbuf_clear(&piece);
        TRY(content_read(txn, content, offset, want, &piece, err));
        if (piece.len != want)
            return err_set_operator(err, ST_IO, "message cannot be read", "content %" PRIu64 " is too short", content);
        TRY(body_append(to, strbuf_span(&piece), err));
        offset += want;
        size -= want;
    }
    return ST_OK;
}

enum status section_append(struct account *account, uint64_t reader, mailbox_id mailbox, const struct imap_url *url,
                           struct body *to, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO(view) view = NULL;
    AUTO(txn) txn = NULL;
    struct fetch_item item;
    struct content_forms forms;
    struct mime_message parts = {0};
    uint64_t offset, size;
    uint32_t seq;
    TRY(imap_url_item(&a, url, false, &item, err));
    TRY(section_find_message(account, reader, mailbox, url, &view, &seq, err));
    content_id content = view_message(view, seq)->content;
    TRY(store_begin(account, TXN_READ, &txn, err));
    TRY(content_load(txn, content, section_forms(&item), &a, &forms, err));
    if (item.depth)
        TRY(mime_unpack(&a, forms.parts, &parts, err));
    if (!section_range(&forms, &parts, &item, &offset, &size))
        return err_set(err, ST_NOTFOUND, "the message has no such part");
    if (item.fields_mode != FETCH_FIELDS_ALL)
        return append_fields(txn, content, &item, offset, size, to, err);
    section_cut(&item, &offset, &size);
    return append_octets(txn, content, offset, size, to, err);
}
