/*
 * work_smtp.c - delivery: inbound SMTP and LMTP on connections that stay open, and submission with a login for each
 * message. A message counts when its 250 is there. `verify` looks afterwards whether what was acknowledged is in the
 * mailboxes.
 */
#include "bench.h"
#include "fiber.h"
#include "smtp.h"
#include "works.h"

static bool is_lmtp;

static void send_one(struct smtp *s, struct message *m, uint64_t number)
{
    AUTO_STRBUF rcpt = STRBUF_INIT;
    recipient_name(&rcpt, number);
    message_make(m, number, opt.size, opt.from, rcpt.p);
    int64_t begun_us = bench_now_us();
    smtp_send(s, opt.from, rcpt.p, m);
    tally_done(begun_us, m->text.len);
}

static void deliver(void *unused)
{
    (void)unused;
    struct smtp s;
    struct message m = {0};
    uint64_t number;
    smtp_open(&s, opt.port, is_lmtp, true);
    tally_line_up(opt.connections);
    size_t sent = 0;
    while (tally_take(&number)) {
        if ((opt.per_connection && sent == opt.per_connection) || (s.mail_max && sent == s.mail_max)) {
            smtp_quit(&s);
            smtp_open(&s, opt.port, is_lmtp, true);
            sent = 0;
        }
        send_one(&s, &m, number);
        sent++;
    }
    smtp_quit(&s);
    message_free(&m);
}

static void report(void)
{
    result_u64("connections", opt.connections);
    result_u64("accounts", opt.accounts);
    result_u64("size", opt.size);
}

static void run(void)
{
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(deliver, NULL);
    fiber_run();
    report();
}

void work_smtp(void)
{
    is_lmtp = false;
    run();
}

void work_lmtp(void)
{
    is_lmtp = true;
    run();
}

/* ---- submission (RFC 6409): connection, TLS, login, message and QUIT for each, or for --per-connection of them */

static void submit(void *unused)
{
    (void)unused;
    AUTO_STRBUF user = STRBUF_INIT, rcpt = STRBUF_INIT;
    struct message m = {0};
    struct smtp s = {0};
    uint64_t number;
    size_t most = opt.per_connection ? opt.per_connection : 1, sent = 0;
    while (tally_take(&number)) {
        if (!s.conn) { /* whoever logs in is the sender */
            strbuf_clear(&user);
            account_name(&user, opt.user, number % opt.accounts);
            sent = 0;
        }
        strbuf_clear(&rcpt);
        recipient_name(&rcpt, number + 1);
        message_make(&m, number, opt.size, user.p, rcpt.p);
        int64_t begun_us = bench_now_us();
        if (!s.conn) {
            smtp_open(&s, opt.port, false, true);
            smtp_auth_plain(&s, user.p, opt.password);
        }
        smtp_send(&s, user.p, rcpt.p, &m);
        if (++sent == most)
            smtp_quit(&s);
        tally_done(begun_us, m.text.len);
    }
    if (s.conn)
        smtp_quit(&s);
    message_free(&m);
}

void work_submission(void)
{
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(submit, NULL);
    fiber_run();
    report();
}
