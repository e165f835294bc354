/* test_smtp_command.c - SMTP's command lines: the RFC's examples, and what must not pass. */
#include "check.h"
#include "base/arena.h"
#include "text/smtp_command.h"

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool ok;
        const char *verb, *args;
    } rows[] = {
        {"EHLO foo.example.test", true, "EHLO", "foo.example.test"},
        {"quit", true, "quit", ""},
        {"NOOP  ", true, "NOOP", ""},
        {"MAIL FROM:<a@example.test> SIZE=1", true, "MAIL", "FROM:<a@example.test> SIZE=1"},
        {"DATA\t", true, "DATA", ""},
        {"", false, "", ""},
        {" EHLO x", false, "", ""},
        {"EHLO\rx", false, "", ""},
        {"EHLO x\r", false, "", ""},
        {"EHLO\nMAIL", false, "", ""},
        {"MAIL<x>", false, "", ""},
        {"\x16\x03\x01", false, "", ""}, /* TLS on a plain port */
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct span verb = SPAN(""), args = SPAN("");
        if (smtp_command_split(span_cstr(rows[i].line), &verb, &args) != rows[i].ok)
            fail_msg("row %zu: \"%s\"", i, rows[i].line);
        check_span(rows[i].line, verb, span_cstr(rows[i].verb));
        check_span(rows[i].line, args, span_cstr(rows[i].args));
    }
    struct span verb, args;
    assert_false(smtp_command_split(span_of("NOOP \0x", 7), &verb, &args));
}

static void test_mail(void **state)
{
    (void)state;
    static const struct {
        const char *args;
        enum smtp_fault fault;
        const char *local, *domain;
        uint64_t size;
        bool is_8bit, is_utf8;
    } rows[] = {
        {"FROM:<Smith@bar.example.test>", SMTP_FINE, "Smith", "bar.example.test", 0, false, false}, /* RFC 5321 D.1 */
        {"from:<a@example.test>", SMTP_FINE, "a", "example.test", 0, false, false},
        {"FROM:<>", SMTP_FINE, "", "", 0, false, false},
        {"FROM: <a@example.test>", SMTP_FINE, "a", "example.test", 0, false, false},
        {"FROM:<@one.test,@two.test:a@example.test>", SMTP_FINE, "a", "example.test", 0, false, false},
        {"FROM:<\"a b\"@example.test>", SMTP_FINE, "a b", "example.test", 0, false, false},
        {"FROM:<a@example.test> SIZE=500000", SMTP_FINE, "a", "example.test", 500000, false, false}, /* RFC 1870 §10 */
        {"FROM:<a@example.test> BODY=8BITMIME", SMTP_FINE, "a", "example.test", 0, true, false},
        {"FROM:<a@example.test> body=7bit size=7", SMTP_FINE, "a", "example.test", 7, false, false},
        {"FROM:<e=mc2@example.test> AUTH=e+3Dmc2@example.test", SMTP_FINE, "e=mc2", "example.test", 0, false, false},
        {"FROM:<a@example.test> AUTH=<>", SMTP_FINE, "a", "example.test", 0, false, false},
        {"FROM:<\xc3\xa4@example.test> SMTPUTF8", SMTP_FINE, "\xc3\xa4", "example.test", 0, false, true},
        {"FROM:<a@example.test>  SIZE=1 ", SMTP_FINE, "a", "example.test", 1, false, false},

        {"", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"<a@example.test>", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:a@example.test", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test>SIZE=1", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> SIZE=1 SIZE=1", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> SIZE=", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> SIZE", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> SIZE=1x", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> SIZE=99999999999999999999", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> BODY=BINARYMIME", SMTP_FINE, "a", "example.test", 0, true, false},
        {"FROM:<a@example.test> BODY=BINARY", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> SMTPUTF8=1", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> =1", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> X=1=2", SMTP_BAD_SYNTAX, "", "", 0, false, false},
        {"FROM:<a@example.test> FOO=1", SMTP_UNKNOWN_PARAMETER, "", "", 0, false, false},
        {"FROM:<a@example.test> XTRACE=abc", SMTP_UNKNOWN_PARAMETER, "", "", 0, false, false},
        {"FROM:<a@@example.test>", SMTP_BAD_ADDRESS, "", "", 0, false, false},
        {"FROM:<a", SMTP_BAD_ADDRESS, "", "", 0, false, false},
        {"FROM:<postmaster>", SMTP_BAD_ADDRESS, "", "", 0, false, false},
        {"FROM:<a@-example.test>", SMTP_BAD_ADDRESS, "", "", 0, false, false},
        {"FROM:<\xc3\xa4@example.test>", SMTP_NEEDS_SMTPUTF8, "", "", 0, false, false},
        {"FROM:<\xc3@example.test> SMTPUTF8", SMTP_BAD_ADDRESS, "", "", 0, false, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct smtp_mail_args m;
        struct err err = {.status = ST_OK};
        enum smtp_fault f = smtp_mail_parse(&a, span_cstr(rows[i].args), SMTP_PARAM_BINARYMIME, &m, &err);
        if (f != rows[i].fault)
            fail_msg("\"%s\": fault %d instead of %d (%s)", rows[i].args, (int)f, (int)rows[i].fault, err.client);
        if (f != SMTP_FINE) {
            assert_int_not_equal(err.status, ST_OK);
            continue;
        }
        check_span(rows[i].args, m.from.local_part, span_cstr(rows[i].local));
        check_span(rows[i].args, m.from.domain, span_cstr(rows[i].domain));
        assert_int_equal(m.size, rows[i].size);
        assert_int_equal(m.is_8bit, rows[i].is_8bit);
        assert_int_equal(m.is_smtputf8, rows[i].is_utf8);
    }
}

static void test_trace(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct smtp_mail_args m;
    struct err err;
    assert_int_equal(smtp_mail_parse(&a, SPAN("FROM:<> XTRACE=abc123"), SMTP_PARAM_XTRACE, &m, &err), SMTP_FINE);
    check_span("trace", m.trace, SPAN("abc123"));
    assert_int_equal(smtp_mail_parse(&a, SPAN("FROM:<> XTRACE=a-b"), SMTP_PARAM_XTRACE, &m, &err), SMTP_BAD_SYNTAX);
    assert_int_equal(smtp_mail_parse(&a, SPAN("FROM:<> XTRACE=123456789012345678901234567890123"), SMTP_PARAM_XTRACE, &m, &err),
                     SMTP_BAD_SYNTAX);
}

/* What is asked for beside the delivery: RFC 8689, 4865, 2852, 6710. */
static void test_wishes(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        int64_t hold_for, hold_until;
        enum smtp_by by;
        bool is_traced;
        int64_t by_seconds;
        int priority;
        const char *request;
    } good[] = {
        {"HOLDFOR=1", 1, 0, 0, false, 0, 0, ""},
        {"holdfor=999999999", 999999999, 0, 0, false, 0, 0, ""},
        {"HOLDUNTIL=2026-01-31T12:00:00Z", 0, 1769860800, 0, false, 0, 0, ""},
        {"HOLDUNTIL=2026-01-31T13:00:00.5+01:00", 0, 1769860800, 0, false, 0, 0, ""},
        {"BY=120;R", 0, 0, SMTP_BY_RETURN, false, 120, 0, ""},
        {"by=+120;rt", 0, 0, SMTP_BY_RETURN, true, 120, 0, ""},
        {"BY=-999999999;NT", 0, 0, SMTP_BY_NOTIFY, true, -999999999, 0, ""},
        {"BY=0;N", 0, 0, SMTP_BY_NOTIFY, false, 0, 0, ""},
        {"MT-PRIORITY=-9", 0, 0, 0, false, 0, -9, ""},
        {"mt-priority=9 REQUIRETLS BY=1;R HOLDFOR=5", 5, 0, SMTP_BY_RETURN, false, 1, 9, ""},
        {"MT-PRIORITY=0", 0, 0, 0, false, 0, 0, ""},
        {"XHELD=until;2026-01-31T12:00:00Z", 0, 0, 0, false, 0, 0, "until;2026-01-31T12:00:00Z"},
    };
    static const char *const bad[] = {
        "HOLDFOR", "HOLDFOR=", "HOLDFOR=0", "HOLDFOR=-1", "HOLDFOR=+1", "HOLDFOR=1.5", "HOLDFOR=1000000000", "HOLDFOR=0000000001",
        "HOLDFOR=99999999999999999999999", "HOLDFOR=1 HOLDFOR=1", "HOLDFOR=1 HOLDUNTIL=2026-01-31T12:00:00Z",
        "HOLDUNTIL=2026-01-31T12:00:00Z HOLDFOR=1", "HOLDUNTIL=2026-01-31T12:00:00Z HOLDUNTIL=2026-01-31T12:00:00Z", "HOLDUNTIL",
        "HOLDUNTIL=", "HOLDUNTIL=2026-01-31", "HOLDUNTIL=2026-02-30T12:00:00Z", "HOLDUNTIL=2026-01-31T24:00:00Z",
        "HOLDUNTIL=2026-01-31T12:00:00", "HOLDUNTIL=99999-01-31T12:00:00Z", "HOLDUNTIL=1960-01-31T12:00:00Z",
        "BY", "BY=", "BY=1", "BY=1;", "BY=;R", "BY=1;X", "BY=1;RN", "BY=1;RTT", "BY=1;TR", "BY=0;R", "BY=-1;R", "BY=-0;R", "BY=--1;N",
        "BY=+-1;N", "BY=1000000000;N", "BY=99999999999999999999;N", "BY=1 ;N", "BY=1;R BY=1;R", "BY=1;R by=2;N", "BY=0x1;N",
        "MT-PRIORITY", "MT-PRIORITY=", "MT-PRIORITY=10", "MT-PRIORITY=-10", "MT-PRIORITY=+1", "MT-PRIORITY=-0", "MT-PRIORITY=-",
        "MT-PRIORITY=01", "MT-PRIORITY=1.0", "MT-PRIORITY=99999999999999999999", "MT-PRIORITY=1 MT-PRIORITY=1",
        "REQUIRETLS=", "REQUIRETLS=yes", "REQUIRETLS REQUIRETLS", "XHELD=", "XHELD=for", "XHELD=x;1", "XHELD=for;<1>", "XHELD=for;1 XHELD=for;1",
        "XHELD=until;12345678901234567890123456789012345",
    };
    for (size_t i = 0; i < ROWS(good); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct smtp_mail_args m;
        struct err err;
        struct span args = arena_printf(&a, "FROM:<a@example.test> %s", good[i].params);
        if (smtp_mail_parse(&a, args, SMTP_PARAMS_ALL, &m, &err) != SMTP_FINE)
            fail_msg("\"%s\": %s", good[i].params, err.client);
        if (m.hold_for != good[i].hold_for || m.hold_until != good[i].hold_until || m.by != good[i].by || m.is_by_traced != good[i].is_traced ||
            m.by_seconds != good[i].by_seconds || m.priority != good[i].priority || !span_eq(m.hold_request, span_cstr(good[i].request)))
            fail_msg("\"%s\" was read otherwise", good[i].params);
        if (smtp_mail_parse(&a, args, 0, &m, &err) != SMTP_UNKNOWN_PARAMETER) /* where none of it was announced */
            fail_msg("\"%s\" is known", good[i].params);
    }
    for (size_t i = 0; i < ROWS(bad); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct smtp_mail_args m;
        struct err err;
        struct span args = arena_printf(&a, "FROM:<a@example.test> %s", bad[i]);
        if (smtp_mail_parse(&a, args, SMTP_PARAMS_ALL, &m, &err) != SMTP_BAD_SYNTAX)
            fail_msg("\"%s\" was taken", bad[i]);
    }
}

static void test_rcpt(void **state)
{
    (void)state;
    static const struct {
        const char *args;
        bool is_utf8;
        enum smtp_fault fault;
        const char *local, *domain;
    } rows[] = {
        {"TO:<Jones@foo.example.test>", false, SMTP_FINE, "Jones", "foo.example.test"},
        {"TO:<Postmaster>", false, SMTP_FINE, "Postmaster", ""}, /* RFC 5321 §4.1.1.3 */
        {"TO:<a@[127.0.0.1]>", false, SMTP_FINE, "a", "[127.0.0.1]"},
        {"TO:<b\xc3\xbc@example.test>", true, SMTP_FINE, "b\xc3\xbc", "example.test"},
        {"TO:<>", false, SMTP_BAD_ADDRESS, "", ""},
        {"TO:<nobody>", false, SMTP_BAD_ADDRESS, "", ""},
        {"FROM:<a@example.test>", false, SMTP_BAD_SYNTAX, "", ""},
        {"TO:<a@example.test> NOTIFY=NEVER", false, SMTP_UNKNOWN_PARAMETER, "", ""},
        {"TO:<b\xc3\xbc@example.test>", false, SMTP_NEEDS_SMTPUTF8, "", ""},
        {"TO:<a@example.test>,<b@example.test>", false, SMTP_BAD_SYNTAX, "", ""},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct smtp_rcpt_args rcpt;
        struct err err;
        enum smtp_fault f = smtp_rcpt_parse(&a, span_cstr(rows[i].args), 0, rows[i].is_utf8, &rcpt, &err);
        if (f != rows[i].fault)
            fail_msg("\"%s\": fault %d instead of %d", rows[i].args, (int)f, (int)rows[i].fault);
        if (f != SMTP_FINE)
            continue;
        /* "<postmaster>" is compared without case by whoever routes it. */
        if (!span_ieq(rcpt.to.local_part, span_cstr(rows[i].local)))
            fail_msg("\"%s\": local part \"%.*s\"", rows[i].args, SPAN_ARG(rcpt.to.local_part));
        check_span(rows[i].args, rcpt.to.domain, span_cstr(rows[i].domain));
    }
}

static void test_hello(void **state)
{
    (void)state;
    static const char *const good[] = {"mail.example.test", "[192.0.2.1]", "[IPv6:2001:db8::1]", "my_pc",
                                       "b\xc3\xbc.test"};
    static const char *const bad[] = {"", "a b", "a(b)", "a\"b", "[]]", "a;b", "\xff"};
    for (size_t i = 0; i < ROWS(good); i++)
        if (!smtp_hello_is_valid(span_cstr(good[i])))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < ROWS(bad); i++)
        if (smtp_hello_is_valid(span_cstr(bad[i])))
            fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split), cmocka_unit_test(test_mail),  cmocka_unit_test(test_trace),
        cmocka_unit_test(test_rcpt),  cmocka_unit_test(test_hello), cmocka_unit_test(test_wishes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
