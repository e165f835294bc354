/* prepare.c - see prepare.h. */
#include "relay/prepare.h"
#include <stdio.h>
#include "base/clock.h"
#include "text/header.h"
#include "text/mime_convert.h"
#include "base/banned.h"

static bool is_ascii(struct span s)
{
    unsigned char all = 0;
    for (size_t i = 0; i < s.len; i++)
        all |= (unsigned char)s.p[i];
    return all < 0x80;
}

/* RFC 6531 §3.2: it needs SMTPUTF8 only where an address or the header really is beyond ASCII. */
static bool needs_smtputf8(const struct queue_message *m, struct span body)
{
    if (!m->wishes.is_smtputf8)
        return false;
    bool needs = !is_ascii(m->sender) || !is_ascii(span_take(body, header_block_end(body, NULL)));
    for (size_t i = 0; i < m->recipient_count; i++)
        needs = needs || !is_ascii(m->recipients[i].address);
    return needs;
}

static bool convert(struct span body, bool may_be_8bit, struct strbuf *converted, struct prepared *out)
{
    AUTO_ARENA a = ARENA_INIT;
    struct header_field f;
    struct err ignored;
    /* RFC 2045 §4: without it, the fields that say how the text is encoded mean nothing */
    if (!header_find(span_take(body, header_block_end(body, NULL)), SPAN("MIME-Version"), &f))
        strbuf_add(converted, SPAN("MIME-Version: 1.0\r\n"));
    if (mime_convert(&a, body, may_be_8bit ? MIME_FIT_8BIT : MIME_FIT_7BIT, converted, &ignored) != ST_OK)
        return false;
    out->text = strbuf_span(converted);
    out->body = may_be_8bit ? QUEUE_8BITMIME : QUEUE_7BIT;
    return true;
}

enum tls_wish prepare_tls_wish(const struct queue_message *m, struct span body)
{
    struct header_field f;
    AUTO_ARENA a = ARENA_INIT;
    if (m->wishes.is_tls_required) /* §4.1: the field is not looked at then */
        return m->sender.len ? TLS_WISH_REQUIRED : TLS_WISH_NONE;
    bool is_waived = header_find(span_take(body, header_block_end(body, NULL)), SPAN("TLS-Required"), &f) &&
                     span_ieq(header_unfold(&a, f.value), SPAN("No"));
    return is_waived ? TLS_WISH_WAIVED : TLS_WISH_NONE;
}

bool prepare_message(const struct link *l, const struct queue_message *m, struct span body, struct strbuf *converted,
                     struct prepared *out, char *refusal, size_t refusal_size)
{
    unsigned known = smtp_client_extensions(l->client);
    const char *why = NULL;
    bool knows_8bit = (known & SMTP_EXT_8BITMIME) != 0;
    bool knows_binary = (known & SMTP_EXT_BINARYMIME) && (known & SMTP_EXT_CHUNKING);
    *out = (struct prepared){.text = body, .body = m->wishes.body, .is_smtputf8 = needs_smtputf8(m, body)};
    if (out->body == QUEUE_8BITMIME && is_ascii(body))
        out->body = QUEUE_7BIT;
    /* RFC 8689 §5: a report is not lost for want of it */
    if (m->wishes.is_tls_required && m->sender.len &&
        (!l->is_tls || !l->is_authentic || !(known & SMTP_EXT_REQUIRETLS)))
        why = "550 5.7.30 the message must travel by REQUIRETLS, and %s does not offer it"; /* RFC 8689 §4.2.1 */
    else if (m->wishes.by == QUEUE_BY_RETURN && m->wishes.deliver_by <= clock_wall_ms() / 1000)
        why = "554 5.4.7 the time by which it was to be there was over before %s could be given it";
    else if (m->wishes.by == QUEUE_BY_RETURN && !l->is_lmtp && !(known & SMTP_EXT_DELIVERBY))
        why = "550 5.3.3 the message has a time by which it must be there, and %s does not know DELIVERBY";
    else if (m->wishes.by == QUEUE_BY_RETURN &&
             m->wishes.deliver_by - clock_wall_ms() / 1000 < smtp_client_by_least(l->client)) /* RFC 2852 §4 */
        why = "554 5.4.7 %s needs more time than is left for the message to be there";
    else if (out->is_smtputf8 && !(known & SMTP_EXT_SMTPUTF8))
        why = "553 5.6.7 the message needs SMTPUTF8, and %s does not know it";
    else if (out->body == QUEUE_BINARYMIME && !knows_binary && !convert(body, knows_8bit, converted, out))
        why = "554 5.6.3 the message is binary and cannot be rewritten for %s";
    else if (out->body == QUEUE_8BITMIME && !knows_8bit && !convert(body, false, converted, out))
        why = "554 5.6.3 the message has 8-bit text and cannot be rewritten for %s";
    out->size = out->text.len;
    uint64_t size_max = smtp_client_size_max(l->client);
    if (!why && size_max && out->size > size_max)
        why = "552 5.3.4 the message is larger than %s takes";
    if (!why)
        return true;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(refusal, refusal_size, why, l->host);
#pragma GCC diagnostic pop
    return false;
}
