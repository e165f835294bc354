/* The sandbox, entered by forked children: what stays possible, what is refused, what kills. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sys/sandbox.h"

static char inside[64], outside[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(inside, sizeof inside, "/tmp/tassis-inside-XXXXXX");
    snprintf(outside, sizeof outside, "/tmp/tassis-outside-XXXXXX");
    return mkdtemp(inside) && mkdtemp(outside) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s %s", inside, outside);
    return system(command);
}

static bool can_make(const char *folder)
{
    char path[128], other[128];
    snprintf(path, sizeof path, "%s/file", folder);
    snprintf(other, sizeof other, "%s/renamed", folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    bool ok = fd >= 0 && write(fd, "x", 1) == 1 && fdatasync(fd) == 0 && ftruncate(fd, 0) == 0 &&
              rename(path, other) == 0 && unlink(other) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool can_read(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool can_connect(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = fd >= 0 && (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == ECONNREFUSED);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool can_bind_port(uint16_t port, bool is_for_listening)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    bool is_listening = ok && is_for_listening && listen(fd, 1) == 0;
    if (fd >= 0)
        close(fd);
    return is_for_listening ? is_listening : ok;
}

static bool can_bind(void)
{
    return can_bind_port(0, false);
}

static void *nothing(void *p)
{
    return p;
}

static bool can_thread(void)
{
    pthread_t t;
    return pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0;
}

static bool can_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return pid > 0;
}

static bool can_socketpair(void)
{
    int pair[2];
    char c = 'x';
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 && write(pair[0], &c, 1) == 1 &&
           read(pair[1], &c, 1) == 1;
}

static bool has_core_dumps(void)
{
    struct rlimit r;
    return getrlimit(RLIMIT_CORE, &r) != 0 || r.rlim_cur != 0 || r.rlim_max != 0;
}

enum { MAKE_INSIDE = 1, MAKE_OUTSIDE = 2, READ_PASSWD = 4, CONNECT = 8, BIND = 16, THREAD = 32, FORK = 64, PAIR = 128 };

static unsigned abilities(void)
{
    return (can_make(inside) ? MAKE_INSIDE : 0u) | (can_make(outside) ? MAKE_OUTSIDE : 0u) |
           (can_read("/etc/passwd") ? READ_PASSWD : 0u) | (can_connect() ? CONNECT : 0u) | (can_bind() ? BIND : 0u) |
           (can_thread() ? THREAD : 0u) | (can_fork() ? FORK : 0u) | (can_socketpair() ? PAIR : 0u);
}

/* The wait status of a child that enters the box and then runs fn; its exit code is what fn returns. */
static int run_in(const struct sandbox *box, unsigned (*fn)(void))
{
    struct err err;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(sandbox_enter(box, &err) == ST_OK ? (int)fn() : 255);
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

static unsigned abilities_in(unsigned groups, bool has_folder)
{
    const struct sandbox_path paths[] = {{inside, true}, {"/nowhere/at/all", true}};
    const struct sandbox box = {.groups = groups, .paths = paths, .path_count = has_folder ? 2 : 0};
    int status = run_in(&box, abilities);
    assert_true(WIFEXITED(status));
    return (unsigned)WEXITSTATUS(status);
}

static void test_no_groups(void **state)
{
    (void)state;
    assert_int_equal(abilities_in(0, false), THREAD | PAIR);
}

static void test_files(void **state)
{
    (void)state;
    assert_int_equal(abilities_in(SANDBOX_FILES, true), MAKE_INSIDE | THREAD | PAIR);
}

static void test_network(void **state)
{
    (void)state;
    assert_int_equal(abilities_in(SANDBOX_FILES | SANDBOX_NETWORK, true), MAKE_INSIDE | CONNECT | BIND | THREAD | PAIR);
}

static unsigned binds(void)
{
    return (can_bind_port(0, false) ? 1u : 0u) | (can_bind_port(41234, false) ? 2u : 0u) | (can_bind_port(0, true) ? 4u : 0u);
}

/* A source address, with any free port; no port of one's choice, and nobody may be let in. */
static void test_bind_is_for_calling(void **state)
{
    (void)state;
    const struct sandbox box = {.groups = SANDBOX_NETWORK};
    assert_true(binds() == 7u);
    int status = run_in(&box, binds);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static unsigned read_only(void)
{
    return (can_make(inside) ? 1u : 0u) | (can_read(inside) ? 2u : 0u);
}

static void test_read_only_path(void **state)
{
    (void)state;
    const struct sandbox_path paths[] = {{inside, false}};
    int status = run_in(&(struct sandbox){.groups = SANDBOX_FILES, .paths = paths, .path_count = 1}, read_only);
    assert_int_equal(WEXITSTATUS(status), 2);
}

static unsigned exec_true(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return 7;
}

static void test_exec_kills(void **state)
{
    (void)state;
    int status = run_in(&(struct sandbox){.groups = SANDBOX_FILES | SANDBOX_NETWORK}, exec_true);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static unsigned dumps(void)
{
    return has_core_dumps();
}

static void test_no_core_dumps(void **state)
{
    (void)state;
    int status = run_in(&(struct sandbox){0}, dumps);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_network, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bind_is_for_calling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_only_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_exec_kills, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_core_dumps, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
