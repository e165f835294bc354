/* send_message.c - see send_message.h. */
#include "text/send_message.h"
#include "text/address.h"
#include "text/codec.h"
#include "text/header.h"
#include "base/banned.h"

/* ---- addresses -------------------------------------------------------------------------------------------------- */

static enum status canonical(struct arena *a, struct span local_part, struct span domain, const char *usual,
                             struct span *out, struct err *err)
{
    struct span text =
        arena_printf(a, "%.*s@%.*s", SPAN_ARG(local_part), SPAN_ARG(domain.len ? domain : span_cstr(usual)));
    struct mailbox_address m;
    struct err why;
    if (address_parse(a, text, true, &m, &why) != ST_OK)
        return err_set(err, ST_SYNTAX, "not an address (%s)", why.client);
    AUTO_STRBUF written = STRBUF_INIT;
    address_write(&m, &written);
    *out = arena_strbuf(a, &written);
    return ST_OK;
}

/* What cannot stand in an address wherever it comes from; the parser of header fields would pass over it. */
static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (((unsigned char)text.p[i] < ' ' && !strchr("\t\r\n", text.p[i])) || text.p[i] == 0x7f || !text.p[i])
            return true;
    return false;
}

enum status send_address(struct arena *a, struct span text, const char *domain, struct span *out, struct err *err)
{
    struct header_address *list;
    size_t count;
    text = span_trim(text);
    *out = SPAN("");
    if (text.len == 0 || span_eq(text, SPAN("<>")))
        return ST_OK;
    if (has_control(text))
        return err_set(err, ST_SYNTAX, "not an address (a control character)");
    header_addresses(a, text, &list, &count);
    if (count != 1 || list[0].kind != ADDRESS_MAILBOX)
        return err_set(err, ST_SYNTAX, "not one address");
    return canonical(a, list[0].local_part, list[0].domain, domain, out, err);
}

static bool is_there(const struct send_recipients *r, struct span address)
{
    for (size_t i = 0; i < r->count; i++)
        if (span_ieq(r->list[i], address))
            return true;
    return false;
}

static enum status add(struct send_recipients *r, struct span address, struct err *err)
{
    if (is_there(r, address))
        return ST_OK;
    if (r->count == SEND_RECIPIENTS_MAX || r->octets + address.len > SEND_ENVELOPE_MAX)
        return err_set(err, ST_LIMIT, "more than %d recipients", SEND_RECIPIENTS_MAX);
    for (size_t i = 0; i < address.len; i++)
        r->is_utf8 |= (unsigned char)address.p[i] >= 0x80;
    r->list[r->count++] = address;
    r->octets += address.len;
    return ST_OK;
}

enum status send_add_list(struct arena *a, struct span text, const char *domain, struct send_recipients *r,
                          struct err *err)
{
    struct header_address *list;
    size_t count;
    if (has_control(text))
        return err_set(err, ST_SYNTAX, "not an address (a control character)");
    header_addresses(a, text, &list, &count);
    if (count >= HEADER_ADDRESSES_MAX)
        return err_set(err, ST_LIMIT, "more than %d recipients", SEND_RECIPIENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct span address;
        if (list[i].kind != ADDRESS_MAILBOX)
            continue;
        if (canonical(a, list[i].local_part, list[i].domain, domain, &address, err) != ST_OK)
            return err_set(err, ST_SYNTAX, "'%.*s' is not an address", SPAN_ARG(span_take(list[i].local_part, 80)));
        TRY(add(r, address, err));
    }
    return ST_OK;
}

static bool is_recipient_field(struct span name, bool is_resent)
{
    static const char *const names[] = {"To", "Cc", "Bcc"};
    if (is_resent) {
        if (!span_istarts(name, SPAN("Resent-")))
            return false;
        name = span_skip(name, 7);
    }
    for (size_t i = 0; i < 3; i++)
        if (span_ieq(name, span_cstr(names[i])))
            return true;
    return false;
}

enum status send_add_header(struct arena *a, struct span header, const char *domain, struct send_recipients *r,
                            struct err *err)
{
    struct header_field f;
    bool is_resent = false;
    if (header.len > SEND_HEADER_MAX)
        return err_set(err, ST_LIMIT, "the header is larger than %d octets", SEND_HEADER_MAX);
    for (size_t at = 0; header_next(header, &at, &f);)
        is_resent |= is_recipient_field(f.name, true);
    for (size_t at = 0; header_next(header, &at, &f);)
        if (is_recipient_field(f.name, is_resent))
            TRY(send_add_list(a, header_unfold(a, f.value), domain, r, err));
    return ST_OK;
}

/* ---- the header ------------------------------------------------------------------------------------------------- */

static struct span first_line(struct span text)
{
    size_t lf = span_find_byte(text, '\n', 0);
    return lf == SPAN_NPOS ? text : span_take(text, lf + 1);
}

/* RFC 5322 §2.2: a name of printable characters and a colon (with the obsolete space before it, §4.5). */
static bool is_field(struct span line)
{
    size_t n = 0;
    while (n < line.len && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
        n++;
    size_t colon = n;
    while (colon < line.len && (line.p[colon] == ' ' || line.p[colon] == '\t'))
        colon++;
    return n > 0 && colon < line.len && line.p[colon] == ':';
}

static bool is_folded(struct span line)
{
    return line.len && (line.p[0] == ' ' || line.p[0] == '\t');
}

void send_split(struct span text, struct send_parts *out)
{
    *out = (struct send_parts){0};
    struct span line = first_line(text);
    if ((span_starts(line, SPAN("From ")) || span_starts(line, SPAN(">From "))) && !is_field(line))
        text = span_skip(text, line.len);
    size_t at = 0;
    for (struct span rest = text; rest.len; rest = span_skip(text, at)) {
        line = first_line(rest);
        if (!is_field(line) && !(at > 0 && is_folded(line)))
            break;
        out->has_from |= span_istarts(line, SPAN("From:")) || span_istarts(line, SPAN("From :"));
        at += line.len;
    }
    out->header = span_take(text, at);
    out->body = span_skip(text, at);
    line = first_line(out->body);
    if (span_eq(line, SPAN("\r\n")))
        out->body = span_skip(out->body, 2);
}

static bool needs_encoding(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < ' ' || (unsigned char)s.p[i] >= 0x7f)
            return true;
    return false;
}

enum { FULL_NAME_MAX = 200, ENCODED_WORD_OCTETS = 42 }; /* RFC 2047 §2: a word of at most 75 */

/* RFC 2047 §5 (3): words of whole characters, a line each. */
static void write_encoded(struct span s, struct strbuf *out)
{
    for (bool is_first = true; s.len; is_first = false) {
        size_t n = s.len < ENCODED_WORD_OCTETS ? s.len : ENCODED_WORD_OCTETS;
        while (n > 1 && n < s.len && ((unsigned char)s.p[n] & 0xc0) == 0x80)
            n--;
        strbuf_add_cstr(out, is_first ? "=?utf-8?B?" : "\r\n =?utf-8?B?");
        base64_encode(span_take(s, n), out);
        strbuf_add(out, SPAN("?="));
        s = span_skip(s, n);
    }
}

void send_write_from(const char *full_name, struct span address, struct strbuf *out)
{
    struct span name = span_trim(span_take(span_cstr(full_name), FULL_NAME_MAX));
    strbuf_add(out, SPAN("From: "));
    if (name.len && needs_encoding(name)) {
        write_encoded(name, out);
        strbuf_add_char(out, ' ');
    } else if (name.len) {
        strbuf_add_char(out, '"');
        for (size_t i = 0; i < name.len; i++) {
            if (name.p[i] == '"' || name.p[i] == '\\')
                strbuf_add_char(out, '\\');
            strbuf_add_char(out, name.p[i]);
        }
        strbuf_add(out, SPAN("\" "));
    }
    strbuf_addf(out, "<%.*s>\r\n", SPAN_ARG(address));
}
