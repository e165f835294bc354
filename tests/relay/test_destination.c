/* test_destination.c - the window of a destination's messages, who is in hand, and how many connections it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/mem.h"
#include "relay/destination.h"

/* A window of `count` messages from `id` on, each with two recipients. */
static void fill(struct destination *d, uint64_t id, size_t count)
{
    struct window *w = mem_alloc(sizeof *w);
    struct queue_message *list = arena_array(&w->arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i].id = id + i;
        list[i].recipient_count = 2;
        list[i].recipients = arena_array(&w->arena, 2, sizeof *list[i].recipients);
        for (size_t k = 0; k < 2; k++)
            list[i].recipients[k].id = (id + i) << 16 | k;
    }
    destination_fill(d, w, list, count);
}

/* Leaks and use after the window's end are the sanitizer's to find. */
static void messages_come_in_order_and_are_in_hand_until_done(void **state)
{
    (void)state;
    struct destination *d = destination_new(SPAN("one.test"), 0);
    fill(d, 1, 2);
    fill(d, 3, 1);
    fill(d, 9, 0); /* nothing was due */
    assert_int_equal(d->waiting, 3);
    struct parcel *taken[3];
    for (size_t i = 0; i < 3; i++) {
        taken[i] = destination_take(d);
        assert_int_equal(taken[i]->message->id, i + 1);
        assert_int_equal(d->waiting, 2 - i);
    }
    assert_null(destination_take(d));
    fill(d, 4, 1); /* behind an empty list */
    assert_true(destination_has(d, 1 << 16) && destination_has(d, 4 << 16 | 1));
    destination_done(d, &taken[1]);
    assert_null(taken[1]);
    assert_false(destination_has(d, 2 << 16) || destination_has(d, 2 << 16 | 1));
    assert_true(destination_has(d, 1 << 16 | 1) && destination_has(d, 3 << 16));
    destination_done(d, &taken[0]);
    destination_done(d, &taken[2]);
    struct parcel *last = destination_take(d);
    assert_int_equal(last->message->id, 4);
    destination_done(d, &last);
    assert_int_equal(d->in_hand_count, 0);
    destination_free(&d);
    assert_null(d);
}

/* RFC 6710 §5.1: whenever it comes; those of one priority as they came. */
static void the_urgent_go_before_what_waits(void **state)
{
    (void)state;
    static const struct {
        uint64_t id;
        int priority;
    } come[] = {{1, -9}, {2, -9}, {3, 0}, {4, 9}, {5, 0}, {6, -9}, {7, 9}, {8, -1}};
    static const uint64_t expected[] = {4, 7, 3, 5, 8, 1, 2, 6};
    struct destination *d = destination_new(SPAN("one.test"), 0);
    for (size_t i = 0; i < 8; i++) {
        struct window *w = mem_alloc(sizeof *w);
        struct queue_message *m = arena_array(&w->arena, 1, sizeof *m);
        *m = (struct queue_message){.id = come[i].id, .wishes = {.priority = come[i].priority}};
        destination_fill(d, w, m, 1);
        assert_int_equal(d->least, -9);
    }
    for (size_t i = 0; i < 8; i++) {
        struct parcel *p = destination_take(d);
        assert_int_equal(p->message->id, expected[i]);
        destination_done(d, &p);
    }
    assert_null(destination_take(d));
    fill(d, 10, 1); /* of priority 0, behind an empty list */
    assert_int_equal(d->least, 0);
    destination_free(&d);
}

static void clearing_leaves_what_is_being_sent(void **state)
{
    (void)state;
    struct destination *d = destination_new(SPAN("one.test"), 0);
    fill(d, 1, 100);
    struct parcel *sent = destination_take(d);
    destination_clear(d);
    assert_int_equal(d->waiting, 0);
    assert_int_equal(d->in_hand_count, 2);
    assert_true(destination_has(d, 1 << 16));
    fill(d, 2, 1); /* the list still works */
    struct parcel *next = destination_take(d);
    assert_int_equal(next->message->id, 2);
    destination_done(d, &sent);
    assert_int_equal(d->in_hand_count, 2);
    destination_done(d, &next);
    destination_free(&d);
}

/* Successes (s) and failures (f) in a row, and the connections that are allowed after them. */
static void connections_follow_success(void **state)
{
    (void)state;
    static const struct {
        uint32_t failures; /* as the queue knows it */
        const char *events;
        uint32_t most, limit, failures_after;
    } cases[] = {
        {0, "", 20, DESTINATION_FIRST, 0},
        {0, "ssss", 20, DESTINATION_FIRST, 0},
        {0, "sssss", 20, 6, 0},
        {0, "ssssssssssss", 20, 7, 0}, /* 5, then 6, and one of 7 */
        {0, "sssssssssss", 6, 6, 0},   /* the operator's limit */
        {0, "f", 20, 2, 1},
        {0, "ff", 20, 1, 2},
        {0, "fff", 20, 1, 3},
        {0, "ffs", 20, 2, 0},          /* it answers again */
        {0, "ssssfs", 20, 2, 0},       /* a failure begins the count anew */
        {3, "", 20, 1, 3},             /* one probe */
        {3, "f", 20, 1, 4},
        {3, "s", 20, 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct destination *d = destination_new(SPAN("one.test"), cases[i].failures);
        for (const char *e = cases[i].events; *e; e++)
            if (*e == 's')
                destination_succeeded(d, cases[i].most);
            else
                destination_failed(d);
        if (d->limit != cases[i].limit || d->failures != cases[i].failures_after)
            fail_msg("%s: %u connections, %u failures", cases[i].events, d->limit, d->failures);
        destination_free(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_in_order_and_are_in_hand_until_done),
        cmocka_unit_test(the_urgent_go_before_what_waits),
        cmocka_unit_test(clearing_leaves_what_is_being_sent),
        cmocka_unit_test(connections_follow_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
