/* Tests of imap/framing.h: where commands end, however they come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "imap/framing.h"

struct expected {
    const char *input;
    size_t length; /* of the command */
    size_t literals;
};

static const struct expected cases[] = {
    {"a NOOP\r\nb", 8, 0},
    {"\r\n", 2, 0},
    {"a LOGIN {5}\r\nalice {6}\r\nsecret\r\n", 32, 2},
    {"a LOGIN {5+}\r\nalice {6+}\r\nsecret\r\nb", 34, 2},
    {"a X {0}\r\n\r\n", 11, 1},
    {"a X {4}\r\n\r\n\r\n\r\n", 15, 1},  /* line ends inside a literal */
    {"a X {7}\r\n{99}\r\n9\r\n", 18, 1}, /* what looks like a literal inside one */
    {"a X {1}\r\n{{1}\r\n}\r\n", 18, 2},
    {"a X \n b\r\n", 9, 0}, /* a bare LF is no line end */
    {"a X \r b\r\n", 9, 0},
    {"a X \r\r\n", 7, 0},
    {"a X {}\r\n", 8, 0},
    {"a X {+}\r\n", 9, 0},
    {"a X {1x}\r\n", 10, 0},
    {"a X 1}\r\n", 8, 0},
    {"a X {-1}\r\n", 10, 0},
};

/* Feeds `step` octets at a time. */
static void check(const struct expected *e, size_t step)
{
    struct span all = span_cstr(e->input);
    struct framing f = {0};
    struct framing_found found;
    size_t literals = 0, len = 0;
    for (;;) {
        enum framing_result r = framing_step(&f, span_take(all, len), &found);
        if (r == FRAMING_COMMAND)
            break;
        if (r == FRAMING_LITERAL) {
            literals++;
            framing_accept(&f, &found);
            continue;
        }
        assert_true(len < all.len);
        len = len + step < all.len ? len + step : all.len;
    }
    assert_int_equal(found.length, e->length);
    assert_int_equal(literals, e->literals);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step <= strlen(cases[i].input); step++)
            check(&cases[i], step);
}

static void test_literal_facts(void **state)
{
    (void)state;
    struct framing f = {0};
    struct framing_found found;
    assert_int_equal(framing_step(&f, SPAN("a APPEND INBOX {310}\r\n"), &found), FRAMING_LITERAL);
    assert_int_equal(found.brace, 15);
    assert_int_equal(found.octets, 22);
    assert_int_equal(found.size, 310);
    assert_true(found.is_synchronizing);
    f = (struct framing){0};
    assert_int_equal(framing_step(&f, SPAN("{99999999999999999999999+}\r\n"), &found), FRAMING_LITERAL);
    assert_int_equal(found.brace, 0);
    assert_true(found.size == UINT64_MAX);
    assert_false(found.is_synchronizing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_literal_facts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
