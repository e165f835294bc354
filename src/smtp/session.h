/*
 * session.h - the inside of an SMTP session, shared by the files of this folder.
 *
 * One session code reads lines and bodies and looks commands up in one table (commands.c); what differs between the
 * doors is a mode: the rows it may run, and hooks for what becomes of sender, recipient and message. A hook answers the
 * client itself by smtp_reply() and returns whether what it was asked about is accepted.
 */
#pragma once
#include "net/session.h"
#include "policy/route.h"
#include "sys/body.h"
#include "text/dotstuff.h"
#include "text/smtp_command.h"

enum smtp_mode_bit {
    MODE_MX = 1,
    MODE_GATE = 2,
    MODE_SUBMISSION = 4,
    MODE_LMTP = 8,
    MODE_QUEUE = 16,
    MODE_LOCAL = 32,
    MODES_ALL = 63
};

/* Where a session stands; bits, so that a row of the table can name several. */
enum smtp_state {
    STATE_START = 1, /* no EHLO yet */
    STATE_READY = 2,
    STATE_MAIL = 4,
    STATE_RCPT = 8,    /* at least one recipient accepted */
    STATE_CHUNKS = 16, /* BDAT has begun the message */
    STATES_ANY = 31
};

enum {
    SMTP_RECIPIENTS_MAX = 1000,  /* RFC 5321 §4.5.3.1.8: at least 100 */
    SMTP_ENVELOPE_MAX = 4 << 20, /* octets of memory for one transaction's addresses: so many with the longest ORCPT */
    SMTP_TRANSACTIONS_MAX = 100000, /* MAIL commands of a session; nobody who sends in earnest meets it */
    SMTP_ERRORS_BEFORE_PAUSE = 5,   /* bad commands that are answered at once */
    SMTP_ERRORS_MAX = 20,           /* then 421 */
    SMTP_UNKNOWN_BEFORE_PAUSE = 5,  /* unknown recipients likewise: no harvesting of addresses */
    SMTP_UNKNOWN_MAX = 100,
    SMTP_PAUSE_MS = 1000,
    SMTP_DROPPED_MAX = 256 << 20, /* octets of a refused message that are read before we hang up */
    SMTP_CHUNK_MAX = 1 << 30,     /* octets of one BDAT; a larger number is no number */
    SMTP_HOPS_MAX = 100,          /* Received fields (RFC 5321 §6.3) */
    SMTP_INPUT_MAX = 64 * 1024,   /* unread octets kept; more in one read makes a body cheap */
    SMTP_IDLE_MS = 5 * 60 * 1000, /* RFC 5321 §4.5.3.2.7 */
    SMTP_COMMAND_MS = 5 * 60 * 1000,
    SMTP_INTERNAL_IDLE_MS = 10 * 60 * 1000,
    SMTP_TRACE_CHARS = 16,
    SMTP_LOGGED_RECIPIENTS_MAX = 800,  /* octets of a line of the log */
    SMTP_LOGGED_ID_MAX = 250,          /* likewise, of a Message-ID */
    SMTP_HOLD_SECONDS_MAX = 30 * 86400 /* FUTURERELEASE: longer is refused (RFC 4865 §4.1) */
};

/* A reply's codes. */
struct smtp_code {
    unsigned code;
    const char *enhanced;
};

struct smtp_recipient {
    struct mailbox_address address;
    struct span text;   /* written out, as handed on and logged */
    struct route route; /* where the mode has asked for it */
    unsigned notify;    /* RFC 3461, as smtp_rcpt_args has them */
    struct span orcpt;
};

/* From MAIL to the reply to the message. */
struct smtp_transaction {
    struct arena arena;
    struct smtp_mail_args mail;
    struct span from;         /* written out */
    int64_t mail_at;          /* Unix seconds */
    bool is_priority_lowered; /* MT-PRIORITY was above what the client may have */
    char trace[SMTP_TRACE_MAX + 1];
    struct smtp_recipient *recipients;
    size_t count, cap;
    struct body *body;
    struct dotstuff decoder;
    bool is_too_large, is_broken; /* what still comes is read and dropped */
    uint64_t dropped;             /* octets */
    struct smtp_lease *lease;     /* mode mx: the connection to `mail` */
    bool is_envelope_changed;     /* by filters, since `mail` was told it */
    bool is_data_sent;            /* mode mx: the message was sent on it, its replies are not all read */
};

/* BDAT's octets on their way in. */
struct smtp_chunk {
    uint64_t size, left;
    bool is_first, is_last;
    struct smtp_code refusal; /* where `why` is set: the chunk is read and dropped */
    const char *why;
};

struct config_smtp;
struct smtp_mode;
struct filters;
struct milters;
struct smtp {
    struct session *session;
    const struct smtp_mode *mode;
    enum smtp_state state;
    enum { INPUT_COMMAND, INPUT_SKIP_LINE, INPUT_AUTH, INPUT_BODY, INPUT_CHUNK } input;
    bool is_extended; /* EHLO or LHLO was said, not HELO */
    bool is_closing;  /* the reply written is the last */
    bool may_xclient; /* came from an address that may say XCLIENT */
    char *hello;      /* what the client calls itself; NULL before EHLO */
    char *account;    /* mode submission: who is logged in */
    char *user;       /* mode local: the user of this machine, or the number of one without a name */
    uint32_t uid;     /* likewise */
    unsigned errors, unknown_recipients, auth_failures, transactions;
    struct smtp_chunk chunk;
    uint64_t chunk_dropped;     /* octets of refused chunks */
    struct sasl_exchange *sasl; /* mode gate */
    struct smtp_transaction *transaction;
    struct filters *filters; /* smtp/filter.h; NULL: none */
};

struct smtp_mode {
    const char *name; /* in logs */
    enum smtp_mode_bit bit;
    const char *greeting; /* "ESMTP", "LMTP" */
    const char *(*hostname)(const struct session *s);
    uint64_t (*message_size_max)(const struct session *s);
    bool (*may_raise_priority)(const struct smtp *sm); /* RFC 6710 §4.1; NULL: never, unless from our own roles */
    bool (*sender)(struct smtp *sm);                   /* transaction->mail and from are set; may be NULL */
    bool (*recipient)(struct smtp *sm, struct smtp_recipient *r); /* answers only a refusal */
    struct milters *(*filters)(const struct session *s);          /* smtp/filter.h; may be NULL, and may say so */
    void (*message)(struct smtp *sm);                             /* the body is whole and well-formed: answers */
    void (*end)(struct smtp *sm); /* the transaction ends, in whatever way; may be NULL */
};
extern const struct smtp_mode smtp_mode_mx, smtp_mode_gate, smtp_mode_submission, smtp_mode_local, smtp_mode_lmtp,
    smtp_mode_queue;

/* ---- session.c: struct protocol's functions, shared ------------------------------------------------------------- */

enum next smtp_start(struct session *s, const struct smtp_mode *mode);
/* The session's state without a greeting, for a client that was handed over. */
struct smtp *smtp_new(struct session *s, const struct smtp_mode *mode);
enum next smtp_greet(struct smtp *sm);
enum next smtp_input(struct session *s);
enum next smtp_secured(struct session *s);
void smtp_goodbye(struct session *s, enum bye why);
void smtp_free(struct session *s);

/* One reply. enhanced NULL: the code has none (greeting, EHLO, 3xx). Text: one line; more lines are separated by \n.
 * 5xx and 4xx that begin with 50 or 51x count as errors of the client. */
void smtp_reply(struct smtp *sm, unsigned code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The reply to a status that has none of its own in the place where it arose: temporary ones 451, limits 552… */
void smtp_reply_err(struct smtp *sm, const struct err *err);
struct smtp_code smtp_code_of(enum status st);

/* The peer is one of our own roles: it came through a channel. */
bool smtp_is_internal(const struct smtp *sm);
void smtp_set_hello(struct smtp *sm, struct span name, bool is_extended);
void smtp_log_begin(const struct smtp *sm, struct log_line *l, enum log_level level, const char *event);
/* Who speaks, and how: helo=, tls=, cipher=. */
void smtp_log_client(const struct smtp *sm, struct log_line *l);
/* The line "accepted" about the transaction, whose message is whole. Both may be empty. */
void smtp_log_accepted(const struct smtp *sm, struct span header_from, struct span message_id);
/* One line "refused" about the transaction; who: the recipient or empty. */
void smtp_log_refused(const struct smtp *sm, struct span who, unsigned code, const char *why);

/* ---- commands.c ----------------------------------------------------------------------------------------------- */

/* An empty place behind the transaction's recipients; count is the caller's to raise. */
struct smtp_recipient *smtp_recipient_slot(struct smtp_transaction *t);
enum next smtp_command_run(struct smtp *sm, struct span line);

/* ---- data.c --------------------------------------------------------------------------------------------------- */

enum next smtp_data_begin(struct smtp *sm);
enum next smtp_data_input(struct smtp *sm);
void smtp_data_open(struct smtp *sm); /* the transaction gets its body */
/* Octets of the message as they are, not dot-stuffed; looked at for what is refused. */
void smtp_data_take_chunk(struct smtp *sm, struct span text);
/* True: nothing speaks against what has come so far. Else it has been refused: the transaction is to be ended. */
bool smtp_data_is_acceptable(struct smtp *sm);
/* The message is whole: judges it, gives it to the mode, ends the transaction. */
void smtp_data_finish(struct smtp *sm);
void smtp_transaction_begin(struct smtp *sm, struct smtp_transaction *t); /* takes it */
void smtp_transaction_end(struct smtp *sm);                               /* none: nothing */

/* Forgets what the client has said, as for a new connection; no greeting. */
void smtp_begin_anew(struct smtp *sm);

/* ---- capabilities.c ------------------------------------------------------------------------------------------- */

void smtp_capabilities_write(const struct smtp *sm, struct strbuf *out); /* each as "\nNAME arguments" */
/* enum smtp_param: parameters of what this door offers. */
unsigned smtp_capabilities_params(const struct smtp *sm);

/* ---- wishes.c ------------------------------------------------------------------------------------------------- */

/* Each returns false where it has answered a refusal; the first one's ends the session. */
bool smtp_wishes_may_begin(struct smtp *sm);
bool smtp_wishes_check(struct smtp *sm);
/* Whether the config lets an account (canonical) have a priority above 0. */
bool smtp_wishes_may_raise_priority(const struct config_smtp *c, struct span account);
void smtp_wishes_reply(struct smtp *sm); /* 250 to MAIL */
/* The time by which it must be there has passed. */
bool smtp_wishes_is_over(const struct smtp_transaction *t);

/* ---- etrn.c --------------------------------------------------------------------------------------------------- */

bool smtp_may_etrn(const struct smtp *sm);
enum next smtp_etrn(struct smtp *sm, struct span args);

/* ---- xclient.c ------------------------------------------------------------------------------------------------ */

enum next smtp_xclient(struct smtp *sm, struct span args);

/* ---- bdat.c --------------------------------------------------------------------------------------------------- */

enum next smtp_bdat_begin(struct smtp *sm, struct span args);
enum next smtp_bdat_input(struct smtp *sm);

/* ---- burl.c --------------------------------------------------------------------------------------------------- */

enum next smtp_burl(struct smtp *sm, struct span args); /* mode submission */

/* ---- auth.c --------------------------------------------------------------------------------------------------- */

enum next smtp_auth_begin(struct smtp *sm, struct span args);
enum next smtp_auth_line(struct smtp *sm, struct span line);
