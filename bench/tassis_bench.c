/*
 * tassis_bench.c - the load generator: makes work for a mail server, checks every answer, prints rates and percentiles.
 *
 *   tassis-bench smtp  HOST PORT --connections N --messages N --size BYTES --accounts N [--domain D]
 *   tassis-bench idle  HOST PORT --sessions N --user U --password P      (TLS; selected INBOX, in IDLE; waits for a line on stdin)
 *   tassis-bench view  HOST PORT --user U --password P --messages N      (SELECT, first view, FETCH FLAGS of all)
 *
 * smtp sends to user0@D … (or --to NAME: all to that one) over connections that stay open, one message after the other: MAIL, RCPT and DATA pipelined, the body when
 * 354 came. A message counts when its 250 is there.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client.h"

static const char *host, *user = "alice@example.test", *password = "", *domain = "example.test", *to = NULL;
static uint16_t port;
static size_t connections = 20, messages = 20000, size = 10240, accounts = 64, sessions = 5000;

static int compare_us(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_percentiles(int64_t *us, size_t n)
{
    qsort(us, n, sizeof *us, compare_us);
    printf("latency_ms p50=%.2f p90=%.2f p99=%.2f max=%.2f\n", (double)us[n / 2] / 1000, (double)us[n * 9 / 10] / 1000,
           (double)us[n * 99 / 100] / 1000, (double)us[n - 1] / 1000);
}

/* ---- smtp ----------------------------------------------------------------------------------------------------- */

static size_t taken; /* messages that a connection has taken on */
static int64_t *latencies;

/* A message of about `size` octets with lines of 76, a header like a real one, and the final dot. */
static char *make_message(size_t number, size_t *length)
{
    char *m = malloc(size + 1024);
    if (!m)
        bench_fail("out of memory");
    size_t n = (size_t)sprintf(m,
                               "From: <sender@elsewhere.test>\r\nTo: <user@%s>\r\nSubject: message %zu of the bench\r\n"
                               "Date: Sat, 31 Jan 2026 12:00:00 +0000\r\nMessage-ID: <%zu@elsewhere.test>\r\n"
                               "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
                               domain, number, number);
    unsigned x = (unsigned)number * 2654435761u + 1;
    while (n < size) {
        for (int i = 0; i < 76 && n < size; i++) {
            x = x * 1103515245u + 12345u;
            m[n++] = (x >> 16) % 7 == 0 ? ' ' : (char)('a' + (x >> 16) % 26);
        }
        m[n++] = '\r';
        m[n++] = '\n';
    }
    memcpy(m + n, ".\r\n", 3);
    *length = n + 3;
    return m;
}

static void *smtp_connection(void *unused)
{
    (void)unused;
    struct client *c = client_open(host, port, false);
    client_reply(c, "220");
    client_sendf(c, "EHLO bench.example.test\r\n");
    client_reply(c, "250");
    for (;;) {
        size_t number = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
        if (number >= messages)
            break;
        size_t length;
        char *m = make_message(number, &length);
        int64_t begin = bench_now_us();
        char name[64];
        snprintf(name, sizeof name, "user%zu", number % accounts);
        client_sendf(c, "MAIL FROM:<sender@elsewhere.test>\r\nRCPT TO:<%s@%s>\r\nDATA\r\n", to ? to : name, domain);
        client_reply(c, "250");
        client_reply(c, "250");
        client_reply(c, "354");
        client_send(c, m, length);
        client_reply(c, "250");
        latencies[number] = bench_now_us() - begin;
        free(m);
    }
    client_sendf(c, "QUIT\r\n");
    client_reply(c, "221");
    client_close(c);
    return NULL;
}

static void run_smtp(void)
{
    pthread_t *threads = calloc(connections, sizeof *threads);
    latencies = calloc(messages, sizeof *latencies);
    if (!threads || !latencies)
        bench_fail("out of memory");
    int64_t begin = bench_now_us();
    for (size_t i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, smtp_connection, NULL) != 0)
            bench_fail("no thread");
    for (size_t i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    double seconds = (double)(bench_now_us() - begin) / 1e6;
    printf("smtp messages=%zu connections=%zu accounts=%zu size=%zu seconds=%.2f per_second=%.0f\n", messages, connections,
           accounts, size, seconds, (double)messages / seconds);
    print_percentiles(latencies, messages);
    free(latencies);
    free(threads);
}

/* ---- imap ----------------------------------------------------------------------------------------------------- */

static struct client *imap_login(void)
{
    struct client *c = client_open(host, port, true);
    client_until(c, "* OK", NULL);
    client_sendf(c, "a LOGIN \"%s\" \"%s\"\r\n", user, password);
    client_until(c, "a ", "OK");
    return c;
}

static void run_idle(void)
{
    struct client **all = calloc(sessions, sizeof *all);
    if (!all)
        bench_fail("out of memory");
    int64_t begin = bench_now_us();
    for (size_t i = 0; i < sessions; i++) {
        all[i] = imap_login();
        client_sendf(all[i], "b SELECT INBOX\r\n");
        client_until(all[i], "b ", "OK");
        client_sendf(all[i], "c IDLE\r\n");
        client_until(all[i], "+", NULL);
        client_skip(all[i], 0);
    }
    printf("idle sessions=%zu seconds=%.2f\n", sessions, (double)(bench_now_us() - begin) / 1e6);
    fflush(stdout);
    (void)getchar(); /* whoever started us looks at the memory now */
    for (size_t i = 0; i < sessions; i++) {
        client_sendf(all[i], "DONE\r\n");
        client_until(all[i], "c ", "OK");
        client_close(all[i]);
    }
    free(all);
    puts("idle all sessions answered");
}

static double timed(struct client *c, const char *command)
{
    int64_t begin = bench_now_us();
    client_sendf(c, "t %s\r\n", command);
    client_until(c, "t ", "OK");
    return (double)(bench_now_us() - begin) / 1000;
}

static void run_view(void)
{
    struct client *c = imap_login();
    int64_t begin = bench_now_us();
    client_sendf(c, "s SELECT INBOX\r\n");
    size_t exists = 0;
    for (const char *line; strncmp(line = client_line(c), "s ", 2) != 0;)
        if (strstr(line, " EXISTS"))
            exists = strtoul(line + 2, NULL, 10);
    printf("view select_ms=%.2f messages=%zu\n", (double)(bench_now_us() - begin) / 1000, exists);
    if (exists < messages)
        bench_fail("the mailbox has %zu messages, not %zu", exists, messages);
    printf("view first_ms=%.2f\n", timed(c, "UID SEARCH DELETED"));
    uint64_t before = client_received(c);
    for (int i = 0; i < 3; i++)
        printf("view fetch_flags_ms=%.2f\n", timed(c, "UID FETCH 1:* (FLAGS)"));
    if (client_received(c) - before < 3 * 25 * (uint64_t)messages)
        bench_fail("FETCH gave too little");
    printf("view select_warm_ms=%.2f\n", timed(c, "SELECT INBOX"));
    client_close(c);
}

/* ---- main ----------------------------------------------------------------------------------------------------- */

static size_t number(const char *text)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (*end || v == 0)
        bench_fail("%s is no positive number", text);
    return v;
}

static void options(int argc, char **argv)
{
    for (int i = 0; i + 1 < argc; i += 2) {
        const char *o = argv[i], *v = argv[i + 1];
        if (!strcmp(o, "--connections"))
            connections = number(v);
        else if (!strcmp(o, "--messages"))
            messages = number(v);
        else if (!strcmp(o, "--size"))
            size = number(v);
        else if (!strcmp(o, "--accounts"))
            accounts = number(v);
        else if (!strcmp(o, "--sessions"))
            sessions = number(v);
        else if (!strcmp(o, "--domain"))
            domain = v;
        else if (!strcmp(o, "--to"))
            to = v;
        else if (!strcmp(o, "--user"))
            user = v;
        else if (!strcmp(o, "--password"))
            password = v;
        else
            bench_fail("unknown option %s", o);
    }
    if (argc % 2)
        bench_fail("option %s has no value", argv[argc - 1]);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        bench_fail("usage: tassis-bench smtp|idle|view HOST PORT [options]");
    host = argv[2];
    port = (uint16_t)number(argv[3]);
    options(argc - 4, argv + 4);
    if (!strcmp(argv[1], "smtp"))
        run_smtp();
    else if (!strcmp(argv[1], "idle"))
        run_idle();
    else if (!strcmp(argv[1], "view"))
        run_view();
    else
        bench_fail("unknown work %s", argv[1]);
    return 0;
}
