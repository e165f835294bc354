/*
 * imap.c - an IMAP session begins, is poked, and ends: the struct protocol of both roles.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "imap/internal.h"
#include "imap/metadata.h"
#include "imap/notify.h"
#include "base/banned.h"

/* An idle session is one of many thousands. */
_Static_assert(sizeof(struct imap) < 400, "a session is small");

static struct imap *imap_new(struct session *s, enum imap_state state)
{
    struct imap *im = mem_alloc(sizeof *im);
    im->session = s;
    im->state = state;
    session_set_state(s, im);
    bool is_login = state == IMAP_NOT_AUTHENTICATED;
    session_set_input_max(s, is_login ? IMAP_LOGIN_COMMAND_MAX : IMAP_COMMAND_MAX);
    session_set_timeouts(s, is_login ? IMAP_LOGIN_IDLE_MS : IMAP_IDLE_MS,
                         is_login ? IMAP_LOGIN_COMMAND_MS : IMAP_COMMAND_MS);
    return im;
}

static void imap_end(struct session *s)
{
    struct imap *im = session_state(s);
    if (!im)
        return;
    imap_append_free(&im->append);
    imap_call_free(&im->call);
    imap_append_free(&im->waiting);
    imap_login_free(&im->login);
    imap_metadata_free(&im->metadata);
    free(im->tag);
    if (im->account) {
        imap_deselect(im);
        imap_notify_free(&im->notify);
        struct log_line l;
        session_log_begin(s, &l, LOG_INFO, "logout");
        log_span(&l, "account", account_address(im->account));
        log_end(&l);
    }
    account_free(&im->account);
    free(im);
    session_set_state(s, NULL);
}

static void imap_goodbye(struct session *s, enum bye why)
{
    static const char *const words[] = {
        [BYE_TIMEOUT] = "Autologout, idle for too long",
        [BYE_SHUTDOWN] = "Server shutting down",
        [BYE_LIMIT] = "[LIMIT] Too many connections",
        [BYE_INPUT_TOO_LONG] = "[TOOBIG] Command too long",
    };
    strbuf_addf(session_output(s), "* BYE %s\r\n", words[why]);
}

/* ---- gate ----------------------------------------------------------------------------------------------------- */

static enum next gate_start(struct session *s)
{
    const struct gate_app *app = session_app(s);
    struct imap *im = imap_new(s, IMAP_NOT_AUTHENTICATED);
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* OK [CAPABILITY ");
    imap_write_capabilities(im, out);
    strbuf_addf(out, "] %s Tassis ready\r\n", app->hostname);
    return NEXT_INPUT;
}

/* RFC 3501 §6.2.1: what was said before TLS does not count; there is nothing to forget but bad commands. */
static enum next gate_secured(struct session *s)
{
    struct imap *im = session_state(s);
    im->bad_in_a_row = 0;
    return NEXT_INPUT;
}

/* RFC 8437: as it was before login. Only how often the client has guessed wrong is not forgotten. */
static enum next gate_returned(struct session *s)
{
    struct imap *im = session_state(s);
    im->bad_in_a_row = 0;
    im->is_english = false;
    im->framing = (struct framing){0};
    struct log_line l;
    session_log_begin(s, &l, LOG_INFO, "unauthenticated");
    log_end(&l);
    return NEXT_AGAIN;
}

const struct protocol imap_gate_protocol = {
    .name = "imap",
    .start = gate_start,
    .input = imap_input,
    .produce = imap_produce,
    .secured = gate_secured,
    .returned = gate_returned,
    .goodbye = imap_goodbye,
    .free = imap_end,
};

/* ---- mail ----------------------------------------------------------------------------------------------------- */

/* Never called: imap_accept() has taken over a session that had started. */
static enum next mail_start(struct session *s)
{
    (void)s;
    return NEXT_CLOSE;
}

static enum next mail_poke(struct session *s)
{
    struct imap *im = session_state(s);
    bool is_idle = im->mode == IMAP_MODE_IDLE;
    bool is_between = im->mode == IMAP_MODE_COMMAND && imap_notify_listens(im); /* RFC 5465: no command is running */
    bool has_news = im->has_news || imap_metadata_has_news(im) || imap_notify_has_news(im);
    if (im->call || im->waiting || !(is_idle || is_between) || !has_news)
        return NEXT_INPUT;
    imap_call_resume(im, SPAN_NONE, NULL);
    /* RFC 5465 §6.1.2: message numbers do not change behind the client's back unless it said they may. */
    const struct notify_group *selected = im->notify ? im->notify->selected : NULL;
    im->call->holds_expunge = is_between && (!selected || selected->which == NOTIFY_SELECTED_DELAYED);
    return imap_call_finish(im, ST_OK, NULL);
}

static const struct protocol imap_mail_protocol = {
    .name = "imap",
    .start = mail_start,
    .input = imap_input,
    .produce = imap_produce,
    .poke = mail_poke,
    .goodbye = imap_goodbye,
    .free = imap_end,
};

enum next imap_accept(struct session *s, const struct handover *h)
{
    const struct mail_app *app = session_app(s);
    struct err err;
    struct account *account;
    enum status st = account_open(app->store, h->account, &account, &err);
    if (st != ST_OK) {
        struct log_line l;
        session_log_begin(s, &l, LOG_ERROR, "account-failed");
        log_span(&l, "account", h->account);
        log_err(&l, &err);
        log_end(&l);
        imap_refuse(s, h, &err);
        return NEXT_CLOSE;
    }
    session_set_protocol(s, &imap_mail_protocol);
    struct imap *im = imap_new(s, IMAP_AUTHENTICATED);
    im->account = account;
    struct strbuf *out = imap_out(im);
    strbuf_add(out, h->tag);
    strbuf_add_cstr(out, " OK [CAPABILITY ");
    imap_write_capabilities(im, out);
    strbuf_add_cstr(out, "] Logged in\r\n");
    return NEXT_AGAIN;
}

void imap_refuse(struct session *s, const struct handover *h, const struct err *err)
{
    /* A ticket that is not good any more is no fault of the client's: it may try again. */
    enum status st = err->status == ST_LIMIT ? ST_LIMIT : ST_TEMPORARY;
    imap_write_status(session_output(s), h->tag, imap_response_code(st), st, err->client);
    strbuf_add_cstr(session_output(s), "* BYE Try again later\r\n");
}
