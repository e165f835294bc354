/* Tests of text/seqset.h. */
#include "check.h"
#include "text/seqset.h"

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t last;
        const char *written; /* NULL: ST_SYNTAX */
        uint64_t count;
    } rows[] = {
        {"1", 9, "1", 1},
        {"2,4:7,9,12:*", 15, "2,4:7,9,12:15", 10}, /* RFC 3501 §9 */
        {"*:4,5:7", 10, "4:10", 7},                /* RFC 3501 §9: 4,5,6,7,8,9,10 */
        {"7:4", 9, "4:7", 4},
        {"559:*", 3, "3:559", 557}, /* RFC 3501 §6.4.8: always contains the last */
        {"*", 7, "7", 1},
        {"*:*", 7, "7", 1},
        {"3:1,2,9,8,10:12", 99, "1:3,8:12", 8},
        {"1,1,1", 9, "1", 1},
        {"1:10,3:4,20", 9, "1:10,20", 11},
        {"20,1:10,3:4", 9, "1:10,20", 11},
        {"4294967295", 9, "4294967295", 1},
        {"1:4294967295,4294967295", 9, "1:4294967295", UINT32_MAX},
        {"4294967294,4294967295,1", 9, "1,4294967294:4294967295", 3},
        /* an empty mailbox */
        {"*", 0, "", 0},
        {"5:*", 0, "", 0},
        {"*:5", 0, "", 0},
        {"1,*,3", 0, "1,3", 2},
        /* no sets */
        {"", 9, NULL, 0},
        {",", 9, NULL, 0},
        {"1,", 9, NULL, 0},
        {",1", 9, NULL, 0},
        {"1,,2", 9, NULL, 0},
        {":", 9, NULL, 0},
        {"1:", 9, NULL, 0},
        {":1", 9, NULL, 0},
        {"1:2:3", 9, NULL, 0},
        {"0", 9, NULL, 0},
        {"0:5", 9, NULL, 0},
        {"01", 9, NULL, 0},
        {"-1", 9, NULL, 0},
        {"1 ", 9, NULL, 0},
        {"**", 9, NULL, 0},
        {"4294967296", 9, NULL, 0},
        {"a", 9, NULL, 0},
        {"$", 9, NULL, 0},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_ARENA a = ARENA_INIT;
        AUTO_STRBUF out = STRBUF_INIT;
        struct seqset *s = NULL;
        struct err err;
        enum status st = seqset_parse(&a, span_cstr(rows[i].text), rows[i].last, &s, &err);
        assert_int_equal(st, rows[i].written ? ST_OK : ST_SYNTAX);
        if (st != ST_OK)
            continue;
        seqset_write(s, &out);
        assert_string_equal(strbuf_cstr(&out), rows[i].written);
        assert_true(seqset_count(s) == rows[i].count);
    }
}

static void has_what_was_named(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct seqset *s;
    struct err err;
    assert_int_equal(seqset_parse(&a, SPAN("2:4,7,4294967295"), 9, &s, &err), ST_OK);
    for (uint32_t n = 0; n < 12; n++)
        assert_int_equal(seqset_has(s, n), (n >= 2 && n <= 4) || n == 7);
    assert_true(seqset_has(s, UINT32_MAX));
    assert_false(seqset_has(s, UINT32_MAX - 1));
    assert_false(seqset_has(seqset_new(&a), 1));
}

/* Random ranges against a plain table of booleans; the ranges must stay sorted, disjoint and apart. */
static void adding_agrees_with_a_table(void **state)
{
    (void)state;
    enum { NUMBERS = 300, ROUNDS = 200 };
    uint32_t random = 3;
    for (int round = 0; round < ROUNDS; round++) {
        AUTO_ARENA a = ARENA_INIT;
        struct seqset *s = seqset_new(&a);
        bool is_in[NUMBERS + 20] = {false};
        for (int n = 0; n < 40; n++) {
            random = random * 1664525u + 1013904223u;
            uint32_t first = 1 + (random >> 8) % (NUMBERS - 1), last = first + (random >> 24) % 8;
            seqset_add(&a, s, first, last);
            for (uint32_t i = first; i <= last; i++)
                is_in[i] = true;
        }
        uint64_t count = 0;
        for (uint32_t i = 0; i < NUMBERS + 20; i++) {
            assert_int_equal(seqset_has(s, i), is_in[i]);
            count += is_in[i];
        }
        assert_true(seqset_count(s) == count);
        for (size_t i = 1; i < s->count; i++)
            assert_true(s->ranges[i].first > s->ranges[i - 1].last + 1);
    }
}

static void adds_at_the_edges(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF out = STRBUF_INIT;
    struct seqset *s = seqset_new(&a);
    seqset_add(&a, s, UINT32_MAX, UINT32_MAX);
    seqset_add(&a, s, 1, 1);
    seqset_add(&a, s, UINT32_MAX - 2, UINT32_MAX - 1);
    seqset_add(&a, s, 2, 2);
    seqset_write(s, &out);
    assert_string_equal(strbuf_cstr(&out), "1:2,4294967293:4294967295");
    seqset_add(&a, s, 1, UINT32_MAX);
    assert_int_equal(s->count, 1);
}

static void ranges_are_limited(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    struct seqset *s;
    struct err err;
    for (uint32_t i = 0; i < SEQSET_RANGES_MAX; i++)
        strbuf_addf(&text, "%s%u", i ? "," : "", (SEQSET_RANGES_MAX - i) * 2);
    assert_int_equal(seqset_parse(&a, strbuf_span(&text), 9, &s, &err), ST_OK);
    assert_int_equal(s->count, SEQSET_RANGES_MAX);
    assert_true(seqset_has(s, 2) && !seqset_has(s, 3));
    strbuf_add_cstr(&text, ",1");
    assert_int_equal(seqset_parse(&a, strbuf_span(&text), 9, &s, &err), ST_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(has_what_was_named),
        cmocka_unit_test(adding_agrees_with_a_table),
        cmocka_unit_test(adds_at_the_edges),
        cmocka_unit_test(ranges_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
