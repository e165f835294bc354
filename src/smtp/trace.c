/* trace.c - see trace.h. Header fields are put before a message or left out of a copy; a message is never edited in
 * place. */
#include "smtp/trace.h"
#include <stdio.h>
#include <sys/random.h>
#include "base/clock.h"
#include "base/mem.h"
#include "text/date.h"
#include "text/header.h"
#include "base/banned.h"

void trace_new(char out[SMTP_TRACE_MAX + 1])
{
    static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32, none looks like another */
    unsigned char random[SMTP_TRACE_CHARS];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        panic("no random bytes");
    for (size_t i = 0; i < SMTP_TRACE_CHARS; i++)
        out[i] = alphabet[random[i] % 32];
    out[SMTP_TRACE_CHARS] = '\0';
}

/* ---- Received ----------------------------------------------------------------------------------------------- */

/* RFC 3848, RFC 6531 §4.3: the protocol with what was used of it. */
static void write_with(const struct smtp *sm, struct strbuf *out)
{
    if (sm->mode->bit == MODE_LMTP) {
        strbuf_add_cstr(out, sm->transaction->mail.is_smtputf8 ? "UTF8LMTP" : "LMTP");
    } else if (!sm->is_extended) {
        strbuf_add_cstr(out, "SMTP");
        return;
    } else {
        strbuf_add_cstr(out, sm->transaction->mail.is_smtputf8 ? "UTF8SMTP" : "ESMTP");
    }
    if (session_is_tls(sm->session))
        strbuf_add_char(out, 'S');
    if (sm->account)
        strbuf_add_char(out, 'A');
}

static void write_literal(const char *address, struct strbuf *out)
{
    strbuf_addf(out, "[%s%s]", strchr(address, ':') ? "IPv6:" : "", address);
}

/* From-domain (RFC 5321 §4.4). What is no domain and no literal may not stand there; the address then speaks for
 * itself. */
static void write_from(const struct smtp *sm, struct strbuf *out)
{
    const struct peer *peer = session_peer(sm->session);
    struct span name = span_cstr(sm->hello);
    bool is_name = domain_is_valid(name, true);
    if (is_name)
        strbuf_add(out, name);
    else if (peer->address[0])
        write_literal(peer->address, out);
    else
        strbuf_add(out, SPAN("localhost"));
    if (peer->address[0] == '\0') {
        strbuf_add(out, SPAN(" (local"));
        if (sm->user)
            strbuf_addf(out, " user %s", sm->user);
        strbuf_add_char(out, ')');
        return;
    }
    strbuf_add(out, SPAN(" ("));
    if (!is_name)
        strbuf_addf(out, "helo=%.*s ", SPAN_ARG(name));
    write_literal(peer->address, out);
    strbuf_add_char(out, ')');
}

void received_write(const struct smtp *sm, struct strbuf *out)
{
    const struct smtp_transaction *t = sm->transaction;
    const struct peer *peer = session_peer(sm->session);
    strbuf_add(out, SPAN("Received: from "));
    write_from(sm, out);
    strbuf_addf(out, "\r\n\tby %s with ", sm->mode->hostname(sm->session));
    write_with(sm, out);
    strbuf_addf(out, " id %s", t->trace);
    if (peer->tls_version[0])
        strbuf_addf(out, "\r\n\t(%s %s)", peer->tls_version, peer->tls_cipher);
    if (t->count == 1) /* RFC 5321 §7.2: of several recipients none is told of the others */
        strbuf_addf(out, "\r\n\tfor <%.*s>", SPAN_ARG(t->recipients[0].text));
    if (t->mail.priority) /* RFC 6710 §4.1 */
        strbuf_addf(out, "\r\n\tPRIORITY %d", t->mail.priority);
    strbuf_add(out, SPAN("; "));
    date_write_rfc5322(clock_wall_ms() / 1000, 0, out);
    strbuf_add(out, SPAN("\r\n"));
}

/* ---- the message's own header ---------------------------------------------------------------------------------- */

/* What stands between the brackets (RFC 5322 §3.6.4). */
static struct span id_of(struct span value)
{
    value = span_trim(value);
    size_t end = span_find_byte(value, '>', 0);
    return span_starts(value, SPAN("<")) && end != SPAN_NPOS ? span_slice(value, 1, end) : SPAN_NONE;
}

void message_facts_of(struct arena *a, struct span message, struct message_facts *out)
{
    *out = (struct message_facts){.header = span_take(message, header_block_end(message, NULL))};
    struct header_field f;
    for (size_t at = 0; header_next(out->header, &at, &f);) {
        if (span_ieq(f.name, SPAN("Received"))) {
            out->hops++;
        } else if (span_ieq(f.name, SPAN("Return-Path"))) {
            out->has_return_path = true;
        } else if (span_ieq(f.name, SPAN("Bcc")) || span_ieq(f.name, SPAN("Resent-Bcc"))) {
            out->has_bcc = true;
        } else if (span_ieq(f.name, SPAN("Date"))) {
            out->has_date = true;
        } else if (span_ieq(f.name, SPAN("Message-ID"))) {
            out->has_message_id = true;
            out->message_id = id_of(f.value);
        } else if (span_ieq(f.name, SPAN("From"))) {
            out->from = f.value;
        } else if (span_ieq(f.name, SPAN("Delivered-To"))) {
            if (!out->delivered_to)
                out->delivered_to = arena_array(a, DELIVERED_TO_MAX, sizeof *out->delivered_to);
            if (out->delivered_to_count < DELIVERED_TO_MAX)
                out->delivered_to[out->delivered_to_count++] = span_trim(f.value);
        }
    }
}

static bool is_named(struct span name, const struct span *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_ieq(name, names[i]))
            return true;
    return false;
}

enum status message_drop_fields(struct body **b, const struct span *names, size_t count, struct err *err)
{
    struct span message;
    TRY(body_span(*b, &message, err));
    struct span header = span_take(message, header_block_end(message, NULL));
    AUTO(body) kept = body_new(message.len);
    struct header_field f;
    size_t done = 0; /* up to here the header is dealt with */
    for (size_t at = 0; header_next(header, &at, &f);) {
        size_t start = (size_t)(f.whole.p - header.p);
        if (!is_named(f.name, names, count))
            continue;
        TRY(body_append(kept, span_slice(header, done, start), err));
        done = start + f.whole.len;
    }
    TRY(body_append(kept, span_skip(message, done), err));
    body_free(b);
    *b = kept;
    kept = NULL;
    return ST_OK;
}

void message_complete(const struct message_facts *f, const char *trace, const char *hostname, struct strbuf *out)
{
    if (!f->has_date) {
        strbuf_add(out, SPAN("Date: "));
        date_write_rfc5322(clock_wall_ms() / 1000, 0, out);
        strbuf_add(out, SPAN("\r\n"));
    }
    if (!f->has_message_id)
        strbuf_addf(out, "Message-ID: <%s@%s>\r\n", trace, hostname);
}
