/* test_histogram.c - the generator's percentiles against sorted values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "histogram.h"

static struct histogram h;

static int reset(void **state)
{
    (void)state;
    memset(&h, 0, sizeof h);
    return 0;
}

static void empty_gives_zero(void **state)
{
    (void)state;
    assert_int_equal(histogram_at(&h, 0.5), 0);
    assert_int_equal(histogram_at(&h, 1), 0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t v = 1; v <= 100; v++)
        histogram_add(&h, v);
    assert_int_equal(histogram_at(&h, 0.5), 50);
    assert_int_equal(histogram_at(&h, 0.9), 90);
    assert_int_equal(histogram_at(&h, 0.99), 99);
    assert_int_equal(histogram_at(&h, 0.999), 100);
    assert_int_equal(histogram_at(&h, 1), 100);
    assert_int_equal(histogram_at(&h, 0), 1);
}

/* Every power of two, its neighbours, and the ends of buckets: what is read back is not below, and at most 1/128 above.
 */
static void single_values_keep_their_precision(void **state)
{
    (void)state;
    for (unsigned power = 0; power < HISTOGRAM_TOP; power++)
        for (int64_t off = -2; off <= 2; off++) {
            int64_t v = (int64_t)(UINT64_C(1) << power) + off;
            if (v < 0)
                continue;
            memset(&h, 0, sizeof h);
            histogram_add(&h, (uint64_t)v);
            histogram_add(&h, UINT64_C(1) << (HISTOGRAM_TOP - 1)); /* so that max does not correct it */
            uint64_t got = histogram_at(&h, 0.5);
            assert_true(got >= (uint64_t)v || v > INT64_C(1) << (HISTOGRAM_TOP - 1));
            assert_true(got <= (uint64_t)v + (uint64_t)v / 128);
        }
}

static void what_is_too_great_counts_at_the_top(void **state)
{
    (void)state;
    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, 5);
    assert_int_equal(h.total, 2);
    assert_int_equal(histogram_at(&h, 0.5), 5);
    assert_true(histogram_at(&h, 1) == UINT64_MAX);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void percentiles_follow_the_sorted_values(void **state)
{
    (void)state;
    enum { N = 20000 };
    static uint64_t values[N];
    uint64_t x = 12345;
    for (size_t i = 0; i < N; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        values[i] = x >> (24 + x % 40);
        histogram_add(&h, values[i]);
    }
    qsort(values, N, sizeof *values, compare);
    static const double points[] = {0.01, 0.1, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        uint64_t exact = values[(size_t)(points[i] * N + 0.999999) - 1], got = histogram_at(&h, points[i]);
        assert_true(got >= exact && got <= exact + exact / 128 + 1);
    }
    assert_true(histogram_at(&h, 1) == values[N - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(empty_gives_zero, reset),
        cmocka_unit_test_setup(small_values_are_exact, reset),
        cmocka_unit_test_setup(single_values_keep_their_precision, reset),
        cmocka_unit_test_setup(what_is_too_great_counts_at_the_top, reset),
        cmocka_unit_test_setup(percentiles_follow_the_sorted_values, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
