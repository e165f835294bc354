/*
 * server.h - the engine of a role: one loop thread (epoll, accept, timers) and workers, and the listeners they serve.
 *
 * server_run() is the role's main loop: it returns after server_stop() once all sessions have said goodbye or the grace
 * time has passed. Listeners are either sockets that the master bound (accept) or channels over which another role
 * passes ready connections (sys/channel.h).
 */
#pragma once
#include "base/err.h"
#include "net/session.h"
#include "net/tls.h"
#include "text/ip_set.h"

struct server;

struct server_options {
    uint32_t workers_max;            /* 0: 64. Threads come and go with the work */
    uint32_t sessions_max;           /* in total; 0: 100,000 */
    uint32_t sessions_per_address;   /* of one IPv4 address or IPv6 /64; 0: no limit */
    const struct ip_set *proxies;    /* who begins with a PROXY header; borrowed, must outlive the server. NULL: nobody */
};

enum listener_kind { LISTEN_SOCKET, LISTEN_CHANNEL };

struct listener {
    int fd;                          /* owned by the server from server_add_listener() on */
    enum listener_kind kind;
    const struct protocol *protocol;
    void *app;                       /* session_app() */
    bool is_implicit_tls;
    bool has_tls;                    /* STARTTLS possible (or implicit) */
};

struct server *server_new(const struct server_options *options);
void server_free(struct server **sv);
enum status server_add_listener(struct server *sv, const struct listener *l, struct err *err);
/* The TLS context for new handshakes; replaces the one before (SIGHUP). Takes the caller's reference. Thread-safe. */
void server_set_tls(struct server *sv, struct tls_context *tls);
void server_set_options(struct server *sv, const struct server_options *options); /* thread-safe */

/* An fd the loop watches for the role itself (its control channel): called on the loop thread when readable; must not block.
 * Returning false removes it. */
enum status server_watch(struct server *sv, int fd, bool (*readable)(void *ctx, int fd), void *ctx, struct err *err);
/* fn(ctx) runs on a worker every interval_ms (first after one interval); never twice at once. */
void server_every(struct server *sv, int64_t interval_ms, void (*fn)(void *ctx), void *ctx);

enum status server_run(struct server *sv, struct err *err);
/* Stops listening, pokes every session to say goodbye (a running command is finished first), returns from server_run() when
 * all are gone or after grace_ms. Async-signal-safe and thread-safe. */
void server_stop(struct server *sv, int64_t grace_ms);

uint32_t server_session_count(const struct server *sv);
