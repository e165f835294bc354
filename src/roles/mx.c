/*
 * mx.c - the role mx: strangers' mail on port 25, to `mail` over LMTP. No files, no keys, no accounts.
 */
#include <stdlib.h>
#include "auth/vault_client.h"
#include "base/mem.h"
#include "policy/rate.h"
#include "roles/role.h"
#include "smtp/milters.h"
#include "smtp/smtp.h"
#include "sys/trace_buffer.h"
#include "base/banned.h"

enum {
    MX_WORKERS = 256, /* sessions that wait for filters hold one each */
    MX_FILTERED_AT_ONCE = 192
};

struct mx_role {
    struct mx_app app;
    struct vault_client *vault;
};

static enum status prepare(struct role_run *r, struct err *err)
{
    TRY(trace_buffer_start(r->config->trace.keep_seconds != 0, err));
    struct mx_role *m = mem_alloc(sizeof *m);
    m->vault = vault_client_new(ROLE_FD_CHANNELS + CHANNEL_MX_VAULT);
    m->app.hostname = r->config->hostname;
    m->app.mail = smtp_pool_new(ROLE_FD_CHANNELS + CHANNEL_MX_MAIL, r->config->hostname, true);
    m->app.filters =
        milters_new(ROLE_FD_CHANNELS + CHANNEL_MX_MILTER, MILTER_DOOR_SMTP, MX_FILTERED_AT_ONCE, &r->config->milters);
    m->app.message_size_max = r->config->message_size;
    m->app.settings = &r->config->smtp;
    m->app.xclient = &r->config->xclient;
    m->app.came = rate_new();
    m->app.rates = &r->config->rates;
    r->state = m;
    return ST_OK;
}

static void options(const struct role_run *r, struct server_options *o)
{
    o->workers_max = MX_WORKERS;
    o->sessions_per_address = r->config->sessions_per_address;
    o->proxies = &r->config->proxies;
}

static enum status listen(struct role_run *r, struct err *err)
{
    struct mx_role *m = r->state;
    trace_sender_start(ROLE_FD_CHANNELS + CHANNEL_MX_TRACE);
    TRY(role_fetch_certificates_now(r, m->vault, err));
    return role_serve_ports(r, SERVICE_SMTP, &smtp_mx_protocol, &m->app, true, false, err);
}

static void reload(struct role_run *r)
{
    struct mx_role *m = r->state;
    m->app.message_size_max = r->config->message_size;
    m->app.settings = &r->config->smtp;
    m->app.filters->config = &r->config->milters;
    m->app.xclient = &r->config->xclient;
    m->app.rates = &r->config->rates;
    trace_buffer_set(r->config->trace.keep_seconds != 0);
}

static void stop(struct role_run *r)
{
    struct mx_role *m = r->state;
    milters_stop(m->app.filters);
}

/* Its sessions have ended: what they said last is sent. */
static void close_role(struct role_run *r)
{
    (void)r;
    trace_sender_stop();
}

static void control(struct role_run *r, struct span message, const int *fds, size_t fd_count)
{
    struct mx_role *m = r->state;
    (void)fds;
    if (fd_count == 0 && span_eq(message, SPAN(CONTROL_FETCH)))
        role_fetch_certificates(r, m->vault);
}

const struct role_ops role_mx = {
    .name = "mx",
    .sandbox_groups = 0,
    .prepare = prepare,
    .options = options,
    .listen = listen,
    .reload = reload,
    .control = control,
    .stop = stop,
    .close = close_role,
};
