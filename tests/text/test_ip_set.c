/* test_ip_set.c - addresses and networks as text, and membership at the borders of networks. */
#include "check.h"
#include <stdio.h>
#include "text/ip_set.h"

static const char *const good[] = {"192.0.2.1",     "10.0.0.0/8",      "0.0.0.0/0",        "::1",          "[::1]",
                                   "2001:db8::/32", "[2001:db8::]/32", "::ffff:192.0.2.1", "192.0.2.1/32", "::/0"};
static const char *const bad[] = {
    "",       "192.0.2",      "192.0.2.256", "192.0.2.1/33",   "192.0.2.1/", "192.0.2.1/-1",  "::1/129",    "[::1",
    "::1%lo", "example.test", "192.0.2.1 ",  "[192.0.2.1]:25", "/8",         "192.0.2.1/8/8", "1.2.3.4/08x"};

static void test_words(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct err err;
    struct ip_set set = {0};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(ip_set_add(&a, &set, span_cstr(good[i]), &err), ST_OK);
    assert_int_equal(set.count, sizeof good / sizeof good[0]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (ip_set_add(&a, &set, span_cstr(bad[i]), &err) != ST_SYNTAX)
            fail_msg("\"%s\" was taken", bad[i]);
}

static const struct {
    const char *set, *address;
    bool is_in;
} rows[] = {
    {"192.0.2.0/24", "192.0.2.0", true},
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"192.0.2.0/24", "::ffff:192.0.2.7", true},
    {"192.0.2.77/25", "192.0.2.127", true},
    {"192.0.2.77/25", "192.0.2.128", false},
    {"10.0.0.0/7", "11.255.255.255", true},
    {"10.0.0.0/7", "12.0.0.0", false},
    {"0.0.0.0/0", "203.0.113.9", true},
    {"0.0.0.0/0", "::1", false},
    {"::/0", "203.0.113.9", false},
    {"2001:db8::/33", "2001:db8:7fff::1", true},
    {"2001:db8::/33", "2001:db8:8000::", false},
    {"::1", "::1", true},
    {"::1", "::2", false},
    {"127.0.0.1", "127.0.0.1", true},
    {"127.0.0.1", "127.0.0.2", false},
    {"127.0.0.1", "", false},
    {"127.0.0.1", "localhost", false},
};

static void test_membership(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct err err;
        struct ip_set set = {0};
        assert_int_equal(ip_set_add(&a, &set, span_cstr(rows[i].set), &err), ST_OK);
        if (ip_set_has_text(&set, span_cstr(rows[i].address)) != rows[i].is_in)
            fail_msg("%s in %s", rows[i].address, rows[i].set);
    }
    struct ip_set none = {0};
    assert_false(ip_set_has_text(&none, SPAN("127.0.0.1")));
}

static void test_many(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct err err;
    struct ip_set set = {0};
    char word[32];
    for (unsigned i = 0; i < IP_SET_MAX; i++) {
        (void)snprintf(word, sizeof word, "10.0.%u.%u", i / 256, i % 256);
        assert_int_equal(ip_set_add(&a, &set, span_cstr(word), &err), ST_OK);
    }
    assert_int_equal(ip_set_add(&a, &set, SPAN("192.0.2.1"), &err), ST_LIMIT);
    assert_true(ip_set_has_text(&set, SPAN("10.0.0.0")) && ip_set_has_text(&set, SPAN("10.0.3.231")));
    assert_false(ip_set_has_text(&set, SPAN("10.0.3.232")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_membership),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
