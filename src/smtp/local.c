/*
 * local.c - mail of programs on this machine: submission over a Unix socket ([listen] local), in the role mail. Who
 * calls is what the kernel says (SO_PEERCRED), so there is no login; as whom he may send says policy/local_sender.h.
 */
#include <stdatomic.h>
#include <stdio.h>
#include "base/mem.h"
#include "policy/local_sender.h"
#include "smtp/smtp.h"
#include "smtp/submission.h"
#include "base/banned.h"

static struct mail_app *app_of(const struct session *s)
{
    return session_app(s);
}

static bool local_sender(struct smtp *sm)
{
    struct mail_app *app = app_of(sm->session);
    struct smtp_transaction *t = sm->transaction;
    /* A user without a name has its number as sm->user, which is never a local part of its own. */
    const struct local_caller who = {sm->uid, ascii_is_digit(sm->user[0]) ? NULL : sm->user};
    bool may = false;
    struct err err;
    enum status st = local_may_send_as(&who, atomic_load(&app->local), app->hostname, app->directory, &t->arena,
                                       &t->mail.from, app->subaddress_separator, &may, &err);
    return submission_sender_answer(sm, st, may, &err);
}

const struct smtp_mode smtp_mode_local = {
    .name = "local",
    .bit = MODE_LOCAL,
    .greeting = "ESMTP",
    .hostname = submission_hostname,
    .message_size_max = submission_size_max,
    .sender = local_sender,
    .recipient = submission_recipient,
    .message = submission_message,
};

/* At most as many sessions of one user as an account may have: a program that runs wild does not take all. */
static bool count_in(struct session *s, uint32_t uid)
{
    struct mail_app *app = app_of(s);
    char key[24];
    int n = snprintf(key, sizeof key, "uid %u", (unsigned)uid); /* the space: no account's name */
    return session_count_in(s, app->handover.account_sessions, span_of(key, (size_t)n),
                            app->handover.sessions_per_account);
}

static enum next local_start(struct session *s)
{
    struct mail_app *app = app_of(s);
    char name[CONFIG_USER_MAX + 1];
    uint32_t uid = 0;
    struct err err;
    if (!session_peer_uid(s, &uid)) {
        strbuf_add_cstr(session_output(s), "554 5.7.0 The kernel does not say who you are\r\n");
        return NEXT_CLOSE;
    }
    if (!count_in(s, uid)) {
        smtp_goodbye(s, BYE_LIMIT);
        return NEXT_CLOSE;
    }
    enum status st = app->user_name(app->user_ctx, uid, name, &err);
    if (st == ST_NOTFOUND) {
        snprintf(name, sizeof name, "%u", (unsigned)uid);
    } else if (st != ST_OK) {
        strbuf_add_cstr(session_output(s), "421 4.3.0 It cannot be told now who you are, try again later\r\n");
        return NEXT_CLOSE;
    }
    enum next next = smtp_start(s, &smtp_mode_local);
    struct smtp *sm = session_state(s);
    sm->uid = uid;
    sm->user = mem_cstr(name, strlen(name));
    return next;
}

const struct protocol local_protocol = {
    .name = "local",
    .start = local_start,
    .input = smtp_input,
    .secured = smtp_secured,
    .goodbye = smtp_goodbye,
    .free = smtp_free,
};
