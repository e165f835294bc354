/*
 * main.c - tassis-bench, the load generator: makes work for a mail server, checks every answer, prints one line of JSON
 * with rate and latencies.
 *
 *   tassis-bench WORK --port N [options]
 *
 * The works are in the table below, the options in options.c; bench/compare uses them to compare servers.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include "bench.h"
#include "works.h"

static const struct work works[] = {
    {"smtp", "inbound SMTP, connections stay open", work_smtp},
    {"lmtp", "the same by LMTP", work_lmtp},
    {"submission", "connection, TLS, AUTH PLAIN, one message, QUIT", work_submission},
    {"verify", "by IMAP: --expect messages are there, samples are whole", work_verify},
    {"idle", "opens --sessions in IDLE, says \"open\", waits for a line", work_idle},
    {"select", "SELECT and UNSELECT of a mailbox", work_select},
    {"fetch", "UID FETCH 1:* of --what", work_fetch},
    {"login", "connection, TLS, LOGIN, LOGOUT", work_login},
    {"append", "APPEND, --pipeline of them under way", work_append},
    {"fill", "brings mailboxes to --messages messages", work_fill},
    {"pop3", "collects whole maildrops, leaves them", work_pop3},
    {"search", "UID SEARCH of --keys", work_search},
    {"store", "STORE on --messages messages", work_store},
    {"copy", "COPY of --messages messages", work_copy},
    {"move", "MOVE of a whole mailbox, there and back", work_move},
    {"mixed", "a random mix of IMAP commands on each connection", work_mixed},
    {"notify", "from delivery to the EXISTS of --watchers sessions in IDLE", work_notify},
    {"resync", "a client comes back after --changes changes", work_resync},
    {"sink", "a server for outbound mail", work_sink},
    {"limit-flush", "pwrite and fdatasync, nothing else", work_limit_flush},
    {"limit-loopback", "a trivial server and its clients", work_limit_loopback},
};
enum { WORKS = sizeof works / sizeof *works };

static void usage(void)
{
    fprintf(stderr, "usage: tassis-bench WORK [options]\n\n");
    for (size_t i = 0; i < WORKS; i++)
        fprintf(stderr, "  %-17s %s\n", works[i].name, works[i].what);
    fprintf(stderr, "\n");
    options_usage();
}

static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage();
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    options_parse(argc - 2, argv + 2);
    for (size_t i = 0; i < WORKS; i++)
        if (strcmp(works[i].name, argv[1]) == 0) {
            works[i].run();
            result_print(works[i].name);
            return 0;
        }
    bench_fail("unknown work %s", argv[1]);
}
