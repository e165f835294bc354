/*
 * work_change.c - STORE, COPY and MOVE of the first --messages messages of a mailbox (all where nothing is said),
 * --repeat times on each connection, each with an account of its own. Flags must be told as they are then; copies must
 * be in the other mailbox; what was moved comes back the same way, which counts as well.
 */
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "works.h"

static size_t changed;

static size_t how_many(struct imap *im)
{
    size_t n = opt.messages ? opt.messages : im->exists;
    if (n > im->exists || n == 0)
        bench_fail("the mailbox has %u messages, not %zu", im->exists, n);
    changed = n;
    return n;
}

/* ---- store */

static void store(struct imap *im, size_t n, bool is_set)
{
    struct span text, items, flags;
    uint32_t number;
    size_t told = 0;
    imap_tag(im);
    conn_printf(im->conn, "STORE 1:%zu %cFLAGS (\\Flagged)\r\n", n, is_set ? '+' : '-');
    while (imap_untagged(im, &text)) {
        if (!imap_is_fetch(text, &number, &items))
            continue;
        if (number < 1 || number > n || !imap_item(items, SPAN("FLAGS"), &flags) ||
            (span_find(flags, SPAN("\\Flagged"), 0) != SPAN_NPOS) != is_set)
            bench_fail("STORE told %.*s", SPAN_ARG(text));
        told++;
    }
    if (told != n)
        bench_fail("STORE told %zu messages of %zu", told, n);
}

static void run_store(struct imap *im)
{
    size_t n = how_many(im);
    imap_command(im, "STORE 1:%zu -FLAGS.SILENT (\\Flagged)",
                 n); /* each STORE then changes all: some servers do not tell what did not */
    tally_line_up(opt.connections);
    for (size_t i = 0; i < opt.repeat; i++) {
        int64_t begun_us = bench_now_us();
        store(im, n, i % 2 == 0);
        tally_done(begun_us, 0);
    }
}

/* ---- copy, move */

static void begin_target(struct imap *im)
{
    imap_create(im, opt.target);
    if (imap_status_messages(im, opt.target) != 0)
        bench_fail("%s is not empty", opt.target);
}

static void expect_in(struct imap *im, const char *mailbox, size_t n)
{
    size_t there = imap_status_messages(im, mailbox);
    if (there != n)
        bench_fail("%s has %zu messages, not %zu", mailbox, there, n);
}

static void run_copy(struct imap *im)
{
    size_t n = how_many(im);
    begin_target(im);
    tally_line_up(opt.connections);
    for (size_t i = 0; i < opt.repeat; i++) {
        int64_t begun_us = bench_now_us();
        imap_command(im, "COPY 1:%zu \"%s\"", n, opt.target);
        tally_done(begun_us, 0);
        expect_in(im, opt.target, n * (i + 1));
    }
    imap_command(im, "DELETE \"%s\"", opt.target);
}

static void move(struct imap *im, size_t n, const char *to)
{
    size_t before = im->exists;
    int64_t begun_us = bench_now_us();
    imap_command(im, "MOVE 1:%zu \"%s\"", n, to);
    tally_done(begun_us, 0);
    if (im->exists != before - n)
        bench_fail("MOVE of %zu messages of %zu left %u", n, before, im->exists);
    expect_in(im, to, n);
}

/* There and back; the mailbox must not have other messages, for these are the first only once. */
static void run_move(struct imap *im)
{
    size_t n = how_many(im);
    if (!im->has_move)
        bench_fail("the server has no MOVE");
    if (n != im->exists)
        bench_fail("move takes all messages of a mailbox");
    begin_target(im);
    tally_line_up(opt.connections);
    for (size_t i = 0; i < opt.repeat; i++) {
        move(im, n, opt.target);
        imap_select(im, opt.target, false);
        move(im, n, opt.mailbox);
        imap_select(im, opt.mailbox, false);
    }
    imap_command(im, "DELETE \"%s\"", opt.target);
}

static void (*change)(struct imap *im);

static void run(void *arg)
{
    struct imap im;
    imap_open_account(&im, (uint64_t)(uintptr_t)arg % opt.accounts);
    imap_capability(&im);
    imap_select(&im, opt.mailbox, false);
    change(&im);
    imap_logout(&im);
}

static void run_all(void (*how)(struct imap *im))
{
    if (opt.connections > opt.accounts)
        bench_fail("each connection needs an account: --accounts");
    change = how;
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(run, (void *)(uintptr_t)i);
    fiber_run();
    result_u64("messages", changed);
    result_u64("connections", opt.connections);
}

void work_store(void)
{
    run_all(run_store);
}

void work_copy(void)
{
    run_all(run_copy);
}

void work_move(void)
{
    run_all(run_move);
}
