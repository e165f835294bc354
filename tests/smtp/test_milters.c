/* What the sessions of a role share about filters: how many ask at once, and that one at a time calls a silent one.
 * relay's door is played here, at the other end of the channel. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "smtp/milters.h"
#include "sys/channel.h"

static const struct config_milter filter = {.name = "test", .connect_ms = 60000, .reply_ms = 200};
static const char options[] = "+\n\0\0\0\x0dO\0\0\0\6\0\0\1\xff\0\0\0\0";

static void test_at_once(void **state)
{
    (void)state;
    static const struct config_milters none;
    struct milters *m = milters_new(-1, MILTER_DOOR_SMTP, 2, &none);
    assert_true(milters_enter(m));
    assert_true(milters_enter(m));
    assert_false(milters_enter(m));
    milters_leave(m);
    assert_true(milters_enter(m));
    assert_false(milters_enter(m));
    close(m->stop_fd);
    free(m);
}

struct call {
    struct milters *role;
    enum status st;
};

static void *call(void *ctx)
{
    struct call *c = ctx;
    struct milter *milter = NULL;
    struct err err;
    c->st = milters_call(c->role, 3, &filter, &milter, &err);
    milter_free(&milter);
    return NULL;
}

/* The next connection that came through the channel, with its line read. */
static int taken(int service)
{
    int fds[CHANNEL_FDS_MAX];
    char message[CHANNEL_MESSAGE_MAX], line[5];
    size_t length, count = CHANNEL_FDS_MAX;
    struct err err;
    assert_int_equal(channel_receive(service, message, sizeof message, &length, fds, &count, &err), ST_OK);
    assert_int_equal(count, 1);
    assert_int_equal(poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, -1), 1);
    assert_int_equal(recv(fds[0], line, sizeof line, 0), 5);
    assert_memory_equal(line, "test\n", 5);
    return fds[0];
}

static void test_silent(void **state)
{
    (void)state;
    static const struct config_milters none;
    int channel[2];
    pthread_t thread;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel), 0);
    struct milters *m = milters_new(channel[0], MILTER_DOOR_SMTP, 10, &none);
    struct call first = {m, ST_OK}, second = {m, ST_OK}, third = {m, ST_OK};

    pthread_create(&thread, NULL, call, &first); /* connected, and not a word */
    int fd = taken(channel[1]);
    assert_int_equal(send(fd, options, 2, MSG_NOSIGNAL), 2);
    pthread_join(thread, NULL);
    close(fd);
    assert_int_equal(first.st, ST_TEMPORARY);

    pthread_create(&thread, NULL, call, &second); /* tries again, alone */
    fd = taken(channel[1]);
    call(&third);
    assert_int_equal(third.st,
                     ST_TEMPORARY); /* nothing came through the channel: who waits for it would wait for ever */
    assert_int_equal(send(fd, options, sizeof options - 1, MSG_NOSIGNAL), sizeof options - 1);
    pthread_join(thread, NULL);
    close(fd);
    assert_int_equal(second.st, ST_OK);

    pthread_create(&thread, NULL, call, &third); /* it speaks again: everybody calls it */
    fd = taken(channel[1]);
    assert_int_equal(send(fd, "-no\n", 4, MSG_NOSIGNAL), 4);
    pthread_join(thread, NULL);
    close(fd);
    assert_int_equal(third.st, ST_CLOSED);

    milters_stop(m);
    pthread_create(&thread, NULL, call, &third); /* not reached is not silent; and now nobody waits */
    fd = taken(channel[1]);
    pthread_join(thread, NULL);
    close(fd);
    assert_int_equal(third.st, ST_CLOSED);
    close(channel[0]);
    close(channel[1]);
    close(m->stop_fd);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
