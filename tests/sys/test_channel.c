/* Channels between roles: connecting, what a captured role might pass, full channels, messages with descriptors,
 * deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "sys/channel.h"

static struct err err;

static int open_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

static void test_connect(void **state)
{
    (void)state;
    int before = open_fds(), caller, service, mine, theirs;
    assert_int_equal(channel_new(&caller, &service, &err), ST_OK);
    assert_int_equal(channel_accept(service, &theirs, &err), ST_TEMPORARY);
    assert_int_equal(channel_connect(caller, false, &mine, &err), ST_OK);
    assert_int_equal(channel_accept(service, &theirs, &err), ST_OK);
    assert_true(fcntl(theirs, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(theirs, F_GETFD) & FD_CLOEXEC);
    assert_false(fcntl(mine, F_GETFL) & O_NONBLOCK);
    char text[6] = "";
    assert_int_equal(fd_write_all(mine, "hello", 5, 1000, &err), ST_OK);
    assert_int_equal(fd_read_exact(theirs, text, 5, 1000, &err), ST_OK);
    assert_string_equal(text, "hello");
    close(mine);
    assert_int_equal(fd_read_exact(theirs, text, 1, 1000, &err), ST_CLOSED);
    assert_int_equal(fd_write_all(theirs, "x", 1, 1000, &err), ST_CLOSED);
    close(theirs);
    assert_int_equal(channel_connect(caller, true, &mine, &err), ST_OK);
    assert_true(fcntl(mine, F_GETFL) & O_NONBLOCK);
    close(mine);
    assert_int_equal(channel_accept(service, &theirs, &err), ST_OK); /* closed meanwhile, still a connection */
    assert_int_equal(fd_read_exact(theirs, text, 1, 1000, &err), ST_CLOSED);
    close(theirs);
    close(caller);
    assert_int_equal(channel_accept(service, &theirs, &err), ST_CLOSED);
    close(service);
    assert_int_equal(open_fds(), before);
}

static void test_gone_and_full(void **state)
{
    (void)state;
    enum { MORE_THAN_FIT = 100000 };
    int before = open_fds(), caller, service, fd;
    assert_int_equal(channel_new(&caller, &service, &err), ST_OK);
    enum status st = ST_OK;
    int held = 0;
    while (held < MORE_THAN_FIT && (st = channel_connect(caller, true, &fd, &err)) == ST_OK) {
        close(fd);
        held++;
    }
    assert_int_equal(st, ST_TEMPORARY);
    assert_true(held >= 64); /* a restarting service may let this many wait at least */
    for (int i = 0; i < held; i++) {
        assert_int_equal(channel_accept(service, &fd, &err), ST_OK);
        close(fd);
    }
    assert_int_equal(channel_accept(service, &fd, &err), ST_TEMPORARY);
    close(service);
    assert_int_equal(channel_connect(caller, true, &fd, &err), ST_CLOSED);
    close(caller);
    assert_int_equal(open_fds(), before);
}

/* What is no stream socket is refused and closed; the channel goes on. */
static void test_strange_things(void **state)
{
    (void)state;
    int caller, service, pair[2], got, mine;
    assert_int_equal(channel_new(&caller, &service, &err), ST_OK);
    assert_int_equal(pipe(pair), 0);
    int before = open_fds();
    assert_int_equal(channel_send(caller, SPAN("c"), pair, 1, &err), ST_OK);
    assert_int_equal(channel_accept(service, &got, &err), ST_DENIED);
    assert_int_equal(channel_send(caller, SPAN("c"), pair, 2, &err), ST_OK);
    assert_int_equal(channel_accept(service, &got, &err), ST_LIMIT);
    assert_int_equal(channel_send(caller, SPAN("c"), NULL, 0, &err), ST_OK);
    assert_int_equal(channel_accept(service, &got, &err), ST_LIMIT);
    assert_int_equal(channel_send(caller, SPAN("far longer than a note"), pair, 1, &err), ST_OK);
    assert_int_equal(channel_accept(service, &got, &err), ST_LIMIT);
    assert_int_equal(open_fds(), before);
    assert_int_equal(channel_connect(caller, false, &mine, &err), ST_OK);
    assert_int_equal(channel_accept(service, &got, &err), ST_OK);
    close(mine);
    close(got);
    close(caller);
    close(service);
    close(pair[0]);
    close(pair[1]);
}

static void test_messages(void **state)
{
    (void)state;
    int caller, service, fds[CHANNEL_FDS_MAX], got[CHANNEL_FDS_MAX];
    char buffer[CHANNEL_MESSAGE_MAX];
    size_t length, count;
    assert_int_equal(channel_new(&caller, &service, &err), ST_OK);
    for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
        fds[i] = dup(0);
    int before = open_fds();
    assert_int_equal(channel_send(caller, SPAN("reload"), fds, CHANNEL_FDS_MAX, &err), ST_OK);
    count = CHANNEL_FDS_MAX;
    assert_int_equal(channel_receive(service, buffer, sizeof buffer, &length, got, &count, &err), ST_OK);
    assert_int_equal(count, CHANNEL_FDS_MAX);
    assert_true(span_eq(span_of(buffer, length), SPAN("reload")));
    for (size_t i = 0; i < count; i++)
        close(got[i]);
    assert_int_equal(channel_send(caller, SPAN("reload"), fds, 3, &err), ST_OK);
    count = 2;
    assert_int_equal(channel_receive(service, buffer, sizeof buffer, &length, got, &count, &err), ST_LIMIT);
    assert_int_equal(count, 0);
    assert_int_equal(channel_send(caller, SPAN("reload"), NULL, 0, &err), ST_OK);
    assert_int_equal(channel_receive(service, buffer, 3, &length, got, &count, &err), ST_LIMIT);
    assert_int_equal(open_fds(), before);
    assert_int_equal(channel_send(caller, span_of(buffer, sizeof buffer), fds, 1, &err), ST_OK);
    assert_int_equal(channel_send(caller, span_of(buffer, sizeof buffer + 1), fds, 1, &err), ST_LIMIT);
    assert_int_equal(channel_send(caller, SPAN_NONE, fds, 1, &err), ST_LIMIT);
    assert_int_equal(channel_send(caller, SPAN("x"), fds, CHANNEL_FDS_MAX + 1, &err), ST_LIMIT);
    for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
        close(fds[i]);
    close(caller);
    close(service);
}

static void test_deadlines(void **state)
{
    (void)state;
    int pair[2];
    static char big[4 * 1024 * 1024];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    int64_t begin_ms = clock_mono_ms();
    assert_int_equal(send(pair[1], "half", 4, 0), 4);
    assert_int_equal(fd_read_exact(pair[0], big, 8, 50, &err), ST_TEMPORARY);
    assert_int_equal(fd_write_all(pair[0], big, sizeof big, 50, &err), ST_TEMPORARY);
    assert_in_range(clock_mono_ms() - begin_ms, 100, 30000);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),  cmocka_unit_test(test_gone_and_full), cmocka_unit_test(test_strange_things),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_deadlines),
    };
    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
