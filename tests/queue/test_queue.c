/* test_queue.c - the relay's queue: durable adding, due order, settling, destinations, pushing, older files; the schedule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "queue/outbound.h"
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

static uint64_t add_to(struct queue *q, const char *text, const char *to1, const char *to2, int priority)
{
    struct err err;
    uint64_t id = 0;
    struct queue_to to[] = {{.address = span_cstr(to1)}, {.address = span_cstr(to2)}};
    for (size_t i = 0; i < 2; i++)
        to[i].destination = span_skip(to[i].address, span_rfind_byte(to[i].address, '@') + 1);
    struct queue_envelope e = {.sender = SPAN("alice@example.test"), .to = to, .to_count = *to2 ? 2 : 1, .trace = SPAN("t1"),
                               .wishes = {.priority = priority}, .first_deadline_at = 5000000};
    assert_int_equal(queue_add(q, &e, span_cstr(text), &id, &err), ST_OK);
    return id;
}

static uint64_t add(struct queue *q, const char *text)
{
    return add_to(q, text, "bob@example.test", "lists@example.test", 0);
}

static void settle(struct queue *q, uint64_t recipient, enum queue_state state, int64_t next, const char *reply)
{
    struct err err;
    struct queue_outcome o = {.recipient_id = recipient, .state = state, .is_attempt = true, .next_attempt_at = next,
                              .reply = span_cstr(reply)};
    assert_int_equal(queue_settle(q, &o, 1, NULL, 0, 0, &err), ST_OK);
}

static size_t due(struct queue *q, struct arena *a, const char *destination, int64_t now, struct queue_message **list)
{
    struct err err;
    size_t count = 99;
    assert_int_equal(queue_due(q, a, span_cstr(destination), now, 10, QUEUE_PRIORITY_LEAST, NULL, NULL, list, &count, &err), ST_OK);
    return count;
}

static size_t destinations(struct queue *q, struct arena *a, int64_t now, struct queue_destination **list, int64_t *next)
{
    struct err err;
    size_t count = 99;
    assert_int_equal(queue_destinations(q, a, now, 10, list, &count, next, &err), ST_OK);
    return count;
}

static void added_is_there_after_reopening(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    struct queue_to to = {.address = SPAN("bob@example.test"), .destination = SPAN("example.test"), .notify = 12,
                          .orcpt = SPAN("rfc822;b+2Bb@example.test")};
    struct queue_envelope e = {
        .sender = SPAN("alice@example.test"), .to = &to, .to_count = 1, .trace = SPAN("t1"), .first_deadline_at = 77,
        .wishes = {QUEUE_BINARYMIME, QUEUE_RET_FULL, QUEUE_BY_RETURN, true, true, true, -4, 1000, 2000, SPAN_INIT("env"),
                   SPAN_INIT("for;60")}};
    uint64_t id;
    assert_int_equal(queue_add(q, &e, SPAN("Subject: x\r\n\r\nhello\r\n"), &id, &err), ST_OK);
    queue_free(&q);

    q = open_queue();
    struct queue_message m;
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_OK);
    assert_true(span_eq(m.sender, SPAN("alice@example.test")));
    assert_int_equal(m.deadline_at, 77);
    assert_int_equal(m.wishes.body, QUEUE_BINARYMIME);
    assert_int_equal(m.wishes.ret, QUEUE_RET_FULL);
    assert_int_equal(m.wishes.by, QUEUE_BY_RETURN);
    assert_true(m.wishes.is_smtputf8 && m.wishes.is_tls_required && m.wishes.is_by_traced);
    assert_int_equal(m.wishes.priority, -4);
    assert_int_equal(m.wishes.hold_until, 1000);
    assert_int_equal(m.wishes.deliver_by, 2000);
    assert_true(span_eq(m.wishes.envid, SPAN("env")));
    assert_true(span_eq(m.wishes.hold_request, SPAN("for;60")));
    assert_int_equal(m.recipient_count, 1);
    assert_int_equal(queue_message_of(m.recipients[0].id), id);
    assert_int_equal(m.recipients[0].notify, 12);
    assert_true(span_eq(m.recipients[0].orcpt, SPAN("rfc822;b+2Bb@example.test")));
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
    settle(q, m.recipients[0].id, QUEUE_DELIVERED, 0, "250 ok");
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_OK);
    assert_int_equal(m.recipients[0].state, QUEUE_DELIVERED);
    assert_int_equal(m.recipients[0].attempts, 1);
    settle(q, m.recipients[1].id, QUEUE_FAILED, 0, "550 no");
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_NOTFOUND);
    queue_free(&q);
}

static void a_report_comes_with_the_outcome_it_tells_of(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    uint64_t id = add_to(q, "x", "bob@example.test", "", 0);
    struct queue_to to = {.address = SPAN("alice@example.test"), .destination = SPAN("example.test")};
    struct queue_report report = {.envelope = {.trace = SPAN("t1"), .to = &to, .to_count = 1}, .message = SPAN("sorry")};
    struct queue_outcome o = {.recipient_id = id << 16, .state = QUEUE_FAILED, .is_attempt = true, .reply = SPAN("550 no")};
    assert_int_equal(queue_settle(q, &o, 1, &report, 1, 0, &err), ST_OK);
    struct queue_message m;
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_NOTFOUND);
    assert_int_equal(queue_get(q, &a, id + 1, &m, &err), ST_OK);
    assert_int_equal(m.sender.len, 0);
    queue_free(&q);
}

static void only_due_recipients_are_due(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    clock_fake(1000 * 1000, 0);
    struct queue *q = open_queue();
    uint64_t id = add(q, "x");
    struct queue_message *list;
    settle(q, id << 16, QUEUE_WAITING, 2000, "451 later");
    assert_int_equal(due(q, &a, "example.test", 1500, &list), 1);
    assert_int_equal(list[0].recipient_count, 1);
    assert_true(span_eq(list[0].recipients[0].address, SPAN("lists@example.test")));
    assert_int_equal(due(q, &a, "example.test", 2000, &list), 1);
    assert_int_equal(list[0].recipient_count, 2);
    assert_int_equal(due(q, &a, "elsewhere.test", 2000, &list), 0);
    queue_free(&q);
}

static bool is_the_first(void *ctx, uint64_t id)
{
    return id == *(uint64_t *)ctx;
}

static void what_is_in_hand_is_skipped(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    uint64_t first = add(q, "x") << 16;
    struct queue_message *list;
    size_t count;
    assert_int_equal(queue_due(q, &a, SPAN("example.test"), INT32_MAX, 1, QUEUE_PRIORITY_LEAST, is_the_first, &first, &list, &count, &err), ST_OK);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].recipients[0].id, first + 1);
    queue_free(&q);
}

static void urgent_ones_come_first(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    uint64_t patient = add_to(q, "x", "bob@example.test", "", -3), ordinary = add_to(q, "x", "bob@example.test", "", 0),
             urgent = add_to(q, "x", "bob@example.test", "", 4);
    struct queue_message *list;
    assert_int_equal(due(q, &a, "example.test", INT32_MAX, &list), 3);
    assert_int_equal(list[0].id, urgent);
    assert_int_equal(list[1].id, ordinary);
    assert_int_equal(list[2].id, patient);
    queue_free(&q);
}

/* RFC 6710 §5: each of the nineteen is a level of its own, and what is not due does not hold up what is. */
static void every_priority_is_a_level(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    uint64_t id[19];
    struct queue_message *list;
    size_t count;
    for (int p = QUEUE_PRIORITY_LEAST; p <= QUEUE_PRIORITY_MOST; p++)
        id[p + 9] = add_to(q, "x", "bob@example.test", "", p);
    assert_int_equal(queue_due(q, &a, SPAN("example.test"), INT32_MAX, 50, QUEUE_PRIORITY_LEAST, NULL, NULL, &list, &count, &err), ST_OK);
    assert_int_equal(count, 19);
    for (size_t i = 0; i < 19; i++) {
        assert_int_equal(list[i].id, id[18 - i]);
        assert_int_equal(list[i].wishes.priority, 9 - (int)i);
    }
    settle(q, id[18] << 16, QUEUE_WAITING, INT32_MAX, "451 later");
    assert_int_equal(queue_due(q, &a, SPAN("example.test"), INT32_MAX - 1, 50, 7, NULL, NULL, &list, &count, &err), ST_OK);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].id, id[17]);
    assert_int_equal(list[1].id, id[16]);
    for (size_t i = 1; i < 18; i++) /* what is left: the least and the most urgent, the second much later */
        settle(q, id[i] << 16, QUEUE_DELIVERED, 0, "250 ok");
    settle(q, id[0] << 16, QUEUE_WAITING, INT32_MAX - 5, "451 later");
    struct queue_destination *destination_list;
    int64_t next;
    assert_int_equal(queue_rest(q, SPAN("example.test"), 0, 0, 0, &err), ST_OK);
    assert_int_equal(destinations(q, &a, 1, &destination_list, &next), 0);
    assert_int_equal(next, INT32_MAX - 5); /* of the earliest lane, wherever it stands */
    queue_free(&q);
}

static void push(struct queue *q, const struct queue_filter *f, bool is_run)
{
    struct err err;
    size_t count = 0;
    if (is_run)
        assert_int_equal(queue_run(q, QUEUE_RUN_DOMAIN, SPAN("dead.test"), SPAN("dead.test"), &count, &err), ST_OK);
    else
        assert_int_equal(queue_act(q, f, QUEUE_RETRY, &count, &err), ST_OK);
    assert_int_equal(count, 1);
}

/* A destination at rest is not given out, whatever comes for it; a push from outside ends the rest. */
static void a_destination_rests(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    clock_fake(1000 * 1000, 0);
    struct queue *q = open_queue();
    struct queue_destination *list;
    int64_t next;
    uint64_t id = add_to(q, "x", "bob@dead.test", "", 0);
    assert_int_equal(destinations(q, &a, 1000, &list, &next), 1);
    assert_int_equal(queue_rest(q, SPAN("dead.test"), 1600, 3, 0, &err), ST_OK);
    assert_int_equal(destinations(q, &a, 1000, &list, &next), 0);
    assert_int_equal(next, 1600);
    add_to(q, "x", "carol@dead.test", "dave@other.test", 0);
    assert_int_equal(destinations(q, &a, 1000, &list, &next), 1);
    assert_true(span_eq(list[0].name, SPAN("other.test")));
    assert_int_equal(destinations(q, &a, 1600, &list, &next), 2);
    size_t count;
    struct queue_filter f = {.id = id};
    assert_int_equal(queue_act(q, &f, QUEUE_RETRY, &count, &err), ST_OK);
    assert_int_equal(destinations(q, &a, 1000, &list, &next), 2);
    assert_true(span_eq(list[0].name, SPAN("dead.test")));
    assert_int_equal(list[0].failures, 3);
    queue_free(&q);
}

/* Somebody pushes while an attempt is under way (db.c, 5): when that fails, the push still counts. */
static void a_push_is_not_lost_to_an_attempt_under_way(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_pushed_before, is_pushed_meanwhile, is_run; /* run: ETRN's way */
        bool is_due;
    } rows[] = {
        {"an attempt of its own", false, false, false, false},
        {"a push's attempt", true, false, false, false},
        {"pushed meanwhile", false, true, false, true},
        {"pushed again", true, true, false, true},
        {"run", true, false, true, false},
        {"run again", true, true, true, true},
    };
    clock_fake(1000 * 1000, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct err err;
        struct queue *q = open_queue();
        struct queue_destination *list;
        struct queue_message *messages;
        size_t count;
        int64_t next;
        uint64_t id = add_to(q, "x", "bob@dead.test", "", 0);
        struct queue_filter f = {.id = id};
        if (rows[i].is_pushed_before)
            push(q, &f, rows[i].is_run);
        assert_int_equal(destinations(q, &a, 1000, &list, &next), 1);
        assert_int_equal(due(q, &a, "dead.test", 1000, &messages), 1);
        const struct queue_recipient *r = &messages[0].recipients[0];
        if (rows[i].is_pushed_meanwhile)
            push(q, &f, rows[i].is_run);
        struct queue_outcome o = {.recipient_id = r->id, .state = QUEUE_WAITING, .is_attempt = true, .began_at = r->next_attempt_at,
                                  .next_attempt_at = 1900, .reply = SPAN("451 later")};
        assert_int_equal(queue_settle(q, &o, 1, NULL, 0, 0, &err), ST_OK);
        assert_int_equal(queue_rest(q, SPAN("dead.test"), 1600, 1, list[0].pushes, &err), ST_OK);
        bool is_due = destinations(q, &a, 1000, &list, &next) == 1 && due(q, &a, "dead.test", 1000, &messages) == 1;
        if (is_due != rows[i].is_due)
            fail_msg("%s: due %d", rows[i].name, is_due);
        if (is_due) { /* the next attempt knows of the push, and its failure counts */
            o.began_at = messages[0].recipients[0].next_attempt_at;
            assert_int_equal(queue_settle(q, &o, 1, NULL, 0, 0, &err), ST_OK);
            assert_int_equal(queue_rest(q, SPAN("dead.test"), 1600, 2, list[0].pushes, &err), ST_OK);
            assert_int_equal(destinations(q, &a, 1000, &list, &next), 0);
            assert_int_equal(next, 1900);
        }
        assert_int_equal(queue_act(q, &f, QUEUE_DROP, &count, &err), ST_OK);
        assert_int_equal(queue_rest(q, SPAN("dead.test"), 0, 0, 0, &err), ST_OK);
        queue_free(&q);
    }
}

/* The operator holds what is being sent just then: it is not sent again, whatever the attempt says of later. */
static void a_hold_outlives_the_attempt_under_way(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct err err;
    struct queue *q = open_queue();
    struct queue_message m, *list;
    size_t count;
    uint64_t id = add_to(q, "x", "bob@example.test", "", 0);
    struct queue_filter f = {.id = id};
    assert_int_equal(queue_act(q, &f, QUEUE_HOLD, &count, &err), ST_OK);
    settle(q, id << 16, QUEUE_WAITING, 2000, "451 later");
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_OK);
    assert_int_equal(m.recipients[0].state, QUEUE_HELD);
    assert_int_equal(due(q, &a, "example.test", INT32_MAX, &list), 0);
    settle(q, id << 16, QUEUE_DELIVERED, 0, "250 ok"); /* it has arrived nevertheless */
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_NOTFOUND);
    queue_free(&q);
}

static void a_destination_with_nothing_is_forgotten(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    struct queue_destination *list;
    int64_t next;
    uint64_t id = add_to(q, "x", "bob@example.test", "", 0);
    settle(q, id << 16, QUEUE_DELIVERED, 0, "250 ok");
    assert_int_equal(queue_rest(q, SPAN("example.test"), 0, 0, 0, &err), ST_OK);
    assert_int_equal(destinations(q, &a, INT32_MAX, &list, &next), 0);
    assert_true(next == INT64_MAX);
    queue_free(&q);
}

static void deadlines_come_in_order(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    uint64_t id = add(q, "x");
    struct queue_message *list;
    size_t count;
    int64_t next;
    assert_int_equal(queue_expiring(q, &a, 4999999, 10, &list, &count, &next, &err), ST_OK);
    assert_int_equal(count, 0);
    assert_int_equal(next, 5000000);
    assert_int_equal(queue_expiring(q, &a, 5000000, 10, &list, &count, &next, &err), ST_OK);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].recipient_count, 2);
    assert_int_equal(queue_postpone(q, id, 6000000, &err), ST_OK);
    assert_int_equal(queue_expiring(q, &a, 5000000, 10, &list, &count, &next, &err), ST_OK);
    assert_int_equal(count, 0);
    assert_int_equal(next, 6000000);
    queue_free(&q);
}

static bool count_one(void *ctx, const struct queue_message *m)
{
    (void)m;
    ++*(size_t *)ctx;
    return true;
}

static size_t matching(struct queue *q, struct queue_filter f)
{
    struct err err;
    size_t n = 0;
    assert_int_equal(queue_each(q, &f, count_one, &n, &err), ST_OK);
    return n;
}

static void filters_say_which(void **state)
{
    (void)state;
    clock_fake(1000 * 1000, 0);
    struct queue *q = open_queue();
    uint64_t first = add_to(q, "x", "bob@one.test", "carol@two.test", 0);
    clock_fake(2000 * 1000, 0);
    add_to(q, "x", "bob@three.test", "", 0);
    assert_int_equal(matching(q, (struct queue_filter){0}), 2);
    assert_int_equal(matching(q, (struct queue_filter){.id = first}), 1);
    assert_int_equal(matching(q, (struct queue_filter){.domain = SPAN("two.test")}), 1);
    assert_int_equal(matching(q, (struct queue_filter){.domain = SPAN("wo.test")}), 0);
    assert_int_equal(matching(q, (struct queue_filter){.sender = SPAN("Alice@example.test")}), 2);
    assert_int_equal(matching(q, (struct queue_filter){.sender = SPAN("<>")}), 0);
    assert_int_equal(matching(q, (struct queue_filter){.queued_before = 1500}), 1);
    queue_free(&q);
}

static void held_ones_wait_for_release(void **state)
{
    (void)state;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    struct queue_filter all = {0};
    struct queue_message *list, m;
    size_t count;
    uint64_t id = add(q, "x");
    assert_int_equal(queue_act(q, &all, QUEUE_HOLD, &count, &err), ST_OK);
    assert_int_equal(count, 1);
    assert_int_equal(due(q, &a, "example.test", INT32_MAX, &list), 0);
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_OK);
    assert_int_equal(m.recipients[0].state, QUEUE_HELD);
    assert_int_equal(queue_act(q, &all, QUEUE_RELEASE, &count, &err), ST_OK);
    assert_int_equal(due(q, &a, "example.test", INT32_MAX, &list), 1);
    queue_free(&q);
}

static void dropping_and_retrying_what_is_not_there_says_so(void **state)
{
    (void)state;
    struct err err;
    struct queue *q = open_queue();
    struct queue_filter f = {.id = add(q, "x")};
    size_t count;
    assert_int_equal(queue_act(q, &f, QUEUE_DROP, &count, &err), ST_OK);
    assert_int_equal(queue_act(q, &f, QUEUE_DROP, &count, &err), ST_NOTFOUND);
    assert_int_equal(queue_act(q, &f, QUEUE_RETRY, &count, &err), ST_NOTFOUND);
    f.id = 0;
    assert_int_equal(queue_act(q, &f, QUEUE_RETRY, &count, &err), ST_OK);
    assert_int_equal(count, 0);
    queue_free(&q);
}

/* Many threads add and settle at once: their transactions are shared, nothing is lost. */
enum { THREADS = 8, EACH = 50 };
static void *add_and_settle(void *ctx)
{
    struct queue *q = ctx;
    for (int i = 0; i < EACH; i++) {
        uint64_t id = add_to(q, "x", "bob@example.test", "", 0);
        if (i % 2)
            settle(q, id << 16, QUEUE_DELIVERED, 0, "250 ok");
    }
    return NULL;
}

static void threads_share_transactions(void **state)
{
    (void)state;
    struct queue *q = open_queue();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_and_settle, q), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(matching(q, (struct queue_filter){0}), THREADS * EACH / 2);
    queue_free(&q);
}

/* A file of version 1, as the release before left it. */
static void older_files_are_brought_up(void **state)
{
    (void)state;
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "PRAGMA journal_mode=WAL;"
                     "CREATE TABLE message(id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, trace TEXT NOT NULL,"
                     " queued_at INTEGER NOT NULL, size INTEGER NOT NULL, smtputf8 INTEGER NOT NULL,"
                     " eightbit INTEGER NOT NULL, body BLOB NOT NULL);"
                     "CREATE TABLE recipient(id INTEGER PRIMARY KEY AUTOINCREMENT, message INTEGER NOT NULL,"
                     " address TEXT NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
                     " next_attempt_at INTEGER NOT NULL, last_reply TEXT NOT NULL);"
                     "CREATE INDEX recipient_message ON recipient(message);"
                     "CREATE INDEX recipient_due ON recipient(next_attempt_at) WHERE state = 0;"
                     "INSERT INTO message VALUES(7, 'a@example.test', 't', 1000, 1, 1, 1, 'x');"
                     "INSERT INTO recipient VALUES(3, 7, 'bob@One.test', 1, 1, 0, '250 ok'),"
                     " (4, 7, '\"a@b\"@Two.test', 0, 2, 1500, '451 later');"
                     "PRAGMA user_version = 1",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    struct queue *q = open_queue();
    struct queue_message m, *list;
    assert_int_equal(queue_get(q, &a, 7, &m, &err), ST_OK);
    assert_int_equal(m.recipient_count, 2);
    assert_int_equal(m.recipients[0].state, QUEUE_DELIVERED);
    assert_true(m.wishes.is_smtputf8);
    assert_int_equal(m.wishes.body, QUEUE_8BITMIME);
    assert_int_equal(m.deadline_at, 1000 + 5 * 86400);
    assert_int_equal(due(q, &a, "two.test", 1500, &list), 1);
    assert_int_equal(list[0].recipients[0].attempts, 2);
    struct queue_destination *destination_list;
    int64_t next;
    assert_int_equal(destinations(q, &a, 1500, &destination_list, &next), 1);
    queue_free(&q);
}

/* Versions 2 and 3: a file of today is put back to what they were. */
static void files_with_three_lanes_are_brought_up(void **state)
{
    (void)state;
    static const char *const back[] = {
        "ALTER TABLE message DROP COLUMN hold_request; UPDATE recipient SET lane = CASE WHEN lane < 9 THEN 0 WHEN lane = 9"
        " THEN 1 ELSE 2 END; PRAGMA user_version = 3",
        "DROP TABLE sts; DROP TABLE tls_session; PRAGMA user_version = 2"};
    static const int priorities[] = {0, -9, 3, 9};
    for (size_t version = 0; version < 2; version++) {
        unlink(path);
        struct queue *q = open_queue();
        uint64_t id[4];
        for (size_t i = 0; i < 4; i++)
            id[i] = add_to(q, "x", "bob@example.test", "", priorities[i]);
        queue_free(&q);
        sqlite3 *db;
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        for (size_t i = 0; i <= version; i++)
            assert_int_equal(sqlite3_exec(db, back[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);

        AUTO_ARENA a = ARENA_INIT;
        q = open_queue();
        struct queue_message *list;
        assert_int_equal(due(q, &a, "example.test", INT32_MAX, &list), 4);
        const uint64_t expected[] = {id[3], id[2], id[0], id[1]};
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(list[i].id, expected[i]);
            assert_int_equal(list[i].wishes.hold_request.len, 0);
        }
        queue_free(&q);
    }
}

static void schedule_doubles(void **state)
{
    (void)state;
    struct schedule s = SCHEDULE_DEFAULT;
    assert_int_equal(schedule_next(&s, 1000, 1, 0), 1060);
    assert_int_equal(schedule_next(&s, 1000, 2, 0), 1120);
    assert_int_equal(schedule_next(&s, 1000, 30, 0), 1000 + s.longest_seconds);
    assert_int_equal(schedule_next(&s, 1000, UINT32_MAX, 0), 1000 + s.longest_seconds);
    assert_in_range(schedule_next(&s, 1000, 1, 0xffffffff), 1060, 1075);
    assert_int_equal(schedule_host(&s, 1000, 1, 0), 1030);
    assert_int_equal(schedule_host(&s, 1000, 99, 0), 1000 + SCHEDULE_HOST_LONGEST_SECONDS);
}

static void deadlines_of_a_message(void **state)
{
    (void)state;
    struct schedule s = SCHEDULE_DEFAULT;
    assert_int_equal(schedule_deadline(&s, 1000, 0, false), 1000 + 4 * 3600);
    assert_int_equal(schedule_deadline(&s, 1000, 0, true), 1000 + 5 * 86400);
    assert_int_equal(schedule_deadline(&s, 1000, 1200, false), 1200);
    assert_int_equal(schedule_deadline(&s, 1000, 90000, true), 90000);
    s.delay_seconds = 0;
    assert_int_equal(schedule_deadline(&s, 1000, 0, false), 1000 + 5 * 86400);
}

static void routes_name_destinations(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    const char *partners[] = {"partner.test", ".partner.test", NULL}, *all[] = {"*", NULL}, *ours[] = {"shop.test", NULL};
    struct config_route routes[] = {{.name = "partner", .recipients = partners, .host = "mail.partner.test"},
                                    {.name = "shop", .senders = ours, .source = "192.0.2.7"},
                                    {.name = "rest", .recipients = all, .senders = partners, .host = "smart.test"}};
    struct config_relay c = {.routes = routes, .route_count = 3};
    static const struct {
        const char *sender, *recipient, *destination;
    } rows[] = {{"example.test", "Partner.TEST", "#partner"},     {"example.test", "sub.partner.test", "#partner"},
                {"example.test", "xpartner.test", "xpartner.test"}, {"shop.test", "example.test", "example.test#shop"},
                {"partner.test", "example.test", "#rest"},          {"", "b\xc3\xbc" "cher.test", "xn--bcher-kva.test"},
                {"example.test", "[192.0.2.1]", "[192.0.2.1]"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct span d = outbound_destination(&c, &a, span_cstr(rows[i].sender), span_cstr(rows[i].recipient)), domain;
        const struct config_route *route;
        if (!span_eq(d, span_cstr(rows[i].destination)))
            fail_msg("%s -> %s: %.*s", rows[i].sender, rows[i].recipient, SPAN_ARG(d));
        assert_true(outbound_parse(&c, d, &domain, &route));
        assert_true((route == NULL) == (span_find_byte(d, '#', 0) == SPAN_NPOS));
    }
    struct span domain;
    const struct config_route *route;
    assert_false(outbound_parse(&c, SPAN("#gone"), &domain, &route));
}

static uint64_t add_held(struct queue *q, const char *address, const char *destination, int64_t hold_until)
{
    struct err err;
    uint64_t id = 0;
    struct queue_to to = {.address = span_cstr(address), .destination = span_cstr(destination)};
    struct queue_envelope e = {.sender = SPAN("alice@example.test"), .to = &to, .to_count = 1, .trace = SPAN("t1"),
                               .wishes = {.hold_until = hold_until}, .first_deadline_at = hold_until + 500};
    assert_int_equal(queue_add(q, &e, SPAN("x"), &id, &err), ST_OK);
    return id;
}

/* RFC 4865: neither a push nor a node's wish sends what its sender holds back; a release does. */
static void the_senders_time_is_kept_until_a_release(void **state)
{
    (void)state;
    struct err err;
    size_t count;
    AUTO_ARENA a = ARENA_INIT;
    struct queue_message *list, m;
    clock_fake(1000000, 0);
    struct queue *q = open_queue();
    uint64_t id = add_held(q, "bob@one.test", "one.test", 5000);
    assert_int_equal(due(q, &a, "one.test", 4999, &list), 0);
    assert_int_equal(queue_act(q, &(struct queue_filter){0}, QUEUE_RETRY, &count, &err), ST_OK);
    assert_int_equal(queue_run(q, QUEUE_RUN_DOMAIN, SPAN("one.test"), SPAN("one.test"), &count, &err), ST_OK);
    assert_int_equal(count, 0);
    assert_int_equal(due(q, &a, "one.test", 4999, &list), 0);
    assert_int_equal(queue_act(q, &(struct queue_filter){.id = id}, QUEUE_RELEASE, &count, &err), ST_OK);
    assert_int_equal(due(q, &a, "one.test", 1000, &list), 1);
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_OK);
    assert_int_equal(m.wishes.hold_until, 1000);
    assert_int_equal(m.deadline_at, 1500);
    assert_int_equal(queue_act(q, &(struct queue_filter){.id = id}, QUEUE_RELEASE, &count, &err), ST_OK); /* no further */
    assert_int_equal(queue_get(q, &a, id, &m, &err), ST_OK);
    assert_int_equal(m.deadline_at, 1500);
    queue_free(&q);
}

static bool is_due(struct queue *q, const char *destination)
{
    AUTO_ARENA a = ARENA_INIT;
    struct queue_message *list;
    return due(q, &a, destination, 1000, &list) > 0;
}

/* RFC 1985: which destinations a node's name means. */
static void a_node_gets_what_waits_for_it(void **state)
{
    (void)state;
    static const char *const all[] = {"one.test", "a.one.test", "one.test#slow", "#hub", "xone.test", "two.test#slow"};
    static const struct {
        enum queue_run_kind kind;
        const char *name, *also, *due;
        size_t count;
    } rows[] = {
        {QUEUE_RUN_DOMAIN, "one.test", "one.test", "one.test one.test#slow ", 2},
        {QUEUE_RUN_DOMAIN, "one.test", "#hub", "one.test one.test#slow #hub ", 3},
        {QUEUE_RUN_DOMAIN, "three.test", "#hub", "", 0}, /* the hub's is another domain's */
        {QUEUE_RUN_BELOW, "one.test", "", "one.test a.one.test one.test#slow ", 3},
        {QUEUE_RUN_ROUTE, "slow", "", "one.test#slow two.test#slow ", 2},
        {QUEUE_RUN_ROUTE, "hub", "", "#hub ", 1},
        {QUEUE_RUN_DOMAIN, "%", "%", "", 0},
    };
    clock_fake(1000000, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err;
        size_t count = 99;
        struct queue *q = open_queue();
        for (size_t k = 0; k < 6; k++) {
            uint64_t id = add_held(q, "Bob@One.test", all[k], 0);
            settle(q, id << 16, QUEUE_WAITING, 9000, "451 later");
        }
        assert_int_equal(queue_run(q, rows[i].kind, span_cstr(rows[i].name), span_cstr(rows[i].also), &count, &err), ST_OK);
        AUTO_STRBUF found = STRBUF_INIT;
        for (size_t k = 0; k < 6; k++)
            if (is_due(q, all[k]))
                strbuf_addf(&found, "%s ", all[k]);
        assert_string_equal(strbuf_cstr(&found), rows[i].due);
        assert_int_equal(count, rows[i].count);
        assert_int_equal(queue_act(q, &(struct queue_filter){0}, QUEUE_DROP, &count, &err), ST_OK);
        queue_free(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(added_is_there_after_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(settling_the_last_recipient_removes_the_message, setup, teardown),
        cmocka_unit_test_setup_teardown(a_report_comes_with_the_outcome_it_tells_of, setup, teardown),
        cmocka_unit_test_setup_teardown(only_due_recipients_are_due, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_in_hand_is_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(urgent_ones_come_first, setup, teardown),
        cmocka_unit_test_setup_teardown(every_priority_is_a_level, setup, teardown),
        cmocka_unit_test_setup_teardown(a_destination_rests, setup, teardown),
        cmocka_unit_test_setup_teardown(a_push_is_not_lost_to_an_attempt_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hold_outlives_the_attempt_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_destination_with_nothing_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(deadlines_come_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(filters_say_which, setup, teardown),
        cmocka_unit_test_setup_teardown(held_ones_wait_for_release, setup, teardown),
        cmocka_unit_test_setup_teardown(the_senders_time_is_kept_until_a_release, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_gets_what_waits_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(dropping_and_retrying_what_is_not_there_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_share_transactions, setup, teardown),
        cmocka_unit_test_setup_teardown(older_files_are_brought_up, setup, teardown),
        cmocka_unit_test_setup_teardown(files_with_three_lanes_are_brought_up, setup, teardown),
        cmocka_unit_test(schedule_doubles),
        cmocka_unit_test(deadlines_of_a_message),
        cmocka_unit_test(routes_name_destinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
