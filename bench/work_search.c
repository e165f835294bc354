/*
 * work_search.c - UID SEARCH with --keys as they are given, --repeat times or by time on each connection. The UIDs must
 * ascend, be --expect many, and the same each time.
 */
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "works.h"

static uint64_t found; /* on all connections */

/* "SEARCH 1 2 3": how many, and that they ascend. */
static uint64_t count_uids(struct span list)
{
    uint64_t n = 0, uid, last = 0;
    struct span one;
    bool is_more;
    do {
        is_more = span_cut(&list, ' ', &one);
        if (one.len == 0)
            continue;
        if (!span_to_u64(one, UINT32_MAX, &uid) || uid <= last)
            bench_fail("SEARCH told \"%.*s\" after %llu", SPAN_ARG(one), (unsigned long long)last);
        last = uid;
        n++;
    } while (is_more);
    return n;
}

/* Returns how many were found; `before` is what the last SEARCH found, UINT64_MAX where there was none. */
static uint64_t search(struct imap *im, uint64_t before)
{
    struct span text;
    uint64_t n = 0;
    bool is_told = false;
    imap_tag(im);
    conn_printf(im->conn, "UID SEARCH %s\r\n", opt.keys);
    while (imap_untagged(im, &text))
        if (span_istarts(text, SPAN("SEARCH"))) {
            n += count_uids(span_skip(text, 6));
            is_told = true;
        }
    if (!is_told)
        bench_fail("SEARCH told nothing");
    uint64_t expected = opt.has_expect ? opt.expect : before;
    if (expected != UINT64_MAX && n != expected)
        bench_fail("SEARCH %s found %llu messages, not %llu", opt.keys, (unsigned long long)n,
                   (unsigned long long)expected);
    return n;
}

static void run(void *arg)
{
    struct imap im;
    uint64_t number, mine = UINT64_MAX;
    imap_open_account(&im, (uint64_t)(uintptr_t)arg % opt.accounts);
    imap_select(&im, opt.mailbox, true);
    tally_line_up(opt.connections);
    while (tally_take(&number)) {
        int64_t begun_us = bench_now_us();
        mine = search(&im, mine);
        tally_done(begun_us, 0);
    }
    found += mine == UINT64_MAX ? 0 : mine;
    imap_logout(&im);
}

void work_search(void)
{
    if (!opt.keys)
        bench_fail("search needs --keys");
    if (opt.repeat > 1)
        opt.count = opt.repeat * opt.connections;
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(run, (void *)(uintptr_t)i);
    fiber_run();
    result_text("keys", opt.keys);
    result_u64("found", found);
    result_u64("connections", opt.connections);
}
