/* The trace's file: found by every key, in order, within since and limit; pruned by age and size; hostile lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/strbuf.h"
#include "queue/trace_store.h"

static struct err err;
static char path[64];

static int setup(void **state)
{
    struct trace_store *t = NULL;
    snprintf(path, sizeof path, "/tmp/tassis-trace-XXXXXX");
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(trace_store_open(path, false, &t, &err), ST_NOTFOUND);
    assert_int_equal(trace_store_open(path, true, &t, &err), ST_OK);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct trace_store *t = *state;
    char name[80];
    trace_store_free(&t);
    unlink(path);
    snprintf(name, sizeof name, "%s-wal", path);
    unlink(name);
    snprintf(name, sizeof name, "%s-shm", path);
    unlink(name);
    return 0;
}

/* "trace/event trace/event…" of the answer. */
static void check(struct trace_store *t, const char *word, int64_t since_ms, size_t limit, const char *want)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF got = STRBUF_INIT;
    struct trace_answer found;
    assert_int_equal(trace_store_find(t, &a, &(struct trace_query){span_cstr(word), since_ms, limit}, &found, &err),
                     ST_OK);
    for (size_t i = 0; i < found.count; i++)
        strbuf_addf(&got, "%s%.*s/%.*s", i ? " " : "", SPAN_ARG(found.lines[i].trace),
                    SPAN_ARG(found.lines[i].record.event));
    assert_string_equal(strbuf_cstr(&got), want);
}

#define AT(s) "2026-01-31T12:00:" s ".000Z "

static void fill(struct trace_store *t)
{
    assert_int_equal(trace_store_add(t,
                                     SPAN(AT("05") "mail info delivered trace=m1 to=bob@example.test\n" AT(
                                         "02") "mx info accepted trace=m1 from=Carol@else.test "
                                               "message_id=i@else.test\n" AT("06") "mx info accepted trace=m2 "
                                                                                   "from=dave@else.test "
                                                                                   "to=bob@example.test,eve@example."
                                                                                   "test\n"),
                                     &err),
                     ST_OK);
    assert_int_equal(trace_store_add(t, SPAN(AT("07") "relay info queued trace=m2 queue=17 recipients=1\n"), &err),
                     ST_OK);
    assert_int_equal(trace_store_add(t,
                                     SPAN(AT("09") "relay info sent trace=m2 queue=17 to=\"q\\x1b@out.test\"\n" AT(
                                         "08") "relay warn failed trace=m3 to=x@y.test\n"),
                                     &err),
                     ST_OK);
}

static void test_find(void **state)
{
    struct trace_store *t = *state;
    fill(t);
    check(t, "m1", 0, 10, "m1/accepted m1/delivered");
    check(t, "carol@ELSE.test", 0, 10, "m1/accepted m1/delivered");
    check(t, "i@else.test", 0, 10, "m1/accepted m1/delivered");
    check(t, "17", 0, 10, "m2/accepted m2/queued m2/sent");
    check(t, "eve@example.test", 0, 10, "m2/accepted m2/queued m2/sent");
    check(t, "q\x1b@out.test", 0, 10, "m2/accepted m2/queued m2/sent");
    check(t, "bob@example.test", 0, 10, "m1/accepted m1/delivered m2/accepted m2/queued m2/sent");
    check(t, "bob@example.test", 0, 1, "m2/accepted m2/queued m2/sent");
    check(t, "bob", 0, 10, "");
    check(t, "1", 0, 10, "");                     /* recipients= is no key */
    check(t, "17", 1769860808000, 10, "m2/sent"); /* 12:00:08 */
    check(t, "17", 1769860810000, 10, "");
}

/* What crosses roles is not believed. */
static void test_no_lines(void **state)
{
    struct trace_store *t = *state;
    static const char *const rows[] = {"",           "\n\n\n",
                                       "no line\n",  "2026-01-31T12:00:00.000Z mx info",
                                       "\x00\xff\n", "2026-01-31T12:00:00.000Z mx info e trace=\"m\n"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(trace_store_add(t, span_cstr(rows[i]), &err), ST_OK);
    check(t, "m", 0, 10, "");
    fill(t);
    check(t, "m3", 0, 10, "m3/failed");
}

static void test_dropped_are_told(void **state)
{
    struct trace_store *t = *state;
    AUTO_ARENA a = ARENA_INIT;
    struct trace_answer found;
    assert_int_equal(trace_store_add(t, SPAN(AT("01") "mx warn trace-dropped lines=7\n"), &err), ST_OK);
    fill(t);
    assert_int_equal(trace_store_find(t, &a, &(struct trace_query){SPAN("m1"), 0, 10}, &found, &err), ST_OK);
    assert_int_equal(found.dropped, 7);
}

static void test_prune_by_age(void **state)
{
    struct trace_store *t = *state;
    bool is_done = false;
    fill(t);
    assert_int_equal(trace_store_prune(t, 1769860807000, UINT64_MAX, &is_done, &err), ST_OK);
    assert_true(is_done);
    check(t, "m1", 0, 10, "");
    check(t, "m2", 0, 10, "m2/queued m2/sent");
}

static void test_prune_by_size(void **state)
{
    struct trace_store *t = *state;
    AUTO_STRBUF lines = STRBUF_INIT;
    bool is_done = false;
    for (unsigned i = 0; i < 1000; i++)
        strbuf_addf(&lines, AT("00") "mx info accepted trace=filler%u from=a@b.test\n", i);
    for (int i = 0; i < 60; i++)
        assert_int_equal(trace_store_add(t, strbuf_span(&lines), &err), ST_OK);
    fill(t);
    for (int rounds = 0; !is_done; rounds++) {
        assert_true(rounds < 20);
        assert_int_equal(trace_store_prune(t, 0, 1 << 20, &is_done, &err), ST_OK);
    }
    check(t, "m1", 0, 10, "m1/accepted m1/delivered"); /* the newest are there */
    AUTO_ARENA a = ARENA_INIT;
    struct trace_answer found; /* and no more went than had to: a batch is some 70 KB */
    assert_int_equal(trace_store_find(t, &a, &(struct trace_query){SPAN("filler1"), 0, 10}, &found, &err), ST_OK);
    assert_in_range(found.count, 4, 14);
}

static void test_another_version_is_left_alone(void **state)
{
    struct trace_store *t = *state, *again = NULL;
    trace_store_free(&t);
    *state = NULL;
    FILE *f = fopen(path, "r+b"); /* the user_version of the file's header (SQLite's file format, 1.3) */
    fseek(f, 60, SEEK_SET);
    fwrite("\0\0\0\x09", 1, 4, f);
    fclose(f);
    assert_int_equal(trace_store_open(path, true, &again, &err), ST_UNSUPPORTED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_find),         TEST(test_no_lines),      TEST(test_dropped_are_told),
        TEST(test_prune_by_age), TEST(test_prune_by_size), TEST(test_another_version_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
