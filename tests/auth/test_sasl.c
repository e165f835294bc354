/* The mechanisms: RFC 4616's examples, what is refused, LOGIN's two questions, canonical names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "auth/sasl.h"

static struct err err;

static enum sasl_step plain(struct span response, struct sasl *x)
{
    struct span challenge;
    *x = (struct sasl){.mechanism = sasl_find(SPAN("PLAIN"))};
    return sasl_take(x, response, false, &challenge);
}

static void test_find(void **state)
{
    (void)state;
    assert_non_null(sasl_find(SPAN("plain")));
    assert_non_null(sasl_find(SPAN("LOGIN")));
    assert_null(sasl_find(SPAN("PLAI")));
    assert_null(sasl_find(SPAN("")));
    assert_null(sasl_find(SPAN("SCRAM-SHA-1")));
}

static void test_plain(void **state)
{
    (void)state;
    struct sasl x;
    /* RFC 4616 §4, the first example */
    assert_int_equal(plain(SPAN("\0tim\0tanstaaftanstaaf"), &x), SASL_STEP_COMPLETE);
    assert_true(span_eq(strbuf_span(&x.user), SPAN("tim")));
    assert_true(span_eq(strbuf_span(&x.password), SPAN("tanstaaftanstaaf")));
    sasl_end(&x);
    assert_null(x.password.p);
    assert_int_equal(plain(SPAN("tim\0tim\0x"), &x), SASL_STEP_COMPLETE); /* acting for oneself */
    sasl_end(&x);
}

static void test_plain_refused(void **state)
{
    (void)state;
    struct sasl x;
    static const struct span bad[] = {
        SPAN_INIT("Ursel\0Kurt\0xipj3plmq"), /* RFC 4616 §4, the second example: for somebody else */
        SPAN_INIT(""),
        SPAN_INIT("tim"),
        SPAN_INIT("\0tim"),
        SPAN_INIT("\0tim\0"),
        SPAN_INIT("\0\0secret"),
        SPAN_INIT("\0tim\0a\0b"),
        SPAN_INIT("TIM\0tim\0x"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(plain(bad[i], &x), SASL_STEP_BAD);
        assert_int_equal(x.password.len, 0);
        sasl_end(&x);
    }
}

static void test_plain_without_initial(void **state)
{
    (void)state;
    struct span challenge = SPAN("x");
    struct sasl x = {.mechanism = sasl_find(SPAN("PLAIN"))};
    assert_int_equal(sasl_take(&x, SPAN_NONE, true, &challenge), SASL_STEP_CHALLENGE);
    assert_int_equal(challenge.len, 0);
    assert_int_equal(sasl_take(&x, SPAN("\0a\0b"), false, &challenge), SASL_STEP_COMPLETE);
    sasl_end(&x);
}

static void test_login(void **state)
{
    (void)state;
    struct span challenge;
    struct sasl x = {.mechanism = sasl_find(SPAN("LOGIN"))};
    assert_int_equal(sasl_take(&x, SPAN_NONE, true, &challenge), SASL_STEP_CHALLENGE);
    assert_true(span_eq(challenge, SPAN("Username:")));
    assert_int_equal(sasl_take(&x, SPAN("alice"), false, &challenge), SASL_STEP_CHALLENGE);
    assert_true(span_eq(challenge, SPAN("Password:")));
    assert_int_equal(sasl_take(&x, SPAN("secret"), false, &challenge), SASL_STEP_COMPLETE);
    assert_true(span_eq(strbuf_span(&x.user), SPAN("alice")));
    assert_true(span_eq(strbuf_span(&x.password), SPAN("secret")));
    sasl_end(&x);
    x = (struct sasl){.mechanism = sasl_find(SPAN("LOGIN"))};
    assert_int_equal(sasl_take(&x, SPAN("alice"), false, &challenge), SASL_STEP_CHALLENGE);
    assert_true(span_eq(challenge, SPAN("Password:"))); /* an initial response is the name */
    assert_int_equal(sasl_take(&x, SPAN(""), false, &challenge), SASL_STEP_BAD);
    sasl_end(&x);
}

static void test_canonical(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct span out;
    assert_int_equal(sasl_canonical_account(&a, SPAN("Alice@Example.TEST"), &out, &err), ST_OK);
    assert_true(span_eq(out, SPAN("alice@example.test")));
    assert_int_equal(sasl_canonical_account(&a,
                                            SPAN("a@b\xc3\xbc"
                                                 "cher.test"),
                                            &out, &err),
                     ST_OK);
    assert_true(span_eq(out, SPAN("a@xn--bcher-kva.test")));
    assert_int_not_equal(sasl_canonical_account(&a, SPAN("alice"), &out, &err), ST_OK);
    assert_int_not_equal(sasl_canonical_account(&a, SPAN("alice@"), &out, &err), ST_OK);
    assert_int_not_equal(sasl_canonical_account(&a, SPAN("alice@example.test\r\n"), &out, &err), ST_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),          cmocka_unit_test(test_plain),
        cmocka_unit_test(test_plain_refused), cmocka_unit_test(test_plain_without_initial),
        cmocka_unit_test(test_login),         cmocka_unit_test(test_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
