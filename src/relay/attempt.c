/*
 * attempt.c - see attempt.h.
 *
 * Where the peer knows PIPELINING, MAIL, all RCPT and DATA are one write; where it knows CHUNKING too, a small body
 * goes along, and a message costs one round trip. A large body waits until somebody wants it.
 *
 * A connection that breaks after the body was sent and before the reply came leaves it open whether the message was
 * taken: it is tried again, and may arrive twice (RFC 5321 §4.5.3.2.6, RFC 1047).
 */
#include "relay/attempt.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "relay/prepare.h"
#include "base/banned.h"

enum {
    BODY_WITH_COMMANDS_MAX = 128 * 1024, /* octets that are sent before anybody was asked */
    AFTER_DOT_FACTOR = 2                 /* RFC 5321 §4.5.3.2.6: ten minutes where commands have five */
};

void verdict_set(struct verdict *v, enum queue_state state, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->reply, sizeof v->reply, fmt, ap);
    va_end(ap);
    v->state = state;
}

static void take_reply(struct verdict *v, const struct smtp_reply *r)
{
    enum queue_state state = smtp_reply_is_good(r)        ? QUEUE_DELIVERED
                             : smtp_reply_is_permanent(r) ? QUEUE_FAILED
                                                          : QUEUE_WAITING;
    verdict_set(v, state, "%u %s%s%s", r->code, r->enhanced, r->enhanced[0] ? " " : "", r->text);
}

struct run {
    struct link *l;
    const struct config_relay *settings;
    const struct queue_message *m;
    struct prepared message;
    struct verdict *v;
    bool *is_open; /* recipients that were accepted and wait for the message's fate */
    bool is_asked; /* something was answered on this link for this message */
    bool is_sent;  /* the whole body is out */
    size_t open_count;
    unsigned last_code;
};

static void all_open(struct run *r, const struct smtp_reply *reply)
{
    for (size_t i = 0; i < r->m->recipient_count; i++)
        if (r->is_open[i])
            take_reply(&r->v[i], reply);
}

static enum status reply_to(struct run *r, struct smtp_reply *reply, struct err *err)
{
    TRY(smtp_client_reply(r->l->client, r->settings->reply_ms, reply, err));
    r->is_asked = true;
    r->last_code = reply->code;
    return ST_OK;
}

/* ---- the envelope ---------------------------------------------------------------------------------------------------
 */

static bool knows(const struct run *r, unsigned extension)
{
    return (smtp_client_extensions(r->l->client) & extension) != 0;
}

static struct smtp_mail mail_of(const struct run *r)
{
    const struct queue_message *m = r->m;
    const struct queue_wishes *w = &m->wishes;
    return (struct smtp_mail){.from = m->sender,
                              .size = r->message.size,
                              .is_8bit = r->message.body == QUEUE_8BITMIME,
                              .is_binary = r->message.body == QUEUE_BINARYMIME,
                              .is_smtputf8 = r->message.is_smtputf8,
                              .is_tls_required = w->is_tls_required,
                              .is_by_traced = w->is_by_traced,
                              .trace = m->trace,
                              .ret = (enum smtp_ret)w->ret,
                              .envid = w->envid,
                              .by = (enum smtp_by)w->by,
                              .by_seconds = w->deliver_by - clock_wall_ms() / 1000,
                              .priority = w->priority};
}

static struct smtp_rcpt rcpt_of(const struct queue_recipient *to)
{
    return (struct smtp_rcpt){to->address, to->notify, to->orcpt};
}

static void write_envelope(struct run *r)
{
    struct smtp_mail mail = mail_of(r);
    smtp_client_mail(r->l->client, &mail);
    for (size_t i = 0; i < r->m->recipient_count; i++) {
        struct smtp_rcpt rcpt = rcpt_of(&r->m->recipients[i]);
        smtp_client_rcpt(r->l->client, &rcpt);
    }
}

/* The replies to MAIL and RCPT. is_good: MAIL was taken. */
static enum status envelope_replies(struct run *r, bool *is_good, struct err *err)
{
    struct smtp_reply mail, rcpt;
    TRY(reply_to(r, &mail, err));
    *is_good = smtp_reply_is_good(&mail);
    for (size_t i = 0; i < r->m->recipient_count; i++) {
        TRY(reply_to(r, &rcpt, err));
        take_reply(&r->v[i], *is_good ? &rcpt : &mail);
        r->is_open[i] = *is_good && smtp_reply_is_good(&rcpt);
        r->open_count += r->is_open[i];
    }
    return ST_OK;
}

/* Without PIPELINING (RFC 2920 §3.1): one command, one reply. */
static enum status envelope_by_steps(struct run *r, bool *is_good, struct err *err)
{
    struct smtp_reply reply;
    const struct queue_message *m = r->m;
    struct smtp_mail mail = mail_of(r);
    smtp_client_mail(r->l->client, &mail);
    TRY(reply_to(r, &reply, err));
    *is_good = smtp_reply_is_good(&reply);
    for (size_t i = 0; i < m->recipient_count; i++) {
        if (*is_good) {
            struct smtp_rcpt rcpt = rcpt_of(&m->recipients[i]);
            smtp_client_rcpt(r->l->client, &rcpt);
            TRY(reply_to(r, &reply, err));
        }
        take_reply(&r->v[i], &reply);
        r->is_open[i] = *is_good && smtp_reply_is_good(&reply);
        r->open_count += r->is_open[i];
    }
    return ST_OK;
}

/* ---- the message
 * ------------------------------------------------------------------------------------------------------ */

/* RFC 2033 §4.2: LMTP answers once for each accepted recipient. */
static enum status final_replies(struct run *r, struct err *err)
{
    struct smtp_reply reply = {0};
    bool is_first = true;
    r->is_sent = true;
    for (size_t i = 0; i < r->m->recipient_count; i++) {
        if (!r->is_open[i])
            continue;
        if (is_first || r->l->is_lmtp) {
            TRY(smtp_client_reply(r->l->client, r->settings->reply_ms * AFTER_DOT_FACTOR, &reply, err));
            r->last_code = reply.code;
        }
        is_first = false;
        take_reply(&r->v[i], &reply);
        r->v[i].is_final = r->l->is_lmtp;
        r->v[i].is_dsn_done = knows(r, SMTP_EXT_DSN);
        r->v[i].is_by_done = knows(r, SMTP_EXT_DELIVERBY);
        r->is_open[i] = false;
    }
    return ST_OK;
}

static enum status data(struct run *r, bool is_data_said, struct err *err)
{
    struct smtp_reply reply;
    if (!is_data_said) {
        if (r->open_count == 0)
            return ST_OK;
        smtp_client_command(r->l->client, "DATA");
    }
    TRY(reply_to(r, &reply, err));
    if (reply.code != 354) {
        if (smtp_reply_is_good(&reply)) /* not a reply to DATA */
            return err_set(err, ST_SYNTAX, "the peer answers DATA with %u", reply.code);
        all_open(r, &reply);
        return ST_OK;
    }
    if (r->open_count == 0) { /* RFC 2920 §3.1: DATA was taken although nobody is there to get it */
        TRY(smtp_client_text(r->l->client, NULL, 0, err));
        return reply_to(r, &reply, err);
    }
    TRY(smtp_client_text(r->l->client, &r->message.text, 1, err));
    return final_replies(r, err);
}

static enum status bdat_after(struct run *r, struct err *err)
{
    if (r->open_count == 0)
        return ST_OK;
    TRY(smtp_client_chunk(r->l->client, &r->message.text, 1, err));
    return final_replies(r, err);
}

/* All in one write. Where nobody was accepted, BDAT has a reply of its own, a refusal (RFC 3030 §2). */
static enum status all_at_once(struct run *r, struct err *err)
{
    struct smtp_reply reply;
    bool is_good;
    write_envelope(r);
    TRY(smtp_client_chunk(r->l->client, &r->message.text, 1, err));
    TRY(envelope_replies(r, &is_good, err));
    return r->open_count ? final_replies(r, err) : reply_to(r, &reply, err);
}

static enum status talk(struct run *r, struct err *err)
{
    bool is_good, is_data_said = false;
    if (knows(r, SMTP_EXT_PIPELINING) && knows(r, SMTP_EXT_CHUNKING) && r->message.text.len <= BODY_WITH_COMMANDS_MAX)
        return all_at_once(r, err);
    if (knows(r, SMTP_EXT_PIPELINING)) {
        write_envelope(r);
        is_data_said = !knows(r, SMTP_EXT_CHUNKING);
        if (is_data_said)
            smtp_client_command(r->l->client, "DATA");
        TRY(envelope_replies(r, &is_good, err));
    } else {
        TRY(envelope_by_steps(r, &is_good, err));
    }
    return knows(r, SMTP_EXT_CHUNKING) ? bdat_after(r, err) : data(r, is_data_said, err);
}

/* After a message with none accepted, or refused at DATA, a transaction may be open: it is closed before the next one.
 */
static bool reset(struct run *r)
{
    struct smtp_reply reply;
    struct err ignored;
    smtp_client_command(r->l->client, "RSET");
    return smtp_client_reply(r->l->client, r->settings->reply_ms, &reply, &ignored) == ST_OK &&
           smtp_reply_is_good(&reply);
}

/* The link broke: who has no verdict yet waits. */
static void broken(struct run *r, const struct err *err)
{
    for (size_t i = 0; i < r->m->recipient_count; i++)
        if (r->is_open[i] || !r->v[i].reply[0])
            verdict_set(&r->v[i], QUEUE_WAITING, "451 4.4.2 %s [%s]: %s%s", r->l->host, r->l->address, err->client,
                        r->is_sent ? " (after the message was sent)" : "");
}

/* It was opened for another message. */
static bool is_old(const struct link *l)
{
    return l->messages > 0 || l->idle_since_ms > 0;
}

enum attempt_end attempt_run(struct link *l, const struct config_relay *settings, const struct queue_message *m,
                             struct span body, struct verdict *v)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF converted = STRBUF_INIT;
    struct run r = {.l = l, .settings = settings, .m = m, .v = v};
    struct err err;
    char refusal[200];
    for (size_t i = 0; i < m->recipient_count; i++)
        v[i] = (struct verdict){.state = QUEUE_WAITING};
    r.is_open = arena_array(&a, m->recipient_count, sizeof *r.is_open);
    if (!prepare_message(l, m, body, &converted, &r.message, refusal, sizeof refusal)) {
        if (is_old(l)) /* what the peer said of itself may be old: before mail is bounced for it, it is asked again */
            return ATTEMPT_STALE;
        for (size_t i = 0; i < m->recipient_count; i++)
            verdict_set(&v[i], QUEUE_FAILED, "%s", refusal);
        return ATTEMPT_GOOD;
    }
    bool was_used = is_old(l);
    l->messages++;
    enum status st = talk(&r, &err);
    if (st != ST_OK && was_used && !r.is_asked && !r.is_sent && st == ST_CLOSED)
        return ATTEMPT_STALE;
    if (st != ST_OK) {
        broken(&r, &err);
        return ATTEMPT_OVER;
    }
    if (r.last_code == 421 || l->messages >= link_messages_max(l)) /* RFC 5321 §3.8: it is about to close */
        return ATTEMPT_OVER;
    bool is_clean = r.is_sent && r.last_code < 300;
    return is_clean || reset(&r) ? ATTEMPT_GOOD : ATTEMPT_OVER;
}
