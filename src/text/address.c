/*
 * address.c - envelope addresses, see address.h. They follow RFC 5321 §4.1.2 letter by letter: what is accepted here is
 * sent on to other servers. (The lenient reader of header fields is in address_list.c.)
 */
#include "text/address.h"
#include <arpa/inet.h>
#include <idn2.h>
#include "text/charset.h"
#include "text/lexical.h"
#include "base/banned.h"

enum { LABEL_MAX = 63 };

static bool is_utf8_byte(char c)
{
    return (unsigned char)c >= 0x80;
}

/* RFC 5322 §3.2.3 atext; with UTF-8 where RFC 6531 §3.3 adds it. */
static bool is_atext(char c, bool is_utf8_allowed)
{
    if (is_utf8_byte(c))
        return is_utf8_allowed;
    return ascii_is_alpha(c) || ascii_is_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_string(struct span s, bool is_utf8_allowed)
{
    if (s.len == 0 || s.p[0] == '.' || s.p[s.len - 1] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '.' ? s.p[i - 1] == '.' : !is_atext(s.p[i], is_utf8_allowed))
            return false;
    }
    return true;
}

static bool label_is_valid(struct span label, bool is_utf8_allowed)
{
    if (label.len == 0 || label.len > LABEL_MAX || label.p[0] == '-' || label.p[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        char c = label.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && !(is_utf8_allowed && is_utf8_byte(c)))
            return false;
    }
    return true;
}

bool domain_is_valid(struct span domain, bool is_utf8_allowed)
{
    if (domain.len == 0 || domain.len > DOMAIN_MAX)
        return false;
    struct span rest = domain, label;
    for (bool is_more = true; is_more;) {
        is_more = span_cut(&rest, '.', &label);
        if (!label_is_valid(label, is_utf8_allowed))
            return false;
    }
    return utf8_is_valid(domain);
}

static struct span lower_copy(struct arena *a, struct span s)
{
    char *to = arena_alloc(a, s.len);
    for (size_t i = 0; i < s.len; i++)
        to[i] = ascii_lower(s.p[i]);
    return span_of(to, s.len);
}

/* RFC 5321 §4.1.3. No General-address-literal was ever registered, so there is none to accept. */
static bool literal_is_valid(struct span literal)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (literal.p[literal.len - 1] != ']')
        return false;
    struct span inner = span_slice(literal, 1, literal.len - 1);
    int family = AF_INET;
    if (span_istarts(inner, SPAN("IPv6:"))) {
        family = AF_INET6;
        inner = span_skip(inner, 5);
    }
    if (inner.len == 0 || inner.len >= sizeof text || memchr(inner.p, '\0', inner.len))
        return false;
    memcpy(text, inner.p, inner.len);
    text[inner.len] = '\0';
    return inet_pton(family, text, address) == 1;
}

/* Length of the domain or literal that starts s. */
static size_t domain_length(struct span s)
{
    if (s.len && s.p[0] == '[') {
        size_t close = span_find_byte(s, ']', 0);
        return close == SPAN_NPOS ? s.len : close + 1;
    }
    size_t n = 0;
    while (n < s.len && s.p[n] != '>' && s.p[n] != ',' && s.p[n] != ':' && !is_space(s.p[n]))
        n++;
    return n;
}

static enum status domain_read(struct arena *a, struct span *text, bool is_utf8_allowed, struct span *out,
                               struct err *err)
{
    struct span domain = span_take(*text, domain_length(*text));
    *text = span_skip(*text, domain.len);
    if (domain.len > DOMAIN_MAX)
        return err_set(err, ST_LIMIT, "domain too long");
    if (domain.len && domain.p[0] == '[') {
        if (!literal_is_valid(domain))
            return err_set(err, ST_SYNTAX, "invalid address literal");
        *out = arena_copy(a, domain);
        return ST_OK;
    }
    if (!domain_is_valid(domain, is_utf8_allowed))
        return err_set(err, ST_SYNTAX, domain.len ? "invalid domain name" : "domain missing");
    *out = lower_copy(a, domain);
    return ST_OK;
}

/* Quoted-string of RFC 5321 §4.1.2: printable octets, a backslash before any of them; *out is the content. */
static enum status quoted_read(struct arena *a, struct span *text, bool is_utf8_allowed, struct span *out,
                               struct err *err)
{
    size_t len = quoted_length(*text);
    struct span quoted = span_take(*text, len), inner = quoted_content(quoted);
    if (inner.len + 2 != len)
        return err_set(err, ST_SYNTAX, "quoted string is not closed");
    char *to = arena_alloc(a, inner.len);
    size_t n = 0;
    for (size_t i = 0; i < inner.len; i++) {
        char c = inner.p[i];
        if (c == '\\')
            c = inner.p[++i]; /* the content never ends in a lone backslash: it would have escaped the quote */
        if ((unsigned char)c < 32 || c == 127 || (is_utf8_byte(c) && !is_utf8_allowed))
            return err_set(err, ST_SYNTAX, "invalid character in quoted local part");
        to[n++] = c;
    }
    *out = span_of(to, n);
    *text = span_skip(*text, len);
    return ST_OK;
}

static enum status local_part_read(struct arena *a, struct span *text, bool is_utf8_allowed, struct span *out,
                                   struct err *err)
{
    if (text->len && text->p[0] == '"') {
        TRY(quoted_read(a, text, is_utf8_allowed, out, err));
    } else {
        size_t n = 0;
        while (n < text->len && (text->p[n] == '.' || is_atext(text->p[n], true)))
            n++;
        struct span local_part = span_take(*text, n);
        if (!is_dot_string(local_part, is_utf8_allowed))
            return err_set(err, ST_SYNTAX, n ? "invalid local part" : "local part missing");
        *out = arena_copy(a, local_part);
        *text = span_skip(*text, n);
    }
    if (out->len > LOCAL_PART_MAX)
        return err_set(err, ST_LIMIT, "local part too long");
    if (!utf8_is_valid(*out))
        return err_set(err, ST_SYNTAX, "local part is not UTF-8");
    return ST_OK;
}

/* Reads a Mailbox at the start of *text and moves behind it. */
static enum status mailbox_read(struct arena *a, struct span *text, bool is_utf8_allowed, struct mailbox_address *out,
                                struct err *err)
{
    const char *start = text->p;
    TRY(local_part_read(a, text, is_utf8_allowed, &out->local_part, err));
    if (!text->len || text->p[0] != '@')
        return err_set(err, ST_SYNTAX, text->len ? "invalid character in local part" : "@ and domain missing");
    *text = span_skip(*text, 1);
    TRY(domain_read(a, text, is_utf8_allowed, &out->domain, err));
    if ((size_t)(text->p - start) + 2 > PATH_MAX_OCTETS) /* RFC 5321 §4.5.3.1.3: with "<" and ">" */
        return err_set(err, ST_LIMIT, "address too long");
    return ST_OK;
}

enum status address_parse(struct arena *a, struct span text, bool is_utf8_allowed, struct mailbox_address *out,
                          struct err *err)
{
    if (text.len == 0)
        return err_set(err, ST_SYNTAX, "address missing");
    struct mailbox_address m;
    TRY(mailbox_read(a, &text, is_utf8_allowed, &m, err));
    if (text.len)
        return err_set(err, ST_SYNTAX, "invalid character behind the address");
    *out = m;
    return ST_OK;
}

/* A-d-l ":" (RFC 5321 §4.1.2): understood and forgotten, as Appendix C wants. */
static enum status source_route_skip(struct arena *a, struct span *text, bool is_utf8_allowed, struct err *err)
{
    for (;;) {
        struct span domain;
        if (!text->len || text->p[0] != '@')
            return err_set(err, ST_SYNTAX, "invalid source route");
        *text = span_skip(*text, 1);
        TRY(domain_read(a, text, is_utf8_allowed, &domain, err));
        if (span_starts(*text, SPAN(":"))) {
            *text = span_skip(*text, 1);
            return ST_OK;
        }
        if (!span_starts(*text, SPAN(",")))
            return err_set(err, ST_SYNTAX, "invalid source route");
        *text = span_skip(*text, 1);
    }
}

enum status path_parse(struct arena *a, struct span *text, bool is_utf8_allowed, bool is_null_allowed,
                       bool is_postmaster_allowed, struct mailbox_address *out, struct err *err)
{
    struct span rest = *text;
    if (!rest.len || rest.p[0] != '<')
        return err_set(err, ST_SYNTAX, "address must stand in angle brackets");
    rest = span_skip(rest, 1);

    struct mailbox_address m = {SPAN("postmaster"), SPAN("")};
    if (rest.len && rest.p[0] == '>') {
        if (!is_null_allowed)
            return err_set(err, ST_SYNTAX, "empty address not allowed here");
        m.local_part = SPAN("");
    } else if (is_postmaster_allowed && span_istarts(rest, SPAN("postmaster>"))) {
        rest = span_skip(rest, m.local_part.len);
    } else {
        if (rest.len && rest.p[0] == '@')
            TRY(source_route_skip(a, &rest, is_utf8_allowed, err));
        TRY(mailbox_read(a, &rest, is_utf8_allowed, &m, err));
    }
    if (!rest.len || rest.p[0] != '>')
        return err_set(err, ST_SYNTAX, "closing angle bracket missing");
    *text = span_skip(rest, 1);
    *out = m;
    return ST_OK;
}

void address_write(const struct mailbox_address *m, struct strbuf *out)
{
    if (is_dot_string(m->local_part, true)) {
        strbuf_add(out, m->local_part);
    } else if (m->local_part.len || m->domain.len) {
        strbuf_add_char(out, '"');
        for (size_t i = 0; i < m->local_part.len; i++) {
            char c = m->local_part.p[i];
            if (c == '"' || c == '\\')
                strbuf_add_char(out, '\\');
            strbuf_add_char(out, c);
        }
        strbuf_add_char(out, '"');
    }
    if (m->domain.len) {
        strbuf_add_char(out, '@');
        strbuf_add(out, m->domain);
    }
}

enum status domain_to_ascii(struct arena *a, struct span domain, struct span *out, struct err *err)
{
    if (domain.len > DOMAIN_MAX)
        return err_set(err, ST_LIMIT, "domain too long");
    bool is_ascii = true;
    for (size_t i = 0; i < domain.len; i++)
        is_ascii = is_ascii && !is_utf8_byte(domain.p[i]);
    if (is_ascii) {
        *out = lower_copy(a, domain);
        return ST_OK;
    }
    if (!utf8_is_valid(domain) || span_find_byte(domain, '\0', 0) != SPAN_NPOS)
        return err_set(err, ST_SYNTAX, "domain is not UTF-8");
    uint8_t *ascii = NULL;
    int rc = idn2_lookup_u8((const uint8_t *)arena_cstr(a, domain), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc != IDN2_OK)
        return err_set_operator(err, ST_SYNTAX, "invalid internationalised domain", "idn2: %s", idn2_strerror(rc));
    *out = lower_copy(a, span_cstr((const char *)ascii));
    idn2_free(ascii);
    return ST_OK;
}
