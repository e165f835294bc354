/* filter_apply.c - see filter_internal.h. */
#include "milter/edit.h"
#include "smtp/filter_internal.h"
#include "base/banned.h"

static void log_change(const struct smtp *sm, const struct filter_link *l, enum log_level level, const char *what,
                       struct span detail)
{
    struct log_line line;
    smtp_log_begin(sm, &line, level, "milter-changed");
    log_str(&line, "milter", l->config->name);
    log_str(&line, "what", what);
    log_span(&line, "value", detail);
    log_end(&line);
}

static enum status edit(struct smtp *sm, const struct filter_link *l, const struct milter_changes *changes,
                        struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct smtp_transaction *t = sm->transaction;
    struct span message;
    TRY(body_span(t->body, &message, err));
    TRY(milter_edit(&a, message, changes, milter_keeps_space(l->milter), &text, err));
    AUTO(body) b = body_new(sm->mode->message_size_max(sm->session) + MILTER_CHANGES_BYTES_MAX);
    TRY(body_append(b, strbuf_span(&text), err));
    body_free(&t->body);
    t->body = b;
    b = NULL;
    log_change(sm, l, LOG_INFO, changes->has_body ? "body" : "header", SPAN_NONE);
    return ST_OK;
}

/* It is going to stand in a command: nothing of it may end a line, or a text. */
static bool is_one_line(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return false;
    return true;
}

/* "<a@example.test>" or without brackets, with arguments: as MAIL and RCPT have it behind their keyword. */
static struct span path(struct smtp *sm, const char *keyword, const struct milter_change *c)
{
    bool is_bracketed = span_starts(span_trim(c->name), SPAN("<"));
    return arena_printf(&sm->transaction->arena, "%s%s%.*s%s%s%.*s", keyword, is_bracketed ? "" : "<",
                        SPAN_ARG(span_trim(c->name)), is_bracketed ? "" : ">", c->value.len ? " " : "",
                        SPAN_ARG(c->value));
}

static struct span written(struct arena *a, const struct mailbox_address *m)
{
    AUTO_STRBUF text = STRBUF_INIT;
    address_write(m, &text);
    return arena_strbuf(a, &text);
}

static enum status change_sender(struct smtp *sm, const struct milter_change *c, struct err *err)
{
    struct smtp_transaction *t = sm->transaction;
    struct smtp_mail_args args;
    if (!is_one_line(c->name) || !is_one_line(c->value) ||
        smtp_mail_parse(&t->arena, path(sm, "FROM:", c), SMTP_PARAM_DSN, &args, err) != SMTP_FINE)
        return err_set(err, ST_SYNTAX, "its sender is malformed");
    t->mail.from = args.from;
    t->mail.is_smtputf8 = t->mail.is_smtputf8 || args.is_smtputf8;
    if (args.ret)
        t->mail.ret = args.ret;
    if (args.envid.len)
        t->mail.envid = args.envid;
    t->from = written(&t->arena, &args.from);
    t->is_envelope_changed = true;
    return ST_OK;
}

/* What the mode says about it is not the client's to hear. */
static bool mode_takes(struct smtp *sm, struct smtp_recipient *r)
{
    struct strbuf *out = session_output(sm->session);
    size_t before = out->len;
    unsigned errors = sm->errors, unknown = sm->unknown_recipients;
    bool is_taken = sm->mode->recipient(sm, r);
    strbuf_truncate(out, before);
    sm->errors = errors;
    sm->unknown_recipients = unknown;
    return is_taken;
}

static enum status add_recipient(struct smtp *sm, const struct filter_link *l, const struct milter_change *c,
                                 struct err *err)
{
    struct smtp_transaction *t = sm->transaction;
    struct smtp_rcpt_args args;
    if (!is_one_line(c->name) || !is_one_line(c->value) ||
        smtp_rcpt_parse(&t->arena, path(sm, "TO:", c), SMTP_PARAM_DSN, true, &args, err) != SMTP_FINE)
        return err_set(err, ST_SYNTAX, "its recipient is malformed");
    struct smtp_recipient *r = smtp_recipient_slot(t);
    r->address = args.to;
    r->notify = args.notify;
    r->orcpt = args.orcpt;
    r->text = written(&t->arena, &args.to);
    for (size_t i = 0; i < t->count; i++)
        if (span_ieq(t->recipients[i].text, r->text))
            return ST_OK;
    bool is_taken = t->count < SMTP_RECIPIENTS_MAX && mode_takes(sm, r);
    log_change(sm, l, is_taken ? LOG_INFO : LOG_WARN, is_taken ? "recipient-added" : "recipient-not-added", r->text);
    t->count += is_taken;
    return ST_OK;
}

static void delete_recipient(struct smtp *sm, const struct filter_link *l, const struct milter_change *c)
{
    struct smtp_transaction *t = sm->transaction;
    struct span name = span_trim(c->name);
    if (span_starts(name, SPAN("<")) && span_ends(name, SPAN(">")))
        name = span_slice(name, 1, name.len - 1);
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++)
        if (!span_ieq(t->recipients[i].text, name))
            t->recipients[kept++] = t->recipients[i];
    if (kept == t->count)
        return;
    t->count = kept;
    t->is_envelope_changed = true;
    log_change(sm, l, LOG_INFO, "recipient-removed", name);
}

enum status filter_apply(struct smtp *sm, const struct filter_link *l, const struct milter_changes *changes,
                         struct err *err)
{
    if (milter_edits(changes))
        TRY(edit(sm, l, changes, err));
    for (size_t i = 0; i < changes->count; i++) {
        const struct milter_change *c = &changes->list[i];
        switch (c->kind) {
        case MILTER_CHANGE_SENDER:
            TRY(change_sender(sm, c, err));
            log_change(sm, l, LOG_INFO, "sender", sm->transaction->from);
            break;
        case MILTER_CHANGE_ADD_RCPT:
            TRY(add_recipient(sm, l, c, err));
            break;
        case MILTER_CHANGE_DELETE_RCPT:
            delete_recipient(sm, l, c);
            break;
        case MILTER_CHANGE_TO_QUARANTINE:
            sm->transaction->mail.is_quarantined = sm->transaction->is_envelope_changed = true;
            log_change(sm, l, LOG_INFO, "quarantine", c->value);
            break;
        default:
            break;
        }
    }
    return ST_OK;
}
