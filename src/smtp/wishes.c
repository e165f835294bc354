/*
 * wishes.c - what MAIL asks for beside the delivery itself, held against what this door allows: FUTURERELEASE (RFC
 * 4865), DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710), and how many transactions a session may have (RFC 9422).
 */
#include "base/clock.h"
#include "smtp/session.h"
#include "sys/config_smtp.h"
#include "text/date.h"
#include "base/banned.h"

bool smtp_wishes_may_begin(struct smtp *sm)
{
    if (smtp_is_internal(sm) || sm->transactions++ < SMTP_TRANSACTIONS_MAX)
        return true;
    smtp_reply(sm, 421, "4.7.0", "Too many messages over one connection, open another");
    return false;
}

bool smtp_wishes_may_raise_priority(const struct config_smtp *c, struct span account)
{
    size_t at = span_rfind_byte(account, '@');
    struct span domain = at == SPAN_NPOS ? SPAN_NONE : span_skip(account, at + 1);
    for (size_t i = 0; i < c->priority_account_count; i++)
        if (span_ieq(c->priority_accounts[i], account) || span_ieq(c->priority_accounts[i], domain))
            return true;
    return false;
}

/* RFC 6710 §4.1: only who is allowed to has a priority above that of other mail; anybody may have a lower one. */
static void check_priority(struct smtp *sm)
{
    struct smtp_mail_args *m = &sm->transaction->mail;
    bool may_raise = smtp_is_internal(sm) || (sm->mode->may_raise_priority && sm->mode->may_raise_priority(sm));
    if (m->priority <= 0 || may_raise)
        return;
    m->priority = 0;
    sm->transaction->is_priority_lowered = true;
}

/* RFC 4865 §5: reports repeat what was asked for. */
static void keep_hold_request(struct smtp_transaction *t)
{
    struct smtp_mail_args *m = &t->mail;
    AUTO_STRBUF date = STRBUF_INIT;
    if (m->hold_until)
        date_write_rfc3339(m->hold_until, &date);
    if (m->hold_for)
        m->hold_request = arena_printf(&t->arena, "for;%lld", (long long)m->hold_for);
    else if (m->hold_until)
        m->hold_request = arena_printf(&t->arena, "until;%s", strbuf_cstr(&date));
}

bool smtp_wishes_check(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    const struct smtp_mail_args *m = &t->mail;
    int64_t hold_until = m->hold_for ? t->mail_at + m->hold_for : m->hold_until;
    check_priority(sm);
    if (smtp_is_internal(sm)) /* the door has looked */
        return true;
    keep_hold_request(t);
    if (hold_until > t->mail_at + SMTP_HOLD_SECONDS_MAX) { /* RFC 4865 §4 */
        smtp_reply(sm, 501, "5.5.4", "The longest time to hold a message is %d seconds", SMTP_HOLD_SECONDS_MAX);
        return false;
    }
    if (m->by == SMTP_BY_RETURN && t->mail_at + m->by_seconds <= hold_until) {
        smtp_reply(sm, 501, "5.5.4", "The time by which it must be there is over before it is sent");
        return false;
    }
    return true;
}

void smtp_wishes_reply(struct smtp *sm)
{
    if (sm->transaction->is_priority_lowered) /* RFC 6710 §4.1: the new priority stands first */
        smtp_reply(sm, 250, "2.3.6", "0 is the priority it has here");
    else
        smtp_reply(sm, 250, "2.1.0", "Sender ok");
}

/* RFC 2852 §4: with by-mode R the message is nobody's any more when its time is over. */
bool smtp_wishes_is_over(const struct smtp_transaction *t)
{
    return t->mail.by == SMTP_BY_RETURN && t->mail_at + t->mail.by_seconds <= clock_wall_ms() / 1000;
}
