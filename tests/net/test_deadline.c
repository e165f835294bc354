/*
 * Deadlines of minutes, with a clock that the test moves: what extends a wait and what does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "harness.h"
#include "base/clock.h"
#include "net/engine.h"
#include "sys/channel.h"
#include "test_keys.h"

static int64_t fake_ms;

static void begin(struct harness *h)
{
    *h = (struct harness){0};
    fake_ms = 1000000;
    clock_fake(fake_ms, fake_ms);
    harness_start(h, NULL);
}

static void end(struct harness *h)
{
    clock_unfake();
    harness_stop(h, 10000);
}

/* Time passes, and whoever it concerns has had the time to act on it. */
static void pass_seconds(struct harness *h, int64_t seconds)
{
    fake_ms += seconds * 1000;
    clock_fake(fake_ms, fake_ms);
    loop_wake(h->server);
    usleep(60000);
}

static void pass_window(struct harness *h)
{
    pass_seconds(h, PROGRESS_WINDOW_MS / 1000 + 1);
}

/* Waits until a count has come to where it must come; fails after ten seconds. */
#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        for (int tries_ = 0; !(condition); tries_++) {                                                                 \
            assert_true(tries_ < 10000);                                                                               \
            usleep(1000);                                                                                              \
        }                                                                                                              \
    } while (0)

static struct client open_client(struct harness *h)
{
    struct client c = client_open(h->port);
    client_expect(&c, "hello plain");
    usleep(20000); /* parked by now */
    return c;
}

static void expect_end(struct client *c)
{
    char waste[4096];
    while (client_read(c, waste, sizeof waste) > 0)
        ;
    client_close(c);
}

static void test_idle(void **state)
{
    (void)state;
    struct harness h;
    begin(&h);
    struct client c = open_client(&h);
    client_say(&c, "WATCH");
    client_expect(&c, "WATCH");
    usleep(20000);
    pass_seconds(&h, 200);
    harness_poke_all(); /* what others do is no sign of life of this client */
    client_expect(&c, "* poked");
    pass_seconds(&h, 99);
    assert_int_equal(h.goodbyes, 0);
    client_say(&c, "alive");
    client_expect(&c, "alive");
    usleep(20000);
    pass_seconds(&h, 299);
    assert_int_equal(h.goodbyes, 0);
    pass_seconds(&h, 2);
    client_expect(&c, "goodbye timeout");
    expect_end(&c);
    end(&h);
}

static void test_command(void **state)
{
    (void)state;
    struct harness h;
    begin(&h);
    struct client c = open_client(&h);
    pass_seconds(&h, 299);
    client_send(&c, "a", 1); /* the first byte ends the idle time and starts the command's */
    WAIT_FOR(h.inputs == 1);
    pass_seconds(&h, 299);
    client_send(&c, "b", 1);
    WAIT_FOR(h.inputs == 2);
    assert_int_equal(h.goodbyes, 0);
    pass_seconds(&h, 2);
    client_expect(&c, "goodbye timeout");
    expect_end(&c);
    end(&h);
}

static void test_body(void **state)
{
    (void)state;
    struct harness h;
    begin(&h);
    struct client c = open_client(&h);
    static char bytes[PROGRESS_MINUTES * SESSION_BODY_MIN_PER_MINUTE];
    client_say(&c, "BODY 1000000");
    client_expect(&c, "go on");
    usleep(20000);
    for (int i = 0; i < 3; i++) {
        client_send(&c, bytes, sizeof bytes);
        WAIT_FOR(h.body_bytes == (size_t)(i + 1) * sizeof bytes);
        pass_window(&h);
        assert_int_equal(h.goodbyes, 0);
    }
    client_send(&c, bytes, 100); /* too little in the next minutes */
    WAIT_FOR(h.body_bytes == 3 * sizeof bytes + 100);
    pass_window(&h);
    client_expect(&c, "goodbye timeout");
    expect_end(&c);
    end(&h);
}

static void read_bytes(struct client *c, size_t n)
{
    char waste[4096];
    while (n) {
        size_t r = client_read(c, waste, n < sizeof waste ? n : sizeof waste);
        assert_true(r > 0);
        n -= r;
    }
}

static void test_drain(void **state)
{
    (void)state;
    struct harness h;
    begin(&h);
    struct client c = open_client(&h);
    client_say(&c, "BIG 100000000");
    usleep(100000);
    for (int i = 0; i < 4; i++) { /* slow, but in every three minutes it reads something */
        pass_seconds(&h, 100);
        uint64_t before = h.produced;
        read_bytes(&c, 10 * 1000 * 1000);
        WAIT_FOR(h.produced > before + 1000 * 1000);
        assert_int_equal(h.frees, 0);
    }
    for (int round = 0; round < 50 && h.frees == 0; round++)
        pass_window(&h);
    WAIT_FOR(h.frees == 1);
    expect_end(&c);
    end(&h);
}

static void test_handshake_and_linger(void **state)
{
    (void)state;
    static const char *const names[] = {"mail.example.test"};
    struct harness h;
    struct test_keys *keys = test_keys_new();
    test_keys_add(keys, "ec", names, 1);
    begin(&h);
    server_set_tls(h.server, test_keys_context(keys));
    struct client silent = client_open(h.tls_port), quit = open_client(&h);
    client_say(&quit, "QUIT");
    client_expect(&quit, "bye");
    WAIT_FOR(h.frees == 1); /* the protocol's state is given back before the lingering */
    WAIT_FOR(server_session_count(h.server) == 2);
    pass_seconds(&h, 3);
    WAIT_FOR(server_session_count(h.server) == 1);
    pass_seconds(&h, 28);
    WAIT_FOR(server_session_count(h.server) == 0);
    expect_end(&silent);
    client_close(&quit);
    end(&h);
    test_keys_free(&keys);
}

static void test_carry(void **state)
{
    (void)state;
    struct harness h;
    struct err err;
    int service, far, caller;
    begin(&h);
    assert_int_equal(channel_new(&caller, &service, &err), ST_OK);
    h.far_channel = caller;
    struct client c = open_client(&h);
    client_say(&c, "CARRY");
    WAIT_FOR(channel_accept(service, &far, &err) == ST_OK);
    pass_seconds(&h, 100000); /* how long it may be idle is the far side's business */
    WAIT_FOR(server_session_count(h.server) == 1);
    char chunk[4096] = "";
    /* A client that takes nothing. The kernel's buffers still grow for some rounds, which counts as progress. */
    for (int round = 0; round < 50 && server_session_count(h.server); round++) {
        while (send(far, chunk, sizeof chunk, MSG_NOSIGNAL) > 0)
            ;
        pass_window(&h);
    }
    WAIT_FOR(server_session_count(h.server) == 0);
    expect_end(&c);
    close(far);
    close(caller);
    close(service);
    end(&h);
}

static _Atomic int ticks;
static void tick(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&ticks, 1);
}

static bool take_byte(void *ctx, int fd)
{
    char byte;
    atomic_fetch_add((_Atomic int *)ctx, 1);
    return read(fd, &byte, 1) == 1 && byte != 'q';
}

static void *run_server(void *sv)
{
    struct err err;
    assert_int_equal(server_run(sv, &err), ST_OK);
    return NULL;
}

static void test_every_and_watch(void **state)
{
    (void)state;
    struct server *sv = server_new(&(struct server_options){0});
    struct err err;
    _Atomic int reads = 0;
    int pair[2];
    pthread_t thread;
    assert_int_equal(pipe(pair), 0);
    server_every(sv, 10, tick, NULL);
    assert_int_equal(server_watch(sv, pair[0], take_byte, &reads, &err), ST_OK);
    assert_int_equal(write(pair[1], "abq-never", 9), 9);
    assert_int_equal(pthread_create(&thread, NULL, run_server, sv), 0);
    while (atomic_load(&ticks) < 3 || atomic_load(&reads) < 3)
        usleep(1000);
    usleep(20000);
    assert_int_equal(reads, 3); /* it said that it wants no more */
    server_stop(sv, 0);
    pthread_join(thread, NULL);
    server_free(&sv);
    close(pair[0]);
    close(pair[1]);
}

static void test_stop_before_run(void **state)
{
    (void)state;
    struct server *sv = server_new(&(struct server_options){0});
    server_stop(sv, 10000);
    run_server(sv);
    server_free(&sv);
    assert_null(sv);
}

/* Out of descriptors: connections wait and are taken when there are some again. */
static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct harness h = {0};
    struct rlimit before, low;
    harness_start(&h, NULL);
    struct client first = open_client(&h);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct client second = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), NULL};
    low = before;
    low.rlim_cur = (rlim_t)second.fd + 1;
    int filler[64], fillers = 0; /* holes below the limit */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (fillers < 64 && (filler[fillers] = dup(0)) >= 0)
        fillers++;
    client_connect(&second, h.port);
    usleep(100000);
    assert_int_equal(h.starts, 1);
    client_say(&first, "others go on");
    client_expect(&first, "others go on");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    client_expect(&second, "hello plain");
    while (fillers)
        close(filler[--fillers]);
    client_close(&first);
    client_close(&second);
    harness_stop(&h, 5000);
}

/* A test that failed must not leave its clock to the next. */
static int unfake(void **state)
{
    (void)state;
    clock_unfake();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_idle, unfake),
        cmocka_unit_test_teardown(test_command, unfake),
        cmocka_unit_test_teardown(test_body, unfake),
        cmocka_unit_test_teardown(test_drain, unfake),
        cmocka_unit_test_teardown(test_carry, unfake),
        cmocka_unit_test_teardown(test_handshake_and_linger, unfake),
        cmocka_unit_test_teardown(test_every_and_watch, unfake),
        cmocka_unit_test_teardown(test_stop_before_run, unfake),
        cmocka_unit_test_teardown(test_out_of_descriptors, unfake),
    };
    return cmocka_run_group_tests_name("deadline", tests, NULL, NULL);
}
