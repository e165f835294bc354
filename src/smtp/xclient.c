/*
 * xclient.c - XCLIENT (Postfix, XCLIENT_README): a filter or proxy that we trust tells for whom it speaks.
 *
 * Only addresses of the config may say it, and only on port 25; it gives no rights but to be taken for that client. The
 * session then begins anew, as for a new connection. LOGIN is not offered: nobody logs in here.
 */
#include "smtp/filter.h"
#include "text/ip_set.h"
#include "base/banned.h"

enum { XCLIENT_VALUE_MAX = 255 };

static int hex(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3461 §4. False: malformed, or it holds what has no place in a name. */
static bool attribute_decode(struct span in, char out[XCLIENT_VALUE_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.p[i];
        if (c == '+') {
            if (i + 2 >= in.len || hex(in.p[i + 1]) < 0 || hex(in.p[i + 2]) < 0)
                return false;
            c = (char)(hex(in.p[i + 1]) << 4 | hex(in.p[i + 2]));
            i += 2;
        }
        if (n == XCLIENT_VALUE_MAX || (unsigned char)c <= ' ' || c == 0x7f)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0;
}

static bool is_unknown(const char *value)
{
    return span_ieq(span_cstr(value), SPAN("[UNAVAILABLE]")) || span_ieq(span_cstr(value), SPAN("[TEMPUNAVAIL]"));
}

static bool set_address(struct peer *peer, const char *value)
{
    struct ip_address a = {0};
    struct span text = span_cstr(value);
    if (span_istarts(text, SPAN("IPV6:")))
        text = span_skip(text, 5);
    if (!is_unknown(value) && !ip_parse(text, &a))
        return false;
    ip_write(&a, peer->address);
    return true;
}

static bool set_port(struct peer *peer, const char *value)
{
    uint64_t n = 0;
    if (!is_unknown(value) && !span_to_u64(span_cstr(value), UINT16_MAX, &n))
        return false;
    peer->port = (uint16_t)n;
    return true;
}

/* What is known and not used: the name is DNS's to say, the protocol and the hello come again with EHLO. */
static bool is_only_read(struct span name)
{
    static const char *const names[] = {"NAME", "PROTO", "HELO", "DESTADDR", "DESTPORT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_ieq(name, span_cstr(names[i])))
            return true;
    return false;
}

static bool take(struct peer *peer, struct span attribute)
{
    struct span name;
    char value[XCLIENT_VALUE_MAX + 1];
    if (!span_cut(&attribute, '=', &name) || !attribute_decode(attribute, value))
        return false;
    if (span_ieq(name, SPAN("ADDR")))
        return set_address(peer, value);
    if (span_ieq(name, SPAN("PORT")))
        return set_port(peer, value);
    return is_only_read(name);
}

enum next smtp_xclient(struct smtp *sm, struct span args)
{
    struct peer peer = *session_peer(sm->session);
    if (!sm->may_xclient) {
        smtp_reply(sm, 550, "5.7.0", "Not from your address");
        return NEXT_AGAIN;
    }
    if (sm->transaction) {
        smtp_reply(sm, 503, "5.5.1", "Not within a transaction");
        return NEXT_AGAIN;
    }
    bool is_good = args.len > 0;
    for (struct span word; is_good && args.len;) {
        span_cut(&args, ' ', &word);
        is_good = take(&peer, word);
    }
    if (!is_good) {
        smtp_reply(sm, 501, "5.5.4", "XCLIENT takes NAME, ADDR, PORT, PROTO, HELO, DESTADDR and DESTPORT, in xtext");
        return NEXT_AGAIN;
    }
    struct log_line l;
    smtp_log_begin(sm, &l, LOG_INFO, "xclient");
    log_str(&l, "for", peer.address);
    log_end(&l);
    session_set_peer(sm->session, &peer);
    smtp_begin_anew(sm);
    filter_close(sm); /* for whom they were told a connection is another */
    smtp_reply(sm, 220, NULL, "%s %s Tassis", sm->mode->hostname(sm->session), sm->mode->greeting);
    return NEXT_AGAIN;
}
