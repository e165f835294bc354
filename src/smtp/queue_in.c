/*
 * queue_in.c - the door of the role relay: SMTP from `mail` into the durable queue. Nobody else has the channel, so
 * every recipient is taken; 250 to the message only after queue_add(), which flushes.
 */
#include "base/clock.h"
#include "queue/outbound.h"
#include "smtp/session.h"
#include "smtp/smtp.h"
#include "smtp/trace.h"
#include "base/banned.h"

static struct relay_app *app_of(const struct session *s)
{
    return session_app(s);
}

static const char *queue_hostname(const struct session *s)
{
    return app_of(s)->hostname;
}

/* Header fields were added since the door measured it. */
static uint64_t queue_size_max(const struct session *s)
{
    return app_of(s)->message_size_max + SMTP_TRACE_ROOM;
}

static bool queue_recipient(struct smtp *sm, struct smtp_recipient *r)
{
    (void)sm;
    (void)r;
    return true;
}

/* The numbers of the queue's enums are those of the text's. */
static struct queue_wishes wishes_of(const struct smtp_transaction *t)
{
    const struct smtp_mail_args *m = &t->mail;
    int64_t now = t->mail_at;
    return (struct queue_wishes){.body = m->is_binary ? QUEUE_BINARYMIME
                                         : m->is_8bit ? QUEUE_8BITMIME
                                                      : QUEUE_7BIT,
                                 .ret = (enum queue_ret)m->ret,
                                 .by = (enum queue_by)m->by,
                                 .is_smtputf8 = m->is_smtputf8,
                                 .is_tls_required = m->is_tls_required,
                                 .is_by_traced = m->is_by_traced,
                                 .priority = m->priority,
                                 .hold_until = m->hold_for ? now + m->hold_for : m->hold_until,
                                 .deliver_by = m->by ? now + m->by_seconds : 0,
                                 .envid = m->envid,
                                 .hold_request = m->hold_request};
}

static enum status put(struct smtp *sm, uint64_t *id, struct err *err)
{
    struct smtp_transaction *t = sm->transaction;
    const struct config_relay *settings = app_of(sm->session)->settings;
    struct queue_to *to = arena_array(&t->arena, t->count, sizeof *to);
    for (size_t i = 0; i < t->count; i++) {
        const struct smtp_recipient *r = &t->recipients[i];
        to[i] = (struct queue_to){r->text,
                                  outbound_destination(settings, &t->arena, t->mail.from.domain, r->address.domain),
                                  r->notify, r->orcpt};
    }
    struct queue_envelope e = {
        .sender = t->from, .to = to, .to_count = t->count, .trace = span_cstr(t->trace), .wishes = wishes_of(t)};
    e.first_deadline_at = outbound_first_deadline(settings, clock_wall_ms() / 1000, &e.wishes);
    struct span message;
    TRY(body_span(t->body, &message, err));
    return queue_add(app_of(sm->session)->queue, &e, message, id, err);
}

static void queue_message(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    struct relay_app *app = app_of(sm->session);
    struct err err;
    uint64_t id;
    if (put(sm, &id, &err) != ST_OK) {
        struct log_line l;
        smtp_log_begin(sm, &l, LOG_ERROR, "queue-failed");
        log_err(&l, &err);
        log_end(&l);
        smtp_reply(sm, 451, "4.3.0", "%s", err.client);
        return;
    }
    smtp_reply(sm, 250, "2.0.0", "Queued");
    struct log_line l;
    smtp_log_begin(sm, &l, LOG_INFO, "queued");
    log_u64(&l, "queue", id);
    log_span(&l, "from", t->from);
    log_u64(&l, "recipients", t->count);
    log_u64(&l, "size", body_size(t->body));
    log_end(&l);
    app->wake(app->wake_ctx);
}

const struct smtp_mode smtp_mode_queue = {
    .name = "queue",
    .bit = MODE_QUEUE,
    .greeting = "ESMTP",
    .hostname = queue_hostname,
    .message_size_max = queue_size_max,
    .recipient = queue_recipient,
    .message = queue_message,
};

static enum next queue_start(struct session *s)
{
    return smtp_start(s, &smtp_mode_queue);
}

const struct protocol queue_in_protocol = {
    .name = "queue",
    .start = queue_start,
    .input = smtp_input,
    .secured = smtp_secured,
    .goodbye = smtp_goodbye,
    .free = smtp_free,
};
