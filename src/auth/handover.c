/*
 * handover.c - see handover.h.
 *
 * The gate writes the preface and what it had read behind it, and from then on only carries. The mail side reads the
 * preface, asks the vault whose ticket that is, and makes the connection a session of that account.
 */
#include "auth/handover.h"
#include <stdio.h>
#include "auth/preface.h"
#include "base/mem.h"
#include "sys/channel.h"
#include "sys/config.h"
#include "base/banned.h"

enum {
    WRITE_MS = 10 * 1000,
    PREFACE_MS = 10 * 1000,
    LOGIN_FAILURES_MAX = 5,
    PAUSE_FIRST_MS = 500,
};
_Static_assert((int)HANDOVER_TAG_MAX == (int)PREFACE_TAG_MAX, "one limit");

/* ---- gate
 * ------------------------------------------------------------------------------------------------------------ */

bool gate_may_login(const struct session *s)
{
    const struct gate_app *app = session_app(s);
    if (session_is_tls(s))
        return true;
    return app->is_loopback_plaintext_allowed && address_is_loopback(session_peer(s)->address);
}

enum status gate_hand_over(struct session *s, enum handover_protocol protocol, const uint8_t ticket[VAULT_TICKET_BYTES],
                           struct span tag, struct err *err)
{
    const struct gate_app *app = session_app(s);
    struct span unread = session_input(s);
    AUTO_STRBUF bytes = STRBUF_INIT;
    AUTO_FD int fd = -1;
    struct preface p = {.protocol = (uint8_t)protocol, .peer = *session_peer(s), .tag = tag};
    if (tag.len > HANDOVER_TAG_MAX || unread.len > HANDOVER_BYTES_MAX)
        return err_set(err, ST_LIMIT, "too long");
    memcpy(p.ticket, ticket, VAULT_TICKET_BYTES);
    snprintf(p.id, sizeof p.id, "%s", session_id(s));
    preface_write(&p, &bytes);
    strbuf_add(&bytes, unread);
    TRY(channel_connect(app->mail_channel, true, &fd, err));
    enum status st = fd_write_all(fd, bytes.p, bytes.len, WRITE_MS, err);
    mem_wipe(bytes.p, bytes.len);
    if (st != ST_OK)
        return err_set_operator(err, ST_TEMPORARY, "the mail store is not available, try again later",
                                "the role mail does not take sessions (%s)", status_name(st));
    session_consume(s, unread.len);
    session_set_carry(s, fd);
    fd = -1;
    return ST_OK;
}

bool gate_login_failed(struct session *s, unsigned *failures, const struct err *err)
{
    struct log_line l;
    session_log_begin(s, &l, LOG_WARN, "login-failed");
    log_err(&l, err);
    log_end(&l);
    unsigned n = ++*failures;
    if (n >= LOGIN_FAILURES_MAX)
        return false;
    session_pause(s, (int64_t)PAUSE_FIRST_MS << (n - 1));
    return true;
}

/* ---- mail
 * ------------------------------------------------------------------------------------------------------------ */

static enum next start(struct session *s)
{
    session_set_input_max(s, PREFACE_MAX + HANDOVER_BYTES_MAX);
    session_set_timeouts(s, PREFACE_MS, PREFACE_MS);
    return NEXT_INPUT;
}

static enum next refuse(struct session *s, const struct handover *h, const struct err *err)
{
    const struct handover_app *app = session_app(s);
    struct log_line l;
    session_log_begin(s, &l, LOG_WARN, "login-refused");
    log_span(&l, "account", h->account);
    log_err(&l, err);
    log_end(&l);
    app->refuse(s, h, err);
    return NEXT_CLOSE;
}

/* One line for each login, whatever the protocol, which has been set by now. */
static void log_login(const struct session *s, struct span account)
{
    struct log_line l;
    session_log_begin(s, &l, LOG_INFO, "login");
    log_span(&l, "account", account);
    log_str(&l, "tls", session_peer(s)->tls_version[0] ? session_peer(s)->tls_version : NULL);
    log_end(&l);
}

/* The preface is whole and well-formed. */
static enum next take_over(struct session *s, const struct preface *p)
{
    const struct handover_app *app = session_app(s);
    AUTO_STRBUF account = STRBUF_INIT;
    struct err err;
    struct handover h = {.protocol = (enum handover_protocol)p->protocol, .tag = p->tag};
    session_set_id(s, p->id);
    session_set_peer(s, &p->peer);
    if (vault_redeem(app->vault, p->ticket, &account, &err) != ST_OK)
        return refuse(s, &h, &err);
    h.account = strbuf_span(&account);
    if (!session_count_in(s, app->account_sessions, h.account, app->sessions_per_account)) {
        err_set(&err, ST_LIMIT, "too many sessions of this account");
        return refuse(s, &h, &err);
    }
    enum next next = app->accept(s, &h);
    if (next != NEXT_CLOSE)
        log_login(s, h.account);
    return next;
}

static enum next input(struct session *s)
{
    struct preface p;
    size_t size;
    switch (preface_read(session_input(s), &p, &size)) {
    case PREFACE_PARTIAL:
        return NEXT_INPUT;
    case PREFACE_BAD:
        return NEXT_CLOSE;
    case PREFACE_WHOLE:
        break;
    }
    if (p.protocol < HANDOVER_IMAP || p.protocol > HANDOVER_SUBMISSION)
        return NEXT_CLOSE;
    AUTO_STRBUF tag = STRBUF_INIT;
    strbuf_add(&tag, p.tag);
    p.tag = strbuf_span(&tag);
    session_consume(s, size);
    return take_over(s, &p);
}

static void end(struct session *s)
{
    (void)s;
}

const struct protocol handover_protocol_in = {.name = "handover", .start = start, .input = input, .free = end};
