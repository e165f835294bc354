/*
 * lmtp.c - LMTP in the role mail (RFC 2033): from `mx` and `relay`, or from a local program. One reply for each
 * recipient.
 */
#include "base/clock.h"
#include "policy/srs.h"
#include "smtp/deliver.h"
#include "smtp/room.h"
#include "smtp/smtp.h"
#include "smtp/trace.h"
#include "base/banned.h"

static struct mail_app *app_of(const struct session *s)
{
    return session_app(s);
}

static const char *lmtp_hostname(const struct session *s)
{
    return app_of(s)->hostname;
}

/* Between our own roles header fields are added: what the door took must not be too large behind it. */
static uint64_t lmtp_size_max(const struct session *s)
{
    return app_of(s)->message_size_max + (smtp_is_internal(session_state(s)) ? SMTP_TRACE_ROOM : 0);
}

/* A bounce to a sender that we have rewritten goes back to whom it was (policy/srs.h). An address that only looks like it
 * is one like any other. */
static bool route_back(struct smtp *sm, struct smtp_recipient *r)
{
    struct mail_app *app = app_of(sm->session);
    struct arena *a = &sm->transaction->arena;
    struct span ascii, back;
    struct err ignored;
    bool is_ours;
    if (domain_to_ascii(a, r->address.domain, &ascii, &ignored) != ST_OK ||
        directory_has_domain(app->directory, ascii, &is_ours, &ignored) != ST_OK || !is_ours ||
        !srs_reverse(a, app->srs_key, r->address.local_part, clock_wall_ms() / 1000, &back))
        return false;
    struct route_target *target = arena_alloc(a, sizeof *target);
    target->address = back;
    r->route = (struct route){target, 1};
    return true;
}

static bool lmtp_recipient(struct smtp *sm, struct smtp_recipient *r)
{
    struct mail_app *app = app_of(sm->session);
    struct err err;
    if (srs_is(r->address.local_part) && route_back(sm, r))
        return true;
    switch (route_address(app->directory, &sm->transaction->arena, &r->address, app->subaddress_separator, &r->route,
                          &err)) {
    case ST_OK:
        return room_for(sm, app, r);
    case ST_DENIED:
        smtp_reply(sm, 550, "5.7.1", "Relaying denied");
        break;
    case ST_NOTFOUND:
        smtp_reply(sm, 550, "5.1.1", "No such recipient here");
        break;
    default:
        smtp_reply(sm, 451, "4.3.0", "%s", err.client);
        smtp_log_refused(sm, r->text, 451, err.operator_text);
    }
    return false;
}

static void lmtp_message(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    AUTO_STRBUF prefix = STRBUF_INIT;
    if (!smtp_is_internal(sm)) /* between our own roles the message is already stamped */
        received_write(sm, &prefix);
    struct delivery d = {.app = app_of(sm->session), .session = sm, .body = &t->body, .prefix = strbuf_span(&prefix)};
    struct delivery_result *results = arena_array(&t->arena, t->count, sizeof *results);
    deliver(&d, results);
    for (size_t i = 0; i < t->count; i++) {
        const struct delivery_result *r = &results[i];
        smtp_reply(sm, r->code.code, r->code.enhanced, "%s", r->err.status == ST_OK ? "Delivered" : r->err.client);
    }
}

const struct smtp_mode smtp_mode_lmtp = {
    .name = "lmtp",
    .bit = MODE_LMTP,
    .greeting = "LMTP",
    .hostname = lmtp_hostname,
    .message_size_max = lmtp_size_max,
    .recipient = lmtp_recipient,
    .message = lmtp_message,
};

static enum next lmtp_start(struct session *s)
{
    return smtp_start(s, &smtp_mode_lmtp);
}

const struct protocol lmtp_protocol = {
    .name = "lmtp",
    .start = lmtp_start,
    .input = smtp_input,
    .secured = smtp_secured,
    .goodbye = smtp_goodbye,
    .free = smtp_free,
};
