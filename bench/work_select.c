/*
 * work_select.c - opening a mailbox: SELECT, and UNSELECT (EXAMINE and CLOSE where a server has no UNSELECT), --repeat
 * times or for
 * --seconds on each connection. --messages is checked against EXISTS.
 */
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "works.h"

static struct histogram first_us; /* the first of each connection: the server may have nothing in memory */

static void select_and_leave(struct imap *im, bool is_first)
{
    int64_t begun_us = bench_now_us();
    imap_select(im, opt.mailbox, !im->has_unselect);
    int64_t us = bench_now_us() - begun_us;
    if (opt.messages && im->exists != opt.messages)
        bench_fail("the mailbox has %u messages, not %zu", im->exists, opt.messages);
    if (is_first)
        histogram_add(&first_us, (uint64_t)us);
    tally_add(us, 0);
    imap_command(im, im->has_unselect ? "UNSELECT" : "CLOSE");
}

static void run(void *arg)
{
    struct imap im;
    uint64_t number;
    imap_open_account(&im, (uint64_t)(uintptr_t)arg % opt.accounts);
    imap_capability(&im);
    tally_line_up(opt.connections);
    for (bool is_first = true; tally_take(&number); is_first = false)
        select_and_leave(&im, is_first);
    imap_logout(&im);
}

void work_select(void)
{
    if (opt.repeat > 1)
        opt.count = opt.repeat * opt.connections;
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(run, (void *)(uintptr_t)i);
    fiber_run();
    result_histogram("first", &first_us);
    result_u64("messages", opt.messages);
    result_u64("connections", opt.connections);
}
