/* work_login.c - the price of coming in: connection, TLS, LOGIN, LOGOUT, again and again, each account in turn. */
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "works.h"

static void run(void *unused)
{
    (void)unused;
    uint64_t number;
    while (tally_take(&number)) {
        struct imap im;
        int64_t begun_us = bench_now_us();
        imap_open_account(&im, number % opt.accounts);
        imap_logout(&im);
        tally_done(begun_us, 0);
    }
}

void work_login(void)
{
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(run, NULL);
    fiber_run();
    result_u64("connections", opt.connections);
    result_u64("accounts", opt.accounts);
}
