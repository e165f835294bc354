/* test_dsn.c - delivery status notifications: which are wanted (RFC 3461 §4.1), and what is in them (RFC 3464, 6522, 6533). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "smtp/dsn.h"

static void wanted(void **state)
{
    (void)state;
    static const struct {
        unsigned notify;
        bool failed, delayed, delivered, relayed;
    } rows[] = {
        {QUEUE_NOTIFY_DEFAULT, true, true, false, false},
        {QUEUE_NOTIFY_NEVER, false, false, false, false},
        {QUEUE_NOTIFY_SUCCESS, false, false, true, true},
        {QUEUE_NOTIFY_FAILURE, true, false, false, false},
        {QUEUE_NOTIFY_DELAY, false, true, false, false},
        {QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_FAILURE | QUEUE_NOTIFY_DELAY, true, true, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(dsn_is_wanted(rows[i].notify, DSN_FAILED), rows[i].failed);
        assert_int_equal(dsn_is_wanted(rows[i].notify, DSN_DELAYED), rows[i].delayed);
        assert_int_equal(dsn_is_wanted(rows[i].notify, DSN_DELIVERED), rows[i].delivered);
        assert_int_equal(dsn_is_wanted(rows[i].notify, DSN_RELAYED), rows[i].relayed);
    }
}

static const char original[] = "From: alice\r\nSubject: the original\r\n\r\nits body\r\n";

static void write(const struct queue_message *about, const struct dsn_recipient *to, size_t count, const char *message,
                  struct strbuf *out, bool *is_utf8)
{
    struct dsn d = {"mx.example.test", about, 1000000, span_cstr(message), to, count};
    dsn_write(&d, out, is_utf8);
}

static void has(const struct strbuf *text, const char *what)
{
    if (span_find(strbuf_span(text), span_cstr(what), 0) == SPAN_NPOS)
        fail_msg("\"%s\" is not in\n%s", what, strbuf_cstr(text));
}

static void has_not(const struct strbuf *text, const char *what)
{
    if (span_find(strbuf_span(text), span_cstr(what), 0) != SPAN_NPOS)
        fail_msg("\"%s\" is in\n%s", what, strbuf_cstr(text));
}

static void failed(void **state)
{
    (void)state;
    AUTO_STRBUF out = STRBUF_INIT;
    bool is_utf8;
    struct queue_message m = {.sender = SPAN("alice@example.test"), .trace = SPAN("abc"), .queued_at = 0,
                              .wishes = {.envid = SPAN("QQ314159+2B1")}};
    struct dsn_recipient to[] = {{DSN_FAILED, SPAN("bob@one.test"), SPAN("rfc822;b+2Bb@one.test"), SPAN("550 5.1.1 nobody\r\nhere"), SPAN("mx.one.test"), 0},
                                 {DSN_FAILED, SPAN("carol@two.test"), SPAN_NONE, SPAN("450 4.4.7 too long"), SPAN_NONE, 0}};
    write(&m, to, 2, original, &out, &is_utf8);
    assert_false(is_utf8);
    has(&out, "To: <alice@example.test>\r\n");
    has(&out, "Auto-Submitted: auto-replied\r\n");
    has(&out, "Content-Type: multipart/report; report-type=delivery-status;");
    has(&out, "Original-Envelope-Id: QQ314159+1\r\nReporting-MTA: dns; mx.example.test\r\n");
    has(&out, "Arrival-Date: Thu, ");
    has(&out, "\r\n\r\nOriginal-Recipient: rfc822; b+b@one.test\r\nFinal-Recipient: rfc822; bob@one.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"
              "Remote-MTA: dns; mx.one.test\r\nDiagnostic-Code: smtp; 550 5.1.1 nobody??here\r\n");
    has(&out, "\r\n\r\nFinal-Recipient: rfc822; carol@two.test\r\nAction: failed\r\nStatus: 4.4.7\r\nLast-Attempt-Date: ");
    has(&out, "Content-Type: text/rfc822-headers\r\n");
    has(&out, "Subject: the original\r\n");
    has_not(&out, "its body");
}

static void whole_messages_go_back_where_they_are_wanted(void **state)
{
    (void)state;
    bool is_utf8;
    struct queue_message m = {.sender = SPAN("alice@example.test"), .trace = SPAN("abc"), .wishes = {.ret = QUEUE_RET_FULL}};
    struct dsn_recipient to = {.action = DSN_FAILED, .address = SPAN("bob@one.test")};
    AUTO_STRBUF full = STRBUF_INIT, success = STRBUF_INIT;
    write(&m, &to, 1, original, &full, &is_utf8);
    has(&full, "Content-Type: message/rfc822\r\n");
    has(&full, "its body");
    AUTO_STRBUF secret = STRBUF_INIT; /* RFC 8689 §5 */
    m.wishes.is_tls_required = true;
    write(&m, &to, 1, original, &secret, &is_utf8);
    has_not(&secret, "its body");
    m.wishes.is_tls_required = false;
    to.action = DSN_RELAYED; /* RFC 3461 §4.3: only of failures */
    write(&m, &to, 1, original, &success, &is_utf8);
    has(&success, "Action: relayed\r\nStatus: 2.0.0\r\n");
    has_not(&success, "its body");
}

static void delayed(void **state)
{
    (void)state;
    bool is_utf8;
    AUTO_STRBUF out = STRBUF_INIT;
    struct queue_message m = {.sender = SPAN("alice@example.test"), .trace = SPAN("abc")};
    struct dsn_recipient to = {DSN_DELAYED, SPAN("bob@one.test"), SPAN_NONE, SPAN("550 5.1.1 not so"), SPAN_NONE, 2000000};
    write(&m, &to, 1, original, &out, &is_utf8);
    has(&out, "Action: delayed\r\nStatus: 4.0.0\r\n");
    has(&out, "Will-Retry-Until: Sat, 24 Jan 1970 03:33:20 +0000\r\n");
}

static void beyond_ascii(void **state)
{
    (void)state;
    bool is_utf8;
    AUTO_STRBUF global = STRBUF_INIT, plain = STRBUF_INIT;
    struct queue_message m = {.sender = SPAN("alice@example.test"), .trace = SPAN("abc"), .wishes = {.is_smtputf8 = true}};
    struct dsn_recipient to = {.action = DSN_FAILED, .address = SPAN("b\xc3\xbc@one.test"), .reply = SPAN("550 5.1.1 \xff")};
    write(&m, &to, 1, original, &global, &is_utf8);
    assert_true(is_utf8);
    has(&global, "report-type=global-delivery-status");
    has(&global, "Content-Type: message/global-delivery-status\r\n");
    has(&global, "Final-Recipient: utf-8; b\xc3\xbc@one.test\r\n");
    has(&global, "550 5.1.1 ?\r\n");
    has(&global, "Content-Type: message/global-headers\r\n");
    to.address = SPAN("bob@one.test");
    write(&m, &to, 1, original, &plain, &is_utf8);
    assert_false(is_utf8);

    /* A header with 8-bit octets is UTF-8 where SMTPUTF8 said so; of other mail nobody knows what it is. */
    static const char old[] = "Subject: b\xfc" "cher\r\n\r\nbody\r\n";
    write(&m, &to, 1, old, &global, &is_utf8);
    assert_true(is_utf8);
    AUTO_STRBUF ordinary = STRBUF_INIT;
    m.wishes.is_smtputf8 = false;
    write(&m, &to, 1, old, &ordinary, &is_utf8);
    assert_false(is_utf8);
    has(&ordinary, "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: b\xfc" "cher\r\n");
}

/* RFC 6533 §3. */
static void original_recipients_beyond_ascii(void **state)
{
    (void)state;
    static const struct {
        const char *orcpt, *global, *plain;
    } rows[] = {
        {"utf-8;b\\x{FC}@one.test", "utf-8; b\xc3\xbc@one.test", "utf-8; b\\x{FC}@one.test"},
        {"utf-8;b\xc3\xbc@one.test", "utf-8; b\xc3\xbc@one.test", "utf-8; b\\x{FC}@one.test"},
        {"utf-8;b\\x{1F600}\\x{2B}x@one.test", "utf-8; b\xf0\x9f\x98\x80+x@one.test", "utf-8; b\\x{1F600}\\x{2B}x@one.test"},
        {"rfc822;b+2Bx@one.test", "rfc822; b+x@one.test", "rfc822; b+x@one.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_STRBUF global = STRBUF_INIT, plain = STRBUF_INIT, line = STRBUF_INIT;
        struct queue_message m = {.sender = SPAN("alice@example.test"), .trace = SPAN("abc")};
        struct dsn_recipient to = {.action = DSN_DELIVERED, .address = SPAN("b\xc3\xbc@one.test"), .orcpt = span_cstr(rows[i].orcpt)};
        bool is_utf8;
        write(&m, &to, 1, original, &global, &is_utf8);
        strbuf_addf(&line, "\r\nOriginal-Recipient: %s\r\n", rows[i].global);
        has(&global, strbuf_cstr(&line));
        to.address = SPAN("xn@one.test");
        strbuf_clear(&line);
        strbuf_addf(&line, "\r\nOriginal-Recipient: %s\r\n", rows[i].plain);
        write(&m, &to, 1, original, &plain, &is_utf8);
        has(&plain, strbuf_cstr(&line));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wanted),  cmocka_unit_test(failed),       cmocka_unit_test(whole_messages_go_back_where_they_are_wanted),
        cmocka_unit_test(delayed), cmocka_unit_test(beyond_ascii), cmocka_unit_test(original_recipients_beyond_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
