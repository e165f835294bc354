/*
 * mime_convert.c - see mime_convert.h. The parts are walked in document order; everything up to a header is copied, the
 * header is written anew where its encoding changes, then the body follows, as it is or encoded.
 */
#include "text/mime_convert.h"
#include "text/codec.h"
#include "base/banned.h"

enum { ENCODED_LINE_MAX = 76 }; /* RFC 2045 §6.7, §6.8 */

bool mime_fits(struct span octets, enum mime_fit fit)
{
    size_t line = 0;
    for (size_t i = 0; i < octets.len; i++) {
        unsigned char c = (unsigned char)octets.p[i];
        bool is_end = c == '\r' && i + 1 < octets.len && octets.p[i + 1] == '\n';
        if (is_end) {
            line = 0;
            i++;
        } else if (c == '\0' || c == '\r' || c == '\n' || (fit == MIME_FIT_7BIT && c >= 0x80) ||
                   ++line > MIME_LINE_MAX) {
            return false;
        }
    }
    return true;
}

/* ---- encoding a body ---------------------------------------------------------------------------------------- */

static void base64_lines(struct span in, struct strbuf *out)
{
    enum { BYTES_PER_LINE = ENCODED_LINE_MAX / 4 * 3 };
    while (in.len) {
        base64_encode(span_take(in, BYTES_PER_LINE), out);
        in = span_skip(in, BYTES_PER_LINE);
        if (in.len)
            strbuf_add(out, SPAN("\r\n"));
    }
}

/* One octet, escaped where it must be. is_before_end: a line end or the text's end follows. Returns what was written.
 */
static size_t qp_octet(unsigned char c, bool is_before_end, struct strbuf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    bool is_plain = (c > ' ' && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && !is_before_end);
    if (is_plain) {
        strbuf_add_char(out, (char)c);
        return 1;
    }
    strbuf_add_char(out, '=');
    strbuf_add_char(out, hex[c >> 4]);
    strbuf_add_char(out, hex[c & 15]);
    return 3;
}

/* RFC 2045 §6.7; line ends must be CRLF. */
static void qp_encode(struct span in, struct strbuf *out)
{
    size_t line = 0;
    for (size_t i = 0; i < in.len; i++) {
        bool is_end = span_starts(span_skip(in, i), SPAN("\r\n"));
        if (is_end) {
            strbuf_add(out, SPAN("\r\n"));
            line = 0;
            i++;
            continue;
        }
        if (line + 3 > ENCODED_LINE_MAX - 1) {
            strbuf_add(out, SPAN("=\r\n"));
            line = 0;
        }
        bool is_before_end = i + 1 == in.len || span_starts(span_skip(in, i + 1), SPAN("\r\n"));
        line += qp_octet((unsigned char)in.p[i], is_before_end, out);
    }
}

static bool has_bare_ends(struct span in)
{
    for (size_t i = 0; i < in.len; i++) {
        if (in.p[i] == '\n' || (in.p[i] == '\r' && (i + 1 == in.len || in.p[i + 1] != '\n')))
            return true;
        i += in.p[i] == '\r';
    }
    return false;
}

/* ---- the message ---------------------------------------------------------------------------------------------- */

struct conversion {
    struct arena *arena;
    struct span message;
    struct mime_message parsed;
    enum mime_fit fit;
    struct strbuf *out;
    uint64_t at; /* up to here the message is written */
};

/* What lies between the parts: delimiters, and text that nobody reads. A lone LF may end a delimiter's line; of too
 * long lines the rest is left out. */
static void copy_between(struct conversion *c, uint64_t to)
{
    struct span text = span_slice(c->message, (size_t)c->at, (size_t)to);
    c->at = to;
    if (mime_fits(text, c->fit)) {
        strbuf_add(c->out, text);
        return;
    }
    size_t line = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char octet = (unsigned char)text.p[i];
        bool is_crlf = octet == '\r' && i + 1 < text.len && text.p[i + 1] == '\n';
        bool is_bad = octet == '\0' || octet == '\r' || (c->fit == MIME_FIT_7BIT && octet >= 0x80);
        if (is_crlf || octet == '\n') {
            strbuf_add(c->out, SPAN("\r\n"));
            line = 0;
            i += is_crlf;
        } else if (line++ < MIME_LINE_MAX) {
            strbuf_add_char(c->out, is_bad ? '?' : (char)octet);
        }
    }
}

/* The part's header with another encoding; a field is added where there was none. */
static void write_header(struct conversion *c, const struct mime_part *p, const char *encoding)
{
    struct span header = span_slice(c->message, (size_t)p->header_offset, (size_t)(p->header_offset + p->header_size));
    struct header_field f;
    size_t done = 0, end = header.len;
    bool is_told = false;
    for (size_t at = 0; header_next(header, &at, &f);) {
        end = (size_t)(f.whole.p - header.p) + f.whole.len;
        if (!span_ieq(f.name, SPAN("Content-Transfer-Encoding")))
            continue;
        strbuf_add(c->out, span_slice(header, done, (size_t)(f.whole.p - header.p)));
        if (!is_told)
            strbuf_addf(c->out, "Content-Transfer-Encoding: %s\r\n", encoding);
        is_told = true;
        done = end;
    }
    if (!is_told) {
        if (end == header.len && done == 0) /* no field at all: nothing but the empty line */
            end = 0;
        strbuf_add(c->out, span_slice(header, done, end));
        strbuf_addf(c->out, "Content-Transfer-Encoding: %s\r\n", encoding);
        done = end;
    }
    strbuf_add(c->out, span_skip(header, done));
    c->at = p->header_offset + p->header_size;
}

static bool is_encoded(const struct mime_part *p)
{
    return p->encoding == MIME_QP || p->encoding == MIME_BASE64;
}

static void write_leaf(struct conversion *c, uint32_t number)
{
    const struct mime_part *p = &c->parsed.parts[number];
    struct span body = span_slice(c->message, (size_t)p->body_offset, (size_t)(p->body_offset + p->body_size));
    bool is_labelled_well = p->encoding != MIME_BINARY && (p->encoding != MIME_8BIT || c->fit != MIME_FIT_7BIT);
    if (mime_fits(body, c->fit)) {
        if (!is_labelled_well)
            write_header(c, p, c->fit == MIME_FIT_7BIT ? "7bit" : "8bit");
        copy_between(c, p->header_offset + p->header_size);
    } else {
        AUTO_STRBUF decoded = STRBUF_INIT;
        if (is_encoded(p)) { /* encoded, but not as it should be */
            mime_decode_part(&c->parsed, number, c->message, false, SIZE_MAX, &decoded);
            body = strbuf_span(&decoded);
        }
        bool is_text = span_eq(p->type, SPAN("text")) && p->encoding != MIME_BINARY && !has_bare_ends(body);
        write_header(c, p, is_text ? "quoted-printable" : "base64");
        if (is_text)
            qp_encode(body, c->out);
        else
            base64_lines(body, c->out);
        c->at = p->body_offset + p->body_size;
        if (number == 0 && !span_ends(strbuf_span(c->out), SPAN("\r\n")))
            strbuf_add(c->out, SPAN("\r\n"));
        return;
    }
    strbuf_add(c->out, body);
    c->at = p->body_offset + p->body_size;
}

/* A multipart or an embedded message is as good as its parts: RFC 2045 §6.4 wants a label that holds for all of them.
 */
static void write_container(struct conversion *c, const struct mime_part *p)
{
    bool is_labelled_well = p->encoding != MIME_BINARY && (p->encoding != MIME_8BIT || c->fit != MIME_FIT_7BIT);
    if (!is_labelled_well)
        write_header(c, p, c->fit == MIME_FIT_7BIT ? "7bit" : "8bit");
    copy_between(c, p->header_offset + p->header_size);
}

static enum status check_headers(const struct conversion *c, struct err *err)
{
    for (size_t i = 0; i < c->parsed.count; i++) {
        const struct mime_part *p = &c->parsed.parts[i];
        struct span header =
            span_slice(c->message, (size_t)p->header_offset, (size_t)(p->header_offset + p->header_size));
        if (!mime_fits(header, c->fit))
            return err_set(err, ST_UNSUPPORTED, "a header of the message cannot be converted");
    }
    return ST_OK;
}

enum status mime_convert(struct arena *a, struct span message, enum mime_fit fit, struct strbuf *out, struct err *err)
{
    struct conversion c = {.arena = a, .message = message, .fit = fit, .out = out};
    mime_parse(a, message, &c.parsed);
    TRY(check_headers(&c, err));
    for (uint32_t i = 0; i < c.parsed.count; i++) {
        const struct mime_part *p = &c.parsed.parts[i];
        if (p->header_offset > c.at)
            copy_between(&c, p->header_offset);
        if (p->kind == MIME_LEAF)
            write_leaf(&c, i);
        else
            write_container(&c, p);
    }
    copy_between(&c, message.len);
    return ST_OK;
}
