/* test_trace.c - Received in all its forms (RFC 5321 §4.4, RFC 3848, RFC 6531 §4.3), and what is read of a message's
 * header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include "base/clock.h"
#include "fake_session.h"
#include "smtp/trace.h"

static const char *hostname(const struct session *s)
{
    (void)s;
    return "mx.example.test";
}

static void test_received(void **state)
{
    (void)state;
    static const struct {
        const char *hello, *address;
        enum smtp_mode_bit mode;
        bool is_extended, is_tls, is_login, is_utf8;
        const char *want; /* up to " id " */
    } rows[] = {
        {"c.test", "192.0.2.1", MODE_MX, false, false, false, false,
         "from c.test ([192.0.2.1])\r\n\tby mx.example.test with SMTP"},
        {"c.test", "192.0.2.1", MODE_MX, true, false, false, false,
         "from c.test ([192.0.2.1])\r\n\tby mx.example.test with ESMTP"},
        {"c.test", "2001:db8::1", MODE_MX, true, true, false, false,
         "from c.test ([IPv6:2001:db8::1])\r\n\tby mx.example.test with ESMTPS"},
        {"c.test", "192.0.2.1", MODE_SUBMISSION, true, false, true, false,
         "from c.test ([192.0.2.1])\r\n\tby mx.example.test with ESMTPA"},
        {"c.test", "192.0.2.1", MODE_SUBMISSION, true, true, true, true,
         "from c.test ([192.0.2.1])\r\n\tby mx.example.test with UTF8SMTPSA"},
        {"c.test", "", MODE_LMTP, true, false, false, false, "from c.test (local)\r\n\tby mx.example.test with LMTP"},
        {"c.test", "192.0.2.1", MODE_LMTP, true, true, false, true,
         "from c.test ([192.0.2.1])\r\n\tby mx.example.test with UTF8LMTPS"},
        /* what is no domain may not stand where a domain stands */
        {"my_pc", "192.0.2.1", MODE_MX, true, false, false, false,
         "from [192.0.2.1] (helo=my_pc [192.0.2.1])\r\n\tby mx.example.test with ESMTP"},
        {"[192.0.2.7]", "192.0.2.1", MODE_MX, true, false, false, false,
         "from [192.0.2.1] (helo=[192.0.2.7] [192.0.2.1])\r\n\tby mx.example.test with ESMTP"},
    };
    clock_fake(1769860800000, 0); /* 2026-01-31 12:00 UTC */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct session s = {.is_tls = rows[i].is_tls};
        snprintf(s.peer.address, sizeof s.peer.address, "%s", rows[i].address);
        struct smtp_mode mode = {.bit = rows[i].mode, .hostname = hostname};
        struct smtp_recipient to[2] = {{.text = SPAN("bob@example.test")}, {.text = SPAN("alice@example.test")}};
        struct smtp_transaction t = {.trace = "t1", .recipients = to, .count = 1 + i % 2};
        t.mail.is_smtputf8 = rows[i].is_utf8;
        char hello[32], account[] = "alice@example.test";
        snprintf(hello, sizeof hello, "%s", rows[i].hello);
        struct smtp sm = {.session = &s, .mode = &mode, .hello = hello, .transaction = &t};
        sm.is_extended = rows[i].is_extended;
        sm.account = rows[i].is_login ? account : NULL;
        AUTO_STRBUF got = STRBUF_INIT, want = STRBUF_INIT;
        received_write(&sm, &got);
        strbuf_addf(&want, "Received: %s id t1%s; Sat, 31 Jan 2026 12:00:00 +0000\r\n", rows[i].want,
                    i % 2 ? "" : "\r\n\tfor <bob@example.test>");
        assert_string_equal(strbuf_cstr(&got), strbuf_cstr(&want));
        t.mail.priority = -3; /* RFC 6710 §7 */
        strbuf_clear(&got);
        received_write(&sm, &got);
        assert_true(span_find(strbuf_span(&got), SPAN("\r\n\tPRIORITY -3; Sat, "), 0) != SPAN_NPOS);
    }
    clock_unfake();
}

static void test_facts(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct message_facts f;
    message_facts_of(
        &a,
        SPAN("Received: a\r\nRECEIVED : b\r\n c\r\nReturn-Path: <x>\r\nFrom: me\r\nDelivered-To:  bob@example.test \r\n"
             "Message-Id: <1>\r\n\r\nDate: in the body\r\nBcc: too\r\n"),
        &f);
    assert_int_equal(f.hops, 2);
    assert_true(f.has_return_path && f.has_message_id && !f.has_date && !f.has_bcc);
    assert_int_equal(f.delivered_to_count, 1);
    assert_true(span_eq(f.delivered_to[0], SPAN("bob@example.test")));
    AUTO_STRBUF made = STRBUF_INIT;
    message_complete(&f, "t1", "mx.example.test", &made);
    assert_true(span_starts(strbuf_span(&made), SPAN("Date: ")));
    assert_true(span_find(strbuf_span(&made), SPAN("Message-ID"), 0) == SPAN_NPOS);
}

static void test_drop_fields(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"Bcc: a\r\nTo: b\r\n\r\nBcc: body\r\n", "To: b\r\n\r\nBcc: body\r\n"},
        {"To: b\r\nBCC: a,\r\n\tb,\r\n c\r\nX: y\r\nbcc: d\r\n\r\n", "To: b\r\nX: y\r\n\r\n"},
        {"Bcc: a\r\n", ""},
        {"Bcc: a\r\n\r\n", "\r\n"},
        {"Bccs: a\r\n\r\n", "Bccs: a\r\n\r\n"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err;
        struct span got;
        AUTO(body) b = body_new(1000);
        assert_int_equal(body_append(b, span_cstr(rows[i].in), &err), ST_OK);
        assert_int_equal(message_drop_fields(&b, &SPAN("Bcc"), 1, &err), ST_OK);
        assert_int_equal(body_span(b, &got, &err), ST_OK);
        if (!span_eq(got, span_cstr(rows[i].out)))
            fail_msg("row %zu: \"%.*s\"", i, SPAN_ARG(got));
    }
}

static void test_ids_differ(void **state)
{
    (void)state;
    char a[SMTP_TRACE_MAX + 1], b[SMTP_TRACE_MAX + 1];
    trace_new(a);
    trace_new(b);
    assert_string_not_equal(a, b);
    assert_true(smtp_trace_is_valid(span_cstr(a)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_drop_fields),
        cmocka_unit_test(test_ids_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
