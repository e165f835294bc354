/*
 * spawn.c - starting a role: fork, put the descriptors in their places, run the one binary again.
 *
 * Running it again (and not going on in the forked child) gives every role its own addresses (ASLR), its own stack
 * canary and no copy of what the master has in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "roles/master.h"
#include "base/banned.h"

enum { FDS_MAX = ROLE_FD_LISTEN + 64, FD_ASIDE = 512, EXIT_CANNOT_START = 71 };

struct fd_table {
    struct {
        int from, to;
    } rows[FDS_MAX];
    size_t count;
};

static void put(struct fd_table *t, int from, int to)
{
    if (t->count == FDS_MAX)
        panic("too many descriptors for a role");
    t->rows[t->count].from = from;
    t->rows[t->count++].to = to;
}

static void fill_table(const struct master *m, enum role r, int control, struct fd_table *t)
{
    put(t, control, ROLE_FD_CONTROL);
    put(t, m->config_fd, ROLE_FD_CONFIG);
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        if (channel_ends[i].caller == r)
            put(t, m->channels[i][0], ROLE_FD_CHANNELS + i);
        if (channel_ends[i].service == r)
            put(t, m->channels[i][1], ROLE_FD_CHANNELS + i);
    }
    for (size_t i = 0; i < m->config->listen_count; i++)
        if (service_role(m->config->listen[i].service) == r)
            put(t, m->ports[i], ROLE_FD_LISTEN + (int)i);
}

/* First all out of the way, then each to its place, so that no place is taken by one that is still needed. */
static bool place_descriptors(struct fd_table *t)
{
    if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        return false;
    for (size_t i = 0; i < t->count; i++)
        if ((t->rows[i].from = fcntl(t->rows[i].from, F_DUPFD_CLOEXEC, FD_ASIDE)) < 0)
            return false;
    for (size_t i = 0; i < t->count; i++)
        if (dup2(t->rows[i].from, t->rows[i].to) < 0)
            return false;
    return true;
}

/* Nothing of the master's environment, but what the role's libraries must know. */
static char **environment(const struct master *m, char *temporary, size_t size)
{
    static char *list[8];
    size_t n = 0;
    snprintf(temporary, size, "SQLITE_TMPDIR=%s/mail/tmp", m->config->data);
    list[n++] = "PATH=/usr/bin:/bin";
    list[n++] = "LC_ALL=C";
    list[n++] = temporary;
#if defined(__SANITIZE_ADDRESS__)
    /* Looking for leaks at the end needs ptrace, which a role does not have. */
    list[n++] = "ASAN_OPTIONS=detect_leaks=0";
    list[n++] = "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1";
#endif
#ifdef TASSIS_PROBE
    if (getenv("TASSIS_PROBE"))
        list[n++] = "TASSIS_PROBE=1";
#endif
    list[n] = NULL;
    return list;
}

static _Noreturn void become(struct master *m, enum role r, struct fd_table *t)
{
    struct identity id = role_identity(r, m->config);
    char uid[16], gid[16], temporary[4200];
    sigset_t none;
    snprintf(uid, sizeof uid, "%u", (unsigned)id.uid);
    snprintf(gid, sizeof gid, "%u", (unsigned)id.gid);
    char role_word[] = "role", name[16], program[] = "tassis";
    char *data = arena_cstr(&m->config->arena, span_cstr(m->config->data));
    snprintf(name, sizeof name, "%s", role_names[r]);
    char *argv[] = {program, role_word, name, uid, gid, m->base_dir, m->config_name, data, NULL};
    char **env = environment(m, temporary, sizeof temporary);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir("/") == 0 && place_descriptors(t))
        execve("/proc/self/exe", argv, env);
    log_text(LOG_ERROR, "cannot-start", "%s: errno %d", role_names[r], errno);
    _exit(EXIT_CANNOT_START);
}

enum status role_spawn(struct master *m, enum role r, struct err *err)
{
    struct child *c = &m->children[r];
    struct fd_table t = {.count = 0};
    int ours, theirs;
    TRY(channel_new(&ours, &theirs, err));
    fill_table(m, r, theirs, &t);
    pid_t pid = fork();
    if (pid == 0)
        become(m, r, &t);
    close(theirs);
    if (pid < 0) {
        close(ours);
        return err_errno(err, "cannot fork");
    }
    int flags = fcntl(ours, F_GETFL);
    (void)fcntl(ours, F_SETFL, flags | O_NONBLOCK); /* a role that does not listen must not stop the master */
    c->pid = pid;
    c->control = ours;
    c->is_ready = false;
    c->started_at_ms = clock_mono_ms();
    return ST_OK;
}
