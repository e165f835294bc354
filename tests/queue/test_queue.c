/* test_queue.c - the relay's queue: durable adding, due order, settling, retry and drop; and the retry schedule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "queue/queue.h"
#include "queue/schedule.h"

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/tassis-queue-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/queue.db", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char file[128];
    for (const char *const *suffix = (const char *const[]){"", "-wal", "-shm", NULL}; *suffix; suffix++) {
        snprintf(file, sizeof file, "%s%s", path, *suffix);
        unlink(file);
    }
    rmdir(dir);
    clock_unfake();
    return 0;
}

static struct queue *open_queue(void)
{
    struct queue *q = NULL;
    struct err err;
    assert_int_equal(queue_open(path, true, &q, &err), ST_OK);
    return q;
}

static uint64_t add(struct queue *q, const char *text)
{
    struct err err;
    uint64_t id = 0;
    struct span to[] = {SPAN_INIT("bob@example.test"), SPAN_INIT("lists@example.test")};
    struct queue_envelope e = {.sender = SPAN("alice@example.test"), .recipients = to, .recipient_count = 2,
                               .trace = SPAN("t1")};
    assert_int_equal(queue_add(q, &e, span_cstr(text), &id, &err), ST_OK);
    return id;
}

static void added_is_there_after_reopening(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    uint64_t id = add(q, "Subject: x\r\n\r\nhello\r\n");
    queue_free(&q);

    q = open_queue();
    struct queue_message *list;
    size_t count;
    assert_int_equal(queue_list(q, &a, &list, &count, &err), ST_OK);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].id, id);
    assert_true(span_eq(list[0].sender, SPAN("alice@example.test")));
    assert_int_equal(list[0].recipient_count, 2);
    assert_true(span_eq(list[0].recipients[1].address, SPAN("lists@example.test")));
    AUTO_STRBUF body = STRBUF_INIT;
    assert_int_equal(queue_body(q, id, &body, &err), ST_OK);
    assert_string_equal(strbuf_cstr(&body), "Subject: x\r\n\r\nhello\r\n");
    queue_free(&q);
}

static void settling_the_last_recipient_removes_the_message(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    uint64_t id = add(q, "x");
    struct queue_message m;
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_OK);
    assert_int_equal(queue_settle(q, m.recipients[0].id, QUEUE_DELIVERED, 0, SPAN("250 ok"), &err), ST_OK);
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_OK);
    assert_int_equal(m.recipients[0].state, QUEUE_DELIVERED);
    assert_int_equal(m.recipients[0].attempts, 1);
    assert_int_equal(queue_settle(q, m.recipients[1].id, QUEUE_FAILED, 0, SPAN("550 no"), &err), ST_OK);
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_NOTFOUND);
    queue_free(&q);
}

static void only_due_recipients_are_due(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    clock_fake(1000 * 1000, 0);
    struct queue *q = open_queue();
    uint64_t id = add(q, "x");
    struct queue_message m, *list;
    size_t count;
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_OK);
    assert_int_equal(queue_settle(q, m.recipients[0].id, QUEUE_WAITING, 2000, SPAN("451 later"), &err), ST_OK);

    assert_int_equal(queue_due(q, &a, 1500, 10, &list, &count, &err), ST_OK);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].recipient_count, 1);
    assert_true(span_eq(list[0].recipients[0].address, SPAN("lists@example.test")));
    assert_int_equal(queue_due(q, &a, 2000, 10, &list, &count, &err), ST_OK);
    assert_int_equal(list[0].recipient_count, 2);

    assert_int_equal(queue_settle(q, m.recipients[1].id, QUEUE_DELIVERED, 0, SPAN("250 ok"), &err), ST_OK);
    int64_t at = 0;
    assert_int_equal(queue_next_due(q, &at, &err), ST_OK);
    assert_int_equal(at, 2000);
    assert_int_equal(queue_retry_now(q, id, &err), ST_OK);
    assert_int_equal(queue_due(q, &a, 1, 10, &list, &count, &err), ST_OK);
    assert_int_equal(count, 1);
    queue_free(&q);
}

static void dropping_and_retrying_what_is_not_there_says_so(void **state)
{
    (void)state;
    struct err err;
    struct queue *q = open_queue();
    uint64_t id = add(q, "x");
    assert_int_equal(queue_drop(q, id, &err), ST_OK);
    assert_int_equal(queue_drop(q, id, &err), ST_NOTFOUND);
    assert_int_equal(queue_retry_now(q, id, &err), ST_NOTFOUND);
    assert_int_equal(queue_retry_now(q, 0, &err), ST_OK);
    int64_t at = 0;
    assert_int_equal(queue_next_due(q, &at, &err), ST_OK);
    assert_true(at == INT64_MAX);
    queue_free(&q);
}

static void schedule_doubles_and_gives_up(void **state)
{
    (void)state;
    assert_int_equal(schedule_next(1000, 1000, 1, 0), 1060);
    assert_int_equal(schedule_next(1000, 1000, 2, 0), 1120);
    assert_int_equal(schedule_next(1000, 1000, 30, 0), 1000 + SCHEDULE_LONGEST_SECONDS);
    assert_int_equal(schedule_next(1000, 1000, UINT32_MAX, 0), 1000 + SCHEDULE_LONGEST_SECONDS);
    assert_in_range(schedule_next(1000, 1000, 1, 0xffffffff), 1060, 1075);
    assert_int_equal(schedule_next(0, SCHEDULE_GIVE_UP_SECONDS, 9, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(added_is_there_after_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(settling_the_last_recipient_removes_the_message, setup, teardown),
        cmocka_unit_test_setup_teardown(only_due_recipients_are_due, setup, teardown),
        cmocka_unit_test_setup_teardown(dropping_and_retrying_what_is_not_there_says_so, setup, teardown),
        cmocka_unit_test(schedule_doubles_and_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
