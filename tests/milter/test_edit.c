/* Messages as filters change them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "milter/edit.h"

#define MESSAGE "A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\n\r\nbody\r\n"

#define CHANGE(kind_, index_, name_, value_)                                                                           \
    {                                                                                                                  \
        .kind = MILTER_CHANGE_##kind_, .index = (index_), .name = SPAN_INIT(name_), .value = SPAN_INIT(value_)         \
    }

static const struct {
    struct span message;
    bool is_space_given;
    struct milter_change changes[3];
    size_t count;
    const char *body; /* NULL: as it is */
    struct span result;
} rows[] = {
    {SPAN_INIT(MESSAGE),
     false,
     {CHANGE(ADD_HEADER, 0, "X", "y")},
     1,
     NULL,
     SPAN_INIT("A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\nX: y\r\n\r\nbody\r\n")},
    {SPAN_INIT(MESSAGE),
     true,
     {CHANGE(ADD_HEADER, 0, "X", "y")},
     1,
     NULL,
     SPAN_INIT("A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\nX:y\r\n\r\nbody\r\n")},
    {SPAN_INIT(MESSAGE),
     false,
     {CHANGE(INSERT_HEADER, 0, "X", "y"), CHANGE(INSERT_HEADER, 1, "W", "v")},
     2,
     NULL,
     SPAN_INIT("W: v\r\nX: y\r\n" MESSAGE)},
    {SPAN_INIT(MESSAGE),
     false,
     {CHANGE(INSERT_HEADER, 2, "X", "y")},
     1,
     NULL,
     SPAN_INIT("A: 1\r\nX: y\r\nB: 2\r\n\tfolded\r\na: 3\r\n\r\nbody\r\n")},
    {SPAN_INIT(MESSAGE),
     false,
     {CHANGE(INSERT_HEADER, 900, "X", "y")},
     1,
     NULL,
     SPAN_INIT("A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\nX: y\r\n\r\nbody\r\n")},
    {SPAN_INIT(MESSAGE),
     false,
     {CHANGE(HEADER, 2, "A", "new")},
     1,
     NULL,
     SPAN_INIT("A: 1\r\nB: 2\r\n\tfolded\r\nA: new\r\n\r\nbody\r\n")},
    {SPAN_INIT(MESSAGE),
     false,
     {CHANGE(HEADER, 1, "a", ""), CHANGE(HEADER, 1, "a", "x")},
     2,
     NULL,
     SPAN_INIT("B: 2\r\n\tfolded\r\na: x\r\n\r\nbody\r\n")},
    {SPAN_INIT(MESSAGE), false, {CHANGE(HEADER, 3, "A", "")}, 1, NULL, SPAN_INIT(MESSAGE)},
    {SPAN_INIT(MESSAGE),
     false,
     {CHANGE(HEADER, 1, "C", "new")},
     1,
     NULL,
     SPAN_INIT("A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\nC: new\r\n\r\nbody\r\n")},
    /* what would end the header, or begin a field of its own, cannot be brought in by a value */
    {SPAN_INIT(MESSAGE),
     false,
     {CHANGE(ADD_HEADER, 0, "X", "y\n\tz\r\nBcc: all\n\nbody\n")},
     1,
     NULL,
     SPAN_INIT("A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\nX: y\r\n\tz\r\n\tBcc: all\r\n\tbody\r\n\r\nbody\r\n")},
    {SPAN_INIT(MESSAGE),
     false,
     {{0}},
     0,
     "new\nbare\rcr\r\nno end",
     SPAN_INIT("A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\n\r\nnew\r\nbare\r\ncr\r\nno end\r\n")},
    {SPAN_INIT(MESSAGE), false, {{0}}, 0, "", SPAN_INIT("A: 1\r\nB: 2\r\n\tfolded\r\na: 3\r\n\r\n")},
    {SPAN_INIT("A: 1\r\n"), false, {CHANGE(ADD_HEADER, 0, "X", "y")}, 1, NULL, SPAN_INIT("A: 1\r\nX: y\r\n")},
    {SPAN_INIT("A: 1"), false, {CHANGE(ADD_HEADER, 0, "X", "y")}, 1, "new", SPAN_INIT("A: 1\r\nX: y\r\n\r\nnew\r\n")},
    {SPAN_INIT("A: 1\r\nno field\r\nB: 2\r\n\r\n"),
     false,
     {CHANGE(INSERT_HEADER, 2, "X", "y")},
     1,
     NULL,
     SPAN_INIT("A: 1\r\nno field\r\nX: y\r\nB: 2\r\n\r\n")},
    {SPAN_INIT("\r\nonly a body\r\n"),
     false,
     {CHANGE(ADD_HEADER, 0, "X", "y")},
     1,
     NULL,
     SPAN_INIT("X: y\r\n\r\nonly a body\r\n")},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct err err;
        struct milter_change list[3];
        memcpy(list, rows[i].changes, sizeof list);
        struct milter_changes changes = {.list = list, .count = rows[i].count, .has_body = rows[i].body != NULL};
        if (rows[i].body)
            strbuf_add_cstr(&changes.body, rows[i].body);
        assert_int_equal(milter_edit(&a, rows[i].message, &changes, rows[i].is_space_given, &out, &err), ST_OK);
        if (!span_eq(strbuf_span(&out), rows[i].result))
            fail_msg("row %zu: %.*s", i, SPAN_ARG(strbuf_span(&out)));
        strbuf_free(&changes.body);
    }
}

static void test_names_that_cannot_be(void **state)
{
    (void)state;
    static const struct span names[] = {SPAN_INIT(""), SPAN_INIT("a b"), SPAN_INIT("a:b"), SPAN_INIT("a\r\nB"),
                                        SPAN_INIT("\xc3\xa4")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct err err;
        struct milter_change change = {.kind = MILTER_CHANGE_ADD_HEADER, .name = names[i], .value = SPAN("x")};
        struct milter_changes changes = {.list = &change, .count = 1};
        assert_int_equal(milter_edit(&a, SPAN(MESSAGE), &changes, false, &out, &err), ST_SYNTAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_names_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
