/*
 * submission.c - submission after login, in the role mail (RFC 6409). The client has come over from `gate` and waits
 * for the answer to its AUTH.
 *
 * Mail for our own addresses goes straight to their mailboxes, all other mail to relay's queue; both are on disk before
 * 250.
 */
#include <stdatomic.h>
#include "base/mem.h"
#include "smtp/deliver.h"
#include "smtp/rates.h"
#include "smtp/room.h"
#include "smtp/smtp.h"
#include "smtp/submission.h"
#include "smtp/trace.h"
#include "text/header.h"
#include "base/banned.h"

static struct mail_app *app_of(const struct session *s)
{
    return session_app(s);
}

const char *submission_hostname(const struct session *s)
{
    return app_of(s)->hostname;
}

uint64_t submission_size_max(const struct session *s)
{
    return app_of(s)->message_size_max;
}

bool submission_sender_answer(struct smtp *sm, enum status st, bool may, const struct err *err)
{
    if (st != ST_OK) {
        smtp_reply(sm, 451, "4.3.0", "%s", err->client);
        smtp_log_refused(sm, SPAN_NONE, 451, err->operator_text);
        return false;
    }
    if (!may) {
        smtp_reply(sm, 553, "5.7.1", "Not your address");
        smtp_log_refused(sm, SPAN_NONE, 553, "sender is not the account's address");
    }
    const struct mail_app *app = app_of(sm->session);
    return may && rates_allow(sm, app->sent, app->rates, RATE_ACCOUNT_MESSAGES);
}

/* RFC 6409 §6.1. */
static bool submission_sender(struct smtp *sm)
{
    struct mail_app *app = app_of(sm->session);
    struct smtp_transaction *t = sm->transaction;
    bool may = false;
    struct err err;
    enum status st = route_may_send_as(app->directory, &t->arena, span_cstr(sm->account), &t->mail.from,
                                       app->subaddress_separator, &may, &err);
    return submission_sender_answer(sm, st, may, &err);
}

static bool submission_may_raise_priority(const struct smtp *sm)
{
    const struct config_smtp *settings = atomic_load(&app_of(sm->session)->settings);
    return settings && smtp_wishes_may_raise_priority(settings, span_cstr(sm->account));
}

/* An outside address is its own one target. */
static bool route_outside(struct smtp *sm, struct smtp_recipient *r)
{
    if (!app_of(sm->session)->relay) {
        smtp_reply(sm, 550, "5.7.1", "No mail is sent out from here");
        return false;
    }
    struct route_target *target = arena_alloc(&sm->transaction->arena, sizeof *target);
    target->address = r->text;
    r->route = (struct route){target, 1};
    return true;
}

bool submission_recipient(struct smtp *sm, struct smtp_recipient *r)
{
    struct mail_app *app = app_of(sm->session);
    struct err err;
    if (!rates_allow(sm, app->sent, app->rates, RATE_ACCOUNT_RECIPIENTS))
        return false;
    switch (route_address(app->directory, &sm->transaction->arena, &r->address, app->subaddress_separator, &r->route,
                          &err)) {
    case ST_OK:
        if (!room_for(sm, app, r))
            return false;
        break;
    case ST_DENIED:
        if (!route_outside(sm, r))
            return false;
        break;
    case ST_NOTFOUND:
        smtp_reply(sm, 550, "5.1.1", "No such recipient here");
        smtp_log_refused(sm, r->text, 550, "unknown recipient");
        return false;
    default:
        smtp_reply(sm, 451, "4.3.0", "%s", err.client);
        smtp_log_refused(sm, r->text, 451, err.operator_text);
        return false;
    }
    return true;
}

/* What RFC 6409 §8 lets us mend: Bcc goes, Date and Message-ID come. */
static enum status mend(struct smtp *sm, struct strbuf *prefix, struct message_facts *facts, struct err *err)
{
    struct smtp_transaction *t = sm->transaction;
    struct span message;
    TRY(body_span(t->body, &message, err));
    message_facts_of(&t->arena, message, facts);
    if (facts->has_bcc) {
        static const struct span blind[] = {SPAN_INIT("Bcc"), SPAN_INIT("Resent-Bcc")};
        TRY(message_drop_fields(&t->body, blind, 2, err));
        TRY(body_span(t->body, &message, err));
        message_facts_of(&t->arena, message, facts);
    }
    received_write(sm, prefix);
    message_complete(facts, t->trace, submission_hostname(sm->session), prefix);
    return ST_OK;
}

/* One answer for all recipients. deliver() sees to it that a failure after a success is the queue's matter; where not
 * even that worked, the temporary failure is what is said. */
static const struct delivery_result *worst_of(const struct delivery_result *results, size_t count)
{
    const struct delivery_result *worst = &results[0];
    for (size_t i = 1; i < count; i++) {
        unsigned code = results[i].code.code;
        if ((worst->code.code < 400 && code >= 400) || (worst->code.code >= 500 && code >= 400 && code < 500))
            worst = &results[i];
    }
    return worst;
}

void submission_message(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    AUTO_STRBUF prefix = STRBUF_INIT;
    struct message_facts facts;
    struct err err;
    if (mend(sm, &prefix, &facts, &err) != ST_OK) {
        smtp_reply(sm, 451, "4.3.0", "%s", err.client);
        return;
    }
    if (facts.hops > SMTP_HOPS_MAX) {
        smtp_reply(sm, 554, "5.4.6", "Too many hops, mail is going in circles");
        smtp_log_refused(sm, SPAN_NONE, 554, "too many hops");
        return;
    }
    /* Delivery may replace the body, and what the facts point to with it. */
    struct span header_from = arena_copy(&t->arena, header_unfold(&t->arena, facts.from));
    struct span message_id = arena_copy(&t->arena, facts.message_id);
    struct delivery d = {.app = app_of(sm->session), .session = sm, .body = &t->body, .prefix = strbuf_span(&prefix)};
    struct delivery_result *results = arena_array(&t->arena, t->count, sizeof *results);
    deliver(&d, results);

    const struct delivery_result *worst = worst_of(results, t->count);
    if (worst->err.status != ST_OK) {
        smtp_reply(sm, worst->code.code, worst->code.enhanced, "%s", worst->err.client);
        smtp_log_refused(sm, SPAN_NONE, worst->code.code, worst->err.operator_text);
        return;
    }
    smtp_reply(sm, 250, "2.0.0", "Ok, id %s", t->trace);
    smtp_log_accepted(sm, header_from, message_id);
}

static struct milters *submission_filters(const struct session *s)
{
    return app_of(s)->filters;
}

const struct smtp_mode smtp_mode_submission = {
    .name = "submission",
    .bit = MODE_SUBMISSION,
    .greeting = "ESMTP",
    .hostname = submission_hostname,
    .message_size_max = submission_size_max,
    .may_raise_priority = submission_may_raise_priority,
    .sender = submission_sender,
    .recipient = submission_recipient,
    .filters = submission_filters,
    .message = submission_message,
};

/* ---- coming over from gate ---------------------------------------------------------------------------------- */

/* Never called: the session begins with its hand-over. */
static enum next submission_start(struct session *s)
{
    return smtp_start(s, &smtp_mode_submission);
}

static const struct protocol submission_protocol = {
    .name = "submission",
    .start = submission_start,
    .input = smtp_input,
    .secured = smtp_secured,
    .goodbye = smtp_goodbye,
    .free = smtp_free,
};

enum next submission_accept(struct session *s, const struct handover *h)
{
    session_set_protocol(s, &submission_protocol);
    struct smtp *sm = smtp_new(s, &smtp_mode_submission);
    sm->account = mem_cstr(h->account.p, h->account.len);
    smtp_set_hello(sm, smtp_hello_is_valid(h->tag) ? h->tag : SPAN("localhost"), true);
    smtp_reply(sm, 235, "2.7.0", "Authentication succeeded");
    return NEXT_AGAIN;
}

void submission_refuse(struct session *s, const struct handover *h, const struct err *err)
{
    (void)h;
    /* The client waits for the answer to AUTH; after it the connection closes. */
    bool is_limit = err->status == ST_LIMIT || err->status == ST_QUOTA;
    strbuf_add_cstr(session_output(s), is_limit ? "421 4.7.0 Too many sessions of this account\r\n"
                                                : "421 4.3.0 Login is not possible now, try again later\r\n");
}
