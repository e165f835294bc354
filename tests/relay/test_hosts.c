/* test_hosts.c - which hosts take a domain's mail, by what the DNS says: order, families, null and implicit MX, CNAMEs, what is
 * broken, and what is ours. The DNS is a table here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdio.h>
#include "relay/self.h"

/* What the DNS knows: one answer a row, records separated by blanks ("10:mx.one.test", addresses). "!": no answer; "?": insecure. */
struct row {
    const char *name;
    enum dns_type type;
    const char *data, *canonical;
};
static const struct row *zone;
static size_t zone_size;

static struct span mx_of(struct arena *a, struct span text)
{
    struct span preference, label;
    uint64_t n = 0;
    AUTO_STRBUF wire = STRBUF_INIT;
    span_cut(&text, ':', &preference);
    assert_true(span_to_u64(preference, 65535, &n));
    strbuf_add_char(&wire, (char)(n >> 8));
    strbuf_add_char(&wire, (char)n);
    while (text.len) {
        span_cut(&text, '.', &label);
        strbuf_add_char(&wire, (char)label.len);
        strbuf_add(&wire, label);
    }
    strbuf_add_char(&wire, '\0');
    return arena_strbuf(a, &wire);
}

static struct span record_of(struct arena *a, enum dns_type type, struct span text)
{
    char octets[16];
    if (type == DNS_MX)
        return span_eq(text, SPAN("broken")) ? SPAN("\0\1\77x") : mx_of(a, text);
    assert_int_equal(inet_pton(type == DNS_A ? AF_INET : AF_INET6, arena_cstr(a, text), octets), 1);
    return arena_copy(a, span_of(octets, type == DNS_A ? 4 : 16));
}

void __wrap_dns_ask(struct dns *d, struct arena *a, struct span name, enum dns_type type, int64_t timeout_ms, struct dns_answer *out);
void __wrap_dns_ask(struct dns *d, struct arena *a, struct span name, enum dns_type type, int64_t timeout_ms, struct dns_answer *out)
{
    (void)d;
    (void)timeout_ms;
    *out = (struct dns_answer){.result = DNS_NO_NAME, .is_secure = true, .canonical = name};
    for (size_t i = 0; i < zone_size; i++) {
        if (!span_eq(span_cstr(zone[i].name), name))
            continue;
        if (out->result == DNS_NO_NAME)
            out->result = DNS_NO_DATA;
        if (zone[i].type != type)
            continue;
        struct span rest = span_cstr(zone[i].data), word;
        if (span_eq(rest, SPAN("!"))) {
            *out = (struct dns_answer){.result = DNS_FAILED, .why = "nobody there"};
            return;
        }
        if (span_starts(rest, SPAN("?"))) {
            out->is_secure = false;
            rest = span_skip(rest, 1);
        }
        if (zone[i].canonical)
            out->canonical = span_cstr(zone[i].canonical);
        out->records = arena_array(a, DNS_RECORDS_MAX, sizeof *out->records);
        while (rest.len) {
            span_cut(&rest, ' ', &word);
            out->records[out->count++] = record_of(a, type, word);
        }
        out->result = out->count ? DNS_FOUND : DNS_NO_DATA;
    }
}

static struct hosts_self self_at(struct host_address *list, const char *const *addresses)
{
    struct hosts_self self = {"mx.example.test", list, 0};
    for (; addresses && addresses[self.address_count]; self.address_count++)
        assert_true(host_address_read(span_cstr(addresses[self.address_count]), 25, &list[self.address_count]));
    return self;
}

/* "mx.one.test/10=192.0.2.1,2001:db8::1 mx2…" */
static void describe(const struct hosts *hs, struct strbuf *out)
{
    for (size_t i = 0; i < hs->count; i++) {
        strbuf_addf(out, "%s%.*s/%u=", i ? " " : "", SPAN_ARG(hs->list[i].name), hs->list[i].preference);
        for (size_t k = 0; k < hs->list[i].address_count; k++)
            strbuf_addf(out, "%s%s", k ? "," : "", hs->list[i].addresses[k].text);
    }
}

static const struct row records[] = {
    {"one.test", DNS_MX, "20:b.one.test 10:a.one.test 30:none.one.test", NULL},
    {"a.one.test", DNS_A, "192.0.2.1", NULL},
    {"a.one.test", DNS_AAAA, "2001:db8::1", NULL},
    {"b.one.test", DNS_A, "192.0.2.2", NULL},
    {"none.one.test", DNS_TXT, "", NULL},
    {"bare.test", DNS_AAAA, "2001:db8::2", NULL},
    {"null.test", DNS_MX, "0:", NULL},
    {"null.test", DNS_A, "192.0.2.3", NULL},
    {"nullandmore.test", DNS_MX, "0: 10:a.one.test", NULL},
    {"broken.test", DNS_MX, "broken", NULL},
    {"brokenandmore.test", DNS_MX, "broken 10:b.one.test", NULL},
    {"empty.test", DNS_TXT, "", NULL},
    {"nohost.test", DNS_MX, "10:none.one.test 20:gone.test", NULL},
    {"down.test", DNS_MX, "!", NULL},
    {"halfdown.test", DNS_MX, "10:down.one.test 20:b.one.test", NULL},
    {"alldown.test", DNS_MX, "10:down.one.test 20:gone.test", NULL},
    {"down.one.test", DNS_A, "!", NULL},
    {"down.one.test", DNS_AAAA, "!", NULL},
    {"sixdown.test", DNS_MX, "10:sixdown.one.test", NULL},
    {"sixdown.one.test", DNS_A, "192.0.2.4", NULL},
    {"sixdown.one.test", DNS_AAAA, "!", NULL},
    {"alias.test", DNS_MX, "10:alias.one.test", NULL},
    {"alias.one.test", DNS_A, "192.0.2.5", "real.one.test"},
    {"alias.one.test", DNS_AAAA, "", "real.one.test"},
    {"self.test", DNS_MX, "10:MX.Example.test", NULL},
    {"mx.example.test", DNS_A, "192.0.2.200", NULL},
    {"selffirst.test", DNS_MX, "10:us.test 10:a.one.test 20:b.one.test", NULL},
    {"selflast.test", DNS_MX, "10:a.one.test 20:us.test 20:b.one.test 30:b.one.test", NULL},
    {"us.test", DNS_A, "192.0.2.99", NULL},
    {"any.test", DNS_MX, "10:any.one.test", NULL},
    {"any.one.test", DNS_A, "0.0.0.0", NULL},
    {"any6.test", DNS_AAAA, "::", NULL},
    {"mapped.test", DNS_AAAA, "::ffff:192.0.2.99", NULL},
    {"mappedany.test", DNS_AAAA, "::ffff:0.0.0.0", NULL},
    {"loopback.test", DNS_A, "127.0.0.53", NULL},
    {"loopback6.test", DNS_AAAA, "::1", NULL},
};

static void by_mx(void **state)
{
    (void)state;
    static const char *const ours[] = {"192.0.2.99", "2001:db8::99", NULL}, *const all[] = {"0.0.0.0", "::", NULL};
    static const char twice[] = "a.one.test/10=2001:db8::1,192.0.2.1 b.one.test/20=192.0.2.2";
    static const struct {
        const char *domain;
        const char *const *self;
        enum status status;
        const char *found; /* the hosts, or the error's first words */
    } cases[] = {
        {"one.test", ours, ST_OK, twice},
        {"bare.test", ours, ST_OK, "bare.test/0=2001:db8::2"},
        {"gone.test", ours, ST_NOTFOUND, "5.1.2 there is no domain gone.test"},
        {"empty.test", ours, ST_NOTFOUND, "5.4.4 no host"},
        {"null.test", ours, ST_NOTFOUND, "5.1.10 "}, /* RFC 7505 §3: its address is not looked at */
        {"nullandmore.test", ours, ST_OK, "a.one.test/10=2001:db8::1,192.0.2.1"},
        {"broken.test", ours, ST_NOTFOUND, "5.4.4 the domain's MX records are malformed"},
        {"brokenandmore.test", ours, ST_OK, "b.one.test/10=192.0.2.2"},
        {"nohost.test", ours, ST_NOTFOUND, "5.4.4 no host"},
        {"down.test", ours, ST_TEMPORARY, "4.4.3 the DNS does not answer about down.test: nobody there"},
        {"halfdown.test", ours, ST_OK, "b.one.test/20=192.0.2.2"},
        {"alldown.test", ours, ST_TEMPORARY, "4.4.3 the DNS does not answer about down.one.test"},
        {"sixdown.test", ours, ST_OK, "sixdown.one.test/10=192.0.2.4"},
        {"alias.test", ours, ST_OK, "alias.one.test/10=192.0.2.5"},
        {"[192.0.2.7]", ours, ST_OK, "192.0.2.7/0=192.0.2.7"},
        {"[IPv6:2001:db8::7]", ours, ST_OK, "2001:db8::7/0=2001:db8::7"},
        {"[192.0.2.7", ours, ST_NOTFOUND, "5.4.4 "},
        /* RFC 5321 §5.1: who is as near as we, or farther, is not tried */
        {"self.test", ours, ST_STATE, "5.4.6 mail for self.test loops"},
        {"selffirst.test", ours, ST_STATE, "5.4.6 "},
        {"selflast.test", ours, ST_OK, "a.one.test/10=2001:db8::1,192.0.2.1"},
        {"us.test", ours, ST_STATE, "5.4.6 "},
        {"mapped.test", ours, ST_STATE, "5.4.6 "},
        {"loopback.test", ours, ST_OK, "loopback.test/0=127.0.0.53"},
        /* RFC 1122 §3.2.1.3: "this host", whatever we listen on */
        {"any.test", ours, ST_STATE, "5.4.6 "},
        {"any6.test", ours, ST_STATE, "5.4.6 "},
        {"mappedany.test", ours, ST_STATE, "5.4.6 "},
        {"any.test", NULL, ST_STATE, "5.4.6 "},
        {"loopback.test", all, ST_STATE, "5.4.6 "},
        {"loopback6.test", all, ST_STATE, "5.4.6 "},
        {"one.test", all, ST_OK, twice},
    };
    zone = records;
    zone_size = sizeof records / sizeof records[0];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF found = STRBUF_INIT;
        struct host_address list[4];
        struct hosts_self self = self_at(list, cases[i].self);
        struct hosts hs;
        struct err err;
        enum status st = hosts_by_mx(NULL, &a, span_cstr(cases[i].domain), 25, &self, &hs, &err);
        if (st == ST_OK)
            describe(&hs, &found);
        else
            strbuf_add_cstr(&found, err.client);
        if (st != cases[i].status || !span_starts(strbuf_span(&found), span_cstr(cases[i].found)) ||
            (st == ST_OK && strlen(cases[i].found) != found.len))
            fail_msg("%s: %d, %s", cases[i].domain, st, strbuf_cstr(&found));
    }
}

/* The port belongs to what is ours: another mail server may stand beside us. */
static void another_port_is_not_ours(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct host_address list[1];
    struct hosts_self self = self_at(list, (const char *const[]){"192.0.2.99", NULL});
    struct hosts hs;
    struct err err;
    assert_int_equal(hosts_by_mx(NULL, &a, SPAN("us.test"), 26, &self, &hs, &err), ST_OK);
}

/* What DANE needs to know (RFC 7672 §2.2): both answers and the way there validated; where the CNAMEs end. */
static void what_is_secure(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"s.test", DNS_MX, "10:mx.s.test", NULL},     {"mx.s.test", DNS_A, "192.0.2.1", "end.s.test"},
        {"i.test", DNS_MX, "?10:mx.s.test", NULL},    {"h.test", DNS_MX, "10:mx.h.test", NULL},
        {"mx.h.test", DNS_A, "?192.0.2.1", NULL},     {"half.test", DNS_MX, "10:mx.half.test", NULL},
        {"mx.half.test", DNS_A, "192.0.2.1", NULL},   {"mx.half.test", DNS_AAAA, "?2001:db8::1", NULL},
        {"implicit.test", DNS_A, "192.0.2.1", NULL},
    };
    static const struct {
        const char *domain, *canonical;
        bool is_mx_secure, is_secure, is_implicit;
    } cases[] = {
        {"s.test", "end.s.test", true, true, false},  {"i.test", "end.s.test", false, true, false},
        {"h.test", "mx.h.test", true, false, false},  {"half.test", "mx.half.test", true, false, false},
        {"implicit.test", "implicit.test", true, true, true},
    };
    zone = rows;
    zone_size = sizeof rows / sizeof rows[0];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct hosts_self self = self_at(NULL, NULL);
        struct hosts hs;
        struct err err;
        assert_int_equal(hosts_by_mx(NULL, &a, span_cstr(cases[i].domain), 25, &self, &hs, &err), ST_OK);
        assert_int_equal(hs.is_mx_secure, cases[i].is_mx_secure);
        assert_int_equal(hs.list[0].is_secure, cases[i].is_secure);
        assert_int_equal(hs.is_implicit, cases[i].is_implicit);
        assert_true(span_eq(hs.list[0].canonical, span_cstr(cases[i].canonical)));
    }
}

/* RFC 5321 §5.1: equals are tried in random order, all of them come first sooner or later, and never before a better one. */
static void equals_take_turns(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"e.test", DNS_MX, "20:last.test 10:a.test 10:b.test 10:c.test 5:first.test", NULL},
        {"first.test", DNS_A, "192.0.2.1 192.0.2.2", NULL},
        {"a.test", DNS_A, "192.0.2.3", NULL}, {"b.test", DNS_A, "192.0.2.4", NULL},
        {"c.test", DNS_A, "192.0.2.5", NULL}, {"last.test", DNS_A, "192.0.2.6", NULL},
    };
    zone = rows;
    zone_size = sizeof rows / sizeof rows[0];
    unsigned second = 0, address = 0;
    for (int i = 0; i < 1000 && (second != 7 || address != 3); i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct hosts_self self = self_at(NULL, NULL);
        struct hosts hs;
        struct err err;
        assert_int_equal(hosts_by_mx(NULL, &a, SPAN("e.test"), 25, &self, &hs, &err), ST_OK);
        assert_int_equal(hs.count, 5);
        assert_true(span_eq(hs.list[0].name, SPAN("first.test")) && span_eq(hs.list[4].name, SPAN("last.test")));
        second |= 1u << (hs.list[1].name.p[0] - 'a');
        address |= 1u << (hs.list[0].addresses[0].text[8] - '1');
    }
    assert_int_equal(second, 7);
    assert_int_equal(address, 3);
}

/* More MX records, and more addresses, than anybody needs. */
static void there_are_limits(void **state)
{
    (void)state;
    AUTO_STRBUF mx = STRBUF_INIT;
    for (int i = 0; i < 90; i++)
        strbuf_addf(&mx, "%s%d:h.test", i ? " " : "", 90 - i);
    const struct row rows[] = {{"l.test", DNS_MX, strbuf_cstr(&mx), NULL},
                               {"h.test", DNS_A, "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7", NULL},
                               {"h.test", DNS_AAAA, "2001:db8::1 2001:db8::2 2001:db8::3 2001:db8::4 2001:db8::5 2001:db8::6", NULL}};
    zone = rows;
    zone_size = 3;
    AUTO_ARENA a = ARENA_INIT;
    struct hosts_self self = self_at(NULL, NULL);
    struct hosts hs;
    struct err err;
    assert_int_equal(hosts_by_mx(NULL, &a, SPAN("l.test"), 25, &self, &hs, &err), ST_OK);
    assert_int_equal(hs.count, HOSTS_MAX);
    assert_int_equal(hs.list[0].preference, 1); /* the best ones */
    assert_int_equal(hs.list[0].address_count, HOST_ADDRESSES_MAX);
    for (size_t i = 0; i < HOST_ADDRESSES_MAX; i++) /* IPv6 first, and in turns */
        assert_int_equal(hs.list[0].addresses[i].address.ss_family, i % 2 ? AF_INET : AF_INET6);
}

static void addresses_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *address; /* NULL: none */
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},         {"[192.0.2.1]", "192.0.2.1"},       {"[IPv6:2001:DB8::1]", "2001:db8::1"},
        {"[ipv6:::1]", "::1"},              {"2001:db8::1", "2001:db8::1"},     {"::ffff:192.0.2.1", "192.0.2.1"},
        {"[IPv6:::ffff:192.0.2.1]", "192.0.2.1"},
        {"", NULL},                         {"[]", NULL},                       {"192.0.2", NULL},
        {"192.0.2.256", NULL},              {"mx.one.test", NULL},              {"[192.0.2.1", NULL},
        {"[x-tag:data]", NULL},             {"fe80::1%lo", NULL},
        {"1234:1234:1234:1234:1234:1234:1234:1234:1234:1234", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host_address h;
        char text[INET6_ADDRSTRLEN] = "";
        bool is_read = host_address_read(span_cstr(cases[i].text), 2525, &h);
        assert_int_equal(is_read, cases[i].address != NULL);
        if (!is_read)
            continue;
        bool is_4 = h.address.ss_family == AF_INET;
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&h.address;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&h.address;
        assert_non_null(is_4 ? inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text) : inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text));
        assert_string_equal(text, cases[i].address);
        assert_int_equal(ntohs(is_4 ? v4->sin_port : v6->sin6_port), 2525);
        assert_int_equal(h.length, is_4 ? sizeof *v4 : sizeof *v6);
    }
}

/* A wildcard stands for the addresses of the interfaces; other services do not count. */
static void what_is_ours_by_the_config(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct listen_address listen[] = {{.service = SERVICE_SMTP, .host = "0.0.0.0", .port = 25},
                                      {.service = SERVICE_SMTP, .host = "2001:db8::1", .port = 2525},
                                      {.service = SERVICE_IMAP, .host = "192.0.2.1", .port = 143},
                                      {.service = SERVICE_SMTP, .unix_path = "/run/smtp"}};
    struct config c = {.hostname = "mx.example.test", .listen = listen, .listen_count = 4};
    struct hosts_self self = hosts_self_new(&a, &c);
    static const struct {
        const char *address;
        uint16_t port;
        bool is_ours;
    } cases[] = {{"127.0.0.1", 25, true},      {"127.0.0.1", 26, false},     {"127.1.2.3", 25, true}, {"2001:db8::1", 2525, true},
                 {"2001:db8::1", 25, false},   {"192.0.2.1", 143, false},    {"::1", 25, false},      {"::ffff:127.0.0.1", 25, true}};
    assert_true(self.address_count >= 3); /* the two, and 127.0.0.1 of lo */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host_address at;
        struct host h = {.name = SPAN("elsewhere.test"), .addresses = &at, .address_count = 1};
        assert_true(host_address_read(span_cstr(cases[i].address), cases[i].port, &at));
        if (hosts_is_self(&self, &h) != cases[i].is_ours)
            fail_msg("%s port %u", cases[i].address, cases[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_mx),
        cmocka_unit_test(another_port_is_not_ours),
        cmocka_unit_test(what_is_secure),
        cmocka_unit_test(equals_take_turns),
        cmocka_unit_test(there_are_limits),
        cmocka_unit_test(addresses_as_text),
        cmocka_unit_test(what_is_ours_by_the_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
