/*
 * master.c - see master.h.
 *
 * Everything is driven by one poll(): signals come through a signalfd, the roles' words through their control channels,
 * and what has to happen at a time (starting a role again, the next stage of stopping) is looked at on each turn.
 *
 * Stopping, in stages, each begun when the one before is through or its time is over:
 *   1  gate and mx stop accepting; who has not logged in is told goodbye; logged-in clients are still carried
 *   2  mail says goodbye to its sessions, through gate
 *   3  relay (mail may have handed it something until now)
 *   4  vault (relay and gate may have needed it until now)
 *   5  what is left is killed
 */
#include "roles/master.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "roles/ports.h"
#include "roles/users.h"
#include "sys/file.h"
#include "base/banned.h"

enum {
    LIVED_LONG_MS = 10 * 1000, /* a role that dies later than this is started again at once */
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 5000,
    POLL_MS = 1000,
};

static void log_failure(const char *event, const struct err *err)
{
    struct log_line l;
    log_begin(&l, LOG_ERROR, event);
    log_err(&l, err);
    log_end(&l);
}

/* ---- telling roles
 * ---------------------------------------------------------------------------------------------------- */

static void tell(struct master *m, enum role r, const char *message, const int *fds, size_t fd_count)
{
    struct err err;
    struct child *c = &m->children[r];
    if (c->pid && channel_send(c->control, span_cstr(message), fds, fd_count, &err) != ST_OK)
        log_failure("control", &err);
}

static enum status send_certificate(struct master *m, size_t i, struct err *err)
{
    const struct config *c = m->config;
    char message[64];
    AUTO_FD int certificate = open(c->certificates[i], O_RDONLY | O_CLOEXEC);
    if (certificate < 0)
        return err_errno(err, "cannot open the certificate %s", c->certificates[i]);
    AUTO_FD int key = open(c->keys[i], O_RDONLY | O_CLOEXEC);
    if (key < 0)
        return err_errno(err, "cannot open the key %s", c->keys[i]);
    snprintf(message, sizeof message, CONTROL_CERTIFICATE " %zu %zu", i, c->certificate_count);
    const int fds[] = {certificate, key};
    tell(m, ROLE_VAULT, message, fds, 2);
    return ST_OK;
}

/* A file that cannot be opened ends the set early; the vault then goes on with what it has. */
static enum status send_certificates(struct master *m, struct err *err)
{
    for (size_t i = 0; i < m->config->certificate_count; i++)
        TRY(send_certificate(m, i, err));
    return ST_OK;
}

static void start_role(struct master *m, enum role r)
{
    struct err err;
    struct child *c = &m->children[r];
    c->restart_at_ms = 0;
    enum status st = role_spawn(m, r, &err);
    if (st == ST_OK && r == ROLE_VAULT)
        st = send_certificates(m, &err);
    if (st == ST_OK)
        return;
    log_failure("start", &err);
    if (c->pid)
        kill(c->pid, SIGKILL);
    else
        c->restart_at_ms = clock_mono_ms() + BACKOFF_MAX_MS;
}

/* ---- stopping
 * ----------------------------------------------------------------------------------------------------------- */

static bool is_gone(const struct master *m, enum role r)
{
    return m->children[r].pid == 0;
}

static const struct stage {
    enum role stops[2], waits_for[2]; /* those that the next stage waits for */
    int grace_ms, until_ms;           /* since the beginning */
} stages[] = {
    {{ROLE_GATE, ROLE_MX}, {ROLE_MX, ROLE_MX}, 7500, 2000},
    {{ROLE_MAIL, ROLE_MAIL}, {ROLE_MAIL, ROLE_GATE}, 5000, 8000},
    {{ROLE_RELAY, ROLE_RELAY}, {ROLE_RELAY, ROLE_RELAY}, 800, 9000},
    {{ROLE_VAULT, ROLE_VAULT}, {ROLE_VAULT, ROLE_VAULT}, 500, 9800},
};
enum { STAGE_COUNT = sizeof stages / sizeof stages[0] };

static void begin_stage(struct master *m)
{
    char message[32];
    const struct stage *s = &stages[m->stage];
    snprintf(message, sizeof message, CONTROL_STOP " %d", s->grace_ms);
    tell(m, s->stops[0], message, NULL, 0);
    if (s->stops[1] != s->stops[0])
        tell(m, s->stops[1], message, NULL, 0);
}

static void begin_stop(struct master *m, int exit_code)
{
    if (m->is_stopping)
        return;
    m->is_stopping = true;
    m->exit_code = exit_code;
    m->stage = 0;
    m->stop_began_ms = clock_mono_ms();
    log_text(LOG_INFO, "stopping", "sessions are told goodbye");
    begin_stage(m);
}

static bool all_gone(const struct master *m)
{
    for (int r = 0; r < ROLE_COUNT; r++)
        if (!is_gone(m, (enum role)r))
            return false;
    return true;
}

static void kill_rest(struct master *m)
{
    for (int r = 0; r < ROLE_COUNT; r++)
        if (!is_gone(m, (enum role)r)) {
            log_text(LOG_WARN, "killed", "%s did not stop in time", role_names[r]);
            kill(m->children[r].pid, SIGKILL);
        }
}

static void advance_stop(struct master *m)
{
    while (m->stage < STAGE_COUNT) {
        const struct stage *s = &stages[m->stage];
        bool is_through = is_gone(m, s->waits_for[0]) && is_gone(m, s->waits_for[1]);
        if (!is_through && clock_mono_ms() - m->stop_began_ms < s->until_ms)
            return;
        if (++m->stage < STAGE_COUNT)
            begin_stage(m);
        else
            kill_rest(m);
    }
}

/* ---- roles that end
 * ------------------------------------------------------------------------------------------------------ */

static void log_death(enum role r, int status)
{
    struct log_line l;
    log_begin(&l, LOG_ERROR, "role-died");
    log_str(&l, "name", role_names[r]);
    if (WIFSIGNALED(status))
        log_i64(&l, "signal", WTERMSIG(status));
    else
        log_i64(&l, "code", WEXITSTATUS(status));
    log_end(&l);
}

static void schedule_restart(struct child *c)
{
    int64_t now = clock_mono_ms();
    c->deaths = now - c->started_at_ms >= LIVED_LONG_MS ? 0 : c->deaths + 1;
    int64_t wait = c->deaths <= 1 ? 0 : (int64_t)BACKOFF_FIRST_MS << (c->deaths - 2 < 10 ? c->deaths - 2 : 10);
    c->restart_at_ms = now + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
}

static void role_ended(struct master *m, enum role r, int status)
{
    struct child *c = &m->children[r];
    bool is_clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    close(c->control);
    c->control = -1;
    c->pid = 0;
    if (!(m->is_stopping && is_clean))
        log_death(r, status);
    if (m->is_stopping)
        return;
    if (!c->was_ready && !m->is_announced && WIFEXITED(status)) {
        /* It has said why. Nothing that worked before is lost by giving up now. */
        log_text(LOG_ERROR, "cannot-start", "the role %s could not start", role_names[r]);
        begin_stop(m, 1);
        return;
    }
    schedule_restart(c);
}

static void reap(struct master *m)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (int r = 0; r < ROLE_COUNT; r++)
            if (m->children[r].pid == pid)
                role_ended(m, (enum role)r, status);
}

/* ---- reload
 * -------------------------------------------------------------------------------------------------------------- */

static bool same_ports(const struct config *a, const struct config *b)
{
    if (a->listen_count != b->listen_count)
        return false;
    for (size_t i = 0; i < a->listen_count; i++)
        if (a->listen[i].service != b->listen[i].service || strcmp(a->listen[i].text, b->listen[i].text) != 0)
            return false;
    return true;
}

/* What only a new start can change. */
static const char *needs_restart(const struct config *a, const struct config *b)
{
    return !same_ports(a, b)                       ? "[listen]"
           : strcmp(a->hostname, b->hostname) != 0 ? "hostname"
           : strcmp(a->data, b->data) != 0         ? "data"
           : strcmp(a->user, b->user) != 0         ? "user"
                                                   : NULL;
}

static enum status read_config(struct master *m, struct config **config, int *fd, struct err *err)
{
    AUTO_STRBUF text = STRBUF_INIT;
    TRY(file_read(m->config_path, ROLE_CONFIG_MAX, &text, err));
    TRY(config_parse(strbuf_span(&text), m->config_name, m->base_dir, config, err));
    return memory_file("tassis-config", strbuf_span(&text), fd, err);
}

static enum status reload(struct master *m, struct err *err)
{
    AUTO(config) config = NULL;
    AUTO_FD int fd = -1;
    TRY(read_config(m, &config, &fd, err));
    TRY(data_resolve(config, err));
    const char *what = needs_restart(m->config, config);
    if (what)
        return err_set(err, ST_STATE, "%s has changed, which needs a restart; nothing was reloaded", what);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    struct config *old = m->config;
    m->config = config;
    config = old;
    int old_fd = m->config_fd;
    m->config_fd = fd;
    fd = old_fd;
    for (int r = 0; r < ROLE_COUNT; r++)
        tell(m, (enum role)r, CONTROL_CONFIG, &m->config_fd, 1);
    return send_certificates(m, err);
}

/* ---- the loop
 * ------------------------------------------------------------------------------------------------------------ */

static void take_word(struct master *m, enum role r, struct span word)
{
    struct child *c = &m->children[r];
    char answer[64];
    if (span_eq(word, SPAN(CONTROL_READY))) {
        c->is_ready = c->was_ready = true;
    } else if (span_eq(word, SPAN(CONTROL_KEYS))) {
        tell(m, ROLE_GATE, CONTROL_FETCH, NULL, 0);
        tell(m, ROLE_MX, CONTROL_FETCH, NULL, 0);
    } else if (r == ROLE_MAIL && users_look_up(word, answer, sizeof answer)) {
        tell(m, r, answer, NULL, 0);
    }
}

static void announce(struct master *m)
{
    for (int r = 0; r < ROLE_COUNT; r++)
        if (!m->children[r].is_ready)
            return;
    if (!m->is_announced) {
        struct log_line l;
        log_begin(&l, LOG_INFO, "ready");
        log_str(&l, "version", TASSIS_VERSION);
        log_str(&l, "hostname", m->config->hostname);
        log_u64(&l, "ports", m->config->listen_count);
        log_end(&l);
    }
    m->is_announced = true;
}

static void control_readable(struct master *m, enum role r)
{
    char buffer[CHANNEL_MESSAGE_MAX];
    int fds[CHANNEL_FDS_MAX];
    size_t length, fd_count = CHANNEL_FDS_MAX;
    struct err err;
    while (channel_receive(m->children[r].control, buffer, sizeof buffer, &length, fds, &fd_count, &err) == ST_OK) {
        for (size_t i = 0; i < fd_count; i++)
            close(fds[i]); /* a role has nothing to send us */
        take_word(m, r, span_of(buffer, length));
        fd_count = CHANNEL_FDS_MAX;
    }
    announce(m);
}

static void signal_readable(struct master *m)
{
    struct signalfd_siginfo info;
    struct err err;
    while (read(m->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            reap(m);
        } else if (info.ssi_signo == SIGHUP && !m->is_stopping) {
            if (reload(m, &err) == ST_OK)
                log_text(LOG_INFO, "reloaded", "the config was read again");
            else
                log_failure("reload-failed", &err);
        } else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            begin_stop(m, 0);
        }
    }
}

static int next_wait_ms(const struct master *m)
{
    int64_t wait = m->is_stopping ? 50 : POLL_MS, now = clock_mono_ms();
    for (int r = 0; r < ROLE_COUNT && !m->is_stopping; r++) {
        const struct child *c = &m->children[r];
        if (!c->pid && c->restart_at_ms - now < wait)
            wait = c->restart_at_ms > now ? c->restart_at_ms - now : 0;
    }
    return (int)wait;
}

static void turn(struct master *m)
{
    struct pollfd list[1 + ROLE_COUNT] = {{.fd = m->signals, .events = POLLIN}};
    for (int r = 0; r < ROLE_COUNT; r++)
        list[1 + r] = (struct pollfd){.fd = m->children[r].control, .events = POLLIN};
    (void)poll(list, 1 + ROLE_COUNT, next_wait_ms(m));
    for (int r = 0; r < ROLE_COUNT; r++)
        if (list[1 + r].revents & POLLIN)
            control_readable(m, (enum role)r);
    if (list[0].revents)
        signal_readable(m);
    if (m->is_stopping) {
        advance_stop(m);
        return;
    }
    for (int r = 0; r < ROLE_COUNT; r++)
        if (!m->children[r].pid && clock_mono_ms() >= m->children[r].restart_at_ms)
            start_role(m, (enum role)r);
}

/* ---- start
 * ------------------------------------------------------------------------------------------------------------------ */

static enum status make_channels(struct master *m, struct err *err)
{
    for (int i = 0; i < CHANNEL_COUNT; i++)
        TRY(channel_new(&m->channels[i][0], &m->channels[i][1], err));
    return ST_OK;
}

static enum status open_ports(struct master *m, struct err *err)
{
    m->ports = mem_array(m->config->listen_count + 1, sizeof *m->ports);
    for (size_t i = 0; i < m->config->listen_count; i++)
        TRY(port_open(&m->config->listen[i], &m->ports[i], err));
    return ST_OK;
}

static enum status take_signals(struct master *m, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || (m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return err_errno(err, "signals");
    return ST_OK;
}

static enum status locate(struct master *m, const char *path, struct err *err)
{
    m->config_path = realpath(path, NULL); /* kept as long as the process: SIGHUP reads it again */
    if (!m->config_path)
        return err_errno(err, "cannot open %s", path);
    size_t slash = span_rfind_byte(span_cstr(m->config_path), '/');
    m->base_dir = mem_cstr(m->config_path, slash == 0 ? 1 : slash);
    m->config_name = mem_cstr(m->config_path, strlen(m->config_path));
    return ST_OK;
}

static void log_separation(const struct config *c)
{
    switch (data_separation(c)) {
    case SEPARATION_NOT_ROOT:
    case SEPARATION_OWN_USERS:
        break;
    case SEPARATION_DATA_OWNER:
        log_text(LOG_WARN, "one-user",
                 "%s belongs to an ordinary user, so all roles are that user; chown it to root for a user for each",
                 c->data);
        break;
    case SEPARATION_UNREACHABLE:
        log_text(LOG_WARN, "one-user",
                 "a folder above %s is closed to other users, so all roles stay root, without root's capabilities; "
                 "open it (chmod o+x) "
                 "for a user for each",
                 c->data);
        break;
    }
}

static enum status start(struct master *m, const char *path, struct err *err)
{
    TRY(locate(m, path, err));
    TRY(read_config(m, &m->config, &m->config_fd, err));
    (void)fcntl(m->config_fd, F_SETFD, FD_CLOEXEC);
    (void)open_files_raise();
    TRY(take_signals(m, err));
    TRY(data_prepare(m->config, err));
    log_separation(m->config);
    TRY(open_ports(m, err));
    TRY(make_channels(m, err));
    for (int r = 0; r < ROLE_COUNT; r++)
        m->children[r].control = -1;
    for (int r = 0; r < ROLE_COUNT; r++)
        start_role(m, (enum role)r);
    return ST_OK;
}

static void clean_up(struct master *m)
{
    for (size_t i = 0; i < m->config->listen_count; i++)
        port_remove(&m->config->listen[i]);
    config_free(&m->config);
    free(m->ports);
}

int master_main(const char *config_path)
{
    static struct master m;
    struct err err;
    log_set_role("master");
    umask(0077);
    if (start(&m, config_path, &err) != ST_OK) {
        log_failure("cannot-start", &err);
        return 1;
    }
    while (!m.is_stopping || !all_gone(&m))
        turn(&m);
    clean_up(&m);
    log_text(LOG_INFO, "stopped", "all roles have ended");
    return m.exit_code;
}
