/*
 * work_pop3.c - a client that collects its mail and leaves it on the server: STAT, UIDL, RETR of everything, QUIT (RFC
 * 1939), pipelined where CAPA says so (RFC 2449). Each message is checked, the sizes against STAT, the UIDLs for being
 * distinct. One session of an account for each connection, --repeat times.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "bench.h"
#include "fiber.h"
#include "conn.h"
#include "message.h"
#include "works.h"

enum { UNDER_WAY = 64 }; /* RETRs sent ahead */

struct pop3 {
    struct conn *conn;
    bool has_pipelining, has_stls;
};

static struct histogram session_us;

static struct span ok(struct pop3 *p, const char *to_what)
{
    struct span line = conn_line(p->conn);
    if (!span_starts(line, SPAN("+OK")))
        bench_fail("expected +OK to %s, got \"%.*s\"", to_what, SPAN_ARG(line));
    return span_trim(span_skip(line, 3));
}

static void capa(struct pop3 *p)
{
    conn_printf(p->conn, "CAPA\r\n");
    ok(p, "CAPA");
    for (struct span line; !span_eq(line = conn_line(p->conn), SPAN("."));) {
        p->has_pipelining |= span_ieq(line, SPAN("PIPELINING"));
        p->has_stls |= span_ieq(line, SPAN("STLS"));
    }
}

static void log_in(struct pop3 *p, uint64_t account)
{
    AUTO_STRBUF user = STRBUF_INIT;
    account_name(&user, opt.user, account);
    *p = (struct pop3){.conn = conn_open(opt.port, opt.is_tls)};
    ok(p, "the connection");
    capa(p);
    if (opt.is_starttls) {
        if (!p->has_stls)
            bench_fail("the server does not offer STLS");
        conn_printf(p->conn, "STLS\r\n");
        ok(p, "STLS");
        conn_start_tls(p->conn);
    }
    conn_printf(p->conn, "USER %s\r\n", user.p);
    if (!p->has_pipelining)
        ok(p, "USER");
    conn_printf(p->conn, "PASS %s\r\n", opt.password);
    if (p->has_pipelining)
        ok(p, "USER");
    ok(p, "PASS");
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t hash(struct span s)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return h;
}

/* As many lines as messages, numbered in order, no two the same. */
static void uidl(struct pop3 *p, size_t messages)
{
    uint64_t *all = mem_array(messages + 1, sizeof *all), number;
    size_t n = 0;
    conn_printf(p->conn, "UIDL\r\n");
    ok(p, "UIDL");
    for (struct span line, digits; !span_eq(line = conn_line(p->conn), SPAN(".")); n++) {
        if (n == messages || !span_cut(&line, ' ', &digits) || !span_to_u64(digits, messages, &number) ||
            number != n + 1 || !line.len)
            bench_fail("UIDL is wrong at message %zu of %zu", n + 1, messages);
        all[n] = hash(line);
    }
    if (n != messages)
        bench_fail("UIDL told %zu messages of %zu", n, messages);
    qsort(all, n, sizeof *all, compare);
    for (size_t i = 1; i < n; i++)
        if (all[i - 1] == all[i])
            bench_fail("two messages have the same UIDL");
    free(all);
}

/* RFC 1939 §3: lines up to a lone dot, a leading dot doubled. Returns the message's octets. */
static size_t read_message(struct pop3 *p, struct strbuf *text)
{
    struct message_id id;
    const char *why;
    strbuf_clear(text);
    ok(p, "RETR");
    for (struct span line; !span_eq(line = conn_line(p->conn), SPAN("."));) {
        if (line.len && line.p[0] == '.')
            line = span_skip(line, 1);
        strbuf_add(text, line);
        strbuf_add_bytes(text, "\r\n", 2);
    }
    if (!message_check(strbuf_span(text), &id, &why))
        bench_fail("a message is not whole: %s", why);
    return text->len;
}

static uint64_t collect(struct pop3 *p, size_t messages)
{
    AUTO_STRBUF text = STRBUF_INIT;
    int64_t begun_us[UNDER_WAY];
    size_t sent = 0, depth = p->has_pipelining ? UNDER_WAY : 1;
    uint64_t octets = 0;
    for (size_t got = 0; got < messages; got++) {
        if (sent - got <= depth / 2) /* half a window at a time: few, large packets */
            while (sent < messages && sent - got < depth) {
                begun_us[sent % depth] = bench_now_us();
                conn_printf(p->conn, "RETR %zu\r\n", ++sent);
            }
        size_t size = read_message(p, &text);
        tally_done(begun_us[got % depth], size);
        octets += size;
    }
    return octets;
}

static void session(uint64_t account)
{
    struct pop3 p;
    uint64_t messages, octets;
    int64_t begun_us = bench_now_us();
    log_in(&p, account);
    conn_printf(p.conn, "STAT\r\n");
    struct span stat = ok(&p, "STAT"), count;
    if (!span_cut(&stat, ' ', &count) || !span_to_u64(count, UINT32_MAX, &messages) ||
        !span_to_u64(stat, INT64_MAX, &octets))
        bench_fail("STAT is malformed");
    if (opt.messages && messages != opt.messages)
        bench_fail("the maildrop has %llu messages, not %zu", (unsigned long long)messages, opt.messages);
    uidl(&p, messages);
    uint64_t got = collect(&p, messages);
    if (got != octets)
        bench_fail("STAT said %llu octets, %llu came", (unsigned long long)octets, (unsigned long long)got);
    conn_printf(p.conn, "QUIT\r\n");
    ok(&p, "QUIT");
    conn_finish(p.conn);
    histogram_add(&session_us, (uint64_t)(bench_now_us() - begun_us));
}

static void run(void *arg)
{
    for (size_t i = 0; i < opt.repeat; i++)
        session((uint64_t)(uintptr_t)arg % opt.accounts);
}

void work_pop3(void)
{
    tally_start();
    for (size_t i = 0; i < opt.connections; i++)
        fiber_start(run, (void *)(uintptr_t)i);
    fiber_run();
    tally_stop();
    result_histogram("sessions", &session_us);
    result_u64("connections", opt.connections);
    result_u64("messages", opt.messages);
}
