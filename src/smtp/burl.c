/*
 * burl.c - BURL: the message, or a chunk of it, is one that lies in a mailbox already (RFC 4468).
 *
 * Submission runs where the accounts are, so what the URL names is copied from there; a URL leads nowhere else. BURL is
 * as BDAT with the octets taken from another place: both may follow each other in one message, and the same is refused.
 */
#include "smtp/session.h"
#include "policy/url_auth.h"
#include "store/mail_app.h"
#include "store/section.h"
#include "base/banned.h"

static enum status fetch(struct smtp *sm, struct span text, struct body *to, struct err *err)
{
    const struct mail_app *app = session_app(sm->session);
    AUTO_ARENA a = ARENA_INIT;
    AUTO_URL_TARGET target = {0};
    TRY(url_authorize(app->store, span_cstr(sm->account), URL_USE_SUBMISSION, text, &a, &target, err));
    return section_append(target.account, 0, target.mailbox, &target.url, to, err);
}

static void refuse(struct smtp *sm, const struct err *err)
{
    struct smtp_code code = {554, "5.6.6"};
    const char *text = "IMAP URL resolution failed";
    if (err->status == ST_DENIED) {
        code.enhanced = "5.7.0";
        text = "IMAP URL authorization failed";
    } else if (err->status == ST_LIMIT) {
        code = (struct smtp_code){552, "5.3.4"};
        text = "Message is too large";
    } else if (err->status == ST_IO || err->status == ST_TEMPORARY || err->status == ST_BUG) {
        code = (struct smtp_code){451, "4.4.1"};
        text = "The mailbox cannot be read now, try again later";
    }
    smtp_reply(sm, code.code, code.enhanced, "%s", text);
    smtp_log_refused(sm, SPAN_NONE, code.code, err->operator_text);
}

/* The whole chunk is there before any of it is taken, so that it can be looked at like one of BDAT. */
static bool take(struct smtp *sm, struct span url)
{
    uint64_t max = sm->mode->message_size_max(sm->session), has = body_size(sm->transaction->body);
    AUTO(body) chunk = body_new(max > has ? max - has : 0);
    struct span octets;
    struct err err;
    enum status st = fetch(sm, url, chunk, &err);
    if (st == ST_OK)
        st = body_span(chunk, &octets, &err);
    if (st == ST_OK)
        smtp_data_take_chunk(sm, octets);
    else
        refuse(sm, &err);
    return st == ST_OK;
}

static bool may_begin(struct smtp *sm)
{
    if (!(sm->state & (STATE_MAIL | STATE_RCPT | STATE_CHUNKS)))
        smtp_reply(sm, 503, "5.5.1", "MAIL first");
    else if (sm->state == STATE_MAIL)
        smtp_reply(sm, 554, "5.5.0", "No recipients have been specified");
    else
        return true;
    return false;
}

enum next smtp_burl(struct smtp *sm, struct span args)
{
    struct span url;
    bool has_more = span_cut(&args, ' ', &url);
    if (!url.len || (has_more && !span_ieq(args, SPAN("LAST")))) {
        smtp_reply(sm, 501, "5.5.4", "BURL takes a URL and maybe LAST");
        return NEXT_AGAIN;
    }
    if (!may_begin(sm))
        return NEXT_AGAIN;
    if (sm->state == STATE_RCPT)
        smtp_data_open(sm);
    sm->state = STATE_CHUNKS;
    sm->chunk = (struct smtp_chunk){.is_last = has_more};
    if (!take(sm, url))
        smtp_transaction_end(sm); /* RFC 4468 §3.2: the whole transaction fails */
    else if (has_more)
        smtp_data_finish(sm);
    else if (smtp_data_is_acceptable(sm))
        smtp_reply(sm, 250, "2.5.0", "Waiting for additional BURL or BDAT commands");
    else
        smtp_transaction_end(sm);
    return NEXT_AGAIN;
}
