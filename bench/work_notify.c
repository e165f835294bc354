/*
 * work_notify.c - how soon watching clients know: --watchers sessions in IDLE, spread over --accounts accounts; one
 * writer delivers --count messages, by SMTP or LMTP at --smtp-port or else by APPEND, and waits for all watchers of the
 * account after each. The latency is from the moment when the writer has its OK to the moment when a watcher has read
 * its EXISTS; 0 where the watcher was told first. Both are measured in this one thread, so reading a thousand answers
 * is part of the last ones' latency.
 */
#include "base/mem.h"
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "smtp.h"
#include "works.h"

enum { OPENING_AT_ONCE = 32 };

struct watcher {
    struct imap im;
    size_t account;
    int64_t seen_us;
};

static struct watcher *watchers;
static size_t opening, *waited_for; /* for each account: watchers that have not seen the message */
static bool is_over;
static struct fiber_event one_less_opening, all_seen;

static size_t watchers_of(size_t account)
{
    return opt.watchers / opt.accounts + (account < opt.watchers % opt.accounts);
}

static void watch(void *arg)
{
    struct watcher *w = arg;
    struct span text;
    uint32_t number;
    while (opening == OPENING_AT_ONCE)
        fiber_wait(&one_less_opening);
    opening++;
    imap_open_account(&w->im, w->account);
    imap_select(&w->im, opt.mailbox, false);
    imap_tag(&w->im);
    conn_printf(w->im.conn, "IDLE\r\n");
    imap_continuation(&w->im);
    opening--;
    fiber_wake(&one_less_opening);
    tally_line_up(opt.watchers + 1);
    fiber_set_patience(0); /* the writer is the one who waits */
    for (uint32_t known = w->im.exists; imap_untagged(&w->im, &text);) {
        if (!imap_is_number(text, SPAN("EXISTS"), &number))
            continue;
        if (is_over || number != known + 1 || w->seen_us)
            bench_fail("a watcher is told %u EXISTS after %u", number, known);
        known = number;
        w->seen_us = bench_now_us();
        if (--waited_for[w->account] == 0)
            fiber_wake(&all_seen);
    }
    if (!is_over)
        bench_fail("the server ended IDLE");
    imap_logout(&w->im);
}

/* ---- the writer */

struct writer {
    struct smtp smtp;
    struct imap imap;
    struct message message;
};

static void deliver(struct writer *w, uint64_t number, size_t account)
{
    AUTO_STRBUF to = STRBUF_INIT;
    account_name(&to, opt.user, account);
    message_make(&w->message, number, opt.size, opt.from, to.p);
    if (opt.smtp_port) {
        smtp_send(&w->smtp, opt.from, to.p, &w->message);
        return;
    }
    if (opt.accounts > 1)
        imap_open_account(&w->imap, account);
    imap_append(&w->imap, opt.mailbox, strbuf_span(&w->message.text));
    imap_append_answer(&w->imap);
    if (opt.accounts > 1)
        imap_close(&w->imap);
}

static void tell_latencies(size_t account, int64_t ok_us)
{
    for (size_t i = account; i < opt.watchers; i += opt.accounts) {
        tally_add(watchers[i].seen_us - ok_us, 0);
        watchers[i].seen_us = 0;
    }
}

static void write_all(void *unused)
{
    (void)unused;
    struct writer w = {0};
    uint64_t deliveries = opt.count;
    if (opt.smtp_port)
        smtp_open(&w.smtp, opt.smtp_port, opt.is_lmtp, false);
    else if (opt.accounts == 1)
        imap_open_account(&w.imap, 0);
    tally_line_up(opt.watchers + 1);
    for (uint64_t number = 0; number < deliveries; number++) {
        size_t account = number % opt.accounts;
        waited_for[account] = watchers_of(account);
        deliver(&w, number, account);
        int64_t ok_us = bench_now_us();
        while (waited_for[account])
            fiber_wait_for(&all_seen, "the watchers' EXISTS");
        tell_latencies(account, ok_us);
        fiber_sleep_ms(5); /* one message at a time, the server at rest */
    }
    is_over = true;
    for (size_t i = 0; i < opt.watchers; i++) {
        conn_printf(watchers[i].im.conn, "DONE\r\n");
        conn_flush(watchers[i].im.conn);
    }
    if (opt.smtp_port)
        smtp_quit(&w.smtp);
    else if (opt.accounts == 1)
        imap_logout(&w.imap);
    message_free(&w.message);
}

void work_notify(void)
{
    if (!opt.count)
        opt.count = 100;
    if (opt.watchers < opt.accounts)
        bench_fail("each account needs a watcher");
    watchers = mem_array(opt.watchers, sizeof *watchers);
    waited_for = mem_array(opt.accounts, sizeof *waited_for);
    for (size_t i = 0; i < opt.watchers; i++) {
        watchers[i].account = i % opt.accounts;
        fiber_start(watch, &watchers[i]);
    }
    fiber_start(write_all, NULL);
    fiber_run();
    result_u64("watchers", opt.watchers);
    result_u64("accounts", opt.accounts);
    result_u64("deliveries", opt.count);
}
