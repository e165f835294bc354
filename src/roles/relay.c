/*
 * relay.c - the role relay: the durable queue of mail that goes out. Its folder is queue/; the only role that may
 * connect to the network.
 */
#include <stdlib.h>
#include "auth/vault_client.h"
#include "base/mem.h"
#include "queue/queue.h"
#include "roles/role.h"
#include "smtp/relay_worker.h"
#include "smtp/relay_worker.h"
#include "smtp/smtp.h"
#include "base/banned.h"

struct relay_role {
    struct relay_app app;
    struct queue *queue;
    struct smtp_pool *mail;
    struct relay_worker *worker; /* NULL until the role listens */
};

static void wake(void *ctx)
{
    struct relay_role *relay = ctx;
    relay_worker_wake(relay->worker);
}

static enum status prepare(struct role_run *r, struct err *err)
{
    struct relay_role *relay = mem_alloc(sizeof *relay);
    r->state = relay;
    TRY(queue_open(data_path(r->config, DATA_QUEUE), true, &relay->queue, err));
    relay->app.queue = relay->queue;
    relay->app.wake = wake;
    relay->app.wake_ctx = relay;
    relay->app.hostname = r->config->hostname;
    relay->app.message_size_max = r->config->message_size;
    relay->mail = smtp_pool_new(ROLE_FD_CHANNELS + CHANNEL_RELAY_MAIL, r->config->hostname, true);
    return ST_OK;
}

static size_t paths(struct role_run *r, struct sandbox_path *list)
{
    size_t n = 0;
    list[n++] = (struct sandbox_path){data_path(r->config, DATA_QUEUE_FOLDER), true};
    list[n++] = (struct sandbox_path){"/etc/resolv.conf", false};
    return n;
}

static void options(const struct role_run *r, struct server_options *o)
{
    (void)r;
    (void)o;
}

static enum status listen(struct role_run *r, struct err *err)
{
    struct relay_role *relay = r->state;
    relay->mail = smtp_pool_new(ROLE_FD_CHANNELS + CHANNEL_RELAY_MAIL, r->config->hostname, true);
    relay->worker = relay_worker_start(relay->queue, relay->mail, r->config->hostname);
    return role_serve_channel(r, CHANNEL_MAIL_RELAY, &queue_in_protocol, &relay->app, err);
}

static void reload(struct role_run *r)
{
    struct relay_role *relay = r->state;
    relay->app.message_size_max = r->config->message_size;
}

static void close_role(struct role_run *r)
{
    struct relay_role *relay = r->state;
    server_free(&r->server);
    relay_worker_stop(&relay->worker);
    smtp_pool_free(&relay->mail);
    queue_free(&relay->queue);
    free(relay);
}

const struct role_ops role_relay = {
    .name = "relay",
    .sandbox_groups = SANDBOX_FILES | SANDBOX_NETWORK,
    .prepare = prepare,
    .paths = paths,
    .options = options,
    .listen = listen,
    .reload = reload,
    .close = close_role,
};
