/*
 * Carrying: bytes both ways at once through plain and TLS streams with random pauses on both sides, ends passed on in
 * both directions, sides that vanish, and shutdown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"
#include "net/engine.h"
#include "sys/channel.h"
#include "test_keys.h"

enum { SESSION_STRUCT_MAX = 600 };

/* The far side: takes one connection from the channel. */
static int far_accept(int service)
{
    struct err err;
    int fd;
    struct pollfd p = {.fd = service, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(channel_accept(service, &fd, &err), ST_OK);
    fcntl(fd, F_SETFL, 0);
    return fd;
}

static void pause_sometimes(unsigned *seed)
{
    if (rand_r(seed) % 256 == 0)
        usleep((useconds_t)(rand_r(seed) % 3000));
}

/* Sends back all it gets, in pieces, until the end; then says "end" and closes. */
static void *echo_far(void *arg)
{
    int fd = *(int *)arg;
    unsigned seed = 7;
    char buffer[30000];
    ssize_t n;
    while ((n = recv(fd, buffer, 1 + (size_t)rand_r(&seed) % sizeof buffer, 0)) > 0) {
        for (ssize_t at = 0; at < n;) {
            ssize_t sent = send(fd, buffer + at, (size_t)(n - at), MSG_NOSIGNAL);
            assert_true(sent > 0);
            at += sent;
        }
        pause_sometimes(&seed);
    }
    assert_int_equal(send(fd, "end\r\n", 5, MSG_NOSIGNAL), 5);
    close(fd);
    return NULL;
}

static char pattern(size_t at)
{
    return (char)((at * 2654435761u) >> 13);
}

/* One direction's share of a turn; returns bytes moved, 0 where it would block. */
static size_t put_some(struct client *c, size_t at, size_t total, unsigned *seed)
{
    char buffer[20000];
    size_t n = 1 + (size_t)rand_r(seed) % sizeof buffer;
    n = n < total - at ? n : total - at;
    for (size_t i = 0; i < n; i++)
        buffer[i] = pattern(at + i);
    ERR_clear_error();
    ssize_t r = c->ssl ? SSL_write(c->ssl, buffer, (int)n) : send(c->fd, buffer, n, MSG_NOSIGNAL);
    return r > 0 ? (size_t)r : 0;
}

static size_t take_some(struct client *c, size_t at, size_t total, unsigned *seed)
{
    char buffer[20000];
    size_t n = 1 + (size_t)rand_r(seed) % sizeof buffer;
    n = n < total - at ? n : total - at;
    ERR_clear_error();
    ssize_t r = c->ssl ? SSL_read(c->ssl, buffer, (int)n) : recv(c->fd, buffer, n, 0);
    for (ssize_t i = 0; i < r; i++)
        if (buffer[i] != pattern(at + (size_t)i))
            fail_msg("wrong byte at %zu", at + (size_t)i);
    return r > 0 ? (size_t)r : 0;
}

static void carry_both_ways(bool is_tls, size_t total)
{
    static const char *const names[] = {"mail.example.test"};
    struct harness h = {0};
    struct err err;
    struct test_keys *keys = test_keys_new();
    int service;
    test_keys_add(keys, "ec", names, 1);
    assert_int_equal(channel_new(&h.far_channel, &service, &err), ST_OK);
    harness_start(&h, NULL);
    server_set_tls(h.server, test_keys_context(keys));
    struct client c = client_open(is_tls ? h.tls_port : h.port);
    if (is_tls)
        client_starttls(&c);
    client_expect(&c, is_tls ? "hello tls" : "hello plain");
    char first[9] = "CARRY\r\n";
    first[7] = pattern(0); /* a byte behind the command goes along */
    client_send(&c, first, 8);
    int far = far_accept(service);
    pthread_t thread;
    pthread_create(&thread, NULL, echo_far, &far);
    fcntl(c.fd, F_SETFL, O_NONBLOCK);
    if (is_tls)
        SSL_set_mode(c.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    unsigned seed = 99, put_seed = 5;
    size_t sent = 1, got = 0;
    while (got < total) {
        unsigned before = put_seed;
        size_t put = sent < total ? put_some(&c, sent, total, &put_seed) : 0;
        if (!put)
            put_seed = before; /* TLS wants the same bytes again */
        size_t taken = take_some(&c, got, total, &seed);
        sent += put;
        got += taken;
        if (!put && !taken) {
            struct pollfd p = {.fd = c.fd, .events = POLLIN};
            poll(&p, 1, 5);
        }
        pause_sometimes(&seed);
    }
    fcntl(c.fd, F_SETFL, 0);
    if (is_tls)
        SSL_shutdown(c.ssl);
    else
        shutdown(c.fd, SHUT_WR);
    client_expect(&c, "end"); /* the far side still speaks after our end */
    char more;
    assert_int_equal(client_read(&c, &more, 1), 0);
    pthread_join(thread, NULL);
    client_close(&c);
    harness_stop(&h, 5000);
    test_keys_free(&keys);
    close(service);
    close(h.far_channel);
}

static void test_plain(void **state)
{
    (void)state;
    carry_both_ways(false, 30 * 1000 * 1000);
}

static void test_tls(void **state)
{
    (void)state;
    carry_both_ways(true, 30 * 1000 * 1000);
}

struct bench {
    struct harness h;
    int service, far;
    struct client c;
};

static void bench_open(struct bench *b)
{
    struct err err;
    *b = (struct bench){0};
    assert_int_equal(channel_new(&b->h.far_channel, &b->service, &err), ST_OK);
    harness_start(&b->h, NULL);
    b->c = client_open(b->h.port);
    client_expect(&b->c, "hello plain");
    client_say(&b->c, "CARRY");
    b->far = far_accept(b->service);
}

static void bench_close(struct bench *b)
{
    while (server_session_count(b->h.server))
        usleep(1000);
    harness_stop(&b->h, 5000);
    close(b->service);
    close(b->h.far_channel);
}

/* mail closes with words the client has not read yet, and bytes of the client's that mail never read. */
static void test_far_closes(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    client_say(&b.c, "never read");
    usleep(20000);
    send(b.far, "* BYE\r\n", 7, MSG_NOSIGNAL);
    close(b.far);
    usleep(20000);
    client_expect(&b.c, "* BYE");
    char more;
    assert_int_equal(client_read(&b.c, &more, 1), 0);
    client_close(&b.c);
    bench_close(&b);
}

static void test_client_vanishes(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    struct linger now = {1, 0};
    setsockopt(b.c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client_close(&b.c);
    char byte;
    assert_int_equal(recv(b.far, &byte, 1, 0), 0); /* mail is told */
    close(b.far);
    bench_close(&b);
}

/* Neither side reads: what waits here is bounded, both writers block. */
static void test_both_blocked(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    fcntl(b.c.fd, F_SETFL, O_NONBLOCK);
    fcntl(b.far, F_SETFL, O_NONBLOCK);
    char chunk[4096] = "";
    for (int quiet = 0; quiet < 20;) {
        bool has_moved = send(b.c.fd, chunk, sizeof chunk, MSG_NOSIGNAL) > 0;
        has_moved |= send(b.far, chunk, sizeof chunk, MSG_NOSIGNAL) > 0;
        quiet = has_moved ? 0 : quiet + 1;
        if (!has_moved)
            usleep(5000);
    }
    close(b.far); /* the client still gets what was on its way, then the end */
    size_t got = 0;
    fcntl(b.c.fd, F_SETFL, 0);
    for (size_t n; (n = client_read(&b.c, chunk, sizeof chunk)) > 0;)
        got += n;
    assert_true(got > 0);
    client_close(&b.c);
    bench_close(&b);
}

/* Shutdown leaves a carried session to mail; it ends when mail closes. */
static void test_shutdown(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    server_stop(b.h.server, 60000);
    usleep(50000);
    client_say(&b.c, "still");
    char got[8] = "";
    assert_int_equal(recv(b.far, got, 7, MSG_WAITALL), 7);
    assert_string_equal(got, "still\r\n");
    client_close(&b.c);
    close(b.far);
    harness_stop(&b.h, 60000);
    close(b.service);
    close(b.h.far_channel);
}

/*
 * A client is handed over, says BACK there and goes on here, again and again: with each number of bytes behind BACK that
 * are sent along with it, before and after the far side has acted on it.
 */
static void test_give_back(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    h.far_channel = h.channel;
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    static const char behind[] = "one\r\ntwo\r\nCARRY\r\nthree\r\n";
    for (size_t cut = 0; cut <= sizeof behind - 1; cut++) {
        AUTO_STRBUF first = STRBUF_INIT;
        strbuf_add_cstr(&first, "CARRY\r\nfar\r\nBACK\r\n");
        strbuf_add(&first, span_of(behind, cut));
        client_send(&c, first.p, first.len);
        client_expect(&c, "hello plain");
        client_expect(&c, "far");
        if (cut % 2)
            client_expect(&c, "going");
        client_send(&c, behind + cut, sizeof behind - 1 - cut);
        if (cut % 2 == 0)
            client_expect(&c, "going");
        client_expect(&c, "back");
        client_expect(&c, "one");
        client_expect(&c, "two");
        client_expect(&c, "hello plain"); /* handed over a second time */
        client_expect(&c, "three");
        client_say(&c, "BACK");
        client_expect(&c, "going");
        client_expect(&c, "back");
    }
    client_close(&c);
    harness_stop(&h, 2000);
}

/* Who sends without end while it is given back loses its connection, and no memory grows meanwhile. */
static void test_give_back_flood(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    h.far_channel = h.channel;
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    client_say(&c, "CARRY");
    client_expect(&c, "hello plain");
    char waste[8192];
    memset(waste, 'x', sizeof waste);
    client_say(&c, "BACK");
    bool is_open = true;
    for (size_t i = 0; is_open && i < 100000; i++)
        is_open = client_send(&c, waste, sizeof waste);
    assert_false(is_open);
    client_close(&c);
    harness_stop(&h, 2000);
}

/* A session that nobody carries cannot be given back. */
static void test_give_back_nobody(void **state)
{
    (void)state;
    struct harness h = {0};
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    char line[64];
    client_expect(&c, "hello plain");
    client_say(&c, "BACK");
    client_expect(&c, "going");
    assert_false(client_line(&c, line, sizeof line));
    client_close(&c);
    harness_stop(&h, 2000);
}

static void test_size(void **state)
{
    (void)state;
    assert_true(sizeof(struct session) <= SESSION_STRUCT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_far_closes),   cmocka_unit_test(test_client_vanishes),
        cmocka_unit_test(test_both_blocked), cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_give_back),    cmocka_unit_test(test_give_back_flood),
        cmocka_unit_test(test_give_back_nobody),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests_name("carry", tests, NULL, NULL);
}
