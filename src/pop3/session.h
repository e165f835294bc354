/*
 * session.h - inside POP3: the session's state, the command table's row, and how answers are written.
 */
#pragma once
#include "auth/handover.h"
#include "net/session.h"
#include "store/view.h"
#include "text/dotstuff.h"

enum {
    POP3_LINE_MAX = 512,           /* RFC 2449 §4 asks for 255 octets at least */
    POP3_SASL_LINE_MAX = 8192,     /* one base64 line of an AUTH exchange */
    POP3_BAD_COMMANDS_MAX = 20,    /* then the session ends */
    POP3_IDLE_MS = 10 * 60 * 1000, /* RFC 1939 §3: at least 10 minutes */
    POP3_COMMAND_MS = 60 * 1000,
    POP3_USER_MAX = 320,
};

enum pop3_states { POP3_AUTHORIZATION = 1, POP3_TRANSACTION = 2, POP3_ANY = 3 };

/* What is being sent, message by message, while output has room. */
enum pop3_job { POP3_JOB_NONE, POP3_JOB_LIST, POP3_JOB_UIDL, POP3_JOB_BODY };

/* The maildrop as it was at login: message n of this session is sequence number n of the snapshot. */
struct maildrop {
    struct account *account;
    struct view *view;
    mailbox_id inbox;
    uint32_t uidvalidity;
    uint8_t *deleted; /* bit n - 1: marked by DELE; NULL: none yet */
    uint32_t deleted_count;
    uint64_t deleted_octets, octets;

    enum pop3_job job;
    uint32_t next;        /* LIST, UIDL: the next message; BODY: the message */
    uint64_t offset, end; /* BODY: what is still to be read */
    bool is_top;          /* BODY: only lines_left lines behind offset top_from (the header) */
    uint64_t top_from;
    uint64_t lines_left;
    bool at_line_start; /* BODY: what was sent ends with CRLF */
    bool is_pinned;     /* BODY: its content stays until all is sent (content_pin) */
};

struct pop3 {
    struct session *session;
    enum pop3_states state;
    unsigned bad_commands;
    /* AUTHORIZATION */
    unsigned login_failures;
    char *user;                     /* of USER; NULL: none */
    struct sasl_exchange *exchange; /* an AUTH exchange waits for the client's line */
    /* TRANSACTION */
    struct maildrop drop;
};

/* A command's function gets its argument (what follows the first space, empty where there is none). On a bad status the
 * session answers -ERR with the response code that belongs to it. */
struct pop3_command {
    const char *name;
    enum pop3_states states;
    const char *rfc;
    enum status (*run)(struct pop3 *p, struct span argument, enum next *next, struct err *err);
};

extern const struct protocol pop3_mail_protocol;

/* Writes "+OK text" CRLF. */
void pop3_ok(struct pop3 *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Writes "-ERR [code] text" CRLF; the code by status (RFC 2449 §8, RFC 3206). */
void pop3_err(struct session *s, const struct err *err);

struct pop3 *pop3_new(struct session *s, enum pop3_states state);
void pop3_free(struct session *s);
/* Reads lines and runs them against the table; the input() of both protocols. */
enum next pop3_input(struct session *s);
void pop3_goodbye(struct session *s, enum bye why);

/* login.c */
enum status pop3_user(struct pop3 *p, struct span argument, enum next *next, struct err *err);
enum status pop3_pass(struct pop3 *p, struct span argument, enum next *next, struct err *err);
enum status pop3_auth(struct pop3 *p, struct span argument, enum next *next, struct err *err);
enum status pop3_stls(struct pop3 *p, struct span argument, enum next *next, struct err *err);
/* A line of a running AUTH exchange. */
enum status pop3_auth_line(struct pop3 *p, struct span line, enum next *next, struct err *err);

/* maildrop.c */
enum status maildrop_open(struct maildrop *d, struct account *account, struct err *err); /* takes the reference */
void maildrop_close(struct maildrop *d);
enum status pop3_stat(struct pop3 *p, struct span argument, enum next *next, struct err *err);
enum status pop3_list(struct pop3 *p, struct span argument, enum next *next, struct err *err);
enum status pop3_uidl(struct pop3 *p, struct span argument, enum next *next, struct err *err);
enum status pop3_retr(struct pop3 *p, struct span argument, enum next *next, struct err *err);
enum status pop3_top(struct pop3 *p, struct span argument, enum next *next, struct err *err);
enum status pop3_dele(struct pop3 *p, struct span argument, enum next *next, struct err *err);
enum status pop3_rset(struct pop3 *p, struct span argument, enum next *next, struct err *err);
/* The UPDATE state: removes what is marked (RFC 1939 §6). */
enum status maildrop_update(struct maildrop *d, struct err *err);
enum next pop3_produce(struct session *s);
