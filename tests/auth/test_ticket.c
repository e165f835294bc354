/* Tickets: one use, 30 seconds, a bounded number. And the guard against guessing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "auth/login_guard.h"
#include "auth/ticket.h"
#include "base/clock.h"

static struct err err;

static void test_one_use(void **state)
{
    (void)state;
    struct tickets *t = tickets_new();
    uint8_t one[VAULT_TICKET_BYTES], two[VAULT_TICKET_BYTES];
    AUTO_STRBUF account = STRBUF_INIT;
    assert_int_equal(ticket_issue(t, SPAN("alice@example.test"), one, &err), ST_OK);
    assert_int_equal(ticket_issue(t, SPAN("bob@example.test"), two, &err), ST_OK);
    assert_memory_not_equal(one, two, sizeof one);
    assert_int_equal(ticket_redeem(t, two, &account, &err), ST_OK);
    assert_true(span_eq(strbuf_span(&account), SPAN("bob@example.test")));
    assert_int_equal(ticket_redeem(t, two, &account, &err), ST_DENIED);
    one[31] ^= 1;
    assert_int_equal(ticket_redeem(t, one, &account, &err), ST_DENIED);
    one[31] ^= 1;
    strbuf_clear(&account);
    assert_int_equal(ticket_redeem(t, one, &account, &err), ST_OK);
    assert_true(span_eq(strbuf_span(&account), SPAN("alice@example.test")));
    tickets_free(&t);
    assert_null(t);
}

static void test_time(void **state)
{
    (void)state;
    struct tickets *t = tickets_new();
    uint8_t ticket[VAULT_TICKET_BYTES], late[VAULT_TICKET_BYTES];
    AUTO_STRBUF account = STRBUF_INIT;
    clock_fake(0, 1000);
    assert_int_equal(ticket_issue(t, SPAN("a"), ticket, &err), ST_OK);
    assert_int_equal(ticket_issue(t, SPAN("a"), late, &err), ST_OK);
    clock_fake(0, 1000 + VAULT_TICKET_SECONDS * 1000 - 1);
    assert_int_equal(ticket_redeem(t, ticket, &account, &err), ST_OK);
    clock_fake(0, 1000 + VAULT_TICKET_SECONDS * 1000);
    assert_int_equal(ticket_redeem(t, late, &account, &err), ST_DENIED);
    clock_unfake();
    tickets_free(&t);
}

static void test_number(void **state)
{
    (void)state;
    struct tickets *t = tickets_new();
    uint8_t ticket[VAULT_TICKET_BYTES];
    clock_fake(0, 0);
    for (int i = 0; i < TICKETS_MAX; i++)
        assert_int_equal(ticket_issue(t, SPAN("a"), ticket, &err), ST_OK);
    assert_int_equal(ticket_issue(t, SPAN("a"), ticket, &err), ST_TEMPORARY);
    clock_fake(0, VAULT_TICKET_SECONDS * 1000); /* and it heals */
    assert_int_equal(ticket_issue(t, SPAN("a"), ticket, &err), ST_OK);
    clock_unfake();
    tickets_free(&t);
}

static void test_guard(void **state)
{
    (void)state;
    struct login_guard *g = login_guard_new();
    clock_fake(0, 5000);
    for (int i = 0; i < GUARD_BURST; i++) {
        assert_true(login_guard_allows(g, SPAN("192.0.2.1")));
        login_guard_failed(g, SPAN("192.0.2.1"));
    }
    assert_false(login_guard_allows(g, SPAN("192.0.2.1")));
    assert_true(login_guard_allows(g, SPAN("192.0.2.2")));
    clock_fake(0, 5000 + GUARD_REFILL_SECONDS * 1000); /* one try comes back */
    assert_true(login_guard_allows(g, SPAN("192.0.2.1")));
    login_guard_failed(g, SPAN("192.0.2.1"));
    assert_false(login_guard_allows(g, SPAN("192.0.2.1")));
    for (int i = 0; i < GUARD_BURST; i++)
        login_guard_failed(g, SPAN("2001:db8::1"));
    assert_false(login_guard_allows(g, SPAN("2001:db8::ffff:2"))); /* one /64 is one */
    assert_true(login_guard_allows(g, SPAN("2001:db8:0:1::1")));
    for (int i = 0; i < 3 * GUARD_BURST; i++) {
        login_guard_failed(g, SPAN("127.0.0.1"));
        login_guard_failed(g, SPAN("not an address"));
        login_guard_failed(g, SPAN_NONE);
    }
    assert_true(login_guard_allows(g, SPAN("127.0.0.1")));
    assert_true(login_guard_allows(g, SPAN("not an address")));

    assert_false(login_guard_knows(g, SPAN("192.0.2.1"), SPAN("alice@example.test")));
    login_guard_succeeded(g, SPAN("192.0.2.1"), SPAN("alice@example.test"));
    assert_true(login_guard_knows(g, SPAN("192.0.2.1"), SPAN("alice@example.test")));
    assert_false(login_guard_knows(g, SPAN("192.0.2.1"), SPAN("bob@example.test")));
    assert_false(login_guard_knows(g, SPAN("192.0.2.2"), SPAN("alice@example.test")));
    clock_fake(0, 5000 + (GUARD_REFILL_SECONDS + GUARD_KNOWN_SECONDS) * 1000);
    assert_false(login_guard_knows(g, SPAN("192.0.2.1"), SPAN("alice@example.test")));
    clock_unfake();
    login_guard_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_use),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_number),
        cmocka_unit_test(test_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
