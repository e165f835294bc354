/* Deadlines in the heap against a plain list of them, and counts against limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include "net/limiter.h"
#include "net/timer.h"

static int wakes;

static void wake(void *ctx)
{
    (void)ctx;
    wakes++;
}

/* Each timer fires in the turn in which its last deadline has passed, not before, not later, never when removed. */
static void test_against_list(void **state)
{
    (void)state;
    enum { TIMERS = 200, TURNS = 5000, STEP_MS = 10 };
    static struct timer t[TIMERS];
    struct timers ts;
    unsigned seed = 4;
    timers_init(&ts, wake, NULL);
    for (int i = 0; i < TIMERS; i++)
        t[i].deadline_ms = TIMER_NEVER;
    for (int64_t now = 0; now < TURNS * STEP_MS; now += STEP_MS) {
        int64_t next;
        for (struct timer *due; (due = timers_expired(&ts, now, &next)) != NULL;) {
            assert_true(due->deadline_ms <= now && due->deadline_ms > now - STEP_MS);
            due->deadline_ms = TIMER_NEVER;
        }
        for (int i = 0; i < TIMERS; i++)
            assert_true(t[i].deadline_ms > now && t[i].deadline_ms >= (t[i].index ? next : 0));
        for (int k = 0; k < 5; k++) {
            struct timer *one = &t[rand_r(&seed) % TIMERS];
            int what = rand_r(&seed) % 8;
            if (what == 0) {
                timers_remove(&ts, one);
                one->deadline_ms = TIMER_NEVER;
            } else if (what == 1) {
                timers_set(&ts, one, TIMER_NEVER);
            } else {
                timers_set(&ts, one, now + 1 + rand_r(&seed) % 3000);
            }
        }
    }
    timers_destroy(&ts);
}

/* The loop is woken when a deadline comes before its sleep ends, once, and not for later ones. */
static void test_wakes(void **state)
{
    (void)state;
    struct timers ts;
    struct timer a = {0}, b = {0}, c = {0};
    int64_t next;
    wakes = 0;
    timers_init(&ts, wake, NULL);
    assert_null(timers_expired(&ts, 0, &next));
    assert_true(next == TIMER_NEVER);
    timers_set(&ts, &a, 1000);
    assert_int_equal(wakes, 1);
    assert_null(timers_expired(&ts, 10, &next));
    assert_int_equal(next, 1000);
    timers_set(&ts, &b, 2000);
    timers_set(&ts, &a, 3000); /* later: only noted */
    assert_int_equal(wakes, 1);
    timers_set(&ts, &c, 500);
    assert_int_equal(wakes, 2);
    assert_ptr_equal(timers_expired(&ts, 1500, &next), &c);
    assert_null(timers_expired(&ts, 1500, &next)); /* a's old time has passed: linked anew */
    assert_int_equal(next, 2000);
    timers_remove(&ts, &b);
    timers_remove(&ts, &b);
    assert_null(timers_expired(&ts, 2500, &next));
    assert_ptr_equal(timers_expired(&ts, 3000, &next), &a);
    timers_destroy(&ts);
}

static void test_limiter(void **state)
{
    (void)state;
    struct limiter *l = limiter_new();
    assert_true(limiter_enter(l, SPAN("a"), 2));
    assert_true(limiter_enter(l, SPAN("a"), 2));
    assert_false(limiter_enter(l, SPAN("a"), 2));
    assert_true(limiter_enter(l, SPAN("b"), 2));
    assert_true(limiter_enter(l, SPAN("a"), 0));
    assert_int_equal(limiter_count(l, SPAN("a")), 3);
    limiter_leave(l, SPAN("a"));
    limiter_leave(l, SPAN("a"));
    limiter_leave(l, SPAN("a"));
    assert_int_equal(limiter_count(l, SPAN("a")), 0);
    limiter_leave(l, SPAN("a")); /* never below none */
    assert_int_equal(limiter_count(l, SPAN("a")), 0);
    assert_true(limiter_enter(l, SPAN("a"), 1));
    assert_int_equal(limiter_count(l, SPAN("b")), 1);
    limiter_free(&l);
    assert_null(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_list),
        cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_limiter),
    };
    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
