/*
 * test_smtp_session.c - every door, by scripts: what a client says, and the replies it gets. Each script is fed whole
 * and byte by byte and must have the same outcome.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/strbuf.h"
#include "policy/rate.h"
#include "smtp/session.h"
#include "sys/config_relay.h"
#include "fake_roles.h"
#include "fake_session.h"

static void no_wake(void *ctx)
{
    (*(unsigned *)ctx)++;
}

static unsigned wakes;
static struct gate_app gate_app = {.hostname = "mx.example.test", .message_size_max = 1000000};
static const struct config_relay relay_settings = {.expiry = 5 * 86400};
static struct relay_app relay_app = {.settings = &relay_settings,
                                     .wake = no_wake,
                                     .wake_ctx = &wakes,
                                     .hostname = "mx.example.test",
                                     .message_size_max = 4000};
static struct mail_app mail_app = {
    .hostname = "mx.example.test", .subaddress_separator = "+", .message_size_max = 1000000};
static struct mx_app mx_app = {.hostname = "mx.example.test", .message_size_max = 1000000};

/* The codes of all replies ("250 250 354"), last lines only. */
static void codes_of(struct span out, struct strbuf *codes)
{
    struct span line;
    while (out.len) {
        span_cut(&out, '\n', &line);
        if (line.len < 5 || line.p[line.len - 1] != '\r' || !ascii_is_digit(line.p[0]))
            fail_msg("not a reply line: \"%.*s\"", SPAN_ARG(line));
        if (line.p[3] == ' ')
            strbuf_addf(codes, "%s%.3s", codes->len ? " " : "", line.p);
    }
}

static void talk(struct session *s, const struct protocol *p, void *app, const char *peer, const char *script,
                 size_t step)
{
    fake_reset();
    fake_open(s, p, app, peer);
    s->can_tls = true;
    fake_put(s, span_cstr(script), step);
}

static void check_codes(const struct protocol *p, void *app, const char *peer, const char *script, const char *want)
{
    static const size_t steps[] = {0, 1, 7};
    for (size_t i = 0; i < 3; i++) {
        struct session s;
        talk(&s, p, app, peer, script, steps[i]);
        AUTO_STRBUF codes = STRBUF_INIT;
        codes_of(strbuf_span(&s.out), &codes);
        if (strcmp(strbuf_cstr(&codes), want) != 0)
            fail_msg("step %zu of\n%s\ngot  %s\nwant %s\n%s", steps[i], script, strbuf_cstr(&codes), want,
                     strbuf_cstr(&s.out));
        fake_close(&s);
    }
}

#define QUEUE(script, want) check_codes(&queue_in_protocol, &relay_app, "", script, want)
#define GATE(script, want)  check_codes(&submission_gate_protocol, &gate_app, "192.0.2.1", script, want)
#define LMTP(script, want)  check_codes(&lmtp_protocol, &mail_app, "", script, want)
#define MX(script, want)    check_codes(&smtp_mx_protocol, &mx_app, "192.0.2.9", script, want)

#define HELLO    "EHLO client.example.test\r\n"
#define ENVELOPE HELLO "MAIL FROM:<a@example.test>\r\nRCPT TO:<b@outside.test>\r\n"

static void test_order_of_commands(void **state)
{
    (void)state;
    QUEUE("", "220");
    QUEUE(HELLO "QUIT\r\nNOOP\r\n", "220 250 221");
    QUEUE("MAIL FROM:<a@example.test>\r\n", "220 503");
    QUEUE(HELLO "RCPT TO:<b@example.test>\r\nDATA\r\n", "220 250 503 503");
    QUEUE(HELLO "MAIL FROM:<>\r\nMAIL FROM:<>\r\n", "220 250 250 503");
    QUEUE(HELLO "MAIL FROM:<>\r\nDATA\r\n", "220 250 250 554");
    QUEUE(HELLO "MAIL FROM:<>\r\nRSET\r\nRCPT TO:<b@example.test>\r\n", "220 250 250 250 503");
    QUEUE(HELLO "MAIL FROM:<>\r\n" HELLO "RCPT TO:<b@example.test>\r\n", "220 250 250 250 503");
    QUEUE("HELO x\r\nMAIL FROM:<>\r\n", "220 250 250");
    QUEUE("EHLO\r\nEHLO a b\r\nLHLO x\r\nFOO\r\n", "220 501 501 500 500");
    QUEUE(HELLO "VRFY b\r\nEXPN list\r\nHELP\r\nNOOP x y\r\nRSET x\r\nQUIT x\r\n", "220 250 252 502 214 250 501 501");
    QUEUE(HELLO "MAIL FROM:<a@@b>\r\nMAIL FROM:<a@b.test> FOO=1\r\nMAIL FROM:<\xc3\xa4@b.test>\r\n",
          "220 250 501 555 553");
    QUEUE(HELLO "STARTTLS\r\nAUTH PLAIN\r\n", "220 250 500 500");
}

static void test_a_message(void **state)
{
    (void)state;
    static const char *const script = ENVELOPE "RCPT TO:<c@outside.test>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n";
    QUEUE(script, "220 250 250 250 250 354 250");
    wakes = 0;
    struct session s;
    talk(&s, &queue_in_protocol, &relay_app, "", script, 3);
    assert_int_equal(fake_queued_count, 1);
    assert_string_equal(fake_queued[0].from, "a@example.test");
    assert_string_equal(fake_queued[0].to, "b@outside.test c@outside.test");
    assert_string_equal(strbuf_cstr(&fake_queued[0].text), "Subject: x\r\n\r\n.dot\r\n");
    assert_int_equal(strlen(fake_queued[0].trace), 16);
    assert_int_equal(wakes, 1);
    assert_false(s.is_in_body);
    fake_close(&s);

    talk(&s, &queue_in_protocol, &relay_app, "",
         HELLO "MAIL FROM:<\"\"@b.test>\r\nRCPT TO:<\"a b\"@c.test>\r\nDATA\r\n.\r\n", 0);
    assert_string_equal(fake_queued[0].from, "\"\"@b.test"); /* an empty local part is not the null reverse-path */
    assert_string_equal(fake_queued[0].to, "\"a b\"@c.test");
    fake_close(&s);

    /* The trace comes along between our own roles only. */
    talk(&s, &queue_in_protocol, &relay_app, "",
         HELLO "MAIL FROM:<> XTRACE=abc\r\nRCPT TO:<b@outside.test>\r\nDATA\r\n.\r\n", 0);
    assert_string_equal(fake_queued[0].trace, "abc");
    assert_string_equal(fake_queued[0].from, "");
    fake_close(&s);
    check_codes(&queue_in_protocol, &relay_app, "192.0.2.1", HELLO "MAIL FROM:<> XTRACE=abc\r\n", "220 250 555");
}

static void test_chunks(void **state)
{
    (void)state;
    QUEUE(ENVELOPE "BDAT 14\r\nSubject: x\r\n\r\nBDAT 7 LAST\r\n.\r\nab\r\nNOOP\r\n", "220 250 250 250 250 250 250");
    QUEUE(ENVELOPE "BDAT 5 last\r\nA: b\rNOOP\r\n", "220 250 250 250 550 250"); /* a bare CR at the end */
    QUEUE(ENVELOPE "BDAT 5\r\nA: b\rBDAT 1 LAST\r\n\nNOOP\r\n", "220 250 250 250 250 250 250"); /* CRLF in two chunks */
    QUEUE(ENVELOPE "BDAT 0 LAST\r\nBDAT 0 LAST\r\n", "220 250 250 250 250 503");
    /* RFC 3030 §2: octets of a chunk are never commands, whatever becomes of it. */
    QUEUE(HELLO "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "220 250 503 503 250");
    QUEUE(HELLO "MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "220 250 250 554 250");
    QUEUE(ENVELOPE "BDAT 3\r\na\nbBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", "220 250 250 250 550 503 250");
    QUEUE(ENVELOPE "BDAT -1\r\nNOOP\r\n", "220 250 250 250 501");
    QUEUE(ENVELOPE "BDAT 1073741825\r\nNOOP\r\n", "220 250 250 250 501");
    QUEUE(ENVELOPE "BDAT 4 LAST x\r\nNOOP\r\n", "220 250 250 250 501");
    QUEUE(ENVELOPE "BDAT\r\nNOOP\r\n", "220 250 250 250 501");
    QUEUE(ENVELOPE
          "BDAT 3\r\nA:\r"
          "MAIL FROM:<>\r\nRCPT TO:<b@outside.test>\r\nDATA\r\nNOOP\r\nRSET\r\nBDAT 2 LAST\r\nabMAIL FROM:<>\r\n",
          "220 250 250 250 250 503 503 503 250 250 503 250");
    QUEUE(HELLO "MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<b@outside.test>\r\nDATA\r\nBDAT 4 LAST\r\n\n\r.\n",
          "220 250 250 250 503 250");
    LMTP("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
         "BDAT 4\r\nA: bBDAT 2 LAST\r\n\r\n",
         "220 250 250 250 250 250 250 250");
    LMTP("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
         "BDAT 4\r\nA\nBcBDAT 2 LAST\r\n\r\n",
         "220 250 250 250 250 550 503");
    LMTP("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n"
         "BDAT 2 LAST\r\na\n",
         "220 250 250 250 250 550 550");

    struct session s;
    talk(&s, &queue_in_protocol, &relay_app, "", ENVELOPE "BDAT 5\r\nA: b\rBDAT 8 LAST\r\n\n\r\n.\r\n.c", 2);
    assert_string_equal(strbuf_cstr(&fake_queued[0].text), "A: b\r\n\r\n.\r\n.c");
    assert_false(s.is_in_body);
    fake_close(&s);

    AUTO_STRBUF script = STRBUF_INIT; /* too large: what comes is read and dropped */
    strbuf_add_cstr(&script, ENVELOPE "BDAT 100000\r\n");
    memset(strbuf_extend(&script, 100000), 'x', 100000);
    strbuf_add_cstr(&script, "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
    QUEUE(strbuf_cstr(&script), "220 250 250 250 552 503 250");
}

static void test_limits(void **state)
{
    (void)state;
    AUTO_STRBUF script = STRBUF_INIT;
    mail_app.message_size_max = 4000;
#define FAR(script, want) check_codes(&lmtp_protocol, &mail_app, "192.0.2.1", script, want)
    FAR("LHLO x\r\nMAIL FROM:<> SIZE=4001\r\nMAIL FROM:<> SIZE=4000\r\n", "220 250 552 250");
    strbuf_add_cstr(&script, "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n");
    for (size_t i = 0; i < 80; i++)
        strbuf_add_cstr(&script, "123456789012345678901234567890123456789012345678\r\n");
    size_t full = script.len;
    strbuf_add_cstr(&script, ".\r\nNOOP\r\n");
    FAR(strbuf_cstr(&script), "220 250 250 250 354 250 250"); /* 4000 octets: just so much */
    strbuf_truncate(&script, full);
    strbuf_add_cstr(&script, "\r\n.\r\nNOOP\r\n");
    FAR(strbuf_cstr(&script), "220 250 250 250 354 552 250");
    LMTP(strbuf_cstr(&script), "220 250 250 250 354 250 250"); /* our own roles add header fields to what was let in */
    mail_app.message_size_max = 1000000;

    strbuf_clear(&script); /* a command line of 512 octets, and one of 513 */
    strbuf_addf(&script, "NOOP %0505d\r\nNOOP %0506d\r\n", 0, 0);
    QUEUE(strbuf_cstr(&script), "220 250 500");
    strbuf_clear(&script);
    strbuf_addf(&script, "NOOP %09000d\r\nNOOP\r\n", 0);
    QUEUE(strbuf_cstr(&script), "220 500 250");

    strbuf_clear(&script);
    strbuf_add_cstr(&script, HELLO "MAIL FROM:<>\r\n");
    for (size_t i = 0; i < 1001; i++)
        strbuf_addf(&script, "RCPT TO:<u%zu@outside.test>\r\n", i);
    struct session s;
    talk(&s, &queue_in_protocol, &relay_app, "", strbuf_cstr(&script), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("452 4.5.3 Too many recipients\r\n")));
    fake_close(&s);
}

static void test_errors_are_slowed_down(void **state)
{
    (void)state;
    AUTO_STRBUF script = STRBUF_INIT;
    for (size_t i = 0; i < 30; i++)
        strbuf_add_cstr(&script, "FOO\r\n");
    struct session s;
    talk(&s, &queue_in_protocol, &relay_app, "", strbuf_cstr(&script), 0);
    assert_true(s.is_closed);
    assert_true(s.paused_ms >= 10000);
    assert_true(span_find(strbuf_span(&s.out), SPAN("\r\n421 4.7.0 "), 0) != SPAN_NPOS);
    fake_close(&s);
}

/* One envelope, one message, however the dots and line ends are mixed: what follows must never be taken for commands.
 */
static void test_smuggling(void **state)
{
    (void)state;
    static const char *const ends[] = {
        "\n.\n",     "\n.\r\n",       "\r\n.\n", "\r.\r", "\r\n.\r",     "\r.\r\n",
        "\n\n.\n\n", "\r\r\n.\r\r\n", "\n.\r",   "\r.\n", "\r\n.\r\r\n",
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        AUTO_STRBUF script = STRBUF_INIT;
        strbuf_addf(&script, ENVELOPE "DATA\r\nSubject: x\r\n\r\ntext%sMAIL FROM:<evil@outside.test>\r\nDATA\r\n.\r\n",
                    ends[i]);
        QUEUE(strbuf_cstr(&script), "220 250 250 250 354 550");
        assert_int_equal(fake_queued_count, 0);
    }
    QUEUE("EHLO x\nMAIL FROM:<>\r\n", "220 521");
    QUEUE("NOOP\n", "220 521");
    QUEUE("NOOP x\ry\r\nNOOP\r\n", "220 500 250");
    struct session s;
    fake_reset();
    fake_open(&s, &queue_in_protocol, &relay_app, "");
    fake_put(&s, SPAN(ENVELOPE "DATA\r\na\0b\r\n.\r\nNO\0OP\r\n"), 0);
    AUTO_STRBUF codes = STRBUF_INIT;
    codes_of(strbuf_span(&s.out), &codes);
    assert_string_equal(strbuf_cstr(&codes), "220 250 250 250 354 550 500");
    fake_close(&s);
}

static void test_gate(void **state)
{
    (void)state;
    GATE(HELLO "MAIL FROM:<a@example.test>\r\nRCPT TO:<x@y.test>\r\nDATA\r\n", "220 250 530 530 530");
    GATE("AUTH PLAIN\r\n", "220 503");
    GATE(HELLO "AUTH\r\nAUTH FOO\r\nAUTH PLAIN !!\r\n", "220 250 501 504 501");
    GATE(HELLO "AUTH PLAIN AGFsaWNlAHdyb25n\r\n", "220 250 535");
    GATE(HELLO "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", "220 250");
    GATE(HELLO "AUTH PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n", "220 250 334");
    GATE(HELLO "AUTH PLAIN =\r\n", "220 250 535");
    GATE(HELLO "AUTH PLAIN\r\n*\r\nNOOP\r\n", "220 250 334 501 250");
    GATE(HELLO "AUTH PLAIN\r\n???\r\nNOOP\r\n", "220 250 334 501 250");
    GATE(HELLO "AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n", "220 250 334 334");
    GATE(HELLO "AUTH LOGIN YWxpY2U=\r\nd3Jvbmc=\r\n", "220 250 334 535");
    GATE(HELLO "AUTH PLAIN eA==\r\nAUTH PLAIN eA==\r\nAUTH PLAIN eA==\r\nNOOP\r\n", "220 250 535 535 535 421");

    struct session s;
    talk(&s, &submission_gate_protocol, &gate_app, "192.0.2.1",
         HELLO "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nMAIL FROM:<>\r\n", 0);
    assert_true(s.is_carried);
    assert_string_equal(fake_handed_tag, "client.example.test");
    assert_int_equal(fake_handed_unread, strlen("MAIL FROM:<>\r\n"));
    fake_close(&s);
}

/* RFC 4954 §4: AUTH and what follows it may be 12288 octets long, with CRLF. */
static void test_long_auth_lines(void **state)
{
    (void)state;
    AUTO_STRBUF line = STRBUF_INIT;
    strbuf_addf(&line, HELLO "AUTH LOGIN\r\n%012284d\r\n", 0);
    GATE(strbuf_cstr(&line), "220 250 334 334");
    strbuf_clear(&line);
    strbuf_addf(&line, HELLO "AUTH LOGIN\r\n%012288d\r\nNOOP\r\n", 0);
    GATE(strbuf_cstr(&line), "220 250 334 500 250"); /* the exchange is over, not continued by the next line */
    strbuf_clear(&line);
    strbuf_addf(&line, HELLO "MAIL FROM:<%05000d@b.test>\r\nNOOP\r\n", 0);
    GATE(strbuf_cstr(&line), "220 250 500 250");
}

static void test_no_password_in_the_clear(void **state)
{
    (void)state;
    struct session s;
    fake_reset();
    fake_may_login = false;
    fake_open(&s, &submission_gate_protocol, &gate_app, "192.0.2.1");
    s.can_tls = true;
    fake_put(&s, SPAN(HELLO "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"), 0);
    assert_true(span_find(strbuf_span(&s.out), SPAN("AUTH PLAIN"), 0) == SPAN_NPOS);
    assert_true(span_find(strbuf_span(&s.out), SPAN("250-STARTTLS\r\n"), 0) != SPAN_NPOS);
    assert_true(span_find(strbuf_span(&s.out), SPAN("538 5.7.11 "), 0) != SPAN_NPOS);
    assert_false(s.is_carried);
    fake_close(&s);
}

static void test_starttls(void **state)
{
    (void)state;
    struct session s;
    talk(&s, &submission_gate_protocol, &gate_app, "192.0.2.1", HELLO "STARTTLS\r\n", 1);
    assert_int_equal(s.starttls, 1);
    strbuf_clear(&s.out);
    fake_put(&s, SPAN("AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n" HELLO "STARTTLS\r\n"), 0);
    AUTO_STRBUF codes = STRBUF_INIT;
    codes_of(strbuf_span(&s.out), &codes);
    assert_string_equal(strbuf_cstr(&codes), "503 250 503"); /* what was known is forgotten; no TLS in TLS */
    assert_true(span_find(strbuf_span(&s.out), SPAN("STARTTLS\r\n"), 0) == SPAN_NPOS);
    fake_close(&s);

    /* A command injected behind STARTTLS in the clear is not run, neither before nor after. */
    talk(&s, &submission_gate_protocol, &gate_app, "192.0.2.1", HELLO "STARTTLS\r\nEHLO evil\r\n", 0);
    assert_int_equal(s.starttls, 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("behind STARTTLS before its answer\r\n")));
    fake_close(&s);
    GATE("STARTTLS x\r\n", "220 501");
}

#define LHLO "LHLO mx.example.test\r\n"
#define TEXT "DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n"

static void test_lmtp(void **state)
{
    (void)state;
    LMTP("EHLO x\r\nHELO x\r\n", "220 500 500");
    LMTP(LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<a@outside.test>\r\nDATA\r\n",
         "220 250 250 550 550 503"); /* RFC 2033 §4.2 */
    LMTP(LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<BOB+x@Example.Test>\r\n" TEXT,
         "220 250 250 250 250 354 250 250");
    LMTP(LHLO "MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\na\nb\r\n.\r\n",
         "220 250 250 250 250 354 550 550");

    struct session s;
    talk(&s, &lmtp_protocol, &mail_app, "",
         LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<alice@example.test>\r\n"
              "RCPT TO:<team@example.test>\r\nDATA\r\nReturn-Path: <old@outside.test>\r\n"
              "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
              "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n.\r\n",
         0);
    assert_int_equal(fake_delivered_count, 2); /* alice once, though two recipients lead to her */
    assert_string_equal(fake_delivered[0].to, "alice@example.test");
    assert_string_equal(fake_delivered[1].to, "bob@example.test");
    assert_true(span_starts(strbuf_span(&fake_delivered[1].text),
                            SPAN("Return-Path: <a@outside.test>\r\nDelivered-To: bob@example.test\r\nSubject: x\r\n")));
    fake_close(&s);
}

static void test_loops(void **state)
{
    (void)state;
    LMTP(LHLO "MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nDelivered-To: alice@example.test\r\n\r\n.\r\n",
         "220 250 250 250 354 554");
    AUTO_STRBUF script = STRBUF_INIT;
    strbuf_add_cstr(&script, LHLO "MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n");
    for (size_t i = 0; i < 101; i++)
        strbuf_addf(&script, "Delivered-To: u%zu@example.test\r\n", i);
    strbuf_add_cstr(&script, "\r\n.\r\n");
    LMTP(strbuf_cstr(&script), "220 250 250 250 354 554");
}

/* What goes outside goes to the queue; what fails for one of several is the queue's business, too. */
static void test_forwarding_and_partial_failure(void **state)
{
    (void)state;
    mail_app.relay = smtp_pool_new(fake_service_start(&queue_in_protocol, &relay_app), "mx.example.test", false);
    struct session s;
    talk(&s, &lmtp_protocol, &mail_app, "",
         LHLO "MAIL FROM:<a@outside.test> XTRACE=t1\r\nRCPT TO:<loop@example.test>\r\n" TEXT, 0);
    assert_int_equal(fake_delivered_count, 1);
    assert_int_equal(fake_queued_count, 1);
    assert_string_equal(fake_queued[0].to, "bob@outside.test");
    assert_string_equal(fake_queued[0].trace, "t1");
    assert_string_equal(strbuf_cstr(&fake_queued[0].text),
                        "Delivered-To: loop@example.test\r\nSubject: x\r\n\r\nhello\r\n");
    fake_close(&s);

    /* One copy for all targets of an alias, and one for those that were named themselves. */
    fake_reset();
    talk(&s, &lmtp_protocol, &mail_app, "",
         LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<crowd@example.test>\r\nRCPT TO:<loop@example.test>\r\n" TEXT, 0);
    assert_int_equal(fake_delivered_count, 1);
    assert_int_equal(fake_queued_count, 1); /* loop's outside target is one of crowd's */
    assert_string_equal(fake_queued[0].to, "bob@outside.test list@outside.test");
    assert_true(
        span_starts(strbuf_span(&fake_queued[0].text), SPAN("Delivered-To: crowd@example.test\r\nSubject: x\r\n")));
    fake_close(&s);

    fake_reset();
    fake_broken_account = "alice@example.test";
    fake_open(&s, &lmtp_protocol, &mail_app, "");
    fake_put(&s, SPAN(LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<team@example.test>\r\n" TEXT), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("250 2.0.0 Delivered\r\n")));
    assert_int_equal(fake_delivered_count, 1);
    assert_int_equal(fake_queued_count, 1);
    assert_string_equal(fake_queued[0].to, "alice@example.test");
    fake_put(&s, SPAN("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\n" TEXT), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("451 4.3.2 account is busy\r\n"))); /* alone: the sender keeps it */
    fake_close(&s);

    /* No queue: nothing is delivered at all, so that the whole can be tried again. */
    fake_reset();
    fake_queue_is_broken = true;
    fake_open(&s, &lmtp_protocol, &mail_app, "");
    fake_put(&s, SPAN(LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<loop@example.test>\r\n" TEXT), 0);
    assert_true(span_find(strbuf_span(&s.out), SPAN("\r\n451 "), 0) != SPAN_NPOS);
    assert_int_equal(fake_delivered_count, 0);
    fake_close(&s);
    fake_service_stop();
    smtp_pool_free(&mail_app.relay);
}

static bool queued_says(size_t i, const char *what)
{
    return i < fake_queued_count && span_find(strbuf_span(&fake_queued[i].text), span_cstr(what), 0) != SPAN_NPOS;
}

/* RFC 3461 §5.2.3 and §5.2.7: who hears of what at this server, and what goes on to the next one. */
static void test_notifications(void **state)
{
    (void)state;
    mail_app.relay = smtp_pool_new(fake_service_start(&queue_in_protocol, &relay_app), "mx.example.test", false);
    struct session s;
    talk(&s, &lmtp_protocol, &mail_app, "192.0.2.1",
         LHLO "MAIL FROM:<a@outside.test> RET=FULL ENVID=QQ+2B1\r\n"
              "RCPT TO:<alice@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Alice+40example.test\r\n"
              "RCPT TO:<bob@example.test> NOTIFY=FAILURE\r\n" TEXT,
         0);
    assert_int_equal(fake_delivered_count, 1); /* bob's: alice's goes by the queue, which tells of it */
    assert_int_equal(fake_queued_count, 1);
    assert_string_equal(fake_queued[0].from, "a@outside.test");
    assert_string_equal(fake_queued[0].to, "alice@example.test");
    assert_string_equal(fake_queued[0].asked, "6;rfc822;Alice+40example.test");
    fake_close(&s);

    /* An alias of one address takes the wishes along; its own address is what the sender hears of. */
    talk(&s, &lmtp_protocol, &mail_app, "",
         LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<away@example.test> NOTIFY=SUCCESS\r\n" TEXT, 0);
    assert_int_equal(fake_queued_count, 1);
    assert_string_equal(fake_queued[0].to, "bob@outside.test");
    assert_string_equal(fake_queued[0].asked, "2;rfc822;away@example.test");
    fake_close(&s);

    /* An alias of several: "expanded", and no more of success. */
    talk(&s, &lmtp_protocol, &mail_app, "",
         LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<loop@example.test> NOTIFY=SUCCESS,DELAY\r\n" TEXT, 0);
    assert_int_equal(fake_queued_count, 2);
    assert_string_equal(fake_queued[1].asked, "8;rfc822;loop@example.test");
    assert_true(queued_says(0, "Final-Recipient: rfc822; loop@example.test\r\nAction: expanded\r\n"));
    assert_false(queued_says(0, "bob@outside.test"));
    fake_close(&s);
    talk(&s, &lmtp_protocol, &mail_app, "",
         LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<crowd@example.test> NOTIFY=SUCCESS\r\n"
              "RCPT TO:<loop@example.test> NOTIFY=NEVER\r\n" TEXT,
         0);
    assert_string_equal(fake_queued[1].asked, "1;rfc822;crowd@example.test 1;rfc822;crowd@example.test");
    fake_close(&s);
    talk(&s, &lmtp_protocol, &mail_app, "", /* both lead to bob@outside.test: whoever wants to hear of it does */
         LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<away@example.test> NOTIFY=NEVER\r\n"
              "RCPT TO:<loop@example.test> NOTIFY=FAILURE\r\n" TEXT,
         0);
    assert_string_equal(fake_queued[0].asked, "4;rfc822;away@example.test");
    fake_close(&s);

    /* Nobody is told here of what the queue has to deliver, or of a report. */
    fake_reset();
    fake_broken_account = "alice@example.test";
    fake_open(&s, &lmtp_protocol, &mail_app, "");
    fake_put(&s,
             SPAN(LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<alice@example.test> NOTIFY=SUCCESS\r\n"
                       "RCPT TO:<bob@example.test>\r\n" TEXT),
             0);
    assert_int_equal(fake_queued_count, 1);
    assert_string_equal(fake_queued[0].asked, "2;");
    fake_put(&s,
             SPAN("MAIL FROM:<a@outside.test>\r\nRCPT TO:<alice@example.test> NOTIFY=SUCCESS\r\n" TEXT
                  "MAIL FROM:<>\r\nRCPT TO:<bob@example.test> NOTIFY=SUCCESS\r\n" TEXT),
             0);
    assert_int_equal(fake_queued_count, 2);
    fake_close(&s);

    /* Who asks to hear of it waits for the queue: without it nothing is delivered, and nothing lost. */
    fake_reset();
    fake_queue_is_broken = true;
    fake_open(&s, &lmtp_protocol, &mail_app, "");
    fake_put(&s, SPAN(LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<bob@example.test> NOTIFY=SUCCESS\r\n" TEXT), 0);
    assert_true(span_find(strbuf_span(&s.out), SPAN("\r\n451 4."), 0) != SPAN_NPOS);
    assert_int_equal(fake_delivered_count, 0);
    fake_close(&s);
    fake_service_stop();
    smtp_pool_free(&mail_app.relay);
}

/* A full account is said at RCPT where it is known then, else at the message's end; when_full says for how long. */
static void test_full_accounts(void **state)
{
    (void)state;
    static const struct config_quota refuse = {.is_permanent = true};
    struct session s;
#define TO_ALICE(size) "MAIL FROM:<a@outside.test>" size "\r\nRCPT TO:<alice@example.test>\r\n"
    for (int is_permanent = 0; is_permanent < 2; is_permanent++) {
        mail_app.quota = is_permanent ? &refuse : NULL;
        const char *why = is_permanent ? "552 5.2.2 " : "452 4.2.2 ";
        fake_reset();
        fake_full_account = "alice@example.test";
        fake_room = 0;
        fake_open(&s, &lmtp_protocol, &mail_app, "");
        fake_put(&s, SPAN(LHLO TO_ALICE("")), 0);
        assert_true(span_find(strbuf_span(&s.out), span_cstr(why), 0) != SPAN_NPOS);
        strbuf_clear(&s.out);
        fake_room = 10;
        fake_put(&s, SPAN("RSET\r\n" TO_ALICE(" SIZE=11")), 0);
        assert_true(span_find(strbuf_span(&s.out), span_cstr(why), 0) != SPAN_NPOS);
        strbuf_clear(&s.out);
        fake_put(&s, SPAN("RSET\r\n" TO_ALICE(" SIZE=10") TEXT), 0); /* it is larger than it said */
        assert_true(span_find(strbuf_span(&s.out), SPAN("250 2.1.5 "), 0) != SPAN_NPOS);
        assert_true(span_find(strbuf_span(&s.out), span_cstr(why), 0) != SPAN_NPOS);
        assert_int_equal(fake_delivered_count, 0);
        fake_close(&s);
    }
    mail_app.quota = NULL;

    /* Who leads to others too is taken; what the full one cannot have waits in the queue. */
    fake_reset();
    fake_full_account = "alice@example.test";
    fake_room = 0;
    mail_app.relay = smtp_pool_new(fake_service_start(&queue_in_protocol, &relay_app), "mx.example.test", false);
    fake_open(&s, &lmtp_protocol, &mail_app, "");
    fake_put(&s, SPAN(LHLO "MAIL FROM:<a@outside.test>\r\nRCPT TO:<team@example.test>\r\n" TEXT), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("250 2.0.0 Delivered\r\n")));
    assert_int_equal(fake_delivered_count, 1);
    assert_int_equal(fake_queued_count, 1);
    assert_string_equal(fake_queued[0].to, "alice@example.test");
    fake_close(&s);
    fake_service_stop();
    smtp_pool_free(&mail_app.relay);
}

/* A mailbox that is full is not one that somebody guesses at. */
static void test_full_accounts_are_known(void **state)
{
    (void)state;
    static const struct config_quota refuse = {.is_permanent = true};
    struct session s;
    fake_reset();
    fake_full_account = "alice@example.test";
    fake_room = 0;
    mail_app.quota = &refuse;
    mx_app.mail = smtp_pool_new(fake_service_start(&lmtp_protocol, &mail_app), mx_app.hostname, true);
    fake_open(&s, &smtp_mx_protocol, &mx_app, "192.0.2.1");
    fake_put(&s, SPAN("EHLO x.test\r\nMAIL FROM:<a@outside.test>\r\n"), 0);
    for (int i = 0; i < SMTP_UNKNOWN_MAX + 1; i++)
        fake_put(&s, SPAN("RCPT TO:<alice@example.test>\r\n"), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("552 5.2.2 The mailbox is full\r\n")));
    fake_close(&s);
    smtp_pool_free(&mx_app.mail);
    fake_service_stop();
    mail_app.quota = NULL;
}

/* One connection only. */
static void check_codes_of_one(const struct protocol *p, void *app, const char *peer, const char *script, const char *want)
{
    struct session s;
    fake_open(&s, p, app, peer);
    fake_put(&s, span_cstr(script), 0);
    AUTO_STRBUF codes = STRBUF_INIT;
    codes_of(strbuf_span(&s.out), &codes);
    assert_string_equal(strbuf_cstr(&codes), want);
    fake_close(&s);
}

/* [rates]: the command that is one too many is refused for now, those before and others' are not. */
static void test_rates_of_addresses(void **state)
{
    (void)state;
    struct config_rates rates = {.hourly = {[RATE_ADDRESS_CONNECTIONS] = 2, [RATE_ADDRESS_MESSAGES] = 2, [RATE_ADDRESS_RECIPIENTS] = 3}};
    fake_reset();
    mx_app.rates = &rates;
    mx_app.came = rate_new();
    mx_app.mail = smtp_pool_new(fake_service_start(&lmtp_protocol, &mail_app), mx_app.hostname, true);
#define NEAR(address, script, want) check_codes_of_one(&smtp_mx_protocol, &mx_app, address, script, want)
    static const char hello[] = "EHLO x.test\r\nMAIL FROM:<a@outside.test>\r\nRCPT TO:<alice@example.test>\r\n" TEXT;
    NEAR("192.0.2.1", hello, "220 250 250 250 354 250");
    NEAR("192.0.2.1",
         "EHLO x.test\r\nMAIL FROM:<a@outside.test>\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<who@example.test>\r\n"
         "RCPT TO:<alice@example.test>\r\n" TEXT "MAIL FROM:<a@outside.test>\r\nNOOP\r\n",
         "220 250 250 250 550 451 354 250 451 250");
    NEAR("192.0.2.1", "", "421");
    NEAR("192.0.2.2", "EHLO x.test\r\n", "220 250");
    NEAR("2001:db8::1", "EHLO x.test\r\n", "220 250"); /* a customer has a /64 */
    NEAR("2001:db8::2", "EHLO x.test\r\n", "220 250");
    NEAR("2001:db8:0:0:1234::3", "", "421");
    NEAR("2001:db8:0:1::3", "EHLO x.test\r\n", "220 250");
    struct ip_net exempt = {.prefix = 24};
    assert_true(ip_parse(SPAN("192.0.2.0"), &exempt.address));
    rates.exempt = (struct ip_set){&exempt, 1};
    NEAR("192.0.2.1", hello, "220 250 250 250 354 250");
    smtp_pool_free(&mx_app.mail);
    fake_service_stop();
    rate_free(&mx_app.came);
    mx_app.rates = NULL;
}

static void submission_open(struct session *s);

/* What a door announces; tls: over TLS. Names only. */
static void capabilities_are(const struct protocol *p, void *app, const char *peer, bool tls, const char *hello, const char *want)
{
    struct session s;
    fake_reset();
    fake_open(&s, p, app, peer);
    s.is_tls = tls;
    strbuf_clear(&s.out);
    fake_put(&s, span_cstr(hello), 0);
    AUTO_STRBUF names = STRBUF_INIT;
    struct span rest = strbuf_span(&s.out), line, name;
    span_cut(&rest, '\n', &line); /* the host's name */
    while (rest.len) {
        span_cut(&rest, '\n', &line);
        line = span_skip(span_trim(line), 4);
        span_cut(&line, ' ', &name);
        strbuf_addf(&names, "%.*s ", SPAN_ARG(name));
    }
    assert_string_equal(strbuf_cstr(&names), want);
    fake_close(&s);
}

static void test_capabilities(void **state)
{
    (void)state;
#define PLAIN "PIPELINING SIZE ENHANCEDSTATUSCODES 8BITMIME SMTPUTF8 CHUNKING BINARYMIME DSN "
    capabilities_are(&smtp_mx_protocol, &mx_app, "192.0.2.9", false, HELLO, PLAIN "DELIVERBY MT-PRIORITY LIMITS ");
    capabilities_are(&smtp_mx_protocol, &mx_app, "192.0.2.9", true, HELLO, PLAIN "REQUIRETLS DELIVERBY MT-PRIORITY LIMITS ");
    capabilities_are(&submission_gate_protocol, &gate_app, "192.0.2.9", true, HELLO,
                     "PIPELINING SIZE AUTH ENHANCEDSTATUSCODES 8BITMIME SMTPUTF8 CHUNKING BINARYMIME BURL DSN REQUIRETLS FUTURERELEASE "
                     "DELIVERBY MT-PRIORITY LIMITS ETRN ");
    capabilities_are(&lmtp_protocol, &mail_app, "192.0.2.9", false, LHLO, PLAIN "DELIVERBY MT-PRIORITY LIMITS ");
    capabilities_are(&lmtp_protocol, &mail_app, "", false, LHLO, PLAIN "REQUIRETLS DELIVERBY MT-PRIORITY LIMITS ETRN XTRACE ");
    capabilities_are(&queue_in_protocol, &relay_app, "", false, HELLO,
                     PLAIN "REQUIRETLS FUTURERELEASE DELIVERBY MT-PRIORITY LIMITS ETRN XTRACE ");
    capabilities_are(&smtp_mx_protocol, &mx_app, "192.0.2.9", true, "HELO x\r\n", "");
    /* What is not announced is not known (RFC 5321 §4.1.1.11): REQUIRETLS without TLS, HOLDFOR on port 25. */
    check_codes(&lmtp_protocol, &mail_app, "192.0.2.9",
                LHLO "MAIL FROM:<> REQUIRETLS\r\nMAIL FROM:<> HOLDFOR=5\r\nMAIL FROM:<> XTRACE=a\r\n", "220 250 555 555 555");
    LMTP(LHLO "MAIL FROM:<> REQUIRETLS\r\n", "220 250 250");
    /* A stranger cannot say what our own roles tell each other, wherever he stands. */
    check_codes(&smtp_mx_protocol, &mx_app, "192.0.2.9", HELLO "MAIL FROM:<> XHELD=for;1\r\nMAIL FROM:<> XQUARANTINE\r\n", "220 250 555 555");
    LMTP(LHLO "MAIL FROM:<> XHELD=for;1\r\n", "220 250 250");
}

/* RFC 4865: what is held goes to the queue, whoever it is for, and comes back when it is time. */
static void test_future_release(void **state)
{
    (void)state;
    clock_fake(1769860800000, 0); /* 2026-01-31 12:00 UTC */
    mail_app.relay = smtp_pool_new(fake_service_start(&queue_in_protocol, &relay_app), "mx.example.test", false);
    struct session s;
    submission_open(&s);
    fake_put(&s, SPAN("MAIL FROM:<alice@example.test> HOLDFOR=2592001\r\nMAIL FROM:<alice@example.test> HOLDUNTIL=2027-01-31T12:00:00Z\r\n"
                      "MAIL FROM:<alice@example.test> HOLDFOR=0\r\nMAIL FROM:<alice@example.test> HOLDFOR=5 HOLDUNTIL=2026-01-31T13:00:00Z\r\n"
                      "MAIL FROM:<alice@example.test> HOLDFOR=100 BY=100;R\r\n"
                      "MAIL FROM:<alice@example.test> HOLDFOR=3600\r\nRCPT TO:<bob+later@example.test>\r\nRCPT TO:<c@outside.test>\r\n" TEXT), 7);
    AUTO_STRBUF codes = STRBUF_INIT;
    codes_of(strbuf_span(&s.out), &codes);
    assert_string_equal(strbuf_cstr(&codes), "235 501 501 501 501 501 250 250 250 354 250");
    assert_int_equal(fake_delivered_count, 0);
    assert_int_equal(fake_queued_count, 1);
    assert_string_equal(fake_queued[0].to, "bob+later@example.test c@outside.test");
    assert_int_equal(fake_queued[0].wishes.hold_until, 1769860800 + 3600);
    fake_put(&s, SPAN("MAIL FROM:<alice@example.test> HOLDUNTIL=2026-01-31T11:59:59Z\r\nRCPT TO:<bob@example.test>\r\n" TEXT), 0);
    assert_int_equal(fake_delivered_count, 1); /* that time has come */
    fake_close(&s);
    fake_service_stop();
    smtp_pool_free(&mail_app.relay);
    clock_unfake();
}

/* RFC 6710 §4.1: who may have a priority above that of other mail. */
static void test_priority(void **state)
{
    (void)state;
    struct span accounts[] = {SPAN("alice@example.test")};
    struct config_smtp settings = {.priority_accounts = accounts, .priority_account_count = 1};
    mail_app.relay = smtp_pool_new(fake_service_start(&queue_in_protocol, &relay_app), "mx.example.test", false);
    static const struct {
        bool may;
        const char *said, *reply;
        int priority;
    } rows[] = {
        {false, "3", "250 2.3.6 0 is the priority it has here\r\n", 0},
        {false, "-3", "250 2.1.0 Sender ok\r\n", -3},
        {true, "3", "250 2.1.0 Sender ok\r\n", 3},
        {true, "9", "250 2.1.0 Sender ok\r\n", 9},
        {false, "9", "250 2.3.6 0 is the priority it has here\r\n", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct session s;
        submission_open(&s);
        mail_app.settings = rows[i].may ? &settings : NULL;
        AUTO_STRBUF script = STRBUF_INIT;
        strbuf_addf(&script, "MAIL FROM:<alice@example.test> MT-PRIORITY=%s\r\nRCPT TO:<c@outside.test>\r\n" TEXT, rows[i].said);
        fake_put(&s, strbuf_span(&script), 0);
        assert_true(span_find(strbuf_span(&s.out), span_cstr(rows[i].reply), 0) != SPAN_NPOS);
        assert_int_equal(fake_queued[0].wishes.priority, rows[i].priority);
        fake_close(&s);
    }
    mail_app.settings = NULL;
    settings.priority_accounts[0] = SPAN("example.test"); /* a domain: all of its accounts */
    assert_true(smtp_wishes_may_raise_priority(&settings, SPAN("bob@example.test")));
    assert_false(smtp_wishes_may_raise_priority(&settings, SPAN("bob@an.example.test")));
    fake_service_stop();
    smtp_pool_free(&mail_app.relay);
}

/* RFC 2852: what is left of the time goes on; where none is left there is nothing to do. */
static void test_deliver_by(void **state)
{
    (void)state;
    clock_fake(1000000000, 0);
    mail_app.relay = smtp_pool_new(fake_service_start(&queue_in_protocol, &relay_app), "mx.example.test", false);
    struct session s;
    submission_open(&s);
    fake_put(&s, SPAN("MAIL FROM:<alice@example.test> BY=90;NT\r\nRCPT TO:<c@outside.test>\r\nDATA\r\nSubject: x\r\n"), 0);
    clock_fake(1000010000, 0);
    fake_put(&s, SPAN("\r\nhello\r\n.\r\n"), 0);
    assert_int_equal(fake_queued[0].wishes.by, QUEUE_BY_NOTIFY);
    assert_true(fake_queued[0].wishes.is_by_traced);
    assert_int_equal(fake_queued[0].wishes.deliver_by, 1000090);
    fake_put(&s, SPAN("MAIL FROM:<alice@example.test> BY=5;R\r\nRCPT TO:<c@outside.test>\r\nDATA\r\nSubject: x\r\n"), 0);
    clock_fake(1000016000, 0);
    fake_put(&s, SPAN("\r\nhello\r\n.\r\n"), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("554 5.4.7 The time by which it must be there is over\r\n")));
    assert_int_equal(fake_queued_count, 1);
    fake_close(&s);
    fake_service_stop();
    smtp_pool_free(&mail_app.relay);
    clock_unfake();
}

/* RFC 1985: from port 25 by `mail` to the queue. */
static void test_etrn(void **state)
{
    (void)state;
    static struct ip_net net = {{IP_V4, {192, 0, 2, 0}}, 24};
    static const struct config_smtp settings = {.etrn = {&net, 1}};
    mail_app.relay = smtp_pool_new(fake_service_start(&queue_in_protocol, &relay_app), "mx.example.test", false);
    mx_app.mail = smtp_pool_new(fake_service_start(&lmtp_protocol, &mail_app), mx_app.hostname, true);
    QUEUE("ETRN one.test\r\n" HELLO "ETRN one.test\r\nETRN two.test\r\nETRN\r\nETRN a b\r\nETRN #\r\nETRN @\r\nETRN #a%b\r\n"
          "MAIL FROM:<>\r\nETRN one.test\r\n", "220 503 250 253 251 501 501 501 501 501 250 503");
    MX(HELLO "ETRN one.test\r\n", "220 250 459");
    mx_app.settings = &settings;
    wakes = 0;
    MX(HELLO "ETRN One.TEST\r\nETRN @one.test\r\nETRN two.test\r\nETRN #slow-lane\r\nETRN ..\r\n", "220 250 253 253 251 251 501");
    assert_true(wakes > 0);
    assert_string_equal(fake_run, "2 slow-lane ");
    MX(HELLO "ETRN @One.test\r\n", "220 250 253");
    assert_string_equal(fake_run, "1 one.test one.test");
    check_codes(&smtp_mx_protocol, &mx_app, "198.51.100.1", HELLO "ETRN one.test\r\n", "220 250 459");
    check_codes(&lmtp_protocol, &mail_app, "192.0.2.1", LHLO "ETRN one.test\r\n", "220 250 459");
    GATE(HELLO "ETRN one.test\r\n", "220 250 530");
    struct session s;
    submission_open(&s);
    fake_put(&s, SPAN("ETRN one.test\r\n"), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("253 2.0.0 OK, 2 pending messages for node one.test started\r\n")));
    fake_queue_is_broken = true;
    fake_put(&s, SPAN("ETRN one.test\r\n"), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("458 4.3.0 Unable to queue messages for node one.test\r\n")));
    fake_close(&s);
    mx_app.settings = NULL;
    smtp_pool_free(&mx_app.mail);
    fake_service_stop();
    smtp_pool_free(&mail_app.relay);
}

/* RFC 9422: what is announced is what is enforced. */
static void test_transactions_are_limited(void **state)
{
    (void)state;
    struct session s;
    talk(&s, &lmtp_protocol, &mail_app, "192.0.2.1", LHLO "MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<> X=1\r\n", 0);
    struct smtp *sm = session_state(&s);
    assert_int_equal(sm->transactions, 2); /* the refused one, too */
    sm->transactions = SMTP_TRANSACTIONS_MAX - 1;
    fake_put(&s, SPAN("MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nNOOP\r\n"), 0);
    assert_true(s.is_closed);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("250 2.0.0 Ok\r\n421 4.7.0 Too many messages over one connection, open another\r\n")));
    fake_close(&s);
    talk(&s, &lmtp_protocol, &mail_app, "", LHLO, 0); /* our own roles keep theirs */
    sm = session_state(&s);
    sm->transactions = SMTP_TRANSACTIONS_MAX;
    fake_put(&s, SPAN("MAIL FROM:<>\r\nRSET\r\n"), 0);
    assert_false(s.is_closed);
    fake_close(&s);
}

static void submission_open(struct session *s)
{
    static const struct protocol none = {.start = NULL};
    fake_reset();
    *s = (struct session){.protocol = &none, .app = &mail_app, .input_max = SESSION_INPUT_DEFAULT};
    snprintf(s->peer.address, sizeof s->peer.address, "2001:db8::1");
    snprintf(s->peer.tls_version, sizeof s->peer.tls_version, "TLSv1.3");
    snprintf(s->peer.tls_cipher, sizeof s->peer.tls_cipher, "TLS_AES_256_GCM_SHA384");
    s->is_tls = true;
    struct handover h = {HANDOVER_SUBMISSION, SPAN("alice@example.test"), SPAN("laptop")};
    assert_int_equal(submission_accept(s, &h), NEXT_AGAIN);
}

static void test_submission(void **state)
{
    (void)state;
    mail_app.relay = smtp_pool_new(fake_service_start(&queue_in_protocol, &relay_app), "mx.example.test", false);
    struct session s;
    submission_open(&s);
    fake_put(&s,
             SPAN("MAIL FROM:<bob@example.test>\r\nAUTH PLAIN\r\n"
                  "MAIL FROM:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\n"
                  "RCPT TO:<bob@example.test>\r\nRCPT TO:<c@outside.test>\r\nRCPT TO:<d@outside.test>\r\n"
                  "DATA\r\nFrom: alice@example.test\r\nBcc: x@outside.test,\r\n y@outside.test\r\nSubject: "
                  "s\r\n\r\nhi\r\n.\r\n"),
             1);
    AUTO_STRBUF codes = STRBUF_INIT;
    codes_of(strbuf_span(&s.out), &codes);
    assert_string_equal(strbuf_cstr(&codes), "235 553 503 250 550 250 250 250 354 250");
    assert_int_equal(fake_delivered_count, 1);
    assert_int_equal(fake_queued_count, 1);
    assert_string_equal(fake_queued[0].to, "c@outside.test d@outside.test");
    struct span text = strbuf_span(&fake_delivered[0].text);
    assert_true(span_starts(text, SPAN("Return-Path: <alice@example.test>\r\nDelivered-To: bob@example.test\r\n"
                                       "Received: from laptop ([IPv6:2001:db8::1])\r\n"
                                       "\tby mx.example.test with ESMTPSA id ")));
    assert_true(span_find(text, SPAN("\r\nDate: "), 0) != SPAN_NPOS);
    assert_true(span_find(text, SPAN("@mx.example.test>\r\nFrom: "), 0) != SPAN_NPOS);
    assert_true(span_find(text, SPAN("Bcc"), 0) == SPAN_NPOS);
    assert_true(span_find(text, SPAN("y@outside"), 0) == SPAN_NPOS);
    assert_true(span_find(strbuf_span(&fake_queued[0].text), SPAN("Received: "), 0) == 0);
    fake_close(&s);
    fake_service_stop();
    smtp_pool_free(&mail_app.relay);
}

#define TO_BOB "MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n"

/* RFC 4468: what chunks are taken from URLs, and what becomes of the transaction where one cannot be taken. */
static void test_burl(void **state)
{
    (void)state;
    static const struct {
        const char *script, *codes, *delivered;
    } rows[] = {
        {TO_BOB "BURL imap://A:b LAST\r\n", "235 250 250 250", "\r\nA:b\r\n"},
        {TO_BOB "burl imap://A:b last\r\nNOOP\r\n", "235 250 250 250 250", "\r\nA:b\r\n"},
        {TO_BOB "BDAT 6\r\nA: 1\r\nBURL imap://B:2\r\nBDAT 0\r\nBURL imap://C:3\r\nBDAT 5 LAST\r\n\r\nd\r\n",
         "235 250 250 250 250 250 250 250", "\r\nA: 1\r\nB:2\r\nC:3\r\n\r\nd\r\n"},
        {TO_BOB "BURL imap://A:b\r\nBDAT 0 LAST\r\n", "235 250 250 250 250", "\r\nA:b\r\n"},
        {TO_BOB "BURL imap://denied LAST\r\nNOOP\r\n", "235 250 250 554 250", NULL},
        {TO_BOB "BURL imap://missing LAST\r\nRSET\r\n", "235 250 250 554 250", NULL},
        {TO_BOB "BURL imap://A:b\r\nBURL imap://missing LAST\r\nBDAT 2 LAST\r\n\r\nNOOP\r\n",
         "235 250 250 250 554 503 250", NULL},
        {TO_BOB "BURL imap://A:b\r\nDATA\r\nRSET\r\n", "235 250 250 250 503 250", NULL},
        {TO_BOB "BURL imap://A:b FIRST\r\nBURL\r\nRSET\r\n", "235 250 250 501 501 250", NULL},
        {TO_BOB "BURL imap://bare LAST\r\nNOOP\r\n", "235 250 250 550 250", NULL},
        {"BURL imap://A:b LAST\r\n", "235 503", NULL},
        {"MAIL FROM:<alice@example.test>\r\nBURL imap://A:b LAST\r\nRSET\r\n", "235 250 554 250", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t piece = 0; piece < 2; piece++) {
            struct session s;
            submission_open(&s);
            fake_put(&s, span_cstr(rows[i].script), piece);
            AUTO_STRBUF codes = STRBUF_INIT;
            codes_of(strbuf_span(&s.out), &codes);
            assert_string_equal(strbuf_cstr(&codes), rows[i].codes);
            assert_int_equal(fake_delivered_count, rows[i].delivered != NULL);
            if (rows[i].delivered)
                assert_true(span_ends(strbuf_span(&fake_delivered[0].text), span_cstr(rows[i].delivered)));
            fake_close(&s);
        }
    }
    GATE("EHLO x\r\nBURL imap://A:b LAST\r\n", "220 250 530");
}

/* What all chunks are together has the limit that a message has; a line has one, too. */
static void test_burl_limits(void **state)
{
    (void)state;
    struct session s;
    AUTO_STRBUF script = STRBUF_INIT;
    AUTO_STRBUF codes = STRBUF_INIT;
    uint64_t before = mail_app.message_size_max;
    mail_app.message_size_max = 20;
    submission_open(&s);
    fake_put(&s, SPAN(TO_BOB "BURL imap://A:01234567\r\nBURL imap://B:01234567 LAST\r\nNOOP\r\n"), 0);
    strbuf_add_cstr(&script, TO_BOB "BURL imap://");
    memset(strbuf_extend(&script, 20000), 'x', 20000);
    strbuf_add_cstr(&script, "\r\nRSET\r\n");
    fake_put(&s, strbuf_span(&script), 0);
    codes_of(strbuf_span(&s.out), &codes);
    assert_string_equal(strbuf_cstr(&codes), "235 250 250 250 552 250 250 250 500 250");
    fake_close(&s);
    mail_app.message_size_max = before;
}

#define MX(script, want) check_codes(&smtp_mx_protocol, &mx_app, "192.0.2.9", script, want)

static void test_mx(void **state)
{
    (void)state;
    mx_app.mail = smtp_pool_new(fake_service_start(&lmtp_protocol, &mail_app), mx_app.hostname, true);
    MX(HELLO "MAIL FROM:<x@outside.test>\r\nRCPT TO:<x@outside.test>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n",
       "220 250 250 550 550 554");
    MX(HELLO "MAIL FROM:<x@outside.test>\r\nRCPT TO:<alice@example.test>\r\n" TEXT "QUIT\r\n",
       "220 250 250 250 354 250 221");
    MX(HELLO "MAIL FROM:<x@outside.test>\r\nRCPT TO:<alice@example.test>\r\nRSET\r\n"
             "MAIL FROM:<>\r\nRCPT TO:<team@example.test>\r\nRCPT TO:<Postmaster>\r\n" TEXT "QUIT\r\n",
       "220 250 250 250 250 250 250 250 354 250 221");
    assert_int_equal(fake_delivered_count, 2);

    struct session s;
    talk(&s, &smtp_mx_protocol, &mx_app, "192.0.2.9",
         HELLO "MAIL FROM:<x@outside.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n..\r\n.\r\n", 1);
    assert_true(span_ends(strbuf_span(&fake_delivered[0].text), SPAN("+0000\r\n.\r\n")));
    assert_true(
        span_find(strbuf_span(&fake_delivered[0].text),
                  SPAN("\r\nReceived: from client.example.test ([192.0.2.9])\r\n\tby mx.example.test with ESMTP id "),
                  0) != SPAN_NPOS);
    fake_close(&s);

    /* A temporary failure in `mail` is one here. */
    fake_reset();
    fake_broken_account = "alice@example.test";
    fake_open(&s, &smtp_mx_protocol, &mx_app, "192.0.2.9");
    fake_put(&s, SPAN(HELLO "MAIL FROM:<x@outside.test>\r\nRCPT TO:<alice@example.test>\r\n" TEXT), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("451 4.3.2 account is busy\r\n")));
    fake_close(&s);

    AUTO_STRBUF script = STRBUF_INIT;
    strbuf_add_cstr(&script, HELLO "MAIL FROM:<x@outside.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n");
    for (size_t i = 0; i < 101; i++)
        strbuf_add_cstr(&script, "Received: from a by b; Tue, 1 Jan 2030 00:00:00 +0000\r\n");
    strbuf_add_cstr(&script, "\r\n.\r\nQUIT\r\n");
    MX(strbuf_cstr(&script), "220 250 250 250 354 554 221");

    strbuf_clear(&script);
    strbuf_add_cstr(&script, HELLO "MAIL FROM:<x@outside.test>\r\n");
    for (size_t i = 0; i < 200; i++)
        strbuf_addf(&script, "RCPT TO:<u%zu@example.test>\r\n", i);
    talk(&s, &smtp_mx_protocol, &mx_app, "192.0.2.9", strbuf_cstr(&script), 0);
    assert_true(s.is_closed && s.paused_ms > 50000);
    fake_close(&s);

    /* `mail` restarts: idle connections are dead, the next message finds that out and goes through. */
    fake_service_hang_up();
    MX(HELLO "MAIL FROM:<x@outside.test>\r\nRCPT TO:<alice@example.test>\r\n" TEXT "QUIT\r\n",
       "220 250 250 250 354 250 221");

    /* It restarts in the middle of a message: nothing is acknowledged, nothing half is delivered. */
    fake_reset();
    fake_open(&s, &smtp_mx_protocol, &mx_app, "192.0.2.9");
    fake_put(&s, SPAN(HELLO "MAIL FROM:<x@outside.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n"), 0);
    fake_service_hang_up();
    fake_put(&s, SPAN(".\r\n"), 0);
    assert_true(span_ends(strbuf_span(&s.out), SPAN("\r\n451 4.3.0 Try again later\r\n")));
    assert_int_equal(fake_delivered_count, 0);
    fake_put(&s, SPAN("MAIL FROM:<x@outside.test>\r\nRCPT TO:<bob@example.test>\r\n" TEXT), 0);
    assert_int_equal(fake_delivered_count, 1);

    /* The client goes in the middle of a message. */
    fake_put(&s, SPAN("MAIL FROM:<x@outside.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: x\r\n"), 0);
    fake_close(&s);
    MX(HELLO "MAIL FROM:<x@outside.test>\r\nRCPT TO:<alice@example.test>\r\n" TEXT "QUIT\r\n",
       "220 250 250 250 354 250 221");
    assert_int_equal(fake_delivered_count, 1);
    smtp_pool_free(&mx_app.mail);
    fake_service_stop();
}

static void test_goodbye(void **state)
{
    (void)state;
    struct session s = {.protocol = &smtp_mx_protocol}; /* before start(): no state */
    for (int why = BYE_TIMEOUT; why <= BYE_INPUT_TOO_LONG; why++)
        smtp_mx_protocol.goodbye(&s, (enum bye)why);
    AUTO_STRBUF codes = STRBUF_INIT;
    codes_of(strbuf_span(&s.out), &codes);
    assert_string_equal(strbuf_cstr(&codes), "421 421 421 500");
    fake_close(&s);
}

int main(void)
{
    log_set_level(LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_commands),
        cmocka_unit_test(test_a_message),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_errors_are_slowed_down),
        cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_long_auth_lines),
        cmocka_unit_test(test_no_password_in_the_clear),
        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_lmtp),
        cmocka_unit_test(test_loops),
        cmocka_unit_test(test_forwarding_and_partial_failure),
        cmocka_unit_test(test_full_accounts),
        cmocka_unit_test(test_full_accounts_are_known),
        cmocka_unit_test(test_rates_of_addresses),
        cmocka_unit_test(test_notifications),
        cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_future_release),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_deliver_by),
        cmocka_unit_test(test_etrn),
        cmocka_unit_test(test_transactions_are_limited),
        cmocka_unit_test(test_submission),
        cmocka_unit_test(test_burl),
        cmocka_unit_test(test_burl_limits),
        cmocka_unit_test(test_mx),
        cmocka_unit_test(test_goodbye),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_reset();
    return failed;
}
