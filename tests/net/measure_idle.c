/*
 * measure_idle [SESSIONS] - what an idle logged-in TLS session costs: clients in a child process, and here, in one
 * process, a gate session in carry state and the session behind it, for each. Prints resident bytes a session. Not a
 * test: run by hand.
 */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <malloc.h>
#include "harness.h"
#include "net/engine.h"
#include "sys/channel.h"
#include "test_keys.h"

static long resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * sysconf(_SC_PAGESIZE);
}

/* Opens the sessions, brings each into carry and a WATCH behind it, says so on `done`, and waits for the end of `go`.
 */
static int clients(int count, int ports, int done, int go)
{
    int port;
    if (read(ports, &port, sizeof port) != sizeof port)
        return 1;
    struct client *c = calloc((size_t)count, sizeof *c);
    for (int i = 0; i < count; i++) {
        c[i] = client_open(port);
        client_starttls(&c[i]);
        client_expect(&c[i], "hello tls");
        client_say(&c[i], "CARRY");
        client_expect(&c[i], "hello plain"); /* the far side's */
        client_say(&c[i], "noop");
        client_expect(&c[i], "noop");
        if (write(done, "x", 1) != 1)
            return 1;
    }
    char byte;
    return read(go, &byte, 1) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 5000;
    struct rlimit files = {(rlim_t)count * 3 + 1000, (rlim_t)count * 3 + 1000};
    int ports[2], done[2], go[2];
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || pipe(ports) || pipe(done) || pipe(go)) {
        perror("limits");
        return 1;
    }
    pid_t child = fork();
    if (child == 0) {
        close(go[1]);
        _exit(clients(count, ports[0], done[1], go[0]));
    }
    static const char *const names[] = {"mail.example.test"};
    struct harness h = {0};
    struct test_keys *keys = test_keys_new();
    test_keys_add(keys, "ec", names, 1);
    harness_start(&h, NULL);
    h.far_channel = h.channel;
    server_set_tls(h.server, test_keys_context(keys));
    long before = 0;
    if (write(ports[1], &h.tls_port, sizeof h.tls_port) != sizeof h.tls_port)
        return 1;
    char byte;
    for (int i = 0; i < count; i++) {
        if (i == 100)
            before = resident_bytes(); /* after warming up */
        if (read(done[0], &byte, 1) != 1)
            return 1;
    }
    usleep(200000);
    long after = resident_bytes();
    malloc_trim(0);
    long trimmed = resident_bytes();
    printf("struct session %zu\n", sizeof(struct session));
    printf("sessions %d (a gate and a mail session each): %ld bytes each, %ld after trimming, process %ld KB\n", count,
           (after - before) / (count - 100), (trimmed - before) / (count - 100), trimmed / 1024);
    close(go[1]);
    waitpid(child, NULL, 0);
    harness_stop(&h, 10000);
    test_keys_free(&keys);
    return 0;
}
