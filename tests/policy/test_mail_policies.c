/* test_mail_policies.c - the texts that other domains publish about their mail: MTA-STS, TLS-RPT, TLSA; and SRS, ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "policy/dane.h"
#include "policy/mta_sts.h"
#include "policy/srs.h"
#include "policy/tls_rpt.h"

#define ROWS(x) (sizeof(x) / sizeof((x)[0]))

static void sts_records(void **state)
{
    (void)state;
    static const struct {
        struct span texts[2];
        size_t count;
        const char *id; /* NULL: none */
    } rows[] = {
        {{SPAN_INIT("v=STSv1; id=20160831085700Z;")}, 1, "20160831085700Z"}, /* RFC 8461 §3.1 */
        {{SPAN_INIT("v=STSv1;id=1")}, 1, "1"},
        {{SPAN_INIT("v=STSv1; x=y; id=1;")}, 1, "1"},
        {{SPAN_INIT("v=spf1 -all"), SPAN_INIT("v=STSv1; id=2;")}, 2, "2"},
        {{SPAN_INIT("v=STSv1; id=1;"), SPAN_INIT("v=STSv1; id=2;")}, 2, NULL},
        {{SPAN_INIT("v=STSv1;")}, 1, NULL},
        {{SPAN_INIT("v=STSv1; id=;")}, 1, NULL},
        {{SPAN_INIT("v=STSv1; id=a-b;")}, 1, NULL},
        {{SPAN_INIT("v=STSv1; id=123456789012345678901234567890123;")}, 1, NULL},
        {{SPAN_INIT("id=1; v=STSv1;")}, 1, NULL},
        {{SPAN_INIT("v=STSv2; id=1;")}, 1, NULL},
        {{SPAN_INIT("")}, 1, NULL},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct span id = SPAN_NONE;
        bool found = mta_sts_record_read(rows[i].texts, rows[i].count, &id);
        if (found != (rows[i].id != NULL) || (found && !span_eq(id, span_cstr(rows[i].id))))
            fail_msg("row %zu: %d \"%.*s\"", i, found, SPAN_ARG(id));
    }
}

static void sts_policies(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct mta_sts_policy p;
    struct err err;
    /* RFC 8461 §3.2's example */
    assert_int_equal(mta_sts_policy_read(&a, SPAN("version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n"
                                                  "mx: backupmx.example.com\r\nmax_age: 604800\r\n"), &p, &err), ST_OK);
    assert_int_equal(p.mode, MTA_STS_ENFORCE);
    assert_int_equal(p.max_age, 604800);
    assert_int_equal(p.mx_count, 3);
    assert_true(mta_sts_host_matches(&p, SPAN("mail.example.com")));
    assert_true(mta_sts_host_matches(&p, SPAN("Mail.Example.com")));
    assert_true(mta_sts_host_matches(&p, SPAN("a.example.net")));
    assert_false(mta_sts_host_matches(&p, SPAN("a.b.example.net")));
    assert_false(mta_sts_host_matches(&p, SPAN("example.net")));
    assert_false(mta_sts_host_matches(&p, SPAN(".example.net")));
    assert_false(mta_sts_host_matches(&p, SPAN("xmail.example.com")));
    static const char *const good[] = {
        "version:STSv1\nmode:none\nmax_age:1", "version: STSv1\nmode: testing\nmode: enforce\nmx: a.test\nmax_age: 99999999999\nmax_age: 5",
        "version: STSv1\nmode: testing\nmx: a.test\nmax_age: 9999999999\nunknown: x"};
    static const char *const bad[] = {
        "", "mode: none\nmax_age: 1", "version: STSv2\nmode: none\nmax_age: 1", "version: STSv1\nmode: maybe\nmax_age: 1",
        "version: STSv1\nmode: enforce\nmax_age: 1", "version: STSv1\nmode: none", "version: STSv1\nmode: none\nmax_age: -1",
        "version: STSv1\nmode: none\nmax_age: 1\nno field", "version: STSv1\nmode: enforce\nmx: *.*.test\nmax_age: 1",
        "version: STSv1\nmode: enforce\nmx: \nmax_age: 1"};
    for (size_t i = 0; i < ROWS(good); i++)
        if (i != 1 && mta_sts_policy_read(&a, span_cstr(good[i]), &p, &err) != ST_OK)
            fail_msg("%s: %s", good[i], err.client);
    assert_int_equal(p.max_age, MTA_STS_AGE_MAX);
    for (size_t i = 0; i < ROWS(bad); i++)
        if (mta_sts_policy_read(&a, span_cstr(bad[i]), &p, &err) == ST_OK)
            fail_msg("\"%s\" was taken", bad[i]);
}

static void tls_rpt_records(void **state)
{
    (void)state;
    struct tls_rpt_target t[TLS_RPT_ADDRESSES_MAX];
    size_t n;
    /* RFC 8460 §3.1's examples */
    struct span mail = SPAN("v=TLSRPTv1;rua=mailto:reports@example.com"), web = SPAN("v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt");
    assert_true(tls_rpt_record_read(&mail, 1, t, &n));
    assert_int_equal(n, 1);
    assert_false(t[0].is_https);
    assert_true(span_eq(t[0].uri, SPAN("reports@example.com")));
    assert_true(tls_rpt_record_read(&web, 1, t, &n));
    assert_true(t[0].is_https && span_eq(t[0].uri, SPAN("https://reporting.example.com/v1/tlsrpt")));
    struct span both = SPAN("v=TLSRPTv1;rua=mailto:a@b.test?cc=x,https://c.test/");
    assert_true(tls_rpt_record_read(&both, 1, t, &n));
    assert_int_equal(n, 2);
    assert_true(span_eq(t[0].uri, SPAN("a@b.test")));
    static const char *const bad[] = {"v=TLSRPTv1", "v=TLSRPTv1;rua=", "v=TLSRPTv1;rua=http://a.test", "v=TLSRPTv1;rua=mailto:nobody",
                                      "v=TLSRPTv1;rua=mailto:a@b.test>x", "rua=mailto:a@b.test", "v=TLSRPTv1;rua=mailto:a\r\n@b.test"};
    for (size_t i = 0; i < ROWS(bad); i++) {
        struct span text = span_cstr(bad[i]);
        if (tls_rpt_record_read(&text, 1, t, &n))
            fail_msg("\"%s\" was taken", bad[i]);
    }
    struct span twice[] = {mail, web};
    assert_false(tls_rpt_record_read(twice, 2, t, &n));
}

static void tlsa_records(void **state)
{
    (void)state;
#define D32 "0123456789abcdef0123456789abcdef"
    static const struct {
        struct span rdata;
        bool is_usable;
    } rows[] = {
        {SPAN_INIT("\3\1\1" D32), true},   {SPAN_INIT("\2\0\1" D32), true},      {SPAN_INIT("\3\1\2" D32 D32), true},
        {SPAN_INIT("\3\0\0certificate"), true}, {SPAN_INIT("\0\1\1" D32), false}, {SPAN_INIT("\1\1\1" D32), false},
        {SPAN_INIT("\4\1\1" D32), false},  {SPAN_INIT("\3\2\1" D32), false},     {SPAN_INIT("\3\1\3" D32), false},
        {SPAN_INIT("\3\1\1" D32 "x"), false}, {SPAN_INIT("\3\1\2" D32), false},  {SPAN_INIT("\3\1\1"), false},
        {SPAN_INIT(""), false},
    };
    struct span all[ROWS(rows)];
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct dial_tlsa r;
        all[i] = rows[i].rdata;
        if (dane_record_read(rows[i].rdata, &r) != rows[i].is_usable)
            fail_msg("row %zu", i);
    }
    struct dial_tlsa list[DIAL_TLSA_MAX];
    assert_int_equal(dane_records_read(all, ROWS(rows), list), 4);
}

static const uint8_t key[SRS_KEY_BYTES] = "a key", other_key[SRS_KEY_BYTES] = "another";
enum { DAY = 86400, NOW = 20000 * DAY };

static struct span forward(struct arena *a, const char *local, const char *domain)
{
    struct span out = SPAN_NONE;
    struct mailbox_address from = {span_cstr(local), span_cstr(domain)};
    assert_true(srs_forward(a, key, &from, NOW, &out));
    return out;
}

static void srs_there_and_back(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct span back, once = forward(&a, "alice", "one.test");
    assert_true(span_starts(once, SPAN("SRS0=")) && span_ends(once, SPAN("=one.test=alice")));
    assert_true(srs_reverse(&a, key, once, NOW, &back));
    assert_true(span_eq(back, SPAN("alice@one.test")));
    assert_true(srs_reverse(&a, key, forward(&a, "a=b c", "one.test"), NOW + 20 * DAY, &back));
    assert_true(span_eq(back, SPAN("\"a=b c\"@one.test")));
    assert_false(srs_reverse(&a, key, once, NOW + 22 * DAY, &back));
    assert_false(srs_reverse(&a, key, once, NOW - DAY, &back));
    assert_false(srs_reverse(&a, other_key, once, NOW, &back));
    for (size_t i = 0; i < once.len; i++) { /* no octet of it may be another */
        char *changed = arena_cstr(&a, once);
        changed[i] = changed[i] == 'x' ? 'y' : 'x';
        if (srs_reverse(&a, key, span_of(changed, once.len), NOW, &back))
            fail_msg("octet %zu was not looked at", i);
        if (srs_reverse(&a, key, span_take(once, i), NOW, &back))
            fail_msg("%zu octets were enough", i);
    }
    /* Case may change on the way. */
    char *lower = arena_cstr(&a, once);
    for (char *p = lower; *p; p++)
        *p = ascii_lower(*p);
    assert_true(srs_reverse(&a, key, span_cstr(lower), NOW, &back));
}

static void srs_over_several_forwarders(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct span back, twice = forward(&a, "SRS0=HHHH=TT=one.test=alice", "two.test");
    assert_true(span_starts(twice, SPAN("SRS1=")) && span_ends(twice, SPAN("=two.test==HHHH=TT=one.test=alice")));
    assert_true(srs_reverse(&a, key, twice, NOW, &back));
    assert_true(span_eq(back, SPAN("SRS0=HHHH=TT=one.test=alice@two.test")));
    struct span thrice = forward(&a, "SRS1=XXXX=two.test==HHHH=TT=one.test=alice", "three.test");
    assert_true(span_eq(span_skip(thrice, 11), span_skip(twice, 11)));
    assert_true(srs_reverse(&a, key, thrice, NOW, &back));
    assert_true(span_eq(back, SPAN("SRS0=HHHH=TT=one.test=alice@two.test")));
}

static void srs_limits(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct span out;
    struct mailbox_address from = {SPAN("a.local.part.of.forty.octets.aaaaaaaaaaaa"), SPAN("a-long-domain.example.test")};
    assert_false(srs_forward(&a, key, &from, NOW, &out));
    assert_false(srs_is(SPAN("SRS0")));
    assert_false(srs_is(SPAN("srsx=a=b")));
    assert_true(srs_is(SPAN("srs1+a=b")));
    assert_false(srs_reverse(&a, key, SPAN("SRS0="), NOW, &out));
    assert_false(srs_reverse(&a, key, SPAN("SRS1=a=b==c"), NOW, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sts_records),        cmocka_unit_test(sts_policies),
        cmocka_unit_test(tls_rpt_records),    cmocka_unit_test(tlsa_records),
        cmocka_unit_test(srs_there_and_back), cmocka_unit_test(srs_over_several_forwarders),
        cmocka_unit_test(srs_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
