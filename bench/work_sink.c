/*
 * work_sink.c - the other end of outbound mail: an SMTP server that takes everything at once, checks that each message
 * is whole and counts different ones. Ends after --count of them, or fails after --seconds without. The rate is between
 * the first and the last.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "base/map.h"
#include "bench.h"
#include "conn.h"
#include "fiber.h"
#include "message.h"
#include "works.h"

static struct map *seen;
static size_t twice, connections, open_connections;
static bool is_ending;

/* Senders may say QUIT, or keep their connections for later. */
static void end(void *unused)
{
    (void)unused;
    for (int tries = 0; open_connections && tries < 50; tries++)
        fiber_sleep_ms(10);
    fiber_stop();
}

/* RFC 5321 §4.5.2 */
static void take(struct conn *c, struct strbuf *text)
{
    struct message_id id;
    const char *why;
    strbuf_clear(text);
    for (struct span line; !span_eq(line = conn_line(c), SPAN("."));) {
        if (line.len && line.p[0] == '.')
            line = span_skip(line, 1);
        strbuf_add(text, line);
        strbuf_add_bytes(text, "\r\n", 2);
    }
    if (!message_check(strbuf_span(text), &id, &why))
        bench_fail("a message is not whole: %s", why);
    if (map_put(seen, span_of(&id, sizeof id), seen))
        twice++;
    else
        tally_add(0, text->len);
    if (opt.count && tally_count() == opt.count && !is_ending) {
        is_ending = true;
        fiber_start(end, NULL);
    }
}

static void serve(void *arg)
{
    struct conn *c = conn_accept((int)(intptr_t)arg, false);
    AUTO_STRBUF text = STRBUF_INIT;
    fiber_set_patience(0);
    connections++;
    open_connections++;
    conn_printf(c, "220 sink.%s ESMTP\r\n", opt.domain);
    bool is_open = true;
    while (is_open && (conn_has_line(c) || conn_more(c))) {
        struct span line = conn_line(c);
        if (span_istarts(line, SPAN("EHLO")))
            conn_printf(c, "250-sink.%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n", opt.domain);
        else if (span_ieq(line, SPAN("QUIT")))
            is_open = false;
        else if (!span_ieq(line, SPAN("DATA")))
            conn_printf(c, "250 ok\r\n");
        else {
            conn_printf(c, "354 go on\r\n");
            take(c, &text);
            conn_printf(c, "250 taken\r\n");
        }
    }
    if (!is_open)
        conn_printf(c, "221 bye\r\n");
    conn_flush(c);
    conn_close(c);
    open_connections--;
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

static void watch_time(void *unused)
{
    (void)unused;
    fiber_sleep_ms((int64_t)(opt.seconds * 1000));
    if (opt.count && !is_ending)
        bench_fail("%llu messages came of %llu", (unsigned long long)tally_count(), (unsigned long long)opt.count);
    fiber_stop();
}

void work_sink(void)
{
    uint16_t port = opt.listen;
    int fd = conn_listen(&port);
    seen = map_new();
    fprintf(stderr, "listening on %u\n", port);
    fiber_start(accept_all, (void *)(intptr_t)fd);
    if (opt.seconds > 0)
        fiber_start(watch_time, NULL);
    fiber_run();
    tally_stop();
    map_free(&seen);
    result_u64("connections", connections);
    result_u64("twice", twice);
}
