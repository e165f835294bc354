/* Tests of base/map.h: a few by hand, and many random changes against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/map.h"

enum { KEYS = 500, CHANGES = 50000 };
static int values[KEYS];

static void puts_gets_removes(void **state)
{
    (void)state;
    struct map *m = map_new();
    assert_null(map_get(m, SPAN("a")));
    assert_null(map_remove(m, SPAN("a")));
    assert_null(map_put(m, SPAN("a"), &values[1]));
    assert_ptr_equal(map_put(m, SPAN("a"), &values[2]), &values[1]);
    assert_int_equal(map_count(m), 1);
    assert_null(map_put(m, SPAN(""), &values[3]));
    assert_null(map_put(m, SPAN("a\0b"), &values[4]));
    assert_ptr_equal(map_get(m, SPAN_NONE), &values[3]);
    assert_ptr_equal(map_get(m, SPAN("a\0b")), &values[4]);
    assert_ptr_equal(map_get(m, SPAN("a")), &values[2]);
    assert_null(map_get(m, SPAN("A")));
    assert_ptr_equal(map_remove(m, SPAN("a")), &values[2]);
    assert_null(map_get(m, SPAN("a")));
    assert_int_equal(map_count(m), 2);
    map_free(&m);
    assert_null(m);
    map_free(&m);
}

static void keys_are_copied(void **state)
{
    (void)state;
    char key[] = "key";
    struct map *m = map_new();
    map_put(m, span_cstr(key), &values[0]);
    key[0] = 'x';
    assert_ptr_equal(map_get(m, SPAN("key")), &values[0]);
    map_free(&m);
}

static struct span key_of(size_t i, char text[16])
{
    int n = snprintf(text, 16, "key-%zu", i);
    return span_of(text, (size_t)n);
}

static void check_all(const struct map *m, const int *const expected[KEYS])
{
    char text[16];
    size_t count = 0, walked = 0;
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(m, key_of(i, text)), expected[i]);
        count += expected[i] != NULL;
    }
    assert_int_equal(map_count(m), count);
    struct span key;
    void *value;
    for (size_t at = 0; map_next(m, &at, &key, &value); walked++)
        assert_ptr_equal(map_get(m, key), value);
    assert_int_equal(walked, count);
}

static void agrees_with_an_array(void **state)
{
    (void)state;
    const int *expected[KEYS] = {0};
    struct map *m = map_new();
    uint32_t random = 7;
    char text[16];
    for (int n = 0; n < CHANGES; n++) {
        random = random * 1664525u + 1013904223u;
        size_t i = (random >> 8) % KEYS;
        bool is_growing = n / 5000 % 2 == 0;
        if ((random >> 28) % 4 < (is_growing ? 3u : 1u)) {
            int *value = &values[(random >> 4) % KEYS];
            assert_ptr_equal(map_put(m, key_of(i, text), value), expected[i]);
            expected[i] = value;
        } else {
            assert_ptr_equal(map_remove(m, key_of(i, text)), expected[i]);
            expected[i] = NULL;
        }
        if (n % 2500 == 0)
            check_all(m, expected);
    }
    check_all(m, expected);
    map_free(&m);
}

static void hashes_differ(void **state)
{
    (void)state;
    assert_true(hash_bytes(SPAN("abc")) == hash_bytes(SPAN("abc")));
    assert_true(hash_bytes(SPAN("abc")) != hash_bytes(SPAN("abd")));
    assert_true(hash_bytes(SPAN("")) != hash_bytes(SPAN("\0")));
    assert_true(hash_bytes(SPAN("12345678")) != hash_bytes(SPAN("12345678\0")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_gets_removes),
        cmocka_unit_test(keys_are_copied),
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(hashes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
