/*
 * relay.c - the role relay: the durable queue of mail that goes out. Its folder is queue/; the only role that may
 * connect to the network.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "auth/vault_client.h"
#include "base/mem.h"
#include "queue/queue.h"
#include "relay/milter_door.h"
#include "relay/relay.h"
#include "relay/self.h"
#include "relay/sts.h"
#include "relay/tls_policy.h"
#include "relay/tls_report.h"
#include "relay/tracer.h"
#include "roles/role.h"
#include "smtp/smtp.h"
#include "sys/file.h"
#include "sys/trace_buffer.h"
#include "base/banned.h"

enum { ANCHOR_MAX = 1 << 16, CA_MAX = 4 << 20 };
static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";

struct relay_role {
    struct relay_app app;
    struct milter_service milters;
    struct queue *queue;
    struct smtp_pool *mail;
    struct dns *dns;
    struct dial_tls *tls;
    struct strbuf ca;
    struct sts *sts;
    struct tls_policies *policies;
    struct hosts_self self;
    struct tls_reporter *reporter;
    struct trace_store *trace;
    struct tracer *tracer;
    int wake_fd;
    struct relay *relay; /* NULL until the role listens */
};

static void wake(void *ctx)
{
    struct relay_role *role = ctx;
    relay_wake(role->relay);
}

static enum status open_dns(struct role_run *r, struct relay_role *role, struct err *err)
{
    AUTO_STRBUF anchor = STRBUF_INIT;
    if (r->config->trust_anchor)
        TRY(file_read(r->config->trust_anchor, ANCHOR_MAX, &anchor, err));
    return dns_new(&(struct dns_settings){r->config->resolver, strbuf_span(&anchor)}, &role->dns, err);
}

static enum status open_tls(struct role_run *r, struct relay_role *role, struct err *err)
{
    const char *path = r->config->relay.ca ? r->config->relay.ca : system_ca;
    enum status st = file_read(path, CA_MAX, &role->ca, err);
    if (st != ST_OK &&
        (st != ST_NOTFOUND || r->config->relay.ca)) /* a system without: nothing can be verified by PKIX */
        return st;
    TRY(https_setup(err));
    return dial_tls_new(strbuf_span(&role->ca), &role->tls, err);
}

/* The command line writes an octet here when it has changed the queue. */
static enum status open_wake(struct role_run *r, struct relay_role *role, struct err *err)
{
    const char *path = data_path(r->config, DATA_QUEUE_WAKE);
    if (mkfifo(path, 0600) != 0 && errno != EEXIST)
        return err_errno(err, "cannot make %s", path);
    role->wake_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* read-write: it never reads as closed */
    return role->wake_fd >= 0 ? ST_OK : err_errno(err, "cannot open %s", path);
}

static enum status prepare(struct role_run *r, struct err *err)
{
    struct relay_role *role = mem_alloc(sizeof *role);
    r->state = role;
    TRY(queue_open(data_path(r->config, DATA_QUEUE), true, &role->queue, err));
    TRY(queue_secure(role->queue, err));
    TRY(trace_store_open(data_path(r->config, DATA_TRACE), true, &role->trace, err));
    TRY(trace_buffer_start(r->config->trace.keep_seconds != 0, err));
    TRY(open_dns(r, role, err));
    TRY(open_tls(r, role, err));
    TRY(open_wake(r, role, err));
    role->self = hosts_self_new(&r->config->arena, r->config);
    role->app.queue = role->queue;
    role->app.wake = wake;
    role->app.wake_ctx = role;
    role->app.hostname = r->config->hostname;
    role->app.settings = &r->config->relay;
    role->app.message_size_max = r->config->message_size;
    return ST_OK;
}

/* Password files of routes are read when they are needed. */
static size_t paths(struct role_run *r, struct sandbox_path *list)
{
    size_t n = 0;
    list[n++] = (struct sandbox_path){data_path(r->config, DATA_QUEUE_FOLDER), true};
    list[n++] = (struct sandbox_path){data_path(r->config, DATA_TRACE_FOLDER), true};
    for (size_t i = 0; i < r->config->relay.route_count && n < SANDBOX_PATHS_MAX; i++)
        if (r->config->relay.routes[i].password_file)
            list[n++] = (struct sandbox_path){r->config->relay.routes[i].password_file, false};
    return n;
}

static void options(const struct role_run *r, struct server_options *o)
{
    (void)r;
    (void)o;
}

static enum status listen_role(struct role_run *r, struct err *err)
{
    struct relay_role *role = r->state;
    static const int senders[] = {ROLE_FD_CHANNELS + CHANNEL_MX_TRACE, ROLE_FD_CHANNELS + CHANNEL_MAIL_TRACE};
    role->tracer = tracer_start(role->trace, senders, 2, &r->config->trace);
    role->mail = smtp_pool_new(ROLE_FD_CHANNELS + CHANNEL_RELAY_MAIL, r->config->hostname, true);
    struct https https = {role->dns, strbuf_span(&role->ca), r->config->relay.https_port};
    role->sts = sts_new(role->queue, &https);
    role->policies = tls_policies_new(role->queue, role->sts);
    struct relay_parts parts = {.queue = role->queue,
                                .mail = role->mail,
                                .wake_fd = role->wake_fd,
                                .maker = {.dns = role->dns,
                                          .tls = role->tls,
                                          .policies = role->policies,
                                          .hostname = r->config->hostname,
                                          .settings = &r->config->relay,
                                          .self = role->self}};
    role->relay = relay_start(&parts);
    role->reporter = tls_reporter_start(
        &(struct tls_reporter_parts){role->queue, r->config->hostname, &role->app.settings, https, wake, role});
    role->milters.dns = role->dns;
    role->milters.config = &r->config->milters;
    TRY(role_serve_channel(r, CHANNEL_MX_MILTER, &milter_door_protocol, &role->milters, err));
    TRY(role_serve_channel(r, CHANNEL_MAIL_MILTER, &milter_door_protocol, &role->milters, err));
    return role_serve_channel(r, CHANNEL_MAIL_RELAY, &queue_in_protocol, &role->app, err);
}

static void reload(struct role_run *r)
{
    struct relay_role *role = r->state;
    role->app.message_size_max = r->config->message_size;
    role->app.settings = &r->config->relay;
    trace_buffer_set(r->config->trace.keep_seconds != 0);
    tracer_set_settings(role->tracer, &r->config->trace);
    role->milters.config = &r->config->milters;
    relay_set_settings(role->relay, &r->config->relay);
}

static void close_role(struct role_run *r)
{
    struct relay_role *role = r->state;
    server_free(&r->server);
    tls_reporter_stop(&role->reporter); /* it wakes the relay */
    bool has_ended = relay_stop(&role->relay);
    tracer_stop(&role->tracer);
    trace_store_free(&role->trace);
    if (!has_ended)
        _exit(0); /* workers still hold what would be freed; all that counts is on disk */
    tls_policies_free(&role->policies);
    sts_free(&role->sts);
    strbuf_free(&role->ca);
    smtp_pool_free(&role->mail);
    dns_free(&role->dns);
    dial_tls_free(&role->tls);
    queue_free(&role->queue);
    close(role->wake_fd);
    free(role);
}

const struct role_ops role_relay = {
    .name = "relay",
    .sandbox_groups = SANDBOX_FILES | SANDBOX_NETWORK,
    .prepare = prepare,
    .paths = paths,
    .options = options,
    .listen = listen_role,
    .reload = reload,
    .close = close_role,
};
