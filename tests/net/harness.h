/*
 * harness.h - a server in this process for the tests of src/net, and clients for it.
 *
 * The protocol answers lines: an unknown line is echoed. QUIT, SLEEP ms, PAUSE ms, BIG n, BODY n, WATCH, STARTTLS,
 * COMPRESS, CARRY, BACK (what carries gets the client again), PEER do what they say; THINK n takes n calls without output that get on, STUCK makes no progress.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "base/strbuf.h"
#include "net/server.h"

struct harness {
    struct server *server;
    int port, tls_port;
    int channel;     /* caller's end of a channel to the protocol */
    int far_channel; /* what CARRY connects to */
    int64_t idle_ms, command_ms;
    size_t input_max;
    _Atomic uint32_t starts, frees, pokes, inputs, produces, goodbyes;
    _Atomic uint64_t produced, body_bytes;
    pthread_t thread;
};

extern const struct protocol line_protocol;

void harness_start(struct harness *h, const struct server_options *o);
/* Stops with this grace and checks that every session was given back. */
void harness_stop(struct harness *h, int64_t grace_ms);
/* Pokes every session that said WATCH. */
void harness_poke_all(void);
size_t harness_watchers(void);

struct client {
    int fd;
    struct ssl_st *ssl;
};
struct client client_open(int port);
void client_connect(struct client *c, int port); /* c->fd is a socket */
void client_starttls(struct client *c);
/* Returns false where the connection is gone. */
bool client_send(struct client *c, const void *p, size_t n);
bool client_say(struct client *c, const char *line); /* adds CRLF */
/* Up to the next LF, without CRLF; false at the end. */
bool client_line(struct client *c, char *line, size_t size);
void client_expect(struct client *c, const char *line);
size_t client_read(struct client *c, char *p, size_t size); /* 0: end */
void client_close(struct client *c);
