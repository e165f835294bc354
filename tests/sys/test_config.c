/* The config: a whole one, its defaults, and every kind of mistake with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "sys/config.h"

static struct err err;

static enum status parse(const char *text, struct config **c)
{
    *c = NULL;
    return config_parse(span_cstr(text), "tassis.conf", "/etc/tassis", c, &err);
}

static void test_whole(void **state)
{
    (void)state;
    struct config *c;
    static const char text[] = "; the example of the documentation\n"
                               "[server]\n"
                               "hostname = MX.example.TEST\n"
                               "data     = /var/lib/tassis\n"
                               "user     = post            ; only used when started as root\n"
                               "[listen]\n"
                               "smtp        = 0.0.0.0:25 [::]:25\n"
                               "submission  = 127.0.0.1:587\n"
                               "   127.0.0.2:587\n"
                               "imaps       = [::1]:993\n"
                               "lmtp        =                ; or a Unix path\n"
                               "[tls]\n"
                               "certificate = cert.pem /abs/cert2.pem\n"
                               "key         = key.pem key2.pem\n"
                               "[dns]\n"
                               "resolver     = 127.0.0.1:53\n"
                               "[auth]\n"
                               "plaintext = loopback\n"
                               "[limits]\n"
                               "message_size         = 20M\n"
                               "sessions_per_address = 7\n"
                               "sessions_per_account = 0\n"
                               "[smtp]\n"
                               "subaddress_separator =\n"
                               "etrn = 192.0.2.0/24 ::1\n"
                               "priority = 192.0.2.9 Alice@Example.TEST staff.example.test 2001:db8::/32\n";
    assert_int_equal(parse(text, &c), ST_OK);
    assert_string_equal(c->hostname, "mx.example.test");
    assert_string_equal(c->data, "/var/lib/tassis");
    assert_string_equal(c->user, "post");
    assert_int_equal(c->listen_count, 5);
    assert_int_equal(c->listen[1].service, SERVICE_SMTP);
    assert_string_equal(c->listen[1].host, "::");
    assert_string_equal(c->listen[1].text, "[::]:25");
    assert_int_equal(c->listen[3].service, SERVICE_SUBMISSION);
    assert_string_equal(c->listen[3].host, "127.0.0.2");
    assert_int_equal(c->listen[4].port, 993);
    assert_int_equal(c->certificate_count, 2);
    assert_string_equal(c->certificates[0], "/etc/tassis/cert.pem");
    assert_string_equal(c->certificates[1], "/abs/cert2.pem");
    assert_string_equal(c->keys[1], "/etc/tassis/key2.pem");
    assert_string_equal(c->resolver, "127.0.0.1:53");
    assert_null(c->trust_anchor);
    assert_true(c->is_loopback_plaintext_allowed);
    assert_int_equal(c->message_size, 20 << 20);
    assert_int_equal(c->sessions_per_address, 7);
    assert_int_equal(c->sessions_per_account, 0);
    assert_string_equal(c->subaddress_separator, "");
    assert_true(ip_set_has_text(&c->smtp.etrn, SPAN("192.0.2.77")) && !ip_set_has_text(&c->smtp.etrn, SPAN("192.0.3.1")));
    assert_true(ip_set_has_text(&c->smtp.priority_networks, SPAN("192.0.2.9")));
    assert_true(ip_set_has_text(&c->smtp.priority_networks, SPAN("2001:db8::5")));
    assert_int_equal(c->smtp.priority_account_count, 2);
    assert_true(span_eq(c->smtp.priority_accounts[0], SPAN("alice@example.test")));
    assert_true(span_eq(c->smtp.priority_accounts[1], SPAN("staff.example.test")));
    config_free(&c);
    assert_null(c);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *c;
    assert_int_equal(parse("[server]\r\nhostname = a.test\r\ndata = d\r\n", &c), ST_OK);
    assert_string_equal(c->user, "tassis");
    assert_string_equal(c->data, "/etc/tassis/d");
    assert_int_equal(c->listen_count, 0);
    assert_int_equal(c->message_size, 50 << 20);
    assert_int_equal(c->sessions_per_address, 100);
    assert_int_equal(c->sessions_per_account, 100);
    assert_false(c->is_loopback_plaintext_allowed);
    assert_string_equal(c->subaddress_separator, "+");
    assert_int_equal(c->trace.keep_seconds, 14 * 86400);
    assert_int_equal(c->trace.size_max, 1 << 30);
    config_free(&c);
}

static void test_quota_and_rates(void **state)
{
    (void)state;
    struct config *c;
    assert_int_equal(parse("[server]\nhostname = a.test\ndata = d\n", &c), ST_OK);
    assert_true(c->quota.storage == CONFIG_NO_QUOTA && c->quota.messages == CONFIG_NO_QUOTA);
    assert_false(c->quota.is_permanent);
    for (int i = 0; i < RATE_COUNT; i++)
        assert_int_equal(c->rates.hourly[i], 0);
    config_free(&c);
    assert_int_equal(parse("[server]\nhostname = a.test\ndata = d\n"
                           "[quota]\nstorage = 2t\nmessages = 0\nmailboxes = 7\nwhen_full = refuse\n"
                           "administrators = Root@Example.TEST\n  other@b\xc3\xbc" "cher.test\n"
                           "[rates]\nmessages_per_account = 100\nrecipients_per_address = 1000000000\n"
                           "exempt = 192.0.2.0/24 [2001:db8::]/32\nexempt_accounts = News@example.test\n",
                           &c),
                     ST_OK);
    assert_true(c->quota.storage == (uint64_t)2 << 40 && c->quota.messages == CONFIG_NO_QUOTA);
    assert_int_equal(c->quota.mailboxes, 7);
    assert_true(c->quota.is_permanent);
    assert_int_equal(c->quota.administrator_count, 2);
    assert_true(span_eq(c->quota.administrators[0], SPAN("root@example.test")));
    assert_true(span_eq(c->quota.administrators[1], SPAN("other@xn--bcher-kva.test")));
    assert_int_equal(c->rates.hourly[RATE_ACCOUNT_MESSAGES], 100);
    assert_int_equal(c->rates.hourly[RATE_ADDRESS_RECIPIENTS], 1000000000);
    assert_true(ip_set_has_text(&c->rates.exempt, SPAN("2001:db8::7")));
    assert_true(span_eq(c->rates.exempt_accounts[0], SPAN("news@example.test")));
    config_free(&c);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_good;
        uint64_t n;
    } sizes[] = {
        {"0", true, 0},      {"17", true, 17},     {"1k", true, 1024},           {"3M", true, 3 << 20},
        {"1G", true, 1 << 30}, {"1024M", true, 1 << 30}, {"1025M", false, 0},     {"1073741825", false, 0},
        {"", false, 0},      {"k", false, 0},      {"-1", false, 0},             {"1kk", false, 0},
        {"1.5M", false, 0},  {"18014398509481984K", false, 0}, {"1T", false, 0}, {" 1", false, 0},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t n = 0;
        if (config_parse_size(span_cstr(sizes[i].text), 1 << 30, &n) != sizes[i].is_good || n != sizes[i].n)
            fail_msg("%s: %llu", sizes[i].text, (unsigned long long)n);
    }
}

/* In unix_path form only LMTP and local. */
static void test_unix_path(void **state)
{
    (void)state;
    struct config *c;
    assert_int_equal(parse("[server]\nhostname = a.test\ndata = d\n[listen]\nlmtp = /run/lmtp.sock\n", &c), ST_OK);
    assert_string_equal(c->listen[0].unix_path, "/run/lmtp.sock");
    assert_null(c->listen[0].host);
    config_free(&c);
}

static void test_local(void **state)
{
    (void)state;
    struct config *c;
    assert_int_equal(parse("[server]\nhostname = a.test\ndata = d\n[listen]\nlocal = /run/local.sock\n"
                           "[local]\ndomain = Example.TEST\ntrusted = www-data\n  1001\n"
                           "senders = shop=@B\xc3\xbc" "cher.test shop=info@Example.test\n",
                           &c),
                     ST_OK);
    assert_int_equal(c->listen[0].service, SERVICE_LOCAL);
    assert_string_equal(c->local.domain, "example.test");
    assert_string_equal(c->local.trusted[0], "www-data");
    assert_string_equal(c->local.trusted[1], "1001");
    assert_null(c->local.trusted[2]);
    assert_int_equal(c->local.sender_count, 2);
    assert_string_equal(c->local.senders[0].user, "shop");
    assert_string_equal(c->local.senders[0].address, "@xn--bcher-kva.test");
    assert_string_equal(c->local.senders[1].address, "info@example.test");
    config_free(&c);
}

#define SERVER "[server]\nhostname = a.test\ndata = d\n" /* three lines */

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"[server]\ndata = d\n", "hostname is missing"},
        {"[server]\nhostname = a.test\n", "data is missing"},
        {SERVER "[surprise]\nx = 1\n", "tassis.conf:5: unknown section [surprise]"},
        {SERVER "[listen]\nimapx = 1\n", "tassis.conf:5: unknown key 'imapx' in [listen]"},
        {SERVER "colour = red\n", "tassis.conf:4: unknown key 'colour' in [server]"},
        {SERVER "data = e\n", "tassis.conf:4: data has a value already"},
        {SERVER "  more\n", "tassis.conf:4: data has a value already"},
        {SERVER "[listen]\nimap = 143\n", "tassis.conf:5: imap: '143' is not address:port"},
        {SERVER "[listen]\nimap = ::1:143\n", "tassis.conf:5: "},
        {SERVER "[listen]\nimap = [127.0.0.1]:143\n", "tassis.conf:5: "},
        {SERVER "[listen]\nimap = localhost:143\n", "tassis.conf:5: "},
        {SERVER "[listen]\nimap = 127.0.0.1:0\n", "tassis.conf:5: "},
        {SERVER "[listen]\nimap = 127.0.0.1:65536\n", "tassis.conf:5: "},
        {SERVER "[listen]\nimap = /run/imap\n", "tassis.conf:5: "},
        {SERVER "[listen]\nimap = 127.0.0.1:1\nimaps = 127.0.0.1:1\n",
         "tassis.conf:6: imaps: 127.0.0.1:1 is already used by imap"},
        {SERVER "[listen]\nlocal = 127.0.0.1:25\n", "tassis.conf:5: local: '127.0.0.1:25' is not the path of a socket"},
        {SERVER "[local]\ndomain = -\n", "tassis.conf:5: "},
        {SERVER "[local]\ntrusted = a:b\n", "tassis.conf:5: "},
        {SERVER "[local]\ntrusted = a@b\n", "tassis.conf:5: "},
        {SERVER "[local]\nsenders = shop\n", "is not USER=ADDRESS or USER=@DOMAIN"},
        {SERVER "[local]\nsenders = =a@b.test\n", "is not USER=ADDRESS or USER=@DOMAIN"},
        {SERVER "[local]\nsenders = shop=\n", "is not USER=ADDRESS or USER=@DOMAIN"},
        {SERVER "[local]\nsenders = shop=@\n", "is not USER=ADDRESS or USER=@DOMAIN"},
        {SERVER "[trace]\nkeep = forever\n", "tassis.conf:5: keep: 'forever' is not a time"},
        {SERVER "[trace]\nsize = 1K\n", "tassis.conf:5: size: '1K' is not a size from 1M to 1T"},
        {SERVER "[tls]\ncertificate = a\n", "as many keys as certificates"},
        {SERVER "[auth]\nscram = yes\n", "tassis.conf:5: scram: 'yes' is none of on, bound and off"},
        {SERVER "[auth]\nplaintext = always\n", "tassis.conf:5: plaintext: 'always' is neither never nor loopback"},
        {SERVER "[limits]\nmessage_size = 2G\n", "tassis.conf:5: "},
        {SERVER "[limits]\nmessage_size = 1K\n", "tassis.conf:5: "},
        {SERVER "[limits]\nmessage_size = 99999999999999999999\n", "tassis.conf:5: "},
        {SERVER "[limits]\nmessage_size = M\n", "tassis.conf:5: "},
        {SERVER "[limits]\nsessions_per_address = -1\n", "tassis.conf:5: "},
        {SERVER "[quota]\nstorage = lots\n", "tassis.conf:5: "},
        {SERVER "[quota]\nmessages = 1K\n", "tassis.conf:5: "},
        {SERVER "[quota]\nwhen_full = never\n", "tassis.conf:5: "},
        {SERVER "[quota]\nadministrators = alice\n", "tassis.conf:5: "},
        {SERVER "[rates]\nmessages_per_account = 1000000001\n", "tassis.conf:5: "},
        {SERVER "[rates]\nexempt = here\n", "tassis.conf:5: "},
        {SERVER "[rates]\nexempt_accounts = @\n", "tassis.conf:5: "},
        {SERVER "[smtp]\nsubaddress_separator = @\n", "tassis.conf:5: "},
        {SERVER "[smtp]\netrn = example.test\n", "tassis.conf:5: "},
        {SERVER "[smtp]\npriority = @example.test\n", "tassis.conf:5: priority: '@example.test' is not"},
        {SERVER "[smtp]\npriority = a@b@\n", "tassis.conf:5: "},
        {SERVER "[smtp]\npriority = 192.0.2.0/33\n", "tassis.conf:5: "},
        {SERVER "[dns]\nresolver = 127.0.0.1\n", "tassis.conf:5: "},
        {"[route]\nhost = a.test\n", "a route's name is made of"},
        {"[route ]\nhost = a.test\n", "a route's name is made of"},
        {"[server]\nhostname = -a-\n", "tassis.conf:2: hostname: '-a-' is not a host name"},
        {"[server]\nhostname = a.test\ngibberish\n", "tassis.conf:3: neither a [section] nor key = value"},
        {"x = 1\n", "tassis.conf:1: unknown section []"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c;
        assert_int_equal(parse(cases[i].text, &c), ST_SYNTAX);
        if (!strstr(err.operator_text, cases[i].says))
            fail_msg("case %zu says \"%s\", not \"%s\"", i, err.operator_text, cases[i].says);
        assert_null(c);
    }
}

static void test_long_line_and_nul(void **state)
{
    (void)state;
    struct config *c;
    char text[600];
    int n = snprintf(text, sizeof text, SERVER "user = ");
    memset(text + n, 'x', 300);
    text[n + 300] = '\0';
    assert_int_equal(parse(text, &c), ST_SYNTAX);
    assert_non_null(strstr(err.operator_text, "tassis.conf:4: the line is too long"));
    static const char nul[] = "[server]\nhost\0name = a\n";
    assert_int_equal(config_parse(span_of(nul, sizeof nul - 1), "tassis.conf", "/", &c, &err), ST_SYNTAX);
    assert_non_null(strstr(err.operator_text, "tassis.conf:2: the line has a NUL byte"));
}

static void test_many_ports(void **state)
{
    (void)state;
    struct config *c;
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_add_cstr(&text, SERVER "[listen]\nimap =\n");
    for (int i = 1; i <= 65; i++)
        strbuf_addf(&text, "  127.0.0.1:%d\n", i);
    assert_int_equal(config_parse(strbuf_span(&text), "tassis.conf", "/", &c, &err), ST_SYNTAX);
    assert_non_null(strstr(err.operator_text, "tassis.conf:70: imap: more than 64"));
}

static void test_loopback(void **state)
{
    (void)state;
    assert_true(address_is_loopback("127.0.0.1"));
    assert_true(address_is_loopback("127.255.1.2"));
    assert_true(address_is_loopback("::1"));
    assert_false(address_is_loopback("128.0.0.1"));
    assert_false(address_is_loopback("::2"));
    assert_false(address_is_loopback("::ffff:10.0.0.1"));
    assert_false(address_is_loopback("127.0.0.1 "));
    assert_false(address_is_loopback(""));
}

static void test_load(void **state)
{
    (void)state;
    struct config *c = NULL;
    char path[] = "/tmp/tassis-config-XXXXXX";
    FILE *f = fdopen(mkstemp(path), "w");
    fputs(SERVER, f);
    fclose(f);
    assert_int_equal(config_load(path, &c, &err), ST_OK);
    assert_string_equal(c->data, "/tmp/d"); /* relative to the config's folder */
    config_free(&c);
    remove(path);
    assert_int_equal(config_load(path, &c, &err), ST_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_quota_and_rates), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_unix_path),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_long_line_and_nul),
        cmocka_unit_test(test_many_ports),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
