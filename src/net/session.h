/*
 * session.h - one connection, and the contract between it and its protocol (docs/architecture.md, "parked sessions").
 *
 * Between commands a session is PARKED: it is in epoll and owns no thread, no arena, no buffer, no transaction. When its
 * socket has input (or it is poked, or its deadline passes) a worker takes it, and calls the protocol's functions, which are
 * plain sequential code and may block on disk or on another role, never on the client. Exactly one thread at a time is
 * inside a session; its functions need no lock for the session's own state.
 *
 *   accept -> [TLS handshake] -> start() -> input()* / poke()* / produce()* -> close -> free()
 *
 * input() finds the unread bytes by session_input(), takes what it understands by session_consume() and writes its answers to
 * session_output(). Output is sent when no complete command is left in the buffer (so pipelined answers share a packet), or when it
 * passes SESSION_OUT_HIGH.
 */
#pragma once
#include "base/err.h"
#include "base/log.h"
#include "base/strbuf.h"

struct session;
struct server;

/* What a protocol function wants next. */
enum next {
    NEXT_INPUT,    /* what is in the buffer is no complete command: call input() when more came */
    NEXT_AGAIN,    /* a command was done; call input() again if bytes are left */
    NEXT_PRODUCE,  /* there is more to send: call produce() once output is below SESSION_OUT_HIGH */
    NEXT_STARTTLS, /* send the output, shake hands, then call secured(); unread input is discarded */
    NEXT_COMPRESS, /* send the output; everything behind it is compressed, both ways (RFC 4978). No input may be unread */
    NEXT_CARRY,    /* send the output, then only carry bytes between the client and session_set_carry()'s fd */
    NEXT_RETURN,   /* came through a channel, from a role that carries: send the output, then give the client back to it;
                      unread input goes along. The protocol's free() is called first */
    NEXT_CLOSE     /* send the output, then close */
};

enum bye { BYE_TIMEOUT, BYE_SHUTDOWN, BYE_LIMIT, BYE_INPUT_TOO_LONG };

struct protocol {
    const char *name; /* in logs: "imap" */
    /* First call, once the stream is ready (behind implicit TLS): makes the state, writes the greeting. */
    enum next (*start)(struct session *s);
    /* At least one unread byte is in session_input(). */
    enum next (*input)(struct session *s);
    /* After NEXT_PRODUCE. */
    enum next (*produce)(struct session *s);
    /* After session_poke(), when no command runs and nothing is being produced. May be NULL. */
    enum next (*poke)(struct session *s);
    /* After NEXT_STARTTLS, the stream is TLS now. May be NULL. */
    enum next (*secured)(struct session *s);
    /* After NEXT_CARRY: the far side has given the client back (NEXT_RETURN), and what the client has said for us is in
     * session_input(). Where it is NULL the session ends. */
    enum next (*returned)(struct session *s);
    /* Writes the protocol's last words ("421 4.4.2 …", "* BYE …"); the session closes after. Called also before start() for
     * BYE_LIMIT (then session_state() is NULL). May be NULL. */
    void (*goodbye)(struct session *s, enum bye why);
    /* The session ends: frees session_state() (which may be NULL). No output any more. */
    void (*free)(struct session *s);
};

enum {
    SESSION_OUT_HIGH = 64 * 1024,     /* produce() is not called, and commands are not read, from here on */
    SESSION_INPUT_DEFAULT = 16 * 1024 /* unread bytes kept at most; protocols set their own by session_set_input_max() */
};

/* Who is at the other end. In `mail` the facts come from `gate`'s preface. All texts NUL-terminated. */
struct peer {
    char address[46];     /* textual IPv4/IPv6, "" for a Unix-domain peer */
    uint16_t port;
    uint16_t local_port;
    char tls_version[10]; /* "" without TLS; "TLSv1.3" */
    char tls_cipher[36];
    uint16_t tls_bits;       /* of the cipher's key */
    char auth_mechanism[21]; /* what it has logged in with, or tries to; "" where nobody logs in. "SCRAM-SHA-256" */
};

/* ---- for protocols (from inside their functions) ------------------------------------------------------------- */

struct span session_input(const struct session *s);
void session_consume(struct session *s, size_t n);
struct strbuf *session_output(struct session *s);

void *session_state(const struct session *s);
void session_set_state(struct session *s, void *state);
/* Changes the protocol (the state is then the new protocol's business); takes effect with the next call. */
void session_set_protocol(struct session *s, const struct protocol *p);
void *session_app(const struct session *s);      /* the role's context, as given with the listener */
const char *session_id(const struct session *s); /* short random id, the same in all roles: log it as session= */
/* Only `mail` takes over the id of the gate's session. At most 15 characters of [a-z0-9]. */
void session_set_id(struct session *s, const char *id);
const struct peer *session_peer(const struct session *s);
void session_set_peer(struct session *s, const struct peer *p);
bool session_is_tls(const struct session *s);      /* the client's connection is TLS (as the peer facts say) */
bool session_is_from_role(const struct session *s); /* came through a channel: the other end is a role of this server */
/* Whose process is at the other end of a Unix-domain socket that was accepted, by the kernel (SO_PEERCRED); false: it is none. */
bool session_peer_uid(const struct session *s, uint32_t *uid);
/* The channel binding tls-exporter (RFC 9266): 32 octets that only the two ends of this TLS connection know. False
 * where there is none: no TLS 1.3 here. */
enum { SESSION_EXPORTER_BYTES = 32 };
bool session_tls_exporter(const struct session *s, uint8_t out[SESSION_EXPORTER_BYTES]);
bool session_is_compressed(const struct session *s);
bool session_can_tls(const struct session *s);     /* STARTTLS is possible here */

/* idle_ms: how long to wait for the first byte of a command. command_ms: how long from there to its end. Partial bytes do
 * not extend the latter. */
void session_set_timeouts(struct session *s, int64_t idle_ms, int64_t command_ms);
/* While a body is received (DATA, APPEND's literal): the peer must move at least SESSION_BODY_MIN_PER_MINUTE bytes. */
void session_set_in_body(struct session *s, bool in_body);
enum { SESSION_BODY_MIN_PER_MINUTE = 4096, SESSION_DRAIN_MIN_PER_MINUTE = 4096 };
/* Largest number of unread bytes; input() is called again only when more came, so a protocol that needs a longer line than
 * this gets goodbye(BYE_INPUT_TOO_LONG). */
void session_set_input_max(struct session *s, size_t bytes);
/* The next input() or produce() comes not before this time has passed (slows down password guessing). */
void session_pause(struct session *s, int64_t ms);
/* produce() has written nothing and still got on, as a search that finds nothing does: a protocol whose calls neither say nor take
 * nor read anything is taken for stuck, and its session ends. */
void session_got_on(struct session *s);
/* For NEXT_CARRY: the other end, a connected non-blocking stream socket; owned by the session from here. */
void session_set_carry(struct session *s, int fd);

/* Counts the session for `key` in a limiter (the sessions of an account) until it ends, in whatever way; false, and not counted, where
 * the key has max already (0: no limit). At most once for each session. The limiter must outlive the session. */
struct limiter;
bool session_count_in(struct session *s, struct limiter *l, struct span key, uint32_t max);

/* Starts a log line with event, session=, protocol= and client=. */
void session_log_begin(const struct session *s, struct log_line *l, enum log_level level, const char *event);

/* ---- from any thread ------------------------------------------------------------------------------------------- */

/* Something happened: poke() will be called soon. Never blocks. The session must not have been freed: whoever pokes is
 * unregistered (hub_unwatch) in the protocol's free(). */
void session_poke(struct session *s);
/* The same for many that one event wakes: collected first, which is quick, then sent together. `pokes` begins as {0}; what
 * has been collected must be sent. All of one server. */
struct pokes {
    struct session *first, *last;
    uint32_t count;
    void (*send)(struct pokes *pokes); /* session_poke_with()'s: those who only hand it on need nothing of this floor */
};
void session_poke_with(struct pokes *pokes, struct session *s);
static inline void pokes_send(struct pokes *pokes)
{
    if (pokes->send)
        pokes->send(pokes);
}
