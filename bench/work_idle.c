/*
 * work_idle.c - sessions that are logged in, have a mailbox selected and are in IDLE. When all are open it says so on
 * stderr and waits for a line on stdin, while whoever started it looks at the server's memory; then every session has
 * to answer DONE.
 */
#include <stdio.h>
#include "bench.h"
#include "fiber.h"
#include "imap.h"
#include "works.h"

enum { OPENING_AT_ONCE = 32 }; /* as a server's backlog and its password hashing can bear */

static size_t opening, open_sessions;
static struct fiber_event one_less_opening, go;

static void watch_stdin(void)
{
    int c;
    fprintf(stderr, "open\n");
    do
        c = getchar();
    while (c != '\n' && c != EOF);
    fiber_wake(&go);
}

static void idle(void *arg)
{
    struct imap im;
    while (opening == OPENING_AT_ONCE)
        fiber_wait(&one_less_opening);
    opening++;
    int64_t begun_us = bench_now_us();
    imap_open_account(&im, (uint64_t)(uintptr_t)arg % opt.accounts);
    imap_select(&im, opt.mailbox, false);
    imap_tag(&im);
    conn_printf(im.conn, "IDLE\r\n");
    imap_continuation(&im);
    conn_rest(im.conn);
    tally_done(begun_us, 0);
    opening--;
    fiber_wake(&one_less_opening);
    if (++open_sessions == opt.sessions)
        watch_stdin();
    else
        fiber_wait(&go);
    conn_printf(im.conn, "DONE\r\n");
    imap_wait_ok(&im);
    imap_logout(&im);
}

void work_idle(void)
{
    tally_start();
    for (size_t i = 0; i < opt.sessions; i++)
        fiber_start(idle, (void *)(uintptr_t)i);
    fiber_run();
    result_u64("sessions", opt.sessions);
    result_u64("accounts", opt.accounts);
}
