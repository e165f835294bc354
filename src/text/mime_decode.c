/*
 * mime_decode.c - the content of a part, for SEARCH, PREVIEW and BINARY. Only as much of the encoded body is decoded as
 * the limit needs: the first kilobyte of a text costs the same whether an hour of film stands behind it or not.
 */
#include "text/charset.h"
#include "text/codec.h"
#include "text/mime.h"
#include "base/banned.h"

enum {
    QP_SLICE = 8192,        /* octets of quoted-printable between two looks at the limit */
    OCTETS_PER_CHAR_MAX = 4 /* of charsets without shift sequences, against one octet of UTF-8 */
};

/* As much of a base64 body as gives `limit` octets. */
static struct span base64_need(struct span body, size_t limit)
{
    if (body.len / 4 < limit / 3)
        return body;
    size_t letters = (limit / 3 + 1) * 4;
    for (size_t i = 0; i < body.len; i++)
        if ((ascii_is_alpha(body.p[i]) || ascii_is_digit(body.p[i]) || body.p[i] == '+' || body.p[i] == '/') &&
            --letters == 0)
            return span_take(body, i + 1);
    return body;
}

/* Lines of quoted-printable decode each for itself, so the body may be cut behind any LF. */
static void qp_decode_lines(struct span body, size_t limit, struct strbuf *out)
{
    size_t start = out->len;
    while (body.len > 0 && out->len - start < limit) {
        size_t lf = body.len > QP_SLICE ? span_find_byte(body, '\n', QP_SLICE) : SPAN_NPOS;
        size_t n = lf == SPAN_NPOS ? body.len : lf + 1;
        qp_decode_body(span_take(body, n), out);
        body = span_skip(body, n);
    }
}

static void decode_transfer(enum mime_encoding encoding, struct span body, size_t limit, struct strbuf *out)
{
    size_t start = out->len;
    if (encoding == MIME_BASE64)
        base64_decode_body(base64_need(body, limit), out);
    else if (encoding == MIME_QP)
        qp_decode_lines(body, limit, out);
    else
        strbuf_add(out, span_take(body, limit));
    if (out->len - start > limit)
        strbuf_truncate(out, start + limit);
}

/* Cuts what stands behind `start` to `limit` octets, between characters. */
static void cut_utf8(struct strbuf *out, size_t start, size_t limit)
{
    if (out->len - start <= limit)
        return;
    size_t end = start + limit;
    while (end > start && ((unsigned char)out->p[end] & 0xc0) == 0x80)
        end--;
    strbuf_truncate(out, end);
}

void mime_decode_part(const struct mime_message *m, uint32_t part, struct span message, bool as_text, size_t limit,
                      struct strbuf *out)
{
    const struct mime_part *p = &m->parts[part];
    struct span body = span_slice(message, p->body_offset, p->body_offset + p->body_size);
    if (!as_text || !span_eq(p->type, SPAN("text"))) {
        decode_transfer(p->encoding, body, limit, out);
        return;
    }
    AUTO_STRBUF raw = STRBUF_INIT;
    size_t raw_limit = limit > SIZE_MAX / OCTETS_PER_CHAR_MAX ? SIZE_MAX : limit * OCTETS_PER_CHAR_MAX;
    decode_transfer(p->encoding, body, raw_limit, &raw);
    size_t start = out->len;
    charset_to_utf8(p->charset, strbuf_span(&raw), out);
    cut_utf8(out, start, limit);
}
