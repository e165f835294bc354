/*
 * imap_url.c - see imap_url.h. The path is read from the left: mailbox, then the pieces that begin with ";". A ";"
 * within a name is always escaped (RFC 5092 §11: bchar), so the first one ends the mailbox.
 */
#include "text/imap_url.h"
#include "text/charset.h"
#include "text/date.h"
#include "text/lexical.h"
#include "base/banned.h"

enum { QUOTED_MAX = 1000 };

struct reader {
    struct arena *arena;
    struct span rest;
};

static enum status bad(struct err *err, const char *what)
{
    return err_set(err, ST_SYNTAX, "not a URL of this kind: %s", what);
}

/* RFC 5092 §11: uchar without pct-encoded, and what more is allowed in the place. */
static bool is_plain(char c, const char *more)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || (c && strchr("-._~!$'()*+,", c)) || (c && strchr(more, c));
}

/* Keywords are not sensitive to case (RFC 5092 §11). */
static bool take_word(struct reader *r, struct span word)
{
    if (!span_istarts(r->rest, word))
        return false;
    r->rest = span_skip(r->rest, word.len);
    return true;
}

/* Characters of a text, unescaped. Octets that are no UTF-8 and NULs are refused: no name has them. */
static enum status text(struct reader *r, const char *more, struct span *out, struct err *err)
{
    AUTO_STRBUF b = STRBUF_INIT;
    size_t n = 0;
    for (; n < r->rest.len; n++) {
        char c = r->rest.p[n];
        if (c == '%') {
            int high = n + 2 < r->rest.len ? hex_value(r->rest.p[n + 1]) : -1;
            int low = n + 2 < r->rest.len ? hex_value(r->rest.p[n + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                return bad(err, "% and no two hexadecimal digits");
            c = (char)(high * 16 + low);
            n += 2;
        } else if (!is_plain(c, more)) {
            break;
        }
        strbuf_add_char(&b, c);
    }
    if (n == 0)
        return bad(err, "something is empty");
    if (!utf8_is_valid(strbuf_span(&b)))
        return bad(err, "an escaped text is not UTF-8");
    r->rest = span_skip(r->rest, n);
    *out = arena_strbuf(r->arena, &b);
    return ST_OK;
}

static enum status number(struct reader *r, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
    size_t n = 0;
    while (n < r->rest.len && ascii_is_digit(r->rest.p[n]))
        n++;
    if (!span_to_u64(span_take(r->rest, n), max, out) || *out < min)
        return bad(err, "a number is missing or too large");
    r->rest = span_skip(r->rest, n);
    return ST_OK;
}

static enum status nz_number(struct reader *r, uint32_t *out, struct err *err)
{
    uint64_t n;
    TRY(number(r, 1, UINT32_MAX, &n, err));
    *out = (uint32_t)n;
    return ST_OK;
}

/* iserver: [iuserinfo "@"] host [":" port] */
static enum status server(struct reader *r, struct imap_url *url, struct err *err)
{
    size_t end = span_find_byte(r->rest, '/', 0);
    struct span all = span_take(r->rest, end == SPAN_NPOS ? r->rest.len : end);
    struct reader in = {.arena = r->arena, .rest = all};
    uint64_t port;
    url->has_server = true;
    r->rest = span_skip(r->rest, all.len);
    if (span_find_byte(all, '@', 0) != SPAN_NPOS) {
        struct span mechanism;
        if (!span_istarts(in.rest, SPAN(";AUTH=")))
            TRY(text(&in, "&=", &url->user, err));
        if (take_word(&in, SPAN(";AUTH=")))
            TRY(text(&in, "&=", &mechanism, err));
        if (!take_word(&in, SPAN("@")))
            return bad(err, "the user is not followed by @");
    }
    TRY(text(&in, "[]:", &url->host, err));
    size_t colon = span_rfind_byte(url->host, ':');
    if (colon != SPAN_NPOS && !span_ends(url->host, SPAN("]"))) {
        if (!span_to_u64(span_skip(url->host, colon + 1), UINT16_MAX, &port))
            return bad(err, "the port is no number");
        url->host = span_take(url->host, colon);
    }
    return in.rest.len || !url->host.len ? bad(err, "the server's name") : ST_OK;
}

/* The server, and the "/" before a path. Without a server: "/INBOX/;UID=1", "INBOX/;UID=1", ";UID=1". */
static enum status origin(struct reader *r, struct imap_url *url, struct err *err)
{
    if (take_word(r, SPAN("imap://")) || take_word(r, SPAN("//"))) {
        TRY(server(r, url, err));
        return take_word(r, SPAN("/")) ? ST_OK : bad(err, "no mailbox is named");
    }
    size_t colon = span_find_byte(r->rest, ':', 0), slash = span_find_byte(r->rest, '/', 0);
    if (colon < slash && span_find_byte(r->rest, ';', 0) > colon)
        return bad(err, "the scheme is not imap");
    if (take_word(r, SPAN("/")) && span_starts(r->rest, SPAN(";")))
        return bad(err, "the mailbox has no name");
    return ST_OK;
}

static enum status mailbox(struct reader *r, struct imap_url *url, struct err *err)
{
    if (!url->has_server && span_starts(r->rest, SPAN(";")))
        return ST_OK;
    TRY(text(r, "&=:@/", &url->mailbox, err));
    bool is_slash_read = span_ends(url->mailbox, SPAN("/"));
    if (is_slash_read) { /* of "/;UID=" */
        url->mailbox = span_take(url->mailbox, url->mailbox.len - 1);
        r->rest = span_of(r->rest.p - 1, r->rest.len + 1);
    }
    if (!url->mailbox.len)
        return bad(err, "the mailbox has no name");
    bool is_inbox = span_istarts(url->mailbox, SPAN("INBOX")) && (url->mailbox.len == 5 || url->mailbox.p[5] == '/');
    if (is_inbox)
        url->mailbox = arena_printf(r->arena, "INBOX%.*s", SPAN_ARG(span_skip(url->mailbox, 5)));
    return take_word(r, SPAN(";UIDVALIDITY=")) ? nz_number(r, &url->uidvalidity, err) : ST_OK;
}

/* "/;UID=" and so on; where nothing of the path has been read yet the slash is missing. */
static bool take_piece(struct reader *r, bool is_first, const char *word)
{
    struct reader ahead = *r;
    if (!is_first && !take_word(&ahead, SPAN("/")))
        return false;
    if (!take_word(&ahead, span_cstr(word)))
        return false;
    *r = ahead;
    return true;
}

static enum status message_part(struct reader *r, struct imap_url *url, struct err *err)
{
    if (!take_piece(r, !url->mailbox.len, ";UID="))
        return bad(err, "no message is named by its uid");
    TRY(nz_number(r, &url->uid, err));
    if (take_piece(r, false, ";SECTION="))
        TRY(text(r, "&=:@/", &url->section, err));
    /* As with the mailbox: a "/" is of the section unless a piece follows it. */
    if (span_ends(url->section, SPAN("/"))) {
        url->section = span_take(url->section, url->section.len - 1);
        r->rest = span_of(r->rest.p - 1, r->rest.len + 1);
    }
    if (!take_piece(r, false, ";PARTIAL="))
        return ST_OK;
    url->is_partial = true;
    url->size = INT64_MAX;
    TRY(number(r, 0, INT64_MAX, &url->offset, err));
    return take_word(r, SPAN(".")) ? number(r, 1, INT64_MAX, &url->size, err) : ST_OK;
}

static enum status access(struct reader *r, struct imap_url *url, struct err *err)
{
    if (take_word(r, SPAN("submit+")))
        url->access = URL_ACCESS_SUBMIT;
    else if (take_word(r, SPAN("user+")))
        url->access = URL_ACCESS_USER;
    else if (take_word(r, SPAN("authuser")))
        url->access = URL_ACCESS_AUTHUSER;
    else if (take_word(r, SPAN("anonymous")))
        url->access = URL_ACCESS_ANONYMOUS;
    else
        return bad(err, "the access identifier is unknown");
    bool has_user = url->access == URL_ACCESS_SUBMIT || url->access == URL_ACCESS_USER;
    return has_user ? text(r, "&=", &url->access_user, err) : ST_OK;
}

/* iurlauth: [expire] ";URLAUTH=" access [":" mechanism ":" token] */
static enum status authorization(struct reader *r, const char *start, struct imap_url *url, struct err *err)
{
    if (take_word(r, SPAN(";EXPIRE="))) {
        size_t n = 0;
        while (n < r->rest.len && r->rest.p[n] != ';')
            n++;
        url->expires = true;
        if (!date_parse_rfc3339(span_take(r->rest, n), &url->expires_at))
            return bad(err, "EXPIRE is no date and time");
        r->rest = span_skip(r->rest, n);
    }
    if (!take_word(r, SPAN(";URLAUTH=")))
        return url->expires || r->rest.len ? bad(err, "something follows that is no URLAUTH") : ST_OK;
    TRY(access(r, url, err));
    url->rump = span_of(start, (size_t)(r->rest.p - start));
    if (!r->rest.len)
        return ST_OK;
    if (!take_word(r, SPAN(":")) || !span_cut(&r->rest, ':', &url->mechanism) || !url->mechanism.len || !r->rest.len)
        return bad(err, "mechanism and token are missing behind the access identifier");
    url->token = r->rest;
    for (size_t i = 0; i < url->token.len; i++)
        if (hex_value(url->token.p[i]) < 0)
            return bad(err, "the token is not of hexadecimal digits");
    return ST_OK;
}

enum status imap_url_parse(struct arena *a, struct span all, struct imap_url *out, struct err *err)
{
    struct reader r = {.arena = a, .rest = all};
    *out = (struct imap_url){0};
    if (all.len > IMAP_URL_MAX)
        return err_set(err, ST_LIMIT, "the URL is longer than %d octets", IMAP_URL_MAX);
    TRY(origin(&r, out, err));
    TRY(mailbox(&r, out, err));
    TRY(message_part(&r, out, err));
    return authorization(&r, all.p, out, err);
}

enum status imap_url_item(struct arena *a, const struct imap_url *url, bool is_decoded, struct fetch_item *out,
                          struct err *err)
{
    AUTO_STRBUF asked = STRBUF_INIT;
    struct imap_args args;
    struct fetch_args items;
    strbuf_addf(&asked, "%s.PEEK[%.*s]", is_decoded ? "BINARY" : "BODY", SPAN_ARG(url->section));
    if (url->is_partial)
        strbuf_addf(&asked, "<%llu.%llu>", (unsigned long long)url->offset, (unsigned long long)url->size);
    args_init(&args, a, arena_strbuf(a, &asked));
    TRY(fetch_args_parse(&args, &items, err));
    TRY(args_end(&args, err));
    *out = items.items[0];
    return ST_OK;
}

void imap_url_write_quoted(struct span s, struct strbuf *out)
{
    for (size_t i = 0; i < s.len && i < QUOTED_MAX; i++)
        if (s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != ']' && s.p[i] != '"' && s.p[i] != '\\')
            strbuf_add_char(out, s.p[i]);
        else
            strbuf_addf(out, "%%%02X", (unsigned char)s.p[i]);
}
