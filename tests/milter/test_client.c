/* The dialogue over a socketpair: a filter's answers are put in before they are read, whole and octet by octet. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "milter/client.h"

static const struct config_milter config = {.name = "test", .connect_ms = 1000, .reply_ms = 300, .message_ms = 300};

#define OPTIONS(steps) "\0\0\0\x0dO\0\0\0\6\0\0\1\xff" steps

struct feed {
    int fd;
    struct span bytes;
};

static void *feed_octets(void *ctx)
{
    struct feed *f = ctx;
    for (size_t i = 0; i < f->bytes.len; i++)
        assert_int_equal(send(f->fd, f->bytes.p + i, 1, MSG_NOSIGNAL), 1);
    return NULL;
}

/* The dialogue MAIL, end of message with these answers behind the options. */
static enum status talk(struct span answers, bool is_in_octets, bool is_closed, struct milter_changes *changes,
                        struct milter_answer *answer, struct err *err)
{
    int pair[2];
    pthread_t thread;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct feed f = {pair[1], answers};
    if (is_in_octets)
        assert_int_equal(pthread_create(&thread, NULL, feed_octets, &f), 0);
    else
        assert_int_equal(send(pair[1], answers.p, answers.len, MSG_NOSIGNAL), answers.len);
    if (is_closed)
        shutdown(pair[1], SHUT_WR);
    struct milter *m = NULL;
    enum status st = milter_over(pair[0], &config, -1, &m, err);
    if (st == ST_OK)
        st = milter_tell(m, MILTER_STAGE_MAIL, SPAN("<a@b>\0"), NULL, 0, answer, err);
    if (st == ST_OK)
        st = milter_end(m, NULL, 0, changes, answer, err);
    if (is_in_octets)
        pthread_join(thread, NULL);
    milter_free(&m);
    close(pair[1]);
    return st;
}

static void test_answers(void **state)
{
    (void)state;
    for (int is_in_octets = 0; is_in_octets < 2; is_in_octets++) {
        AUTO_ARENA a = ARENA_INIT;
        struct milter_changes changes = {.arena = &a, .body_max = 100};
        struct milter_answer answer;
        struct err err;
        struct span answers = SPAN(OPTIONS("\0\0\0\0") "\0\0\0\1c"
                                                       "\0\0\0\1p"
                                                       "\0\0\0\7hX-A\0b\0"
                                                       "\0\0\0\4bone"
                                                       "\0\0\0\4btwo"
                                                       "\0\0\0\1a");
        assert_int_equal(talk(answers, is_in_octets, false, &changes, &answer, &err), ST_OK);
        assert_int_equal(answer.kind, MILTER_ANSWER_ACCEPT);
        assert_int_equal(changes.count, 1);
        assert_true(span_eq(changes.list[0].name, SPAN("X-A")) && span_eq(changes.list[0].value, SPAN("b")));
        assert_true(changes.has_body && span_eq(strbuf_span(&changes.body), SPAN("onetwo")));
        strbuf_free(&changes.body);
    }
}

static void test_misbehaviour(void **state)
{
    (void)state;
    static const struct {
        struct span answers;
        bool is_closed;
        enum status st;
    } rows[] = {
        {SPAN_INIT(""), false, ST_TEMPORARY},
        {SPAN_INIT(""), true, ST_CLOSED},
        {SPAN_INIT("\0\0\0"), true, ST_CLOSED},
        {SPAN_INIT("HTTP/1.1 400 Bad Request\r\n"), false, ST_SYNTAX},
        {SPAN_INIT("\0\0\0\1c"), false, ST_SYNTAX},
        {SPAN_INIT("\0\0\0\x0dO\0\0\0\6\xff\0\0\1\0\0\0\0"), false, ST_UNSUPPORTED},
        {SPAN_INIT(OPTIONS("\0\0\0\0") "\0\0\0\1Z"), false, ST_SYNTAX},
        {SPAN_INIT(OPTIONS("\0\0\0\0") "\x7f\xff\xff\xff"), false, ST_SYNTAX},
        {SPAN_INIT(OPTIONS("\0\0\0\0") "\0\0\0\7hX-A\0b\0"), false, ST_STATE}, /* changes before the end */
        {SPAN_INIT(OPTIONS("\0\0\0\0") "\0\0\0\1c\0\0\0\1p"), false, ST_TEMPORARY},
        {SPAN_INIT(OPTIONS("\0\0\0\0") "\0\0\0\1c\0\0\0\xff"
                                       "b"),
         true, ST_CLOSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_ARENA a = ARENA_INIT;
        struct milter_changes changes = {.arena = &a, .body_max = 100};
        struct milter_answer answer;
        struct err err;
        enum status st = talk(rows[i].answers, false, rows[i].is_closed, &changes, &answer, &err);
        if (st != rows[i].st)
            fail_msg("row %zu: %s", i, status_name(st));
    }
}

static void test_a_body_that_is_too_large(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct milter_changes changes = {.arena = &a, .body_max = 5};
    struct milter_answer answer;
    struct err err;
    struct span answers = SPAN(OPTIONS("\0\0\0\0") "\0\0\0\1c\0\0\0\4bone\0\0\0\4btwo\0\0\0\1c");
    assert_int_equal(talk(answers, false, false, &changes, &answer, &err), ST_LIMIT);
    strbuf_free(&changes.body);
}

/* A filter that is always at work and never done. */
static void test_endless_progress(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF answers = STRBUF_INIT;
    struct milter_changes changes = {.arena = &a};
    struct milter_answer answer;
    struct err err;
    strbuf_add(&answers, SPAN(OPTIONS("\0\0\0\0")));
    for (unsigned i = 0; i < MILTER_PROGRESS_MAX; i++)
        strbuf_add(&answers, SPAN("\0\0\0\1p"));
    strbuf_add(&answers, SPAN("\0\0\0\1c"));
    assert_int_equal(talk(strbuf_span(&answers), false, true, &changes, &answer, &err), ST_TEMPORARY);
}

/* Nothing is waited for any more. */
static void test_stop(void **state)
{
    (void)state;
    int pair[2], stop[2];
    struct milter *m = NULL;
    struct err err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(pipe(stop), 0);
    assert_int_equal(write(stop[1], "x", 1), 1);
    static const struct config_milter patient = {.name = "test", .reply_ms = 600 * 1000};
    assert_int_equal(milter_over(pair[0], &patient, stop[0], &m, &err), ST_CLOSED);
    close(pair[1]);
    close(stop[0]);
    close(stop[1]);
}

/* NO_MAIL: nothing is sent, so the next answer is the end's. */
static void test_events_that_are_left_out(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    struct milter_changes changes = {.arena = &a};
    struct milter_answer answer;
    struct err err;
    assert_int_equal(talk(SPAN(OPTIONS("\0\0\0\4") "\0\0\0\1d"), false, false, &changes, &answer, &err), ST_OK);
    assert_int_equal(answer.kind, MILTER_ANSWER_DISCARD);
    assert_int_equal(talk(SPAN(OPTIONS("\0\0\x40\0") "\0\0\0\1r"), false, false, &changes, &answer, &err), ST_OK);
    assert_int_equal(answer.kind, MILTER_ANSWER_REFUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_misbehaviour),
        cmocka_unit_test(test_a_body_that_is_too_large),
        cmocka_unit_test(test_endless_progress),
        cmocka_unit_test(test_events_that_are_left_out),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
