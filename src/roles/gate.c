/*
 * gate.c - the role gate: users' ports up to the login, and carrying bytes afterwards. No files, no keys.
 */
#include <stdlib.h>
#include "auth/handover.h"
#include "base/mem.h"
#include "imap/imap.h"
#include "pop3/pop3.h"
#include "roles/role.h"
#include "smtp/smtp.h"
#include "base/banned.h"

/* More than can wait for the vault's hashing: a flood of logins leaves threads for those who are logged in. */
enum { GATE_WORKERS = 192 };

static enum status prepare(struct role_run *r, struct err *err)
{
    (void)err;
    struct gate_app *app = mem_alloc(sizeof *app);
    app->hostname = r->config->hostname;
    app->is_loopback_plaintext_allowed = r->config->is_loopback_plaintext_allowed;
    app->is_scram_hidden = r->config->is_scram_hidden;
    app->is_binding_offered = r->config->is_binding_offered;
    app->vault = vault_client_new(ROLE_FD_CHANNELS + CHANNEL_GATE_VAULT);
    app->mail_channel = ROLE_FD_CHANNELS + CHANNEL_GATE_MAIL;
    app->message_size_max = r->config->message_size;
    r->state = app;
    return ST_OK;
}

static void options(const struct role_run *r, struct server_options *o)
{
    o->workers_max = GATE_WORKERS;
    o->sessions_per_address = r->config->sessions_per_address;
    o->proxies = &r->config->proxies;
}

static enum status listen(struct role_run *r, struct err *err)
{
    struct gate_app *app = r->state;
    static const struct {
        enum listen_service service;
        const struct protocol *protocol;
        bool is_implicit;
    } ports[] = {
        {SERVICE_SUBMISSION, &submission_gate_protocol, false},
        {SERVICE_SUBMISSIONS, &submission_gate_protocol, true},
        {SERVICE_IMAP, &imap_gate_protocol, false},
        {SERVICE_IMAPS, &imap_gate_protocol, true},
        {SERVICE_POP3, &pop3_gate_protocol, false},
        {SERVICE_POP3S, &pop3_gate_protocol, true},
    };
    TRY(role_fetch_certificates_now(r, app->vault, err));
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
        TRY(role_serve_ports(r, ports[i].service, ports[i].protocol, app, true, ports[i].is_implicit, err));
    return ST_OK;
}

static void reload(struct role_run *r)
{
    struct gate_app *app = r->state;
    app->message_size_max = r->config->message_size;
    app->is_loopback_plaintext_allowed = r->config->is_loopback_plaintext_allowed;
    app->is_scram_hidden = r->config->is_scram_hidden;
    app->is_binding_offered = r->config->is_binding_offered;
}

static void control(struct role_run *r, struct span message, const int *fds, size_t fd_count)
{
    struct gate_app *app = r->state;
    (void)fds;
    if (fd_count == 0 && span_eq(message, SPAN(CONTROL_FETCH)))
        role_fetch_certificates(r, app->vault);
}

const struct role_ops role_gate = {
    .name = "gate",
    .sandbox_groups = 0,
    .prepare = prepare,
    .options = options,
    .listen = listen,
    .reload = reload,
    .control = control,
};
