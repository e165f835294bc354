/* Tests of base/span.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/span.h"

#define ROWS(table) (sizeof(table) / sizeof *(table))

static void compares(void **state)
{
    (void)state;
    static const struct {
        struct span a, b;
        int order; /* sign of span_cmp(a, b) */
        bool is_ieq;
    } rows[] = {
        {SPAN_INIT(""), SPAN_INIT(""), 0, true},           {SPAN_INIT("a"), SPAN_INIT("b"), -1, false},
        {SPAN_INIT("a"), SPAN_INIT("A"), 1, true},         {SPAN_INIT("ab"), SPAN_INIT("a"), 1, false},
        {SPAN_INIT(""), SPAN_INIT("a"), -1, false},        {SPAN_INIT("a\0b"), SPAN_INIT("a\0c"), -1, false},
        {SPAN_INIT("\xff"), SPAN_INIT("a"), 1, false},     {SPAN_INIT("[{"), SPAN_INIT("{["), -1, false},
        {SPAN_INIT("\xc4"), SPAN_INIT("\xe4"), -1, false}, /* only A-Z have two cases */
        {SPAN_INIT("@`"), SPAN_INIT("``"), -1, false},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        int c = span_cmp(rows[i].a, rows[i].b);
        assert_int_equal((c > 0) - (c < 0), rows[i].order);
        c = span_cmp(rows[i].b, rows[i].a);
        assert_int_equal((c > 0) - (c < 0), -rows[i].order);
        assert_int_equal(span_eq(rows[i].a, rows[i].b), rows[i].order == 0);
        assert_int_equal(span_ieq(rows[i].a, rows[i].b), rows[i].is_ieq);
    }
    assert_true(span_eq(SPAN_NONE, SPAN("")));
    assert_true(span_ieq(SPAN_NONE, SPAN("")));
    assert_int_equal(span_cmp(SPAN_NONE, SPAN("")), 0);
}

static void starts_and_ends(void **state)
{
    (void)state;
    assert_true(span_starts(SPAN("abc"), SPAN("ab")));
    assert_true(span_starts(SPAN("abc"), SPAN("")));
    assert_false(span_starts(SPAN("abc"), SPAN("aB")));
    assert_true(span_istarts(SPAN("abc"), SPAN("aB")));
    assert_false(span_istarts(SPAN("a"), SPAN("ab")));
    assert_true(span_ends(SPAN("abc"), SPAN("bc")));
    assert_true(span_ends(SPAN("abc"), SPAN("")));
    assert_false(span_ends(SPAN("c"), SPAN("bc")));
    assert_true(span_ends(SPAN_NONE, SPAN_NONE));
}

static void cuts_pieces(void **state)
{
    (void)state;
    struct span s = SPAN("abcdef");
    assert_true(span_eq(span_skip(s, 2), SPAN("cdef")));
    assert_int_equal(span_skip(s, 6).len, 0);
    assert_int_equal(span_skip(s, SIZE_MAX).len, 0);
    assert_ptr_equal(span_skip(s, SIZE_MAX).p, s.p + 6);
    assert_true(span_eq(span_take(s, 2), SPAN("ab")));
    assert_true(span_eq(span_take(s, SIZE_MAX), s));
    assert_true(span_eq(span_slice(s, 1, 3), SPAN("bc")));
    assert_true(span_eq(span_slice(s, 4, 99), SPAN("ef")));
    assert_int_equal(span_slice(s, 5, 3).len, 0);
    assert_int_equal(span_slice(s, 99, 100).len, 0);
    assert_int_equal(span_skip(SPAN_NONE, 3).len, 0);
    assert_int_equal(span_slice(SPAN_NONE, 1, 3).len, 0);
}

static void trims(void **state)
{
    (void)state;
    static const struct {
        struct span in, out;
    } rows[] = {
        {SPAN_INIT(""), SPAN_INIT("")},
        {SPAN_INIT(" \t\r\n"), SPAN_INIT("")},
        {SPAN_INIT("\r\n a b\t"), SPAN_INIT("a b")},
        {SPAN_INIT("a"), SPAN_INIT("a")},
        {SPAN_INIT("\va\f"), SPAN_INIT("\va\f")},
    };
    for (size_t i = 0; i < ROWS(rows); i++)
        assert_true(span_eq(span_trim(rows[i].in), rows[i].out));
}

static void finds(void **state)
{
    (void)state;
    struct span s = SPAN("abcabc\0d");
    assert_int_equal(span_find_byte(s, 'b', 0), 1);
    assert_int_equal(span_find_byte(s, 'b', 2), 4);
    assert_int_equal(span_find_byte(s, 'd', 0), 7);
    assert_true(span_find_byte(s, 'b', 5) == SPAN_NPOS);
    assert_true(span_find_byte(s, 'a', 99) == SPAN_NPOS);
    assert_true(span_find_byte(SPAN_NONE, 'a', 0) == SPAN_NPOS);
    assert_int_equal(span_rfind_byte(s, 'a'), 3);
    assert_true(span_rfind_byte(s, 'x') == SPAN_NPOS);
    assert_int_equal(span_find(s, SPAN("ca"), 0), 2);
    assert_int_equal(span_find(s, SPAN("abc"), 1), 3);
    assert_int_equal(span_find(s, SPAN(""), 8), 8);
    assert_true(span_find(s, SPAN(""), 9) == SPAN_NPOS);
    assert_true(span_find(s, SPAN("abcd"), 0) == SPAN_NPOS);
    assert_true(span_find(SPAN("ab"), SPAN("abc"), 0) == SPAN_NPOS);
}

static void cuts_at_a_byte(void **state)
{
    (void)state;
    struct span s = SPAN("a,,b"), head;
    assert_true(span_cut(&s, ',', &head));
    assert_true(span_eq(head, SPAN("a")));
    assert_true(span_cut(&s, ',', &head));
    assert_int_equal(head.len, 0);
    assert_false(span_cut(&s, ',', &head));
    assert_true(span_eq(head, SPAN("b")));
    assert_int_equal(s.len, 0);
    assert_false(span_cut(&s, ',', &head));
    assert_int_equal(head.len, 0);
}

static void reads_numbers(void **state)
{
    (void)state;
    static const struct {
        struct span text;
        uint64_t max;
        bool is_good;
        uint64_t value;
    } rows[] = {
        {SPAN_INIT("0"), 0, true, 0},
        {SPAN_INIT("1"), 0, false, 0},
        {SPAN_INIT("007"), 9, true, 7},
        {SPAN_INIT("9"), 5, false, 0},
        {SPAN_INIT("5"), 5, true, 5},
        {SPAN_INIT("15"), 15, true, 15},
        {SPAN_INIT("16"), 15, false, 0},
        {SPAN_INIT("4294967295"), UINT32_MAX, true, UINT32_MAX},
        {SPAN_INIT("4294967296"), UINT32_MAX, false, 0},
        {SPAN_INIT("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
        {SPAN_INIT("18446744073709551616"), UINT64_MAX, false, 0},
        {SPAN_INIT("99999999999999999999999"), UINT64_MAX, false, 0},
        {SPAN_INIT(""), 9, false, 0},
        {SPAN_INIT("+1"), 9, false, 0},
        {SPAN_INIT("-1"), 9, false, 0},
        {SPAN_INIT(" 1"), 9, false, 0},
        {SPAN_INIT("1 "), 9, false, 0},
        {SPAN_INIT("1\0"), 9, false, 0},
        {SPAN_INIT("0x1"), 9, false, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        uint64_t value = 77;
        assert_int_equal(span_to_u64(rows[i].text, rows[i].max, &value), rows[i].is_good);
        assert_true(value == (rows[i].is_good ? rows[i].value : 77));
    }
}

static void knows_ascii(void **state)
{
    (void)state;
    for (int c = -128; c < 128; c++) {
        bool is_upper = c >= 'A' && c <= 'Z', is_lower = c >= 'a' && c <= 'z';
        assert_int_equal(ascii_is_alpha((char)c), is_upper || is_lower);
        assert_int_equal(ascii_is_digit((char)c), c >= '0' && c <= '9');
        assert_int_equal(ascii_lower((char)c), is_upper ? c + 32 : c);
        assert_int_equal(ascii_upper((char)c), is_lower ? c - 32 : c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),      cmocka_unit_test(starts_and_ends), cmocka_unit_test(cuts_pieces),
        cmocka_unit_test(trims),         cmocka_unit_test(finds),           cmocka_unit_test(cuts_at_a_byte),
        cmocka_unit_test(reads_numbers), cmocka_unit_test(knows_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
