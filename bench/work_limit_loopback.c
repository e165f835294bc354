/*
 * work_limit_loopback.c - the network's own limit: a server in a second process that reads a message of --size octets
 * and answers with a line, and nothing else. With --tls both speak TLS; --per-connection 1 makes a connection for each
 * message.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/mem.h"
#include "bench.h"
#include "conn.h"
#include "fiber.h"
#include "works.h"

/* ---- the trivial server */

static void serve(void *arg)
{
    struct conn *c = conn_accept((int)(intptr_t)arg, opt.is_tls);
    fiber_set_patience(0);
    size_t got = 0;
    while (c && conn_more(c)) {
        struct span all = conn_window(c, 1);
        got += all.len;
        conn_take(c, all.len);
        while (got >= opt.size) {
            conn_write(c, "ok\r\n", 4);
            got -= opt.size;
        }
    }
    if (c)
        conn_close(c);
}

static void accept_all(void *arg)
{
    struct fiber_fd listener;
    fiber_watch(&listener, (int)(intptr_t)arg);
    fiber_set_patience(0);
    for (;;) {
        int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            fiber_start(serve, (void *)(intptr_t)fd);
        else if (errno == EAGAIN)
            fiber_wait_fd(&listener, EPOLLIN);
        else
            bench_fail("accept: %s", strerror(errno));
    }
}

static pid_t start_server(uint16_t *port)
{
    int fd = conn_listen(port);
    pid_t child = fork();
    if (child < 0)
        bench_fail("fork: %s", strerror(errno));
    if (child > 0) {
        close(fd);
        return child;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the server ends with us, however we end */
    fiber_start(accept_all, (void *)(intptr_t)fd);
    fiber_run();
    _exit(0);
}

/* ---- the client */

static void exchange(struct conn *c, const char *bytes)
{
    conn_write(c, bytes, opt.size);
    struct span line = conn_line(c);
    if (!span_eq(line, SPAN("ok")))
        bench_fail("expected ok, got \"%.*s\"", SPAN_ARG(line));
}

static void client(void *arg)
{
    const char *bytes = arg;
    uint64_t number;
    struct conn *c = conn_open(opt.port, opt.is_tls);
    tally_line_up(opt.connections);
    size_t sent = 0;
    while (tally_take(&number)) {
        int64_t begun_us = bench_now_us();
        if (opt.per_connection && sent == opt.per_connection) {
            conn_close(c);
            c = conn_open(opt.port, opt.is_tls);
            sent = 0;
        }
        exchange(c, bytes);
        sent++;
        tally_done(begun_us, opt.size);
    }
    conn_close(c);
}

void work_limit_loopback(void)
{
    opt.port = 0;
    pid_t server = start_server(&opt.port);
    char *bytes = mem_alloc(opt.size);
    memset(bytes, 'x', opt.size);
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(client, bytes);
    fiber_run();
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    free(bytes);
    result_u64("connections", opt.connections);
    result_u64("size", opt.size);
}
