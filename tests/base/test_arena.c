/* Tests of base/arena.h. */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/arena.h"

enum { PIECES = 2000 };

/* Pieces of all sizes are aligned, zeroed and do not overlap: each is filled with its number and checked at the end. */
static void pieces_are_apart(void **state)
{
    (void)state;
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    AUTO_ARENA a = ARENA_INIT;
    uint32_t random = 1;
    size_t sum = 0;
    for (size_t i = 0; i < PIECES; i++) {
        random = random * 1664525u + 1013904223u;
        sizes[i] = (random >> 8) % (i % 10 == 0 ? 10000 : 100);
        sum += sizes[i];
        pieces[i] = arena_alloc(&a, sizes[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(pieces[i][j], 0);
            pieces[i][j] = (unsigned char)i;
        }
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(pieces[i][j], (unsigned char)i);
    assert_true(a.total >= sum);
}

static void first_piece_may_be_large(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    char *large = arena_alloc(&a, 100000), *small = arena_alloc(&a, 16), *larger = arena_alloc(&a, 200000);
    memset(large, 1, 100000);
    memset(small, 2, 16);
    memset(larger, 3, 200000);
    assert_int_equal(large[99999], 1);
    assert_int_equal(small[0], 2);
}

static void is_usable_after_free(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (int round = 0; round < 3; round++) {
        memset(arena_alloc(&a, 5000), 1, 5000);
        memset(arena_alloc(&a, 10), 1, 10);
        arena_free(&a);
        assert_int_equal(a.total, 0);
        assert_null(a.blocks);
    }
    arena_free(&a);
}

static void copies_texts(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    assert_true(span_eq(arena_copy(&a, SPAN("a\0b")), SPAN("a\0b")));
    struct span none = arena_copy(&a, SPAN_NONE);
    assert_int_equal(none.len, 0);
    assert_non_null(none.p);
    assert_string_equal(arena_cstr(&a, SPAN("abc")), "abc");
    assert_string_equal(arena_cstr(&a, SPAN_NONE), "");
    assert_true(span_eq(arena_printf(&a, "%s-%d", "x", 7), SPAN("x-7")));
    AUTO_STRBUF b = STRBUF_INIT;
    strbuf_add_cstr(&b, "text");
    struct span kept = arena_strbuf(&a, &b);
    strbuf_free(&b);
    assert_true(span_eq(kept, SPAN("text")));
    const uint64_t *numbers = arena_array(&a, 1000, sizeof *numbers);
    assert_true(numbers[0] == 0 && numbers[999] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_apart),
        cmocka_unit_test(first_piece_may_be_large),
        cmocka_unit_test(is_usable_after_free),
        cmocka_unit_test(copies_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
