/*
 * engine.h - what the files of this floor share: the session's and the server's inside. Nobody above includes it.
 *
 * Who may touch what of a session:
 *   word                     any thread, atomically (see session_signal)
 *   job.next                 under the pool's lock, or by the burying thread and then the loop
 *   timer                    under the timers' lock
 *   previous, next           the loop thread
 *   everything else          the owner: the worker that runs it; before its first job and after its burial, the loop
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "net/limiter.h"
#include "net/server.h"
#include "net/stream.h"
#include "net/timer.h"
#include "net/worker.h"

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* ---- the ownership word ---------------------------------------------------------------------------------------- */

enum {
    STATE_PARKED = 0,  /* nobody's: who moves it to QUEUED must queue it */
    STATE_QUEUED = 1,  /* in the pool's queue */
    STATE_RUNNING = 2, /* the worker's */
    STATE_DEAD = 3,    /* buried: nothing may be done any more */
    STATE_MASK = 3,
    BIT_READY = 4,        /* the client's socket has something */
    BIT_SECOND_READY = 8, /* carry's other fd has something */
    BIT_POKED = 16,       /* session_poke() */
    BIT_TIMEOUT = 32,     /* the deadline may have passed: look at the clock */
    BIT_SHUTDOWN = 64     /* the server stops */
};

enum phase {
    PHASE_PROXY,     /* a proxy's header comes first */
    PHASE_HANDSHAKE, /* TLS */
    PHASE_START,
    PHASE_OPEN, /* the protocol's */
    PHASE_CARRY,
    PHASE_RETURN, /* the client goes back to the role that carries for it */
    PHASE_LINGER, /* everything is said; until the peer has closed too */
    PHASE_END
};

/* What a session waits for: the five places to park, and the ways of a job to end without. */
enum park {
    PARK_NONE,
    PARK_HANDSHAKE,
    PARK_INPUT,
    PARK_OUTPUT,
    PARK_PAUSE,
    PARK_CARRY,
    PARK_RETURN,
    PARK_LINGER,
    PARK_YIELD, /* to the queue's end */
    PARK_END
};

/* What the window of a progress deadline watches. */
enum progress { PROGRESS_NONE, PROGRESS_BODY, PROGRESS_DRAIN, PROGRESS_CARRY_DOWN, PROGRESS_CARRY_UP, PROGRESS_HALF };

enum {
    STAY_MS = 2,          /* how long a worker waits with a session for what is likely to come at once */
    PROGRESS_MINUTES = 3, /* per-minute minimums are judged over this long, so that a short stall is forgiven */
    PROGRESS_WINDOW_MS = PROGRESS_MINUTES * 60 * 1000,
    CARRY_UP_WINDOW_MS = 10 * 60 * 1000,
    HANDSHAKE_MS = 30 * 1000,
    RETURN_MS = 10 * 60 * 1000, /* the carrier may have to wait for a slow client first */
    LINGER_MS = 2 * 1000,
    LINGER_BYTES = 256 * 1024,
    IDLE_DEFAULT_MS = 5 * 60 * 1000,
    COMMAND_DEFAULT_MS = 5 * 60 * 1000,
    READ_CHUNK = 16 * 1024,
    BODY_READ_MAX = 64 * 1024, /* unread bytes at most while a body comes in */
    TURNS_MAX = 64,            /* commands in one go, while others wait */
    TURN_MS = 50,              /* or this much time */
    STUCK_MAX = 16             /* calls without any progress after which a protocol is wrong */
};

struct source;
struct carry;
struct proxy;

/* A place in a limiter that the session gives back at its end. */
struct session_hold {
    struct limiter *limiter;
    uint16_t key_len;
    char key[];
};

struct session {
    struct job job;
    _Atomic uint32_t word;
    uint32_t bits; /* taken from the word, not yet acted on */
    struct server *server;
    const struct source *source; /* the listener */
    const struct protocol *protocol;
    void *state;
    struct stream stream;
    struct tls_context *tls; /* during the handshake */
    struct carry *carry;
    struct proxy *proxy;       /* during PHASE_PROXY */
    struct session_hold *hold; /* session_count_in(); NULL: none */
    struct worker *worker;     /* while running */

    char *rest; /* while parked: unread input */
    uint32_t rest_len;
    uint32_t input_max;
    struct strbuf out; /* out.p[out_at..out.len) is to be sent */
    size_t out_at;

    struct timer timer;
    int64_t since_ms;       /* when the wait for input, the handshake or the lingering began */
    int64_t parked_ms;      /* when it parked for input */
    int64_t window_ms;      /* when the progress window began */
    int64_t pause_until_ms; /* 0: no pause */
    int64_t idle_ms, command_ms;
    size_t moved; /* bytes in this window; while lingering, bytes thrown away */

    uint8_t phase;     /* enum phase */
    uint8_t next_step; /* enum next: what the protocol wants */
    uint8_t progress;  /* enum progress */
    uint8_t stuck;
    uint8_t limit_key_len;
    bool has_started; /* start() was called */
    bool is_readable; /* the socket may have input */
    bool is_armed;    /* epoll will say READY for armed_events */
    bool is_in_epoll;
    bool is_in_body;
    bool is_hasty;    /* closes although not all output went out */
    bool is_secured;  /* the handshake was STARTTLS's */
    bool has_marked;  /* while it is given back: the mark is sent */
    bool is_returned; /* the far side has given it back: returned() comes next */
    bool wants_write; /* TLS must write before it can read */
    bool is_quick;    /* its last input came within STAY_MS */
    uint32_t armed_events;
    uint8_t limit_key[8];

    struct session *previous, *next;
    char id[16];
    struct peer peer;
};

enum source_kind { SOURCE_LISTENER, SOURCE_WATCH, SOURCE_WAKE };

struct source {
    enum source_kind kind;
    int fd;
    struct source *next;
    struct listener listener;
    bool (*readable)(void *ctx, int fd);
    void *ctx;
};

/* server_every() */
struct task {
    struct job job;
    struct task *next;
    void (*fn)(void *ctx);
    void *ctx;
    int64_t interval_ms, next_ms;
    _Atomic bool is_queued;
};

struct server {
    int epoll_fd;
    struct source wake;
    _Atomic bool is_woken;
    struct source *sources;
    struct pool *pool;
    struct timers timers;
    struct task *tasks;
    struct limiter *addresses;
    pthread_mutex_t lock; /* tls */
    struct tls_context *tls;
    _Atomic uint32_t sessions_max, sessions_per_address;
    _Atomic uint32_t session_count;
    _Atomic(const struct ip_set *) proxies;
    _Atomic(struct session *) graveyard; /* linked by job.next's session */
    _Atomic bool has_freed;              /* sessions have ended since memory was last given back */
    _Atomic int64_t stop_grace_ms;       /* below 0: not asked to stop */

    /* the loop thread's */
    struct worker loop_worker; /* for what the loop runs itself */
    struct session *sessions;
    uint64_t next_id;
    bool is_stopping;
    int64_t stop_at_ms;
    int64_t accept_again_ms; /* out of descriptors: when to try again; 0: accepting */
    uint64_t refused;        /* connections over a limit since the last line about it */
    int64_t refusal_log_ms;  /* when the next may be written */
    bool has_told_shortage;  /* logged once until a connection is accepted again */
};

/* The low bits of epoll's pointer say what it points to. */
enum { TAG_SESSION = 0, TAG_SECOND = 1, TAG_SOURCE = 2, TAG_MASK = 3 };

/* loop.c */
void loop_wake(void *server);
/* accept.c */
void accept_ready(struct server *sv, struct source *src);
void accept_listening(struct server *sv, bool is_listening);
/* What the session counts as: an IPv4 address or an IPv6 /64, which is what one customer is given. */
void session_set_limit_key(struct session *s, const void *bytes, uint8_t len);
/* Counts it; false, and not counted, where a limit is reached. */
bool session_may_enter(struct session *s);
/* proxy.c */
enum park proxy_advance(struct session *s);
void proxy_free(struct session *s);
/* server.c */
struct tls_context *server_tls(struct server *sv);
enum status source_arm(struct server *sv, struct source *src, struct err *err);

/* session.c */
struct session *session_new(struct server *sv, const struct source *src, int fd);
void session_free(struct session **s); /* its memory; everything else is given back by session_release() */
void session_release(struct session *s);
void session_end_protocol(struct session *s);
void session_leave_hold(struct session *s); /* no limiter counts it any more */

/* run.c */
void session_signal(struct session *s, uint32_t bits);
void session_signal_with(struct pokes *crowd, struct session *s, uint32_t bits); /* one that carries: by pokes_send() */
void session_signal_here(struct session *s, uint32_t bits); /* on the loop's thread: may run it at once */
void session_run(struct job *job, struct worker *w);
void session_absorb(struct session *s);
enum io session_flush(struct session *s);
bool session_must_yield(const struct session *s);

static inline size_t session_unread(const struct session *s)
{
    return s->worker ? s->worker->in_len - s->worker->in_at : s->rest_len;
}
static inline size_t session_unsent(const struct session *s)
{
    return s->out.len - s->out_at;
}
static inline enum park session_end(struct session *s)
{
    s->phase = PHASE_END;
    return PARK_END;
}

/* protocol.c: PHASE_START and PHASE_OPEN */
enum park protocol_advance(struct session *s);
void protocol_goodbye(struct session *s, enum bye why);

/* park.c */
enum parked { PARKED, PARKED_NOT, PARKED_FAILED };
int64_t park_deadline(struct session *s, enum park why, int64_t now_ms); /* TIMER_NEVER: none; passed: 0 */
enum parked session_park(struct session *s, enum park why, int64_t deadline_ms);
int64_t progress_window(struct session *s, enum progress what, int64_t length_ms, size_t least, int64_t now_ms);
void session_adopt_buffers(struct session *s, struct worker *w);
void session_leave_buffers(struct session *s);

/* give_back.c */
enum park return_begin(struct session *s);
enum park return_advance(struct session *s);
/* Reads from a socket that is carried from. *is_mark: the far side gives the client back; *n may be 0 then. */
enum io return_read(int fd, char *p, size_t size, size_t *n, bool *is_mark);

/* carry.c */
struct carry *carry_new(int fd);
void carry_free(struct carry **c);
void carry_begin(struct session *s);
enum park carry_advance(struct session *s);
int64_t carry_deadline(struct session *s, int64_t now_ms);
bool carry_arm(struct session *s);
bool carry_is_parkable(const struct carry *c);
