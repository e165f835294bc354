/* onward.c - see onward.h. */
#include "smtp/onward.h"
#include "base/clock.h"
#include "smtp/pool.h"
#include "base/banned.h"

/* RFC 2852 §4: each relay counts down what is left; RFC 4865 §4: a time to come, however long the way there takes. */
struct smtp_mail onward_mail(const struct smtp_transaction *t)
{
    const struct smtp_mail_args *args = &t->mail;
    int64_t by_left = args->by_seconds - (clock_wall_ms() / 1000 - t->mail_at);
    if (args->by == SMTP_BY_RETURN && by_left < 1) /* it ends in this second: the next role sees it */
        by_left = 1;
    return (struct smtp_mail){.from = t->from,
                              .size = args->size,
                              .is_8bit = args->is_8bit,
                              .is_binary = args->is_binary,
                              .is_smtputf8 = args->is_smtputf8,
                              .is_tls_required = args->is_tls_required,
                              .is_by_traced = args->is_by_traced,
                              .trace = span_cstr(t->trace),
                              .ret = args->ret,
                              .envid = args->envid,
                              .hold_until = args->hold_for ? t->mail_at + args->hold_for : args->hold_until,
                              .hold_request = args->hold_request,
                              .is_quarantined = args->is_quarantined,
                              .by = args->by,
                              .by_seconds = by_left,
                              .priority = args->priority};
}

struct smtp_rcpt onward_rcpt(const struct smtp_recipient *r)
{
    return (struct smtp_rcpt){r->text, r->notify, r->orcpt};
}

/* ---- the queue ---------------------------------------------------------------------------------------------- */

static enum status talk(struct smtp_lease *l, const struct span *pieces, size_t count, size_t recipients,
                        struct err *err)
{
    struct smtp_reply r;
    for (size_t i = 1; i < recipients; i++) { /* the first has its reply already */
        TRY(smtp_client_reply(l->client, POOL_REPLY_MS, &r, err));
        if (!smtp_reply_is_good(&r))
            return err_set(err, ST_TEMPORARY, "the queue refuses a recipient: %u", r.code);
    }
    TRY(smtp_client_chunk(l->client, pieces, count, err));
    TRY(smtp_client_reply(l->client, POOL_REPLY_MS, &r, err));
    if (!smtp_reply_is_good(&r))
        return err_set_operator(err, ST_TEMPORARY, "try again later", "the queue says %u %s", r.code, r.text);
    return ST_OK;
}

static bool has_8bit(const struct span *pieces, size_t count)
{
    unsigned char all = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < pieces[i].len; k++)
            all |= (unsigned char)pieces[i].p[k];
    return all >= 0x80;
}

enum status onward_to_queue(const struct mail_app *app, const struct smtp_mail *mail, const struct smtp_rcpt *to,
                            size_t count, const struct span *pieces, size_t piece_count, struct err *err)
{
    if (!app->relay)
        return err_set(err, ST_TEMPORARY, "no mail can be sent out now");
    struct smtp_mail m = *mail;
    m.is_8bit = m.is_8bit || has_8bit(pieces, piece_count);

    struct smtp_lease *lease;
    struct smtp_reply said, rcpt;
    TRY(smtp_pool_begin(app->relay, &m, &to[0], &lease, &said, &rcpt, err));
    for (size_t i = 1; i < count; i++)
        smtp_client_rcpt(lease->client, &to[i]);
    enum status st = smtp_reply_is_good(&said) && smtp_reply_is_good(&rcpt)
                         ? talk(lease, pieces, piece_count, count, err)
                         : err_set(err, ST_TEMPORARY, "the queue refuses: %u %u", said.code, rcpt.code);
    if (st == ST_OK) {
        lease->is_open = false;
        smtp_pool_return(app->relay, &lease);
    } else {
        smtp_pool_drop(app->relay, &lease); /* replies may be on their way */
    }
    return st;
}
