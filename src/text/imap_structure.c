/*
 * imap_structure.c - IMAP's strings and the ENVELOPE (RFC 3501 §4.3, §7.4.2; RFC 9051 §7.5.2).
 *
 * The texts are made of what strangers wrote, as it stands: encoded-words stay encoded, and what does not fit in a
 * quoted string goes in a literal. The only things added are those that the RFC asks for, the only ones left out those
 * beyond the limits.
 */
#include "text/imap_structure.h"
#include "text/address.h"
#include "text/charset.h"
#include "text/header.h"
#include "base/banned.h"

static void string_write(struct span s, bool is_8bit_quotable, struct strbuf *out)
{
    bool is_quotable = true;
    size_t nuls = 0, escapes = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c >= 0x80 && !is_8bit_quotable) || c == '\r' || c == '\n')
            is_quotable = false;
        nuls += c == '\0';
        escapes += c == '"' || c == '\\';
    }
    strbuf_reserve(out, s.len + escapes + 32);
    if (is_quotable) {
        strbuf_add_char(out, '"');
    } else {
        strbuf_add_char(out, '{');
        strbuf_add_u64(out, s.len - nuls);
        strbuf_add(out, SPAN("}\r\n"));
    }
    if (nuls == 0 && (escapes == 0 || !is_quotable)) {
        strbuf_add(out, s);
    } else {
        for (size_t i = 0; i < s.len; i++) {
            if (is_quotable && (s.p[i] == '"' || s.p[i] == '\\'))
                strbuf_add_char(out, '\\');
            if (s.p[i] != '\0')
                strbuf_add_char(out, s.p[i]);
        }
    }
    if (is_quotable)
        strbuf_add_char(out, '"');
}

void imap_string_write(struct span s, struct strbuf *out)
{
    string_write(s, false, out);
}

void imap_utf8_string_write(struct span s, struct strbuf *out)
{
    string_write(s, utf8_is_valid(s), out);
}

void imap_nstring_write(bool has, struct span s, struct strbuf *out)
{
    if (has)
        imap_string_write(s, out);
    else
        strbuf_add(out, SPAN("NIL"));
}

/* In the order of the text. */
enum envelope_field { DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID, FIELDS };
static const struct span field_names[FIELDS] = {
    [DATE] = SPAN_INIT("date"),
    [SUBJECT] = SPAN_INIT("subject"),
    [FROM] = SPAN_INIT("from"),
    [SENDER] = SPAN_INIT("sender"),
    [REPLY_TO] = SPAN_INIT("reply-to"),
    [TO] = SPAN_INIT("to"),
    [CC] = SPAN_INIT("cc"),
    [BCC] = SPAN_INIT("bcc"),
    [IN_REPLY_TO] = SPAN_INIT("in-reply-to"),
    [MESSAGE_ID] = SPAN_INIT("message-id"),
};

struct envelope {
    struct arena *a;
    struct span header;
    struct span values[FIELDS];
    size_t times[FIELDS]; /* how often the field is there; the first one counts */
    struct strbuf *out;
    size_t start;
};

static void envelope_read(struct envelope *e)
{
    struct header_field f;
    for (size_t at = 0; header_next(e->header, &at, &f);)
        for (size_t i = 0; i < FIELDS; i++)
            if (f.name.len == field_names[i].len && span_ieq(f.name, field_names[i])) {
                if (e->times[i]++ == 0)
                    e->values[i] = f.value;
                break;
            }
}

static void text_write(struct envelope *e, enum envelope_field field)
{
    struct span value = span_take(e->values[field], IMAP_STRUCTURE_STRING_MAX);
    imap_nstring_write(e->times[field] > 0, header_unfold(e->a, value), e->out);
}

static void limited_string_write(struct span s, struct strbuf *out)
{
    imap_string_write(span_take(s, IMAP_STRUCTURE_STRING_MAX), out);
}

/* addr-mailbox is the local part "after removing RFC 5322 quoting" (RFC 9051 §9). */
static struct span local_part_unquoted(struct arena *a, struct span local)
{
    if (span_find_byte(local, '"', 0) == SPAN_NPOS)
        return local;
    char *to = arena_alloc(a, local.len);
    size_t n = 0;
    bool is_quoted = false;
    for (size_t i = 0; i < local.len; i++) {
        if (local.p[i] == '"') {
            is_quoted = !is_quoted;
            continue;
        }
        if (is_quoted && local.p[i] == '\\' && i + 1 < local.len)
            i++;
        to[n++] = local.p[i];
    }
    return span_of(to, n);
}

/* "(name route mailbox host)". A host of NIL says group, so an address without domain has the host "". */
static void address_entry_write(struct arena *a, const struct header_address *h, struct strbuf *out)
{
    if (h->kind == ADDRESS_GROUP_END) {
        strbuf_add(out, SPAN("(NIL NIL NIL NIL)"));
        return;
    }
    bool is_group = h->kind == ADDRESS_GROUP_START;
    strbuf_add_char(out, '(');
    imap_nstring_write(h->has_name && !is_group, span_take(h->name, IMAP_STRUCTURE_STRING_MAX), out);
    strbuf_add_char(out, ' ');
    imap_nstring_write(h->has_route && !is_group, span_take(h->route, IMAP_STRUCTURE_STRING_MAX), out);
    strbuf_add_char(out, ' ');
    limited_string_write(is_group ? h->local_part : local_part_unquoted(a, h->local_part), out);
    strbuf_add_char(out, ' ');
    imap_nstring_write(!is_group, span_take(h->domain, IMAP_STRUCTURE_STRING_MAX), out);
    strbuf_add_char(out, ')');
}

/* The addresses of one field, up to *left of them. */
static void addresses_add(struct envelope *e, struct span value, size_t *left)
{
    struct header_address *list;
    size_t count;
    bool is_in_group = false;
    header_addresses(e->a, value, &list, &count);
    for (size_t i = 0; i<count && * left> 0 && e->out->len - e->start < IMAP_STRUCTURE_MAX; i++, --*left) {
        address_entry_write(e->a, &list[i], e->out);
        is_in_group = list[i].kind == ADDRESS_GROUP_START || (is_in_group && list[i].kind != ADDRESS_GROUP_END);
    }
    if (is_in_group) /* cut by a limit */
        strbuf_add(e->out, SPAN("(NIL NIL NIL NIL)"));
}

/* False, and nothing written, where the field has no address. Further fields of the same name, which RFC 5322 §3.6
 * forbids, are taken for To, Cc and Bcc: who got a message matters. */
static bool addresses_write(struct envelope *e, enum envelope_field field)
{
    if (e->times[field] == 0)
        return false;
    size_t before = e->out->len, left = HEADER_ADDRESSES_MAX;
    strbuf_add_char(e->out, '(');
    if (e->times[field] == 1 || field < TO) {
        addresses_add(e, e->values[field], &left);
    } else {
        struct header_field f;
        for (size_t at = 0; left > 0 && header_next(e->header, &at, &f);)
            if (span_ieq(f.name, field_names[field]))
                addresses_add(e, f.value, &left);
    }
    if (e->out->len == before + 1) {
        strbuf_truncate(e->out, before);
        return false;
    }
    strbuf_add_char(e->out, ')');
    return true;
}

void imap_envelope_write(struct arena *a, struct span header_block, struct strbuf *out)
{
    struct envelope e = {.a = a, .header = header_block, .out = out, .start = out->len};
    envelope_read(&e);
    strbuf_add_char(out, '(');
    text_write(&e, DATE);
    strbuf_add_char(out, ' ');
    text_write(&e, SUBJECT);
    for (enum envelope_field field = FROM; field <= BCC; field++) {
        strbuf_add_char(out, ' ');
        /* "If the Sender or Reply-To lines are absent, or are present but empty": as From */
        bool is_written =
            addresses_write(&e, field) || ((field == SENDER || field == REPLY_TO) && addresses_write(&e, FROM));
        if (!is_written)
            strbuf_add(out, SPAN("NIL"));
    }
    strbuf_add_char(out, ' ');
    text_write(&e, IN_REPLY_TO);
    strbuf_add_char(out, ' ');
    text_write(&e, MESSAGE_ID);
    strbuf_add_char(out, ')');
}
