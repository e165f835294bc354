/*
 * Sessions from outside: lines, pipelining, bodies, slow readers, pokes, limits, shutdown. Everything here runs under
 * ThreadSanitizer too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"
#include "base/clock.h"
#include "net/engine.h"
#include "sys/channel.h"

static void sleep_ms(long ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&ts, NULL);
}

static void wait_for_sessions(struct harness *h, uint32_t count)
{
    while (server_session_count(h->server) != count)
        sleep_ms(1);
}

static void test_lines(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    client_say(&c, "one");
    client_expect(&c, "one");
    for (const char *p = "two\r\nthree\r\n"; *p; p++) {
        client_send(&c, p, 1);
        if (*p == '\n')
            client_expect(&c, p[-2] == 'o' ? "two" : "three");
    }
    client_say(&c, "QUIT");
    client_expect(&c, "bye");
    char more[8];
    assert_int_equal(client_read(&c, more, sizeof more), 0);
    client_close(&c);
    wait_for_sessions(&h, 0);
    harness_stop(&h, 1000);
}

/* 20,000 commands in one piece, answered in order; the client reads only after it has written half of them. */
static void test_pipelining(void **state)
{
    (void)state;
    enum { COMMANDS = 20000 };
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    AUTO_STRBUF all = STRBUF_INIT;
    for (int i = 0; i < COMMANDS; i++)
        strbuf_addf(&all, "%d\r\n", i);
    size_t sent = 0, got = 0;
    char *answers = malloc(all.len);
    while (got < all.len) {
        size_t n = all.len - sent < 5000 ? all.len - sent : 5000;
        assert_true(n == 0 || client_send(&c, all.p + sent, n));
        sent += n;
        if (sent < all.len / 2)
            continue;
        size_t r = client_read(&c, answers + got, all.len - got);
        assert_true(r > 0);
        got += r;
    }
    assert_memory_equal(answers, all.p, all.len);
    free(answers);
    client_close(&c);
    harness_stop(&h, 1000);
}

static void test_body(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    size_t size = 5000000;
    char *body = calloc(1, size);
    client_say(&c, "BODY 5000000");
    client_expect(&c, "go on");
    assert_true(client_send(&c, body, size));
    client_say(&c, "after");
    client_expect(&c, "got 5000000");
    client_expect(&c, "after");
    free(body);
    client_close(&c);
    harness_stop(&h, 1000);
}

/* A client that does not read 50 MB: the server stops producing long before, other sessions go on, nothing is lost. */
static void test_slow_reader(void **state)
{
    (void)state;
    const size_t size = 50 * 1000 * 1000;
    struct harness h = {0};
    harness_start(&h, &(struct server_options){.workers_max = 1});
    struct client c = client_open(h.port), other = client_open(h.port);
    client_expect(&c, "hello plain");
    client_expect(&other, "hello plain");
    client_say(&c, "BIG 50000000");
    for (int i = 0; i < 50; i++) { /* the only worker is free for others */
        client_say(&other, "still here");
        client_expect(&other, "still here");
        sleep_ms(2);
    }
    assert_true(atomic_load(&h.produced) < size / 2);
    char *buffer = malloc(1 << 16);
    size_t got = 0;
    while (got < size) {
        size_t n = client_read(&c, buffer, size - got < 1 << 16 ? size - got : 1 << 16);
        assert_true(n > 0);
        got += n;
    }
    free(buffer);
    client_expect(&c, "");
    client_expect(&c, "done");
    client_close(&c);
    client_close(&other);
    harness_stop(&h, 1000);
}

/* A client that says its last and still wants all the answers (printf … | nc -N). */
static void test_half_close(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_send(&c, "one\r\nBIG 3000000\r\nlast\r\nincompl", 32);
    shutdown(c.fd, SHUT_WR);
    client_expect(&c, "hello plain");
    client_expect(&c, "one");
    char buffer[4096];
    for (size_t left = 3000000; left;) {
        size_t n = client_read(&c, buffer, left < sizeof buffer ? left : sizeof buffer);
        assert_true(n > 0);
        left -= n;
    }
    client_expect(&c, "");
    client_expect(&c, "done");
    client_expect(&c, "last");
    assert_int_equal(client_read(&c, buffer, 1), 0);
    client_close(&c);
    wait_for_sessions(&h, 0);
    harness_stop(&h, 1000);
}

/* A protocol that goes round in circles is closed and told of in the log; it does not take a worker. */
static void test_stuck(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    client_say(&c, "THINK 1000"); /* long work that has nothing to say is no mistake */
    client_expect(&c, "");
    client_expect(&c, "done");
    client_say(&c, "STUCK");
    char byte;
    assert_int_equal(client_read(&c, &byte, 1), 0);
    client_close(&c);
    harness_stop(&h, 1000);
}

static void test_peer(void **state)
{
    (void)state;
    struct harness h = {0};
    struct err err;
    harness_start(&h, NULL);
    char expected[64];
    snprintf(expected, sizeof expected, "127.0.0.1 %d", h.port);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    client_say(&c, "PEER");
    client_expect(&c, expected);
    client_close(&c);
    assert_int_equal(channel_connect(h.channel, false, &c.fd, &err), ST_OK);
    client_expect(&c, "hello plain");
    client_say(&c, "PEER");
    client_expect(&c, " 0");
    client_close(&c);
    harness_stop(&h, 1000);
}

static void test_input_too_long(void **state)
{
    (void)state;
    struct harness h = {.input_max = 100};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    char fits[99];
    memset(fits, 'a', sizeof fits);
    fits[97] = '\0';
    client_say(&c, fits);
    client_expect(&c, fits);
    char line[200];
    memset(line, 'b', sizeof line);
    client_send(&c, line, sizeof line);
    client_expect(&c, "goodbye too long");
    client_close(&c);
    wait_for_sessions(&h, 0);
    harness_stop(&h, 1000);
}

static void test_timeouts(void **state)
{
    (void)state;
    struct harness h = {.idle_ms = 150, .command_ms = 100};
    harness_start(&h, NULL);
    struct client idle = client_open(h.port), drip = client_open(h.port);
    client_expect(&idle, "hello plain");
    client_expect(&drip, "hello plain");
    int sent = 0;
    while (sent < 1000 && client_send(&drip, "d", 1)) { /* drips do not extend the time of a command */
        sent++;
        sleep_ms(5);
    }
    assert_in_range(sent, 2, 500);
    client_expect(&idle, "goodbye timeout");
    client_close(&idle);
    client_close(&drip);
    wait_for_sessions(&h, 0);
    assert_int_equal(h.goodbyes, 2);
    harness_stop(&h, 1000);
}

static void test_pause(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    client_send(&c, "PAUSE 200\r\nnext\r\n", 17);
    client_expect(&c, "PAUSE 200"); /* what was said before the pause comes at once */
    int64_t begin_ms = clock_mono_ms();
    client_expect(&c, "next");
    assert_in_range(clock_mono_ms() - begin_ms, 100, 60000);
    client_say(&c, "again");
    client_expect(&c, "again");
    client_send(&c, "PAUSE 60000\r\n", 13);
    client_close(&c); /* a hang-up during a pause must not spin, and shutdown must not wait for it */
    sleep_ms(20);
    harness_stop(&h, 30000);
}

static void test_limits(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, &(struct server_options){.sessions_per_address = 2});
    struct client a = client_open(h.port), b = client_open(h.port);
    client_expect(&a, "hello plain");
    client_expect(&b, "hello plain");
    struct client c = client_open(h.port);
    client_expect(&c, "goodbye limit");
    client_close(&c);
    struct client t = client_open(h.tls_port);
    char byte;
    assert_int_equal(client_read(&t, &byte, 1), 0);
    client_close(&t);
    client_close(&a);
    wait_for_sessions(&h, 1);
    c = client_open(h.port);
    client_expect(&c, "hello plain");
    client_close(&c);
    client_close(&b);
    harness_stop(&h, 1000);
}

static void test_shutdown(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client idle = client_open(h.port), busy = client_open(h.port), halfway = client_open(h.port);
    client_expect(&idle, "hello plain");
    client_expect(&busy, "hello plain");
    client_expect(&halfway, "hello plain");
    client_send(&busy, "SLEEP 100\r\nnever\r\n", 18);
    client_send(&halfway, "hal", 3);
    sleep_ms(30);
    server_stop(h.server, 30000);
    client_expect(&idle, "goodbye shutdown");
    client_expect(&busy, "SLEEP 100"); /* a running command is finished first */
    client_expect(&busy, "goodbye shutdown");
    client_expect(&halfway, "goodbye shutdown");
    client_close(&idle);
    client_close(&busy);
    client_close(&halfway);
    harness_stop(&h, 30000);
}

/* Grace passes with a session that never takes its output. */
static void test_grace_passes(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    client_say(&c, "BIG 50000000");
    sleep_ms(50);
    harness_stop(&h, 50);
    client_close(&c);
}

/* With one worker in a long command, others are started; the pool is bounded. */
static void test_workers_grow(void **state)
{
    (void)state;
    enum { CLIENTS = 24 };
    struct harness h = {0};
    harness_start(&h, &(struct server_options){.workers_max = CLIENTS});
    struct client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        c[i] = client_open(h.port);
        client_expect(&c[i], "hello plain");
    }
    int64_t begin_ms = clock_mono_ms();
    for (int i = 0; i < CLIENTS; i++)
        client_say(&c[i], "SLEEP 300");
    for (int i = 0; i < CLIENTS; i++) {
        client_expect(&c[i], "SLEEP 300");
        client_close(&c[i]);
    }
    assert_in_range(clock_mono_ms() - begin_ms, 300, CLIENTS * 300 / 2);
    harness_stop(&h, 1000);
}

/* ---- pokes ------------------------------------------------------------------------------------------------------- */

static _Atomic bool is_poking;

static void *poke_storm(void *arg)
{
    (void)arg;
    while (atomic_load(&is_poking)) {
        harness_poke_all();
        sched_yield();
    }
    return NULL;
}

static void read_past_pokes(struct client *c, const char *line)
{
    char got[64];
    do
        assert_true(client_line(c, got, sizeof got));
    while (strcmp(got, "* poked") == 0);
    assert_string_equal(got, line);
}

static void test_poke_once(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    client_say(&c, "WATCH");
    client_expect(&c, "WATCH");
    for (int i = 0; i < 100; i++) {
        harness_poke_all();
        client_expect(&c, "* poked");
    }
    client_say(&c, "BODY 3"); /* in a body pokes wait */
    client_expect(&c, "go on");
    harness_poke_all();
    sleep_ms(20);
    assert_int_equal(h.pokes, 100);
    client_send(&c, "abc", 3);
    client_expect(&c, "got 3");
    client_expect(&c, "* poked");
    client_close(&c);
    harness_stop(&h, 1000);
}

static void test_poke_storm(void **state)
{
    (void)state;
    enum { CLIENTS = 8, ROUNDS = 200, STORMS = 2 };
    struct harness h = {0};
    harness_start(&h, NULL);
    pthread_t storm[STORMS];
    struct client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        c[i] = client_open(h.port);
        client_expect(&c[i], "hello plain");
        client_say(&c[i], "WATCH");
        client_expect(&c[i], "WATCH");
    }
    atomic_store(&is_poking, true);
    for (int i = 0; i < STORMS; i++)
        pthread_create(&storm[i], NULL, poke_storm, NULL);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < CLIENTS; i++) {
            char word[32];
            snprintf(word, sizeof word, "round %d", round);
            client_say(&c[i], word);
            read_past_pokes(&c[i], word);
        }
    atomic_store(&is_poking, false);
    for (int i = 0; i < STORMS; i++)
        pthread_join(storm[i], NULL);
    assert_true(h.pokes > 0);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    wait_for_sessions(&h, 0);
    assert_int_equal(harness_watchers(), 0);
    harness_stop(&h, 1000);
}

/* Sessions come, are watched and go while two threads poke everything there is. */
static void test_poke_against_close(void **state)
{
    (void)state;
    enum { ROUNDS = 300, STORMS = 2 };
    struct harness h = {0};
    harness_start(&h, NULL);
    pthread_t storm[STORMS];
    atomic_store(&is_poking, true);
    for (int i = 0; i < STORMS; i++)
        pthread_create(&storm[i], NULL, poke_storm, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        struct client c = client_open(h.port);
        client_expect(&c, "hello plain");
        client_say(&c, "WATCH");
        read_past_pokes(&c, "WATCH");
        if (round % 3 == 0)
            client_say(&c, "QUIT");
        if (round % 3 == 1) {
            struct linger now = {1, 0};
            setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* reset */
        }
        client_close(&c);
    }
    atomic_store(&is_poking, false);
    for (int i = 0; i < STORMS; i++)
        pthread_join(storm[i], NULL);
    wait_for_sessions(&h, 0);
    harness_stop(&h, 1000);
}

/* 2,000 connections opened, used and closed at random, some by reset, some in mid-line, some through the channel. */
static void test_churn(void **state)
{
    (void)state;
    enum { OPEN = 100, STEPS = 2000 };
    struct harness h = {0};
    struct err err;
    harness_start(&h, NULL);
    struct client c[OPEN];
    for (int i = 0; i < OPEN; i++)
        c[i].fd = -1;
    unsigned seed = 20260131;
    for (int step = 0; step < STEPS; step++) {
        struct client *one = &c[rand_r(&seed) % OPEN];
        if (one->fd >= 0) {
            if (rand_r(&seed) % 2)
                client_say(one, "QUIT");
            if (rand_r(&seed) % 3 == 0) {
                struct linger now = {1, 0};
                setsockopt(one->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
            }
            client_close(one);
        }
        if (rand_r(&seed) % 4 == 0) {
            *one = (struct client){-1, NULL};
            while (channel_connect(h.channel, false, &one->fd, &err) != ST_OK)
                sleep_ms(1);
        } else {
            *one = client_open(h.port);
        }
        switch (rand_r(&seed) % 5) {
        case 0:
            client_send(one, "half a li", 9);
            break;
        case 1:
            client_say(one, "BIG 300000");
            break;
        case 2:
            client_expect(one, "hello plain");
            client_say(one, "line");
            client_expect(one, "line");
            break;
        case 3:
            client_say(one, "PAUSE 10");
            break;
        default:
            break;
        }
    }
    for (int i = 0; i < OPEN; i++)
        if (c[i].fd >= 0)
            client_close(&c[i]);
    wait_for_sessions(&h, 0);
    assert_int_equal(h.starts, STEPS);
    harness_stop(&h, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_stuck),
        cmocka_unit_test(test_peer),
        cmocka_unit_test(test_input_too_long),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_grace_passes),
        cmocka_unit_test(test_workers_grow),
        cmocka_unit_test(test_poke_once),
        cmocka_unit_test(test_poke_storm),
        cmocka_unit_test(test_poke_against_close),
        cmocka_unit_test(test_churn),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
