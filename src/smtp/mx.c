/*
 * mx.c - port 25: mail from anybody, for us only.
 *
 * Who is "us" this role does not know. It asks `mail` over LMTP, recipient by recipient, and gives the message to
 * `mail` on the same connection; 250 means that `mail` has it on disk (or `relay` has, for what is forwarded). Nothing
 * is kept here, so nothing can be lost here.
 *
 * Round trips to `mail` for a message with one recipient: MAIL+RCPT in one, then the message as one chunk (RFC 3030)
 * and its reply.
 */
#include <stdatomic.h>
#include "smtp/onward.h"
#include "smtp/pool.h"
#include "smtp/rates.h"
#include "smtp/session.h"
#include "smtp/trace.h"
#include "base/banned.h"

static struct mx_app *app_of(const struct session *s)
{
    return session_app(s);
}

static const char *mx_hostname(const struct session *s)
{
    return app_of(s)->hostname;
}

static uint64_t mx_size_max(const struct session *s)
{
    return app_of(s)->message_size_max;
}

static bool mx_may_raise_priority(const struct smtp *sm)
{
    const struct config_smtp *settings = atomic_load(&app_of(sm->session)->settings);
    return settings && ip_set_has_text(&settings->priority_networks, span_cstr(session_peer(sm->session)->address));
}

/* What `mail` said, said to the client. Replies that are about our connection with `mail` are not the client's
 * business. */
static void pass_on(struct smtp *sm, const struct smtp_reply *r)
{
    if (r->code == 421 || r->code < 200 || (r->code >= 500 && r->code < 550) || r->code == 555)
        smtp_reply(sm, 451, "4.3.0", "Try again later");
    else
        smtp_reply(sm, r->code, r->enhanced[0] ? r->enhanced : NULL, "%s", r->text);
}

/* The connection is gone, and with it the recipients that `mail` had accepted: the transaction can only fail. */
static void lost(struct smtp *sm, const struct err *err)
{
    struct smtp_transaction *t = sm->transaction;
    if (t->lease)
        smtp_pool_drop(app_of(sm->session)->mail, &t->lease);
    t->is_broken = t->count > 0;
    struct log_line l;
    smtp_log_begin(sm, &l, LOG_WARN, "mail-unreachable");
    log_err(&l, err);
    log_end(&l);
}

static enum status ask(struct smtp *sm, const struct smtp_recipient *r, struct smtp_reply *mail,
                       struct smtp_reply *rcpt, struct err *err)
{
    struct smtp_transaction *t = sm->transaction;
    struct smtp_rcpt to = onward_rcpt(r);
    if (t->is_broken)
        return err_set(err, ST_TEMPORARY, "the connection for this message is gone");
    if (!t->lease) {
        struct smtp_mail m = onward_mail(t);
        return smtp_pool_begin(app_of(sm->session)->mail, &m, &to, &t->lease, mail, rcpt, err);
    }
    mail->code = 250;
    smtp_client_rcpt(t->lease->client, &to);
    return smtp_client_reply(t->lease->client, POOL_REPLY_MS, rcpt, err);
}

/* Guessing addresses is made slow, then stopped. */
static void count_unknown(struct smtp *sm)
{
    if (++sm->unknown_recipients > SMTP_UNKNOWN_BEFORE_PAUSE)
        session_pause(sm->session, SMTP_PAUSE_MS);
    if (sm->unknown_recipients < SMTP_UNKNOWN_MAX)
        return;
    smtp_reply(sm, 421, "4.7.0", "Too many unknown recipients, closing connection");
    smtp_log_refused(sm, SPAN_NONE, 421, "too many unknown recipients");
    sm->is_closing = true;
}

static bool mx_sender(struct smtp *sm)
{
    const struct mx_app *app = app_of(sm->session);
    return rates_allow(sm, app->came, app->rates, RATE_ADDRESS_MESSAGES);
}

/* Asking counts, whatever the answer is: guesses are recipients, too. */
static bool mx_recipient(struct smtp *sm, struct smtp_recipient *r)
{
    const struct mx_app *app = app_of(sm->session);
    if (!rates_allow(sm, app->came, app->rates, RATE_ADDRESS_RECIPIENTS))
        return false;
    struct smtp_reply mail = {0}, rcpt = {0};
    struct err err;
    if (ask(sm, r, &mail, &rcpt, &err) != ST_OK) {
        lost(sm, &err);
        smtp_reply(sm, 451, "4.3.0", "Try again later");
        return false;
    }
    const struct smtp_reply *said = smtp_reply_is_good(&mail) ? &rcpt : &mail;
    if (said == &mail) /* the next RCPT begins anew */
        smtp_pool_return(app_of(sm->session)->mail, &sm->transaction->lease);
    if (smtp_reply_is_good(said))
        return true;
    pass_on(sm, said);
    smtp_log_refused(sm, r->text, said->code, said->text);
    if (said->code == 550) /* a full mailbox is not an unknown one */
        count_unknown(sm);
    return false;
}

/* Sends the message and reads one reply for each recipient; *worst is the one to tell the client: temporary beats
 * permanent beats good, so that nothing is ever lost, and at worst something comes twice. */
static enum status deliver(struct smtp *sm, struct smtp_reply *worst, struct err *err)
{
    struct smtp_transaction *t = sm->transaction;
    struct smtp_client *c = t->lease->client;
    AUTO_STRBUF received = STRBUF_INIT;
    received_write(sm, &received);
    struct span pieces[2] = {strbuf_span(&received), SPAN_NONE};
    TRY(body_span(t->body, &pieces[1], err));
    t->is_data_sent = true;
    TRY(smtp_client_chunk(c, pieces, 2, err));
    *worst = (struct smtp_reply){0};
    for (size_t i = 0; i < t->count; i++) {
        struct smtp_reply r;
        TRY(smtp_client_reply(c, POOL_REPLY_MS, &r, err));
        bool is_worse = i == 0 || (smtp_reply_is_good(worst) && !smtp_reply_is_good(&r)) ||
                        (smtp_reply_is_permanent(worst) && !smtp_reply_is_good(&r) && !smtp_reply_is_permanent(&r));
        if (is_worse)
            *worst = r;
    }
    t->is_data_sent = false;
    t->lease->is_open = false;
    return ST_OK;
}

/* Filters have taken recipients away, or changed the sender: `mail` hears the envelope again, from its beginning. */
static enum status tell_again(struct smtp *sm, struct err *err)
{
    struct smtp_transaction *t = sm->transaction;
    if (t->lease)
        smtp_pool_return(app_of(sm->session)->mail, &t->lease);
    for (size_t i = 0; i < t->count; i++) {
        struct smtp_reply mail = {0}, rcpt = {0};
        TRY(ask(sm, &t->recipients[i], &mail, &rcpt, err));
        const struct smtp_reply *said = smtp_reply_is_good(&mail) ? &rcpt : &mail;
        if (!smtp_reply_is_good(said))
            return err_set_operator(err, ST_TEMPORARY, "try again later", "the changed envelope is refused: %u %s",
                                    said->code, said->text);
    }
    return ST_OK;
}

static void mx_message(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    AUTO_ARENA a = ARENA_INIT;
    struct message_facts facts;
    struct span message;
    struct smtp_reply worst;
    struct err err;

    if (body_span(t->body, &message, &err) != ST_OK) {
        smtp_reply_err(sm, &err);
        return;
    }
    message_facts_of(&a, message, &facts);
    if (facts.hops > SMTP_HOPS_MAX) {
        smtp_reply(sm, 554, "5.4.6", "Too many hops, mail is going in circles");
        smtp_log_refused(sm, SPAN_NONE, 554, "too many hops");
        return;
    }
    if ((t->is_envelope_changed && tell_again(sm, &err) != ST_OK) || deliver(sm, &worst, &err) != ST_OK) {
        lost(sm, &err);
        smtp_reply(sm, 451, "4.3.0", "Try again later");
        return;
    }
    if (!smtp_reply_is_good(&worst)) {
        smtp_log_refused(sm, SPAN_NONE, worst.code, worst.text);
        pass_on(sm, &worst);
        return;
    }
    smtp_reply(sm, 250, "2.0.0", "Ok, id %s", t->trace);
    smtp_log_accepted(sm, SPAN_NONE, facts.message_id);
}

static void mx_end(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    if (!t->lease)
        return;
    if (t->is_data_sent) /* `mail` waits for a message that will not come */
        smtp_pool_drop(app_of(sm->session)->mail, &t->lease);
    else
        smtp_pool_return(app_of(sm->session)->mail, &t->lease);
}

static struct milters *mx_filters(const struct session *s)
{
    return app_of(s)->filters;
}

const struct smtp_mode smtp_mode_mx = {
    .name = "smtp",
    .bit = MODE_MX,
    .greeting = "ESMTP",
    .hostname = mx_hostname,
    .message_size_max = mx_size_max,
    .sender = mx_sender,
    .may_raise_priority = mx_may_raise_priority,
    .recipient = mx_recipient,
    .filters = mx_filters,
    .message = mx_message,
    .end = mx_end,
};

static enum next mx_start(struct session *s)
{
    const struct mx_app *app = app_of(s);
    const struct ip_set *xclient = atomic_load(&app->xclient);
    struct smtp *sm = smtp_new(s, &smtp_mode_mx);
    sm->may_xclient = xclient && ip_set_has_text(xclient, span_cstr(session_peer(s)->address));
    /* Who speaks for others is not a client; those it speaks for are counted by their messages. */
    if (!sm->may_xclient && !rates_allow(sm, app->came, app->rates, RATE_ADDRESS_CONNECTIONS))
        return NEXT_CLOSE;
    return smtp_greet(sm);
}

const struct protocol smtp_mx_protocol = {
    .name = "smtp",
    .start = mx_start,
    .input = smtp_input,
    .secured = smtp_secured,
    .goodbye = smtp_goodbye,
    .free = smtp_free,
};
