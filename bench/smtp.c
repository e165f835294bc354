/* smtp.c - see smtp.h. */
#include "smtp.h"
#include "bench.h"

/* NAME=VALUE of the line LIMITS; 0 where it is not there. */
static uint64_t limit(struct span line, struct span name)
{
    uint64_t n = 0;
    struct span word;
    while (span_cut(&line, ' ', &word), word.len) {
        if (span_istarts(word, name) && !span_to_u64(span_skip(word, name.len), UINT64_MAX, &n))
            n = 0;
        if (line.len == 0)
            break;
    }
    return n;
}

/* A reply of one or more lines whose code is as expected; looks for capabilities where `s` is given. */
static void reply(struct conn *c, const char *code, const char *to_what, struct smtp *s)
{
    for (;;) {
        struct span line = conn_line(c);
        if (!span_starts(line, span_cstr(code)) || (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-'))
            bench_fail("expected %s to %s, got \"%.*s\"", code, to_what, SPAN_ARG(line));
        if (s) {
            struct span keyword = span_skip(line, 4);
            s->has_pipelining |= span_ieq(keyword, SPAN("PIPELINING"));
            s->has_starttls |= span_ieq(keyword, SPAN("STARTTLS"));
            if (span_istarts(keyword, SPAN("LIMITS ")))
                s->mail_max = limit(keyword, SPAN("MAILMAX="));
            s->has_auth_plain |=
                span_istarts(keyword, SPAN("AUTH ")) && span_find(keyword, SPAN("PLAIN"), 0) != SPAN_NPOS;
        }
        if (line.len < 4 || line.p[3] == ' ')
            return;
    }
}

static void hello(struct smtp *s)
{
    s->has_pipelining = s->has_starttls = s->has_auth_plain = false;
    s->mail_max = 0;
    conn_printf(s->conn, "%s bench.%s\r\n", s->is_lmtp ? "LHLO" : "EHLO", opt.domain);
    reply(s->conn, "250", "EHLO", s);
}

void smtp_open(struct smtp *s, uint16_t port, bool is_lmtp, bool with_tls)
{
    *s = (struct smtp){.conn = conn_open(port, with_tls && opt.is_tls), .is_lmtp = is_lmtp};
    reply(s->conn, "220", "the connection", NULL);
    hello(s);
    if (!with_tls || !opt.is_starttls)
        return;
    if (!s->has_starttls)
        bench_fail("the server does not offer STARTTLS");
    conn_printf(s->conn, "STARTTLS\r\n");
    reply(s->conn, "220", "STARTTLS", NULL);
    conn_start_tls(s->conn);
    hello(s);
}

static void add_base64(struct strbuf *out, struct span s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (i + k < s.len ? (unsigned char)s.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            strbuf_add_char(out, i + k <= s.len ? digits[v >> (18 - 6 * k) & 63] : '=');
    }
}

void smtp_auth_plain(struct smtp *s, const char *user, const char *password)
{
    if (!s->has_auth_plain)
        bench_fail("the server does not offer AUTH PLAIN");
    AUTO_STRBUF response = STRBUF_INIT, text = STRBUF_INIT;
    strbuf_addf(&response, "%c%s%c%s", 0, user, 0, password);
    add_base64(&text, strbuf_span(&response));
    conn_printf(s->conn, "AUTH PLAIN %s\r\n", strbuf_cstr(&text));
    reply(s->conn, "235", "AUTH", NULL);
}

static void mail_rcpt_data(struct smtp *s, const char *from, const char *rcpt)
{
    conn_printf(s->conn, "MAIL FROM:<%s>\r\n", from);
    if (!s->has_pipelining)
        reply(s->conn, "250", "MAIL", NULL);
    conn_printf(s->conn, "RCPT TO:<%s>\r\n", rcpt);
    if (!s->has_pipelining)
        reply(s->conn, "250", "RCPT", NULL);
    conn_printf(s->conn, "DATA\r\n");
    if (s->has_pipelining) {
        reply(s->conn, "250", "MAIL", NULL);
        reply(s->conn, "250", "RCPT", NULL);
    }
    reply(s->conn, "354", "DATA", NULL);
}

void smtp_send(struct smtp *s, const char *from, const char *rcpt, const struct message *m)
{
    mail_rcpt_data(s, from, rcpt);
    struct span before = message_before_dot(m), after = message_from_dot(m);
    conn_write(s->conn, before.p, before.len);
    conn_write(s->conn, ".", 1);
    conn_write(s->conn, after.p, after.len);
    conn_write(s->conn, ".\r\n", 3);
    reply(s->conn, "250", "the message", NULL);
}

void smtp_quit(struct smtp *s)
{
    conn_printf(s->conn, "QUIT\r\n");
    reply(s->conn, "221", "QUIT", NULL);
    conn_finish(s->conn);
    s->conn = NULL;
}
