/* Tests of base/strbuf.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/strbuf.h"

static void starts_empty(void **state)
{
    (void)state;
    AUTO_STRBUF b = STRBUF_INIT;
    assert_string_equal(strbuf_cstr(&b), "");
    assert_int_equal(strbuf_span(&b).len, 0);
    strbuf_clear(&b);
    strbuf_truncate(&b, 0);
    strbuf_consume(&b, 0);
    strbuf_add(&b, SPAN_NONE);
    strbuf_add_cstr(&b, "");
    assert_int_equal(b.len, 0);
    strbuf_free(&b);
    strbuf_free(&b);
}

static void grows_by_every_way_of_adding(void **state)
{
    (void)state;
    AUTO_STRBUF b = STRBUF_INIT;
    strbuf_add(&b, SPAN("one"));
    strbuf_add_char(&b, ' ');
    strbuf_add_bytes(&b, "t\0o", 3);
    strbuf_add_cstr(&b, " three ");
    strbuf_add_u64(&b, 0);
    strbuf_add_char(&b, ' ');
    strbuf_add_u64(&b, UINT64_MAX);
    strbuf_addf(&b, " %d %s", -5, "six");
    memcpy(strbuf_extend(&b, 2), "!!", 2);
    assert_true(span_eq(strbuf_span(&b), SPAN("one t\0o three 0 18446744073709551615 -5 six!!")));
    assert_int_equal(b.p[b.len], '\0');
}

static void keeps_all_bytes_of_long_texts(void **state)
{
    (void)state;
    AUTO_STRBUF b = STRBUF_INIT;
    for (size_t i = 0; i < 100000; i++) {
        strbuf_add_char(&b, (char)('a' + i % 26));
        assert_int_equal(b.p[b.len], '\0');
    }
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(b.p[i], 'a' + i % 26);
}

/* addf has a short way up to 255 bytes and a long one beyond. */
static void formats_of_every_length(void **state)
{
    (void)state;
    for (int n = 250; n < 262; n++) {
        AUTO_STRBUF b = STRBUF_INIT;
        strbuf_add_char(&b, '<');
        strbuf_addf(&b, "%*s", n, "x");
        strbuf_add_char(&b, '>');
        assert_int_equal(b.len, n + 2);
        assert_int_equal(b.p[n], 'x');
        assert_int_equal(b.p[n - 1], ' ');
        assert_int_equal(b.p[n + 1], '>');
    }
}

static void takes_away(void **state)
{
    (void)state;
    AUTO_STRBUF b = STRBUF_INIT;
    strbuf_add_cstr(&b, "abcdef");
    strbuf_truncate(&b, 5);
    assert_string_equal(strbuf_cstr(&b), "abcde");
    strbuf_consume(&b, 2);
    assert_string_equal(strbuf_cstr(&b), "cde");
    strbuf_consume(&b, 0);
    assert_string_equal(strbuf_cstr(&b), "cde");
    strbuf_consume(&b, 3);
    assert_int_equal(b.len, 0);
    strbuf_add_cstr(&b, "again");
    strbuf_clear(&b);
    assert_string_equal(strbuf_cstr(&b), "");
    assert_true(b.cap > 0);
}

static void reserves_without_adding(void **state)
{
    (void)state;
    AUTO_STRBUF b = STRBUF_INIT;
    strbuf_add_cstr(&b, "a");
    strbuf_reserve(&b, 1000);
    assert_true(b.cap >= 1002);
    const char *p = b.p;
    strbuf_extend(&b, 1000);
    assert_ptr_equal(b.p, p);
    assert_int_equal(b.len, 1001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(grows_by_every_way_of_adding),
        cmocka_unit_test(keeps_all_bytes_of_long_texts),
        cmocka_unit_test(formats_of_every_length),
        cmocka_unit_test(takes_away),
        cmocka_unit_test(reserves_without_adding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
