/* test_body.c - bodies of every size, with and without a prefix, against a plain buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include "base/strbuf.h"
#include "sys/body.h"

static void check_same(struct body *b, const struct strbuf *want)
{
    struct err err;
    struct span got;
    assert_int_equal(body_span(b, &got, &err), ST_OK);
    assert_true(span_eq(got, strbuf_span(want)));
    assert_int_equal(body_size(b), want->len);

    AUTO_STRBUF prefixed = STRBUF_INIT;
    strbuf_add(&prefixed, SPAN("X: y\r\n"));
    strbuf_add(&prefixed, strbuf_span(want));
    assert_int_equal(body_prefix(b, SPAN("a longer one that comes first\r\n"), &got, &err), ST_OK);
    assert_int_equal(body_prefix(b, SPAN("X: y\r\n"), &got, &err), ST_OK);
    assert_true(span_eq(got, strbuf_span(&prefixed)));
    assert_int_equal(body_span(b, &got, &err), ST_OK);
    assert_true(span_eq(got, strbuf_span(want)));
}

static void test_grows(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 100, 4096, 65536};
    for (size_t p = 0; p < 4; p++) {
        struct err err;
        AUTO(body) b = body_new(3 << 20);
        AUTO_STRBUF want = STRBUF_INIT;
        char piece[65536];
        check_same(b, &want);
        size_t checked = 0, total = p == 0 ? 20000 : 2 << 20;
        while (want.len < total) {
            for (size_t i = 0; i < pieces[p]; i++)
                piece[i] = (char)(want.len * 31 + i * 7);
            strbuf_add_bytes(&want, piece, pieces[p]);
            assert_int_equal(body_append(b, span_of(piece, pieces[p]), &err), ST_OK);
            if (want.len > checked + checked / 8 + 1000) {
                check_same(b, &want);
                checked = want.len;
            }
        }
        check_same(b, &want);
    }
}

static void test_limit(void **state)
{
    (void)state;
    struct err err;
    AUTO(body) b = body_new(10);
    assert_int_equal(body_append(b, SPAN("0123456789"), &err), ST_OK);
    assert_int_equal(body_append(b, SPAN(""), &err), ST_OK);
    assert_int_equal(body_append(b, SPAN("x"), &err), ST_LIMIT);
    assert_int_equal(body_size(b), 10);
    AUTO_STRBUF prefix = STRBUF_INIT;
    strbuf_extend(&prefix, BODY_PREFIX_MAX);
    struct span out;
    assert_int_equal(body_prefix(b, strbuf_span(&prefix), &out, &err), ST_OK);
    assert_int_equal(out.len, BODY_PREFIX_MAX + 10);
    strbuf_add_char(&prefix, 'x');
    assert_int_equal(body_prefix(b, strbuf_span(&prefix), &out, &err), ST_LIMIT);
}

/* Large bodies have a share of memory together; small ones, and one that is alone, are not hindered. */
static void test_large_together(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    static char octets[SIZE];
    struct err err;
    struct span megabyte = span_of(octets, sizeof octets);
    struct body *b[4];
    for (int i = 0; i < 4; i++)
        b[i] = body_new(100 * SIZE);
    body_set_large_total_max(3 * SIZE);
    for (int i = 0; i < 3; i++)
        assert_int_equal(body_append(b[i], megabyte, &err), ST_OK);
    assert_int_equal(body_append(b[3], megabyte, &err), ST_TEMPORARY);
    assert_int_equal(body_size(b[3]), 0);
    assert_int_equal(body_append(b[0], span_take(megabyte, 1), &err), ST_TEMPORARY);
    assert_int_equal(body_append(b[3], span_take(megabyte, BODY_HEAP_MAX), &err), ST_OK);
    body_free(&b[0]);
    assert_int_equal(body_append(b[3], span_skip(megabyte, BODY_HEAP_MAX), &err), ST_OK);
    body_free(&b[1]);
    body_free(&b[2]);
    for (int i = 0; i < 10; i++)
        assert_int_equal(body_append(b[3], megabyte, &err), ST_OK);
    body_free(&b[3]);
    body_set_large_total_max(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grows), cmocka_unit_test(test_limit),
                                       cmocka_unit_test(test_large_together)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
