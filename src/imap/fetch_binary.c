/*
 * fetch_binary.c - parts without their transfer encoding (RFC 3516; RFC 9051 §6.4.5).
 *
 * A literal says its size before its first octet, so a part is decoded twice: once to count and to look for NULs, once
 * to send. Both go a piece at a time, and a partial is counted no further than to its end.
 *
 * Only leaves are encoded. The whole message, a multipart and an embedded message are their octets as they stand: what
 * is encoded inside says so itself.
 */
#include <inttypes.h>
#include "imap/fetch.h"
#include "base/banned.h"

/* Decodes the next piece to the end of `out`. False: there was none left. */
static enum status next_piece(struct fetch_decoding *d, struct txn *txn, content_id content, struct strbuf *out,
                              bool *is_more, struct err *err)
{
    AUTO_STRBUF encoded = STRBUF_INIT;
    const struct fetch_octets *o = &d->octets;
    uint64_t at = o->offset + d->done, want = SECTION_PIECE_BYTES - at % SECTION_PIECE_BYTES;
    bool is_plain = o->encoding != MIME_BASE64 && o->encoding != MIME_QP;
    *is_more = !d->is_ended;
    if (d->is_ended)
        return ST_OK;
    if (want > o->encoded_size - d->done)
        want = o->encoded_size - d->done;
    TRY(content_read(txn, content, at, want, is_plain ? out : &encoded, err));
    d->done += want;
    d->is_ended = d->done == o->encoded_size;
    if (o->encoding == MIME_BASE64) {
        base64_decode_some(&d->base64, strbuf_span(&encoded), out);
        if (d->is_ended)
            base64_decode_end(&d->base64, out);
    } else if (o->encoding == MIME_QP) {
        qp_decode_some(&d->qp, strbuf_span(&encoded), out);
        if (d->is_ended)
            qp_decode_end(&d->qp, out);
    }
    return ST_OK;
}

/* Drops of what stands behind `start` what comes before the partial, and what is more than `most`. */
static void trim(struct fetch_decoding *d, struct strbuf *out, size_t start, uint64_t most)
{
    size_t got = out->len - start;
    size_t skip = got < d->octets.skip - d->skipped ? got : (size_t)(d->octets.skip - d->skipped);
    if (skip) {
        memmove(out->p + start, out->p + start + skip, got - skip);
        strbuf_truncate(out, out->len - skip);
        d->skipped += skip;
    }
    if (out->len - start > most)
        strbuf_truncate(out, start + (size_t)most);
}

enum status fetch_decode_piece(struct fetch_decoding *d, struct txn *txn, content_id content, uint64_t most,
                               struct strbuf *out, struct err *err)
{
    size_t start = out->len;
    bool is_more;
    TRY(next_piece(d, txn, content, out, &is_more, err));
    trim(d, out, start, most);
    if (is_more)
        return ST_OK;
    return err_set_operator(err, ST_IO, "message cannot be read", "content %" PRIu64 " is shorter than it was",
                            content);
}

static uint64_t count_lines(struct span s)
{
    uint64_t n = 0;
    for (size_t at = 0; (at = span_find_byte(s, '\n', at)) != SPAN_NPOS; at++)
        n++;
    return n;
}

/* Sets the size of what the partial leaves, and whether there is a NUL in it. */
static enum status measure(const struct fetch_source *src, struct fetch_octets *o, uint64_t most, struct err *err)
{
    struct fetch_decoding d = {.octets = *o};
    AUTO_STRBUF piece = STRBUF_INIT;
    bool is_more = true;
    o->size = 0;
    o->has_nul = false;
    while (o->size < most) {
        strbuf_truncate(&piece, 0);
        TRY(next_piece(&d, src->txn, src->message->content, &piece, &is_more, err));
        if (!is_more)
            break;
        trim(&d, &piece, 0, most - o->size);
        o->size += piece.len;
        o->has_nul |= span_find_byte(strbuf_span(&piece), '\0', 0) != SPAN_NPOS;
        o->lines += count_lines(strbuf_span(&piece));
    }
    return ST_OK;
}

enum status fetch_locate_binary(const struct fetch_source *src, const struct fetch_item *item, struct fetch_octets *out,
                                struct err *err)
{
    uint32_t part = 0;
    *out = fetch_locate_whole(src, item);
    if (!out->exists)
        return ST_OK;
    out->encoding = MIME_BINARY;
    if (item->depth && mime_find_section(&src->parts, item->numbers, item->depth, &part) &&
        src->parts.parts[part].kind == MIME_LEAF)
        out->encoding = (enum mime_encoding)src->parts.parts[part].encoding;
    if (out->encoding == MIME_UNKNOWN)
        return err_set(err, ST_UNSUPPORTED, "the part's transfer encoding is unknown");
    bool is_encoded = out->encoding == MIME_BASE64 || out->encoding == MIME_QP;
    if (!is_encoded)
        section_cut(item, &out->offset, &out->size);
    out->encoded_size = out->size;
    out->skip = is_encoded && item->is_partial ? item->offset : 0;
    if (!is_encoded && item->kind == FETCH_BINARY_SIZE)
        return ST_OK;
    return measure(src, out, item->is_partial ? item->size : UINT64_MAX, err);
}
