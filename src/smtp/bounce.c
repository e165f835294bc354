/* bounce.c - see bounce.h. */
#include "smtp/bounce.h"
#include "text/date.h"
#include "text/header.h"
#include "base/banned.h"

/* The status of a reply ("550 5.1.1 …"): its enhanced code, or the class of its code (RFC 3463 §3.1). */
static void write_status(struct span reply, struct strbuf *out)
{
    struct span rest = reply, code, enhanced;
    span_cut(&rest, ' ', &code);
    span_cut(&rest, ' ', &enhanced);
    if (enhanced.len >= 5 && enhanced.len <= 9 && (enhanced.p[0] == '5' || enhanced.p[0] == '4') && enhanced.p[1] == '.')
        strbuf_add(out, enhanced);
    else
        strbuf_add_cstr(out, code.len == 3 && code.p[0] == '4' ? "4.4.7" : "5.0.0"); /* 4.4.7: delivery time expired */
}

static void write_human(const struct bounce *b, struct strbuf *out)
{
    strbuf_add_cstr(out, "Your message could not be delivered to:\r\n");
    for (size_t i = 0; i < b->failure_count; i++) {
        const struct bounce_failure *f = &b->failures[i];
        strbuf_addf(out, "\r\n    %.*s\r\n", SPAN_ARG(f->recipient));
        if (f->reply.len)
            strbuf_addf(out, "    %.*s\r\n", SPAN_ARG(f->reply));
    }
    strbuf_add_cstr(out, "\r\nIt will not be tried again. The header of your message is below.\r\n");
}

/* RFC 3464 §2: one group of fields about the message, one for each recipient. RFC 6533 §3: utf-8 addresses have a type of their own. */
static void write_delivery_status(const struct bounce *b, struct strbuf *out)
{
    strbuf_addf(out, "Reporting-MTA: dns; %s\r\nX-Trace: %.*s\r\nArrival-Date: ", b->hostname, SPAN_ARG(b->trace));
    date_write_rfc5322(b->queued_at, 0, out);
    strbuf_add_cstr(out, "\r\n");
    for (size_t i = 0; i < b->failure_count; i++) {
        const struct bounce_failure *f = &b->failures[i];
        strbuf_addf(out, "\r\nFinal-Recipient: %s; %.*s\r\nAction: failed\r\nStatus: ", b->is_smtputf8 ? "utf-8" : "rfc822",
                    SPAN_ARG(f->recipient));
        write_status(f->reply, out);
        strbuf_add_cstr(out, "\r\n");
        if (f->reply.len)
            strbuf_addf(out, "Diagnostic-Code: smtp; %.*s\r\n", SPAN_ARG(f->reply));
    }
}

/* The original's header, whole fields only, without its empty line; 8-bit octets only where the report says so. */
static void write_header(const struct bounce *b, struct strbuf *out)
{
    struct span block = span_take(b->message, header_block_end(b->message, NULL));
    struct header_field f;
    size_t written = 0;
    for (size_t at = 0; header_next(block, &at, &f);) {
        if (written + f.whole.len > BOUNCE_HEADER_MAX)
            break;
        strbuf_add(out, f.whole);
        written += f.whole.len;
    }
    if (written && !span_ends(strbuf_span(out), SPAN("\r\n")))
        strbuf_add_cstr(out, "\r\n");
}

void bounce_write(const struct bounce *b, struct strbuf *out)
{
    const char *status_type = b->is_smtputf8 ? "message/global-delivery-status" : "message/delivery-status";
    const char *header_type = b->is_smtputf8 ? "message/global-headers" : "text/rfc822-headers";
    strbuf_addf(out, "From: Mail Delivery System <postmaster@%s>\r\nTo: <%.*s>\r\nSubject: Undelivered mail\r\nDate: ",
                b->hostname, SPAN_ARG(b->sender));
    date_write_rfc5322(b->now, 0, out);
    /* The boundary holds the trace id: sixteen random characters that the original's header cannot have known. */
    strbuf_addf(out,
                "\r\nMessage-ID: <%.*s.bounce@%s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                "Content-Type: multipart/report; report-type=%s;\r\n boundary=\"bounce-%.*s\"\r\n\r\n",
                SPAN_ARG(b->trace), b->hostname, b->is_smtputf8 ? "global-delivery-status" : "delivery-status",
                SPAN_ARG(b->trace));
    strbuf_addf(out, "--bounce-%.*s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
                SPAN_ARG(b->trace));
    write_human(b, out);
    strbuf_addf(out, "\r\n--bounce-%.*s\r\nContent-Type: %s\r\n\r\n", SPAN_ARG(b->trace), status_type);
    write_delivery_status(b, out);
    strbuf_addf(out, "\r\n--bounce-%.*s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", SPAN_ARG(b->trace),
                header_type);
    write_header(b, out);
    strbuf_addf(out, "\r\n--bounce-%.*s--\r\n", SPAN_ARG(b->trace));
}
