/*
 * work_append.c - APPEND: `append` measures it, --pipeline commands under way on each connection; `fill` brings
 * mailboxes to --messages messages of realistic sizes, as fast as a server takes them. Afterwards the mailboxes must
 * have what was acknowledged.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "message.h"
#include "works.h"

enum { FILL_PIPELINE = 32, FILL_MULTIAPPEND = 64 };

static void make(struct message *m, uint64_t number, size_t size, const char *to)
{
    message_make(m, number, size, "sender@elsewhere.test", to);
}

/* ---- append */

static int64_t *sums; /* of each account's mailbox: messages acknowledged, less what the mailbox gained */

static void count_mailboxes(int64_t sign)
{
    for (size_t i = 0; i < opt.accounts; i++) {
        struct imap im;
        imap_open_account(&im, i);
        imap_create(&im, opt.mailbox);
        sums[i] += sign * imap_status_messages(&im, opt.mailbox);
        imap_logout(&im);
    }
}

static void append(void *arg)
{
    size_t account = (size_t)(uintptr_t)arg % opt.accounts, under_way = 0, depth = opt.pipeline ? opt.pipeline : 1;
    int64_t *begun_us = mem_array(depth, sizeof *begun_us); /* a ring */
    struct imap im;
    struct message m = {0};
    uint64_t number;
    AUTO_STRBUF to = STRBUF_INIT;
    account_name(&to, opt.user, account);
    imap_open_account(&im, account);
    imap_capability(&im);
    tally_line_up(opt.connections);
    for (size_t sent = 0;; sent++) {
        bool is_more = tally_take(&number);
        while (under_way == depth || (!is_more && under_way)) {
            imap_append_answer(&im);
            tally_done(begun_us[(sent - under_way) % depth], opt.size);
            sums[account]++;
            under_way--;
        }
        if (!is_more)
            break;
        make(&m, number, opt.size, to.p);
        begun_us[sent % depth] = bench_now_us();
        if (im.has_literal_plus)
            under_way++;
        imap_append(&im, opt.mailbox, strbuf_span(&m.text));
        if (!im.has_literal_plus) {
            imap_append_answer(&im);
            tally_done(begun_us[sent % depth], opt.size);
            sums[account]++;
        }
    }
    imap_logout(&im);
    message_free(&m);
    free(begun_us);
}

static void before(void *unused)
{
    (void)unused;
    count_mailboxes(1);
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(append, (void *)(uintptr_t)i);
}

static void after(void *unused)
{
    (void)unused;
    count_mailboxes(-1);
    for (size_t i = 0; i < opt.accounts; i++)
        if (sums[i] != 0)
            bench_fail("account %zu lacks %lld messages of those acknowledged", i, (long long)sums[i]);
}

void work_append(void)
{
    sums = mem_array(opt.accounts, sizeof *sums);
    fiber_start(before, NULL);
    fiber_run();
    fiber_start(after, NULL);
    fiber_run();
    free(sums);
    result_u64("connections", opt.connections);
    result_u64("accounts", opt.accounts);
    result_u64("pipeline", opt.pipeline);
    result_u64("size", opt.size);
}

/* ---- fill */

/* Without --size: seven in ten are notes of 1.5 to 6 KB, a quarter up to 30 KB, one in twenty up to 120 KB; 10 KB on
 * the average. */
static size_t realistic_size(uint64_t number)
{
    uint64_t x = (number + 1) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    uint64_t kind = x % 100, spread = (x >> 20) % 1000;
    if (opt.has_size)
        return opt.size;
    if (kind < 70)
        return 1500 + spread * 45 / 10;
    return kind < 95 ? 6000 + spread * 24 : 30000 + spread * 90;
}

/* RFC 3502: one command, many messages, one flush. */
static void multiappend(struct imap *im, struct message *m, size_t n, uint64_t *number, const char *to)
{
    imap_tag(im);
    conn_printf(im->conn, "APPEND \"%s\"", opt.mailbox);
    for (size_t i = 0; i < n; i++) {
        make(m, *number, realistic_size(*number), to);
        ++*number;
        conn_printf(im->conn, " {%zu%s}\r\n", m->text.len, im->has_literal_plus ? "+" : "");
        if (!im->has_literal_plus)
            imap_continuation(im);
        conn_write(im->conn, m->text.p, m->text.len);
    }
    conn_write(im->conn, "\r\n", 2);
    imap_append_answer(im);
}

static void pipeline(struct imap *im, struct message *m, size_t n, uint64_t *number, const char *to)
{
    for (size_t i = 0; i < n; i++) {
        make(m, *number, realistic_size(*number), to);
        ++*number;
        imap_append(im, opt.mailbox, strbuf_span(&m->text));
        if (im->tag - im->answered == FILL_PIPELINE || !im->has_literal_plus)
            imap_append_answer(im);
    }
    while (im->tag != im->answered)
        imap_append_answer(im);
}

static void fill_one(size_t account)
{
    struct imap im;
    struct message m = {0};
    AUTO_STRBUF to = STRBUF_INIT;
    account_name(&to, opt.user, account);
    imap_open_account(&im, account);
    imap_capability(&im);
    imap_create(&im, opt.mailbox);
    uint64_t number = (uint64_t)account * opt.messages;
    for (size_t there = imap_status_messages(&im, opt.mailbox); there < opt.messages;) {
        size_t n = opt.messages - there < FILL_MULTIAPPEND ? opt.messages - there : FILL_MULTIAPPEND;
        int64_t begun_us = bench_now_us();
        if (im.has_multiappend)
            multiappend(&im, &m, n, &number, to.p);
        else
            pipeline(&im, &m, n, &number, to.p);
        for (size_t i = 0; i < n; i++)
            tally_done(begun_us, 0);
        there += n;
    }
    size_t now = imap_status_messages(&im, opt.mailbox);
    if (now != opt.messages)
        bench_fail("account %zu has %zu messages, not %zu", account, now, opt.messages);
    imap_logout(&im);
    message_free(&m);
}

static void fill(void *unused)
{
    static size_t next_account;
    (void)unused;
    while (next_account < opt.accounts)
        fill_one(next_account++);
}

void work_fill(void)
{
    if (opt.messages == 0)
        bench_fail("fill needs --messages");
    tally_start();
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(fill, NULL);
    fiber_run();
    tally_stop();
    result_u64("messages", opt.messages);
    result_u64("accounts", opt.accounts);
}
