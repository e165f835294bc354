/* success.c - see success.h. */
#include "smtp/success.h"
#include "base/clock.h"
#include "smtp/onward.h"
#include "text/header.h"
#include "base/banned.h"

/* The header as it was delivered; success never sends the whole back (RFC 3461 §4.3). */
static enum status header_of(const struct delivery *d, struct strbuf *out, struct err *err)
{
    struct span message;
    TRY(body_span(*d->body, &message, err));
    strbuf_add(out, d->prefix);
    strbuf_add(out, span_take(message, header_block_end(message, NULL)));
    return ST_OK;
}

enum status success_tell(const struct delivery *d, const struct success *list, size_t count, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF header = STRBUF_INIT, text = STRBUF_INIT;
    const struct smtp_transaction *t = d->session->transaction;
    struct queue_message about = {.sender = t->from,
                                  .trace = span_cstr(t->trace),
                                  .queued_at = t->mail_at,
                                  .wishes = {.ret = QUEUE_RET_HDRS,
                                             .is_smtputf8 = t->mail.is_smtputf8,
                                             .by = (enum queue_by)t->mail.by,
                                             .deliver_by = t->mail_at + t->mail.by_seconds,
                                             .hold_request = t->mail.hold_request,
                                             .envid = t->mail.envid}};
    if (count == 0)
        return ST_OK;
    struct dsn_recipient *told = arena_array(&a, count, sizeof *told);
    for (size_t i = 0; i < count; i++) /* RFC 3461 §5.2.7.4: where an alias leads is not the sender's business */
        told[i] =
            (struct dsn_recipient){.action = list[i].action, .address = list[i].to->text, .orcpt = list[i].to->orcpt};
    TRY(header_of(d, &header, err));
    struct dsn report = {d->app->hostname, &about, clock_wall_ms() / 1000, strbuf_span(&header), told, count};
    struct smtp_mail mail = {.is_tls_required = t->mail.is_tls_required, /* RFC 8689 §5 */
                             .trace = span_cstr(t->trace),
                             .priority = t->mail.priority}; /* RFC 6710 §4.6 */
    dsn_write(&report, &text, &mail.is_smtputf8);
    struct span piece = strbuf_span(&text);
    TRY(onward_to_queue(d->app, &mail, &(struct smtp_rcpt){.to = t->from}, 1, &piece, 1, err));
    dsn_log(&report);
    return ST_OK;
}
