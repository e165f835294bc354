/*
 * dsn.c - see dsn.h. All that comes from elsewhere is made harmless before it stands in a field: replies and addresses
 * are on one line already, what is beyond ASCII goes as UTF-8 where the report is a global one (RFC 6533), else as "?".
 */
#include "smtp/dsn.h"
#include "base/log.h"
#include "text/date.h"
#include "text/header.h"
#include "text/smtp_command.h"
#include "text/charset.h"
#include "base/banned.h"

bool dsn_is_wanted(unsigned notify, enum dsn_action action)
{
    if (notify == QUEUE_NOTIFY_DEFAULT) /* RFC 3461 §4.1: failures, and what else the MTA thinks fit */
        return action == DSN_FAILED || action == DSN_DELAYED;
    if (notify & QUEUE_NOTIFY_NEVER)
        return false;
    switch (action) {
    case DSN_FAILED:
        return (notify & QUEUE_NOTIFY_FAILURE) != 0;
    case DSN_DELAYED:
        return (notify & QUEUE_NOTIFY_DELAY) != 0;
    default:
        return (notify & QUEUE_NOTIFY_SUCCESS) != 0;
    }
}

static bool is_ascii(struct span s)
{
    unsigned char all = 0;
    for (size_t i = 0; i < s.len; i++)
        all |= (unsigned char)s.p[i];
    return all < 0x80;
}

/* For a field or a line of text. */
static void write_text(struct span s, bool is_utf8, struct strbuf *out)
{
    bool may_pass = is_utf8 && utf8_is_valid(s);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        strbuf_add_char(out, c < ' ' || c == 0x7f || (c >= 0x80 && !may_pass) ? '?' : (char)c);
    }
}

/* ---- status (RFC 3463)
 * ------------------------------------------------------------------------------------------------- */

/* The enhanced code of a reply whose class fits the action, or one that says no more than the class. */
static struct span status_of(const struct dsn_recipient *r)
{
    struct span rest = r->reply, code, enhanced;
    span_cut(&rest, ' ', &code);
    span_cut(&rest, ' ', &enhanced);
    bool is_good = r->action != DSN_FAILED && r->action != DSN_DELAYED;
    bool is_enhanced = enhanced.len >= 5 && enhanced.len <= 11 && enhanced.p[1] == '.' && strchr("245", enhanced.p[0]);
    for (size_t i = 0; is_enhanced && i < enhanced.len; i++)
        is_enhanced = ascii_is_digit(enhanced.p[i]) || enhanced.p[i] == '.';
    if (is_enhanced && (enhanced.p[0] == '2') == is_good && (r->action != DSN_DELAYED || enhanced.p[0] == '4'))
        return enhanced;
    if (is_good)
        return SPAN("2.0.0");
    if (r->action == DSN_DELAYED)
        return SPAN("4.0.0");
    return code.len == 3 && code.p[0] == '4' ? SPAN("4.4.7") : SPAN("5.0.0"); /* 4.4.7: delivery time expired */
}

/* ---- the parts
 * ---------------------------------------------------------------------------------------------------------- */

static const char *subject_of(enum dsn_action a)
{
    static const char *const subjects[] = {[DSN_FAILED] = "Undelivered mail",
                                           [DSN_DELAYED] = "Mail is delayed",
                                           [DSN_DELIVERED] = "Mail was delivered",
                                           [DSN_RELAYED] = "Mail was passed on",
                                           [DSN_EXPANDED] = "Mail was passed on"};
    return subjects[a];
}

static void write_human(const struct dsn *d, bool is_utf8, struct strbuf *out)
{
    static const char *const openings[] = {
        [DSN_FAILED] = "Your message could not be delivered to:\r\n",
        [DSN_DELAYED] = "Your message has not been delivered yet to:\r\n",
        [DSN_DELIVERED] = "Your message was delivered to:\r\n",
        [DSN_RELAYED] = "Your message was passed on to a server that will send no further word of it, for:\r\n",
        [DSN_EXPANDED] = "Your message was passed on to further addresses, for:\r\n"};
    static const char *const endings[] = {[DSN_FAILED] = "It will not be tried again.\r\n",
                                          [DSN_DELAYED] =
                                              "It is tried again by itself; you need not send it again.\r\n",
                                          [DSN_DELIVERED] = "",
                                          [DSN_RELAYED] = "",
                                          [DSN_EXPANDED] = ""};
    enum dsn_action last = DSN_EXPANDED;
    for (size_t i = 0; i < d->count; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        if (i == 0 || r->action != last)
            strbuf_addf(out, "%s%s", i ? "\r\n" : "", openings[r->action]);
        last = r->action;
        strbuf_add(out, SPAN("\r\n    "));
        write_text(r->address, is_utf8, out);
        strbuf_add(out, SPAN("\r\n"));
        if (r->reply.len) {
            strbuf_add(out, SPAN("    "));
            if (r->remote.len) {
                write_text(r->remote, is_utf8, out);
                strbuf_add(out, SPAN(" said: "));
            }
            write_text(r->reply, is_utf8, out);
            strbuf_add(out, SPAN("\r\n"));
        }
    }
    strbuf_addf(out, "\r\n%s", endings[last]);
}

/* RFC 3464 §2.3.1: "rfc822; alice@example.test", decoded from what RCPT brought. RFC 6533 §3: a UTF-8 address stands as
 * it is in a global report, in another in its ASCII form; what is none by its type only is copied. */
static void write_original_recipient(struct span orcpt, bool is_utf8, struct strbuf *out)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF ascii = STRBUF_INIT;
    struct span address = orcpt, type, plain;
    if (!span_cut(&address, ';', &type))
        return;
    bool is_utf8_type = span_ieq(type, SPAN("utf-8"));
    if (!(is_utf8_type ? unitext_decode(&a, address, &plain) : xtext_decode(&a, address, &plain)))
        plain = address;
    if (is_utf8_type && !is_utf8) {
        unitext_encode(plain, &ascii);
        plain = strbuf_span(&ascii);
    }
    strbuf_addf(out, "Original-Recipient: %.*s; ", SPAN_ARG(type));
    write_text(plain, is_utf8, out);
    strbuf_add(out, SPAN("\r\n"));
}

static void write_recipient(const struct dsn *d, const struct dsn_recipient *r, bool is_utf8, struct strbuf *out)
{
    static const char *const actions[] = {[DSN_FAILED] = "failed",
                                          [DSN_DELAYED] = "delayed",
                                          [DSN_DELIVERED] = "delivered",
                                          [DSN_RELAYED] = "relayed",
                                          [DSN_EXPANDED] = "expanded"};
    strbuf_add(out, SPAN("\r\n"));
    if (r->orcpt.len)
        write_original_recipient(r->orcpt, is_utf8, out);
    strbuf_addf(out, "Final-Recipient: %s; ", is_ascii(r->address) ? "rfc822" : "utf-8");
    write_text(r->address, is_utf8, out);
    strbuf_addf(out, "\r\nAction: %s\r\nStatus: %.*s\r\n", actions[r->action], SPAN_ARG(status_of(r)));
    if (r->remote.len)
        strbuf_addf(out, "Remote-MTA: dns; %.*s\r\n", SPAN_ARG(r->remote));
    if (r->reply.len && r->remote.len) {
        strbuf_add(out, SPAN("Diagnostic-Code: smtp; "));
        write_text(r->reply, is_utf8, out);
        strbuf_add(out, SPAN("\r\n"));
    }
    strbuf_add(out, SPAN("Last-Attempt-Date: "));
    date_write_rfc5322(d->now, 0, out);
    if (r->action == DSN_DELAYED && r->will_retry_until) {
        strbuf_add(out, SPAN("\r\nWill-Retry-Until: "));
        date_write_rfc5322(r->will_retry_until, 0, out);
    }
    strbuf_add(out, SPAN("\r\n"));
}

/* RFC 3464 §2.2: about the message, then about each recipient. */
static void write_status(const struct dsn *d, bool is_utf8, struct strbuf *out)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span envid;
    if (d->about->wishes.envid.len && xtext_decode(&a, d->about->wishes.envid, &envid)) {
        strbuf_add(out, SPAN("Original-Envelope-Id: "));
        write_text(envid, is_utf8, out);
        strbuf_add(out, SPAN("\r\n"));
    }
    strbuf_addf(out, "Reporting-MTA: dns; %s\r\nX-Trace: %.*s\r\nArrival-Date: ", d->hostname,
                SPAN_ARG(d->about->trace));
    date_write_rfc5322(d->about->queued_at, 0, out);
    strbuf_add(out, SPAN("\r\n"));
    if (d->about->wishes.hold_request.len) /* RFC 4865 §5 */
        strbuf_addf(out, "Future-Release-Request: %.*s\r\n", SPAN_ARG(d->about->wishes.hold_request));
    if (d->about->wishes.by) { /* RFC 2852 §5 */
        strbuf_add(out, SPAN("Deliver-By-Date: "));
        date_write_rfc5322(d->about->wishes.deliver_by, 0, out);
        strbuf_add(out, SPAN("\r\n"));
    }
    for (size_t i = 0; i < d->count; i++)
        write_recipient(d, &d->recipients[i], is_utf8, out);
}

/* The original's header, whole fields only, without its empty line. */
static void write_header(struct span message, struct strbuf *out)
{
    struct span block = span_take(message, header_block_end(message, NULL));
    struct header_field f;
    size_t written = 0;
    for (size_t at = 0; header_next(block, &at, &f);) {
        if (written + f.whole.len > DSN_HEADER_MAX)
            break;
        strbuf_add(out, f.whole);
        written += f.whole.len;
    }
    if (written && !span_ends(strbuf_span(out), SPAN("\r\n")))
        strbuf_add(out, SPAN("\r\n"));
}

static bool has_failed(const struct dsn *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->recipients[i].action == DSN_FAILED)
            return true;
    return false;
}

static bool is_utf8_needed(const struct dsn *d)
{
    /* 8-bit octets in the header of an ordinary message are no UTF-8 that somebody promised: they go back as 8-bit
     * text. */
    bool needed = !is_ascii(d->about->sender) || (d->about->wishes.is_smtputf8 &&
                                                  !is_ascii(span_take(d->message, header_block_end(d->message, NULL))));
    for (size_t i = 0; i < d->count; i++)
        needed = needed || !is_ascii(d->recipients[i].address);
    return needed;
}

/* RFC 3461 §4.3: FULL is for failures; all else gets the header. RFC 8689 §5: as does what requires TLS. What is binary
 * cannot travel as it is. */
static bool goes_back_whole(const struct dsn *d)
{
    return !d->about->wishes.is_tls_required && d->about->wishes.ret == QUEUE_RET_FULL && has_failed(d) &&
           d->message.len <= DSN_FULL_MAX && d->about->wishes.body != QUEUE_BINARYMIME;
}

void dsn_write(const struct dsn *d, struct strbuf *out, bool *is_utf8)
{
    *is_utf8 = is_utf8_needed(d);
    bool is_full = goes_back_whole(d);
    bool is_8bit = !is_ascii(d->message) || *is_utf8;
    struct span trace = d->about->trace;
    const char *full_type = *is_utf8 ? "message/global" : "message/rfc822";
    const char *header_type = *is_utf8 ? "message/global-headers" : "text/rfc822-headers";
    const char *encoding = is_8bit ? "8bit" : "7bit";
    strbuf_addf(out, "From: Mail Delivery System <postmaster@%s>\r\nTo: <%.*s>\r\nSubject: %s\r\nDate: ", d->hostname,
                SPAN_ARG(d->about->sender), subject_of(d->recipients[0].action));
    date_write_rfc5322(d->now, 0, out);
    /* The boundary holds the trace id: sixteen random characters that the original's header cannot have known. */
    strbuf_addf(out,
                "\r\nMessage-ID: <%.*s.%lld.dsn@%s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                "Content-Type: multipart/report; report-type=%s;\r\n boundary=\"report-%.*s\"\r\n"
                "Content-Transfer-Encoding: %s\r\n\r\n",
                SPAN_ARG(trace), (long long)d->now, d->hostname,
                *is_utf8 ? "global-delivery-status" : "delivery-status", SPAN_ARG(trace), encoding);
    strbuf_addf(out,
                "--report-%.*s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
                SPAN_ARG(trace), encoding);
    write_human(d, *is_utf8, out);
    strbuf_addf(out, "\r\n--report-%.*s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", SPAN_ARG(trace),
                *is_utf8 ? "message/global-delivery-status" : "message/delivery-status", encoding);
    write_status(d, *is_utf8, out);
    strbuf_addf(out, "\r\n--report-%.*s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", SPAN_ARG(trace),
                is_full ? full_type : header_type, encoding);
    if (is_full)
        strbuf_add(out, d->message);
    else
        write_header(d->message, out);
    strbuf_addf(out, "\r\n--report-%.*s--\r\n", SPAN_ARG(trace));
}

void dsn_log(const struct dsn *d)
{
    static const char *const actions[] = {[DSN_FAILED] = "failed",
                                          [DSN_DELAYED] = "delayed",
                                          [DSN_DELIVERED] = "delivered",
                                          [DSN_RELAYED] = "relayed",
                                          [DSN_EXPANDED] = "expanded"};
    for (size_t i = 0; i < d->count; i++) {
        struct log_line l;
        log_begin(&l, LOG_INFO, "reported");
        log_span(&l, "trace", d->about->trace);
        log_span(&l, "to", d->about->sender);
        log_span(&l, "about", d->recipients[i].address);
        log_str(&l, "action", actions[d->recipients[i].action]);
        log_end(&l);
    }
}
