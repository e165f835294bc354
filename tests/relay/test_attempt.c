/* test_attempt.c - one message over one link, against peers that are scripts: what is sent in which order, and what becomes of
 * whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/clock.h"
#include "relay/attempt.h"
#include "relay/prepare.h"

/* A peer that has said all it will say, in pieces of `step` octets. */
struct script {
    const char *replies;
    size_t at, step;
    struct strbuf sent;
};

static enum status script_read(void *ctx, char *p, size_t n, size_t *got, int64_t timeout_ms, struct err *err)
{
    struct script *s = ctx;
    (void)timeout_ms;
    size_t left = strlen(s->replies) - s->at;
    if (left == 0)
        return err_set(err, ST_CLOSED, "the other side closed the connection");
    *got = left < s->step ? left : s->step;
    *got = *got < n ? *got : n;
    memcpy(p, s->replies + s->at, *got);
    s->at += *got;
    return ST_OK;
}

static enum status script_write(void *ctx, const struct span *pieces, size_t count, struct err *err)
{
    struct script *s = ctx;
    (void)err;
    for (size_t i = 0; i < count; i++)
        strbuf_add(&s->sent, pieces[i]);
    return ST_OK;
}

static void script_close(void *ctx)
{
    (void)ctx;
}

static struct link *link_to(struct script *s, const char *ehlo)
{
    struct link *l = mem_alloc(sizeof *l);
    struct smtp_reply r;
    struct err err;
    const char *replies = s->replies;
    s->replies = ehlo;
    snprintf(l->host, sizeof l->host, "mx.one.test");
    l->client = smtp_client_new(&(struct smtp_transport){s, script_read, script_write, script_close});
    assert_int_equal(smtp_client_hello(l->client, "EHLO", "x.test", 1000, &r, &err), ST_OK);
    strbuf_clear(&s->sent);
    s->replies = replies;
    s->at = 0;
    return l;
}

static const struct config_relay settings = {.reply_ms = 1000};

struct row {
    const char *name, *ehlo, *replies, *sent;
    enum attempt_end end;
    enum queue_state first, second;
    const char *reply; /* of the second recipient */
    bool is_lmtp, was_used;
};

#define MAIL "MAIL FROM:<a@x.test>\r\n"
#define RCPTS "RCPT TO:<b@one.test>\r\nRCPT TO:<c@one.test>\r\n"
#define BODY "S: x\r\n\r\n..dot\r\n.\r\n"
#define PIPELINE "250-x\r\n250 PIPELINING\r\n"
#define CHUNKS "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define CHUNK "BDAT 14 LAST\r\nS: x\r\n\r\n.dot\r\n"

static const struct row rows[] = {
    {"all is well", PIPELINE, "250 a\r\n250 b\r\n250 c\r\n354 go\r\n250 2.0.0 taken\r\n", MAIL RCPTS "DATA\r\n" BODY, ATTEMPT_GOOD,
     QUEUE_DELIVERED, QUEUE_DELIVERED, "250 2.0.0 taken", false, false},
    {"one recipient refused", PIPELINE, "250 a\r\n250 b\r\n550 5.1.1 no\r\n354 go\r\n250 ok\r\n", MAIL RCPTS "DATA\r\n" BODY,
     ATTEMPT_GOOD, QUEUE_DELIVERED, QUEUE_FAILED, "550 5.1.1 no", false, false},
    {"none accepted, DATA refused", PIPELINE, "250 a\r\n450 b\r\n550 no\r\n503 none\r\n250 reset\r\n", MAIL RCPTS "DATA\r\nRSET\r\n",
     ATTEMPT_GOOD, QUEUE_WAITING, QUEUE_FAILED, "550 no", false, false},
    {"none accepted, DATA taken (RFC 2920)", PIPELINE, "250 a\r\n450 b\r\n550 no\r\n354 go\r\n554 none\r\n250 reset\r\n",
     MAIL RCPTS "DATA\r\n.\r\nRSET\r\n", ATTEMPT_GOOD, QUEUE_WAITING, QUEUE_FAILED, "550 no", false, false},
    {"sender refused", PIPELINE, "553 5.7.1 not you\r\n503 b\r\n503 c\r\n503 d\r\n250 reset\r\n", MAIL RCPTS "DATA\r\nRSET\r\n",
     ATTEMPT_GOOD, QUEUE_FAILED, QUEUE_FAILED, "553 5.7.1 not you", false, false},
    {"refused after the dot", PIPELINE, "250 a\r\n250 b\r\n250 c\r\n354 go\r\n554 5.6.0 no\r\n250 reset\r\n",
     MAIL RCPTS "DATA\r\n" BODY "RSET\r\n", ATTEMPT_GOOD, QUEUE_FAILED, QUEUE_FAILED, "554 5.6.0 no", false, false},
    {"without pipelining", "250 x\r\n", "250 a\r\n250 b\r\n550 no\r\n354 go\r\n250 ok\r\n", MAIL RCPTS "DATA\r\n" BODY, ATTEMPT_GOOD,
     QUEUE_DELIVERED, QUEUE_FAILED, "550 no", false, false},
    {"without pipelining, nobody", "250 x\r\n", "250 a\r\n550 b\r\n550 no\r\n250 reset\r\n", MAIL RCPTS "RSET\r\n", ATTEMPT_GOOD,
     QUEUE_FAILED, QUEUE_FAILED, "550 no", false, false},
    {"in one chunk", CHUNKS, "250 a\r\n250 b\r\n250 c\r\n250 ok\r\n", MAIL RCPTS CHUNK, ATTEMPT_GOOD, QUEUE_DELIVERED, QUEUE_DELIVERED,
     "250 ok", false, false},
    {"in one chunk, nobody", CHUNKS, "250 a\r\n550 b\r\n550 no\r\n503 none\r\n250 reset\r\n", MAIL RCPTS CHUNK "RSET\r\n", ATTEMPT_GOOD,
     QUEUE_FAILED, QUEUE_FAILED, "550 no", false, false},
    {"one reply for each by LMTP", PIPELINE, "250 a\r\n250 b\r\n250 c\r\n354 go\r\n250 first\r\n452 second\r\n250 reset\r\n",
     MAIL RCPTS "DATA\r\n" BODY "RSET\r\n", ATTEMPT_GOOD, QUEUE_DELIVERED, QUEUE_WAITING, "452 second", true, false},
    {"it is about to close", PIPELINE, "250 a\r\n250 b\r\n421 4.3.2 bye\r\n421 bye\r\n", MAIL RCPTS "DATA\r\n", ATTEMPT_OVER, QUEUE_WAITING,
     QUEUE_WAITING, "421 4.3.2 bye", false, false},
    {"broken after RCPT", PIPELINE, "250 a\r\n250 b\r\n550 5.1.1 no\r\n", MAIL RCPTS "DATA\r\n", ATTEMPT_OVER, QUEUE_WAITING, QUEUE_FAILED,
     "550 5.1.1 no", false, false},
    {"broken after the dot", PIPELINE, "250 a\r\n250 b\r\n250 c\r\n354 go\r\n", MAIL RCPTS "DATA\r\n" BODY, ATTEMPT_OVER, QUEUE_WAITING,
     QUEUE_WAITING, "451 4.4.2 mx.one.test []: the other side closed the connection (after the message was sent)", false, false},
    {"not SMTP", PIPELINE, "hello\r\n", MAIL RCPTS "DATA\r\n", ATTEMPT_OVER, QUEUE_WAITING, QUEUE_WAITING,
     "451 4.4.2 mx.one.test []: not an SMTP reply", false, false},
    {"250 to DATA", PIPELINE, "250 a\r\n250 b\r\n250 c\r\n250 d\r\n", MAIL RCPTS "DATA\r\n", ATTEMPT_OVER, QUEUE_WAITING, QUEUE_WAITING,
     "451 4.4.2 mx.one.test []: the peer answers DATA with 250", false, false},
    {"dead since the message before", PIPELINE, "", MAIL RCPTS "DATA\r\n", ATTEMPT_STALE, QUEUE_WAITING, QUEUE_WAITING, "", false, true},
};

static void run(const struct row *row, size_t step)
{
    struct script s = {.replies = row->replies, .step = step};
    struct queue_recipient to[] = {{.address = SPAN("b@one.test")}, {.address = SPAN("c@one.test")}};
    struct queue_message m = {.sender = SPAN("a@x.test"), .recipients = to, .recipient_count = 2};
    struct verdict v[2];
    struct link *l = link_to(&s, row->ehlo);
    l->is_lmtp = row->is_lmtp;
    l->messages = row->was_used;
    enum attempt_end end = attempt_run(l, &settings, &m, SPAN("S: x\r\n\r\n.dot\r\n"), v);
    if (end != row->end || v[0].state != row->first || v[1].state != row->second || strcmp(v[1].reply, row->reply) != 0)
        fail_msg("%s (by %zu): end %d, states %d %d, \"%s\"", row->name, step, end, v[0].state, v[1].state, v[1].reply);
    if (strcmp(strbuf_cstr(&s.sent), row->sent) != 0)
        fail_msg("%s (by %zu): sent\n%s", row->name, step, strbuf_cstr(&s.sent));
    link_close(&l, false);
    strbuf_free(&s.sent);
}

static void scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t step = 1; step < 8; step++)
            run(&rows[i], step);
}

/* What the peer cannot take is refused here, with nothing sent. */
static void what_cannot_go_there(void **state)
{
    (void)state;
    static const struct {
        struct queue_wishes wishes;
        const char *ehlo, *sender, *body, *code;
    } refusals[] = {
        {{.is_smtputf8 = true}, PIPELINE, "b\xc3\xbc@x.test", "S: x\r\n\r\n", "553 5.6.7"},
        {{.is_smtputf8 = true}, PIPELINE, "a@x.test", "S: \xc3\xbc\r\n\r\n", "553 5.6.7"},
        {{.is_tls_required = true}, "250-x\r\n250 REQUIRETLS\r\n", "a@x.test", "S: x\r\n\r\n", "550 5.7.30"},
        {{.by = QUEUE_BY_RETURN, .deliver_by = INT32_MAX * 2LL}, PIPELINE, "a@x.test", "S: x\r\n\r\n", "550 5.3.3"},
        {{.by = QUEUE_BY_RETURN, .deliver_by = 999}, "250-x\r\n250 DELIVERBY\r\n", "a@x.test", "S: x\r\n\r\n", "554 5.4.7"},
        {{.by = QUEUE_BY_RETURN, .deliver_by = 1300}, "250-x\r\n250 DELIVERBY 301\r\n", "a@x.test", "S: x\r\n\r\n", "554 5.4.7"},
        {{0}, "250-x\r\n250 SIZE 5\r\n", "a@x.test", "S: x\r\n\r\n", "552 5.3.4"},
        {{.body = QUEUE_8BITMIME}, PIPELINE, "a@x.test", "S: \xc3\xbc\r\n\r\n", "554 5.6.3"},
    };
    clock_fake(1000 * 1000, 0);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct script s = {.replies = "", .step = 100};
        struct queue_recipient to = {.address = SPAN("b@one.test")};
        struct queue_message m = {.sender = span_cstr(refusals[i].sender), .recipients = &to, .recipient_count = 1, .wishes = refusals[i].wishes};
        struct verdict v;
        struct link *l = link_to(&s, refusals[i].ehlo);
        assert_int_equal(attempt_run(l, &settings, &m, span_cstr(refusals[i].body), &v), ATTEMPT_GOOD);
        if (v.state != QUEUE_FAILED || !span_starts(span_cstr(v.reply), span_cstr(refusals[i].code)) || s.sent.len)
            fail_msg("row %zu: %d \"%s\" %s", i, v.state, v.reply, strbuf_cstr(&s.sent));
        l->messages = 1; /* a link that was used before does not decide that */
        assert_int_equal(attempt_run(l, &settings, &m, span_cstr(refusals[i].body), &v), ATTEMPT_STALE);
        link_close(&l, false);
        strbuf_free(&s.sent);
    }
    clock_unfake();
}

/* RFC 2852 §3: the peer's shortest time binds R alone; what is not a number says nothing. */
static void the_peers_shortest_time(void **state)
{
    (void)state;
    static const struct {
        enum queue_by by;
        const char *ehlo;
    } peers[] = {{QUEUE_BY_RETURN, "250-x\r\n250 DELIVERBY 300,x\r\n"},
                {QUEUE_BY_NOTIFY, "250-x\r\n250 DELIVERBY 301\r\n"},
                {QUEUE_BY_RETURN, "250-x\r\n250 DELIVERBY 9999999999\r\n"},
                {QUEUE_BY_RETURN, "250-x\r\n250 DELIVERBY -5\r\n"}};
    clock_fake(1000 * 1000, 0);
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        struct script s = {.replies = "250 a\r\n250 b\r\n354 go\r\n250 ok\r\n", .step = 100};
        struct queue_recipient to = {.address = SPAN("b@one.test")};
        struct queue_message m = {.sender = SPAN("a@x.test"), .recipients = &to, .recipient_count = 1,
                                  .wishes = {.by = peers[i].by, .deliver_by = 1300}};
        struct verdict v;
        struct link *l = link_to(&s, peers[i].ehlo);
        assert_int_equal(attempt_run(l, &settings, &m, SPAN("S: x\r\n\r\n"), &v), ATTEMPT_GOOD);
        if (v.state != QUEUE_DELIVERED || !strstr(strbuf_cstr(&s.sent), " BY=300;"))
            fail_msg("row %zu: %s %s", i, v.reply, strbuf_cstr(&s.sent));
        link_close(&l, false);
        strbuf_free(&s.sent);
    }
    clock_unfake();
}

static void wishes_are_handed_on_to_who_knows_them(void **state)
{
    (void)state;
    struct script s = {.replies = "250 a\r\n250 b\r\n354 go\r\n250 ok\r\n", .step = 100};
    struct queue_recipient to = {.address = SPAN("b@one.test"), .notify = 6, .orcpt = SPAN("rfc822;b@one.test")};
    struct queue_message m = {.sender = SPAN("a@x.test"), .recipients = &to, .recipient_count = 1,
                              .wishes = {.ret = QUEUE_RET_HDRS, .envid = SPAN("e1"), .priority = -3}};
    struct verdict v;
    struct link *l = link_to(&s, "250-x\r\n250-PIPELINING\r\n250-DSN\r\n250 MT-PRIORITY\r\n");
    assert_int_equal(attempt_run(l, &settings, &m, SPAN("S: x\r\n\r\n"), &v), ATTEMPT_GOOD);
    assert_true(v.is_dsn_done);
    assert_true(span_starts(strbuf_span(&s.sent), SPAN("MAIL FROM:<a@x.test> RET=HDRS ENVID=e1 MT-PRIORITY=-3\r\n"
                                                       "RCPT TO:<b@one.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@one.test\r\n")));
    link_close(&l, false);
    strbuf_free(&s.sent);
}

/* Without PIPELINING as with it: the same MAIL. */
static void all_wishes_are_in_every_form_of_the_envelope(void **state)
{
    (void)state;
    static const char *const ehlos[] = {
        "250-x\r\n250-DSN\r\n250-DELIVERBY\r\n250-REQUIRETLS\r\n250 MT-PRIORITY\r\n",
        "250-x\r\n250-DSN\r\n250-DELIVERBY\r\n250-PIPELINING\r\n250-REQUIRETLS\r\n250 MT-PRIORITY\r\n",
    };
    clock_fake(1000000, 0);
    for (size_t i = 0; i < 2; i++) {
        struct script s = {.replies = "250 a\r\n250 b\r\n354 go\r\n250 ok\r\n", .step = 100};
        struct queue_recipient to = {.address = SPAN("b@one.test"), .orcpt = SPAN("utf-8;b\xc3\xbc@one.test")};
        struct queue_message m = {.sender = SPAN("a@x.test"), .recipients = &to, .recipient_count = 1, .trace = SPAN("t"),
                                  .wishes = {.by = QUEUE_BY_NOTIFY, .deliver_by = 1090, .is_by_traced = true, .priority = 4}};
        struct verdict v;
        struct link *l = link_to(&s, ehlos[i]);
        assert_int_equal(attempt_run(l, &settings, &m, SPAN("S: x\r\n\r\n"), &v), ATTEMPT_GOOD);
        assert_true(v.is_by_done);
        if (!span_starts(strbuf_span(&s.sent), SPAN("MAIL FROM:<a@x.test> BY=90;NT MT-PRIORITY=4\r\n"
                                                    "RCPT TO:<b@one.test> ORCPT=utf-8;b\\x{FC}@one.test\r\n")))
            fail_msg("%zu: %s", i, strbuf_cstr(&s.sent));
        link_close(&l, false);
        strbuf_free(&s.sent);
    }
    clock_unfake();
}

/* RFC 8689 §5: a report of a message that required TLS goes on without it, with the parameter where it is known. */
static void reports_are_not_lost_for_want_of_requiretls(void **state)
{
    (void)state;
    struct script s = {.replies = "250 a\r\n250 b\r\n354 go\r\n250 ok\r\n", .step = 100};
    struct queue_recipient to = {.address = SPAN("b@one.test")};
    struct queue_message m = {.sender = SPAN(""), .recipients = &to, .recipient_count = 1, .wishes = {.is_tls_required = true}};
    struct verdict v;
    struct link *l = link_to(&s, PIPELINE);
    assert_int_equal(attempt_run(l, &settings, &m, SPAN("S: x\r\n\r\n"), &v), ATTEMPT_GOOD);
    assert_int_equal(v.state, QUEUE_DELIVERED);
    link_close(&l, false);
    strbuf_free(&s.sent);
}

/* RFC 9422. */
static void limits_of_the_peer(void **state)
{
    (void)state;
    struct script s = {.replies = "250 a\r\n250 b\r\n354 go\r\n250 ok\r\n", .step = 100};
    struct link *l = link_to(&s, "250-x\r\n250 LIMITS RCPTMAX=20 MAILMAX=1 FOO RCPTDOMAINMAX=2 BAR=x RCPTMAX=y\r\n");
    assert_int_equal(link_messages_max(l), 1);
    assert_int_equal(link_recipients_max(l), 20);
    assert_true(link_takes_domain(l, SPAN("one.test")) && link_takes_domain(l, SPAN("two.test")));
    assert_false(link_takes_domain(l, SPAN("three.test")));
    assert_true(link_takes_domain(l, SPAN("ONE.test")));
    struct queue_recipient to = {.address = SPAN("b@one.test")};
    struct queue_message m = {.sender = SPAN("a@x.test"), .recipients = &to, .recipient_count = 1};
    struct verdict v;
    assert_int_equal(attempt_run(l, &settings, &m, SPAN("S: x\r\n\r\n"), &v), ATTEMPT_OVER); /* no second MAIL */
    assert_int_equal(v.state, QUEUE_DELIVERED);
    link_close(&l, false);
    strbuf_free(&s.sent);
    s = (struct script){.replies = "", .step = 100};
    l = link_to(&s, PIPELINE);
    assert_int_equal(link_messages_max(l), LINK_MESSAGES_MAX);
    assert_int_equal(link_recipients_max(l), 0);
    assert_true(link_takes_domain(l, SPAN("any.test")));
    link_close(&l, false);
    strbuf_free(&s.sent);
}

/* RFC 8689 §4.1. */
static void what_a_message_says_of_tls(void **state)
{
    (void)state;
    static const struct {
        const char *sender, *body;
        bool is_required;
        enum tls_wish wish;
    } cases[] = {
        {"a@x.test", "S: x\r\n\r\nTLS-Required: No\r\n", false, TLS_WISH_NONE},
        {"a@x.test", "S: x\r\nTLS-Required: No\r\n\r\n", false, TLS_WISH_WAIVED},
        {"a@x.test", "tls-required:\r\n no\r\nS: x\r\n\r\n", false, TLS_WISH_WAIVED},
        {"a@x.test", "TLS-Required: Yes\r\n\r\n", false, TLS_WISH_NONE},
        {"a@x.test", "TLS-Required: No\r\n\r\n", true, TLS_WISH_REQUIRED},
        {"", "S: x\r\n\r\n", true, TLS_WISH_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct queue_message m = {.sender = span_cstr(cases[i].sender), .wishes = {.is_tls_required = cases[i].is_required}};
        assert_int_equal(prepare_tls_wish(&m, span_cstr(cases[i].body)), cases[i].wish);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts),
        cmocka_unit_test(what_cannot_go_there),
        cmocka_unit_test(the_peers_shortest_time),
        cmocka_unit_test(wishes_are_handed_on_to_who_knows_them),
        cmocka_unit_test(all_wishes_are_in_every_form_of_the_envelope),
        cmocka_unit_test(reports_are_not_lost_for_want_of_requiretls),
        cmocka_unit_test(limits_of_the_peer),
        cmocka_unit_test(what_a_message_says_of_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
