/*
 * role.h - what all roles have in common: how the master starts one, and how one lives.
 *
 * The master runs the one binary again as "tassis role NAME UID GID BASE-DIR CONFIG-NAME DATA" with a fixed table of
 * descriptors and an empty environment. The role gives up root, reads its config, opens what it needs (prepare), shuts
 * itself in (sandbox_enter), makes its listeners (listen), says "ready" on its control channel and serves until it is
 * told to stop, or the master is gone.
 */
#pragma once
#include "net/server.h"
#include "roles/data.h"
#include "sys/channel.h"
#include "sys/sandbox.h"

/* Channels: the caller reaches the service. */
enum channel_id {
    CHANNEL_GATE_VAULT,
    CHANNEL_GATE_MAIL, /* hand-over */
    CHANNEL_MX_VAULT,
    CHANNEL_MX_MAIL, /* LMTP */
    CHANNEL_MAIL_VAULT,
    CHANNEL_MAIL_RELAY, /* SMTP into the queue */
    CHANNEL_RELAY_MAIL, /* LMTP: bounces, and mail for accounts here */
    CHANNEL_RELAY_VAULT,
    CHANNEL_MX_TRACE, /* lines about messages, as packets (sys/trace_buffer.h) */
    CHANNEL_MAIL_TRACE,
    CHANNEL_MX_MILTER, /* a filter's name, then its own protocol */
    CHANNEL_MAIL_MILTER,
    CHANNEL_COUNT
};
struct channel_ends {
    enum role caller, service;
};
extern const struct channel_ends channel_ends[CHANNEL_COUNT];

/* The descriptors a role starts with; a channel that is not the role's, and a port that is not, are closed numbers. */
enum {
    ROLE_FD_CONTROL = 3,
    ROLE_FD_CONFIG = 4,
    ROLE_FD_CHANNELS = 5,                             /* + enum channel_id */
    ROLE_FD_LISTEN = ROLE_FD_CHANNELS + CHANNEL_COUNT /* + index in config->listen */
};
/* Which role a port is for. */
enum role service_role(enum listen_service service);

/* Words on the control channel. From the master: CONFIG (with the config's memory file), CERTIFICATE "i n" (with
 * certificate and key), FETCH (fetch certificates again), STOP "milliseconds". From a role: READY, KEYS (vault has
 * loaded all certificates); mail asks for a user's name (roles/users.h). */
#define CONTROL_CONFIG      "config"
#define CONTROL_CERTIFICATE "certificate"
#define CONTROL_FETCH       "fetch"
#define CONTROL_STOP        "stop"
#define CONTROL_READY       "ready"
#define CONTROL_KEYS        "keys"

enum {
    ROLE_EXIT_CONFIG = 78, /* sysexits' EX_CONFIG: starting again would not help */
    ROLE_CONFIG_MAX = 1 << 20,
    ROLE_GRACE_MS = 5000, /* when the master is gone */
};

struct role_run {
    const struct role_ops *ops;
    struct config *config; /* the newest; older ones are kept, since sessions may still look at them */
    const char *base_dir, *config_name, *data; /* data: as the master resolved it */
    struct server *server;
    void *state; /* the role's */
};

struct role_ops {
    const char *name;
    unsigned sandbox_groups;
    /* Opens files, sets r->state. */
    enum status (*prepare)(struct role_run *r, struct err *err);
    /* Fills paths, at most SANDBOX_PATHS_MAX; returns how many. May be NULL. */
    size_t (*paths)(struct role_run *r, struct sandbox_path *paths);
    void (*options)(const struct role_run *r, struct server_options *o);
    /* Adds listeners to r->server. */
    enum status (*listen)(struct role_run *r, struct err *err);
    /* Takes over r->config, which is new; on the loop thread. May be NULL. */
    void (*reload)(struct role_run *r);
    /* Any other word on the control channel; the descriptors are the callee's. On the loop thread. May be NULL. */
    void (*control)(struct role_run *r, struct span message, const int *fds, size_t fd_count);
    /* The server begins to stop: workers must wait for nobody outside of this server any more. On the loop thread. May
     * be NULL. */
    void (*stop)(struct role_run *r);
    /* After server_run(). */
    void (*close)(struct role_run *r);
};
enum { SANDBOX_PATHS_MAX = 16 };

extern const struct role_ops role_vault, role_gate, role_mx, role_mail, role_relay;

/* "tassis role …": returns the exit code. */
int role_main(int argc, char **argv);
/* Adds the service end of a channel. */
enum status role_serve_channel(struct role_run *r, enum channel_id id, const struct protocol *p, void *app,
                               struct err *err);
/* Adds all ports of this service that the config has. has_tls: STARTTLS or, if is_implicit, TLS from the start. */
enum status role_serve_ports(struct role_run *r, enum listen_service service, const struct protocol *p, void *app,
                             bool has_tls, bool is_implicit, struct err *err);
void role_tell_master(const char *word);

/* Fetches the certificates from the vault in a thread of its own; the server gets the new context. For gate and mx. */
struct vault_client;
void role_fetch_certificates(struct role_run *r, struct vault_client *vault);
enum status role_fetch_certificates_now(struct role_run *r, struct vault_client *vault, struct err *err);
