/* test_rate.c - limits in an hour that slides: never more than the limit in any hour, and never longer than needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <pthread.h>
#include "base/clock.h"
#include "policy/rate.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define START ((int64_t)1000 * HOUR)

static unsigned taken(struct rate *r, const char *key, unsigned tries, uint32_t max)
{
    unsigned n = 0;
    for (unsigned i = 0; i < tries; i++)
        n += rate_take(r, 0, span_cstr(key), max);
    return n;
}

static void test_limit(void **state)
{
    (void)state;
    struct rate *r = rate_new();
    clock_fake(START, START);
    assert_int_equal(taken(r, "alice@example.test", 10, 3), 3);
    assert_int_equal(taken(r, "bob@example.test", 10, 3), 3);    /* each for himself */
    assert_true(rate_take(r, 1, SPAN("alice@example.test"), 1)); /* each kind for itself */
    assert_false(rate_take(r, 1, SPAN("alice@example.test"), 1));
    assert_int_equal(taken(r, "carol@example.test", 10, 0), 10); /* no limit */
    assert_int_equal(taken(r, "alice@example.test", 10, 5), 2);  /* the limit may change */
    assert_int_equal(taken(r, "alice@example.test", 10, 1), 0);
    clock_unfake();
    rate_free(&r);
}

/* Wherever in a step it begins: all of an hour counts, and an hour and a step later nothing does, though he never
 * stopped to ask. */
static void test_the_hour_slides(void **state)
{
    (void)state;
    for (int64_t into = 0; into < RATE_STEP_SECONDS; into += 37) {
        struct rate *r = rate_new();
        int64_t begin = START + into * SECOND;
        clock_fake(begin, begin);
        assert_int_equal(taken(r, "a", 5, 4), 4);
        for (int64_t t = begin; t <= begin + HOUR; t += MINUTE) {
            clock_fake(t, t);
            assert_int_equal(taken(r, "a", 3, 4), 0);
        }
        clock_fake(begin, begin + HOUR + RATE_STEP_SECONDS * SECOND);
        assert_int_equal(taken(r, "a", 5, 4), 4);
        rate_free(&r);
    }
    clock_unfake();
}

static void test_it_comes_back_as_it_went(void **state)
{
    (void)state;
    struct rate *r = rate_new();
    for (int i = 0; i < 6; i++) { /* one every ten minutes */
        clock_fake(START, START + i * 10 * MINUTE);
        assert_int_equal(taken(r, "a", 1, 6), 1);
    }
    for (int i = 0; i < 6; i++) {
        clock_fake(START, START + HOUR + RATE_STEP_SECONDS * SECOND + i * 10 * MINUTE);
        assert_int_equal(taken(r, "a", 5, 6), 1);
    }
    clock_fake(START, START + 1000 * (int64_t)HOUR); /* long away */
    assert_int_equal(taken(r, "a", 10, 6), 6);
    clock_unfake();
    rate_free(&r);
}

/* Strangers with more addresses than there are places do not free those who are limited. */
static void test_a_flood_of_keys(void **state)
{
    (void)state;
    struct rate *r = rate_new();
    char key[32];
    clock_fake(START, START);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "busy %u", i);
        assert_int_equal(taken(r, key, 50, 50), 50);
    }
    for (unsigned i = 0; i < 3 * RATE_KEYS_MAX; i++) {
        snprintf(key, sizeof key, "flood %u", i);
        assert_true(rate_take(r, 0, span_cstr(key), 50));
    }
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "busy %u", i);
        assert_int_equal(taken(r, key, 1, 50), 0);
    }
    clock_unfake();
    rate_free(&r);
}

enum { THREADS = 4, EACH = 2000, TOGETHER = 3000 };

static void *take_all(void *r)
{
    return (void *)(uintptr_t)taken(r, "shared", EACH, TOGETHER);
}

static void test_threads(void **state)
{
    (void)state;
    struct rate *r = rate_new();
    pthread_t threads[THREADS];
    uintptr_t all = 0;
    clock_fake(START, START);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, r), 0);
    for (int i = 0; i < THREADS; i++) {
        void *n;
        pthread_join(threads[i], &n);
        all += (uintptr_t)n;
    }
    assert_int_equal(all, TOGETHER);
    clock_unfake();
    rate_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_the_hour_slides),
        cmocka_unit_test(test_it_comes_back_as_it_went),
        cmocka_unit_test(test_a_flood_of_keys),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
