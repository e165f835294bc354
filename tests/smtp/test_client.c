/* test_client.c - the calling side: replies of every shape, in pieces, too long, too late; and the message on the wire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "smtp/client.h"

enum { SOON_MS = 2000 };

/* A peer that gives its bytes in pieces of `step`, then ends; and keeps what it is sent. */
struct peer {
    struct span says;
    size_t step;
    struct strbuf heard;
};

static enum status peer_read(void *ctx, char *p, size_t n, size_t *got, int64_t timeout_ms, struct err *err)
{
    struct peer *peer = ctx;
    (void)timeout_ms;
    size_t take = peer->says.len < peer->step ? peer->says.len : peer->step;
    if (take == 0)
        return err_set(err, ST_CLOSED, "end");
    assert_true(take <= n);
    memcpy(p, peer->says.p, take);
    peer->says = span_skip(peer->says, take);
    *got = take;
    return ST_OK;
}

static enum status peer_write(void *ctx, const struct span *pieces, size_t count, struct err *err)
{
    struct peer *peer = ctx;
    (void)err;
    for (size_t i = 0; i < count; i++)
        strbuf_add(&peer->heard, pieces[i]);
    return ST_OK;
}

static void peer_close(void *ctx)
{
    (void)ctx;
}

static struct smtp_client *call(struct peer *p, const char *says, size_t step)
{
    *p = (struct peer){.says = span_cstr(says), .step = step};
    struct smtp_transport t = {p, peer_read, peer_write, peer_close};
    return smtp_client_new(&t);
}

static void test_replies(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        enum status status;
        unsigned code;
        const char *enhanced, *text;
    } rows[] = {
        {"250 2.1.0 Ok\r\n", ST_OK, 250, "2.1.0", "Ok"},
        {"250 Ok\r\n", ST_OK, 250, "", "Ok"},
        {"250\r\n", ST_OK, 250, "", ""},
        {"250 \n", ST_OK, 250, "", ""},
        {"550-5.1.1 No such\r\n550 5.1.1 user\r\n", ST_OK, 550, "5.1.1", "No such user"},
        {"550 5.1.1\r\n", ST_OK, 550, "5.1.1", ""},
        {"250 5 apples\r\n", ST_OK, 250, "", "5 apples"},
        {"250 a\x01"
         "b\x7f\r\n",
         ST_OK, 250, "", "a?b?"},
        {"250-a\r\n251 b\r\n", ST_SYNTAX, 0, "", ""},
        {"hello\r\n", ST_SYNTAX, 0, "", ""},
        {"99 x\r\n", ST_SYNTAX, 0, "", ""},
        {"150 x\r\n", ST_SYNTAX, 0, "", ""},
        {"650 x\r\n", ST_SYNTAX, 0, "", ""},
        {"2500 x\r\n", ST_SYNTAX, 0, "", ""},
        {"\r\n", ST_SYNTAX, 0, "", ""},
        {"250-never\r\n", ST_CLOSED, 0, "", ""},
        {"250 never", ST_CLOSED, 0, "", ""},
        {"", ST_CLOSED, 0, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t step = 1; step < 40; step += 3) {
            struct peer p;
            struct smtp_reply r;
            struct err err;
            AUTO(smtp_client) c = call(&p, rows[i].says, step);
            if (smtp_client_reply(c, SOON_MS, &r, &err) != rows[i].status)
                fail_msg("row %zu", i);
            if (rows[i].status != ST_OK)
                continue;
            assert_int_equal(r.code, rows[i].code);
            assert_string_equal(r.enhanced, rows[i].enhanced);
            assert_string_equal(r.text, rows[i].text);
        }
}

static void test_endless_replies(void **state)
{
    (void)state;
    struct peer p;
    struct smtp_reply r;
    struct err err;
    AUTO_STRBUF says = STRBUF_INIT;
    strbuf_addf(&says, "250 %05000d\r\n", 0);
    struct smtp_client *c = call(&p, strbuf_cstr(&says), 1000);
    assert_int_equal(smtp_client_reply(c, SOON_MS, &r, &err), ST_SYNTAX);
    smtp_client_free(&c);

    strbuf_clear(&says);
    for (int i = 0; i < 1000; i++)
        strbuf_add_cstr(&says, "250-and one more\r\n");
    c = call(&p, strbuf_cstr(&says), 1000);
    assert_int_equal(smtp_client_reply(c, SOON_MS, &r, &err), ST_SYNTAX);
    smtp_client_free(&c);
}

static void test_hello_and_mail(void **state)
{
    (void)state;
    struct peer p;
    struct smtp_reply r;
    struct err err;
    struct smtp_mail m = {.from = SPAN("a@b.test"), .size = 123, .is_8bit = true, .is_smtputf8 = true, .trace = SPAN("t1")};
    AUTO(smtp_client) c =
        call(&p, "250-mx.test SMTPUTF8\r\n250-size 1000\r\n250-8BITMIME\r\n250 PIPELINING x\r\n250 ok\r\n", 7);
    assert_int_equal(smtp_client_hello(c, "EHLO", "me.test", SOON_MS, &r, &err), ST_OK);
    /* the first line is the peer's name, not an extension */
    assert_int_equal(smtp_client_extensions(c), SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_PIPELINING);
    assert_int_equal(smtp_client_size_max(c), 1000);
    strbuf_clear(&p.heard);
    smtp_client_mail(c, &m);
    smtp_client_rcpt(c, &(struct smtp_rcpt){.to = SPAN("c@d.test")});
    assert_int_equal(p.heard.len, 0); /* nothing leaves before a reply is asked for */
    assert_int_equal(smtp_client_reply(c, SOON_MS, &r, &err), ST_OK);
    assert_string_equal(strbuf_cstr(&p.heard), "MAIL FROM:<a@b.test> SIZE=123 BODY=8BITMIME\r\nRCPT TO:<c@d.test>\r\n");
    strbuf_free(&p.heard);
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *sent;
    } rows[] = {
        {"X: y\r\n", "Subject: z\r\n\r\n", "X: y\r\nSubject: z\r\n\r\n.\r\n"},
        {"X: y\r\n", ".dot\r\n", "X: y\r\n..dot\r\n.\r\n"},
        {"", ".\r\n..\r\n", "..\r\n...\r\n.\r\n"},
        {"", "no end", "no end\r\n.\r\n"},
        {"", "", ".\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct peer p;
        struct err err;
        AUTO(smtp_client) c = call(&p, "", 1);
        struct span pieces[2] = {span_cstr(rows[i].a), span_cstr(rows[i].b)};
        assert_int_equal(smtp_client_text(c, pieces, 2, &err), ST_OK);
        assert_string_equal(strbuf_cstr(&p.heard), rows[i].sent);
        strbuf_free(&p.heard);
    }
    AUTO_STRBUF dots = STRBUF_INIT, want = STRBUF_INIT; /* more pieces than one write takes */
    for (int i = 0; i < 1000; i++) {
        strbuf_add_cstr(&dots, ".a\r\n");
        strbuf_add_cstr(&want, "..a\r\n");
    }
    strbuf_add_cstr(&want, ".\r\n");
    struct peer p;
    struct err err;
    AUTO(smtp_client) c = call(&p, "", 1);
    struct span piece = strbuf_span(&dots);
    assert_int_equal(smtp_client_text(c, &piece, 1, &err), ST_OK);
    assert_string_equal(strbuf_cstr(&p.heard), strbuf_cstr(&want));
    strbuf_free(&p.heard);
}

/* Over a real socket: a silent peer, a peer that goes away, and one that does not read. */
static void test_socket(void **state)
{
    (void)state;
    int fd[2];
    struct smtp_reply r;
    struct err err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct smtp_transport t = smtp_socket_transport(fd[0], 100);
    AUTO(smtp_client) c = smtp_client_new(&t);
    assert_int_equal(smtp_client_reply(c, 50, &r, &err), ST_TEMPORARY);
    assert_int_equal(write(fd[1], "250 late\r\n", 10), 10);
    assert_int_equal(smtp_client_reply(c, SOON_MS, &r, &err), ST_OK);

    AUTO_STRBUF big = STRBUF_INIT;
    memset(strbuf_extend(&big, 8 << 20), 'x', 8 << 20);
    struct span piece = strbuf_span(&big);
    assert_int_equal(smtp_client_text(c, &piece, 1, &err), ST_TEMPORARY);
    close(fd[1]);
    assert_int_equal(smtp_client_text(c, &piece, 1, &err), ST_CLOSED);
    assert_int_equal(smtp_client_reply(c, SOON_MS, &r, &err), ST_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies), cmocka_unit_test(test_endless_replies), cmocka_unit_test(test_hello_and_mail),
        cmocka_unit_test(test_text),    cmocka_unit_test(test_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
