/* milter_door.c - see milter_door.h. Calling blocks a worker; how many of them, and for how long, is bounded. */
#include "relay/milter_door.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "net/dial.h"
#include "relay/hosts.h"
#include "base/banned.h"

enum { LINE_MAX = CONFIG_MILTER_NAME_MAX + 1 };

static enum status call_unix(const char *path, int *out, struct err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path)
        return err_set(err, ST_TEMPORARY, "the path is too long");
    memcpy(to.sun_path, path, strlen(path) + 1);
    /* Non-blocking: a Unix socket whose backlog is full says EAGAIN instead of keeping us. */
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        return err_set(err, ST_TEMPORARY, "cannot connect to %s: %s", path, strerror(errno));
    *out = fd;
    fd = -1;
    return ST_OK;
}

static enum status call_host(struct dns *dns, const struct config_milter *m, int *out, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct hosts hosts;
    TRY(hosts_by_name(dns, &a, span_cstr(m->host), m->port, &hosts, err));
    enum status st = err_set(err, ST_TEMPORARY, "%s has no address", m->host);
    for (size_t i = 0; i < hosts.count; i++)
        for (size_t k = 0; k < hosts.list[i].address_count; k++) {
            const struct host_address *to = &hosts.list[i].addresses[k];
            struct dial *d;
            st = dial_connect((const struct sockaddr *)&to->address, to->length, NULL, 0, m->connect_ms, &d, err);
            if (st != ST_OK)
                continue;
            *out = fcntl(dial_fd(d), F_DUPFD_CLOEXEC, 0);
            dial_close(&d);
            if (*out < 0 || fcntl(*out, F_SETFL, O_NONBLOCK) != 0)
                return err_errno(err, "fcntl");
            return ST_OK;
        }
    return st;
}

static enum status call(struct milter_service *door, const struct config_milter *m, struct milter_rest *rest, int *out,
                        struct err *err)
{
    if (clock_mono_ms() < atomic_load(&rest->until_ms))
        return err_set(err, ST_TEMPORARY, "it could not be reached a moment ago");
    if (atomic_fetch_add(&rest->dials, 1) >= MILTER_DIALS_MAX) {
        atomic_fetch_sub(&rest->dials, 1);
        return err_set(err, ST_TEMPORARY, "too many others are just calling it");
    }
    enum status st = m->port ? call_host(door->dns, m, out, err) : call_unix(m->host, out, err);
    if (st != ST_OK)
        atomic_store(&rest->until_ms, clock_mono_ms() + MILTER_REST_MS);
    atomic_fetch_sub(&rest->dials, 1);
    return st;
}

static enum next refuse(struct session *s, struct span name, const char *why)
{
    struct log_line l;
    strbuf_addf(session_output(s), "-%s\n", why);
    session_log_begin(s, &l, LOG_WARN, "milter-unreachable");
    log_span(&l, "milter", name);
    log_str(&l, "error", why);
    log_end(&l);
    return NEXT_CLOSE;
}

static enum next door_start(struct session *s)
{
    session_set_timeouts(s, MILTER_SESSIONS_IDLE_MS, MILTER_SESSIONS_IDLE_MS);
    session_set_input_max(s, LINE_MAX);
    return NEXT_INPUT;
}

static enum next door_input(struct session *s)
{
    struct milter_service *door = session_app(s);
    const struct config_milters *c = atomic_load(&door->config);
    struct span in = session_input(s), name;
    size_t lf = span_find_byte(in, '\n', 0);
    if (lf == SPAN_NPOS)
        return in.len < LINE_MAX ? NEXT_INPUT : refuse(s, SPAN_NONE, "not a name");
    name = span_take(in, lf);
    for (size_t i = 0; i < c->count; i++) {
        if (!span_eq(name, span_cstr(c->list[i].name)))
            continue;
        int fd;
        struct err err;
        if (call(door, &c->list[i], &door->rests[i], &fd, &err) != ST_OK)
            return refuse(s, span_cstr(c->list[i].name), err.operator_text);
        session_consume(s, lf + 1);
        strbuf_add_cstr(session_output(s), "+\n");
        session_set_carry(s, fd);
        return NEXT_CARRY;
    }
    return refuse(s, SPAN_NONE, "no filter of this name");
}

static void door_free(struct session *s)
{
    (void)s;
}

const struct protocol milter_door_protocol = {
    .name = "milter",
    .start = door_start,
    .input = door_input,
    .free = door_free,
};
