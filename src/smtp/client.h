/*
 * client.h - the calling side of SMTP and LMTP: blocking, pipelining (RFC 2920), with a deadline on every reply.
 *
 * Commands are put into a buffer by smtp_client_command() and leave together when the first reply is asked for, so that
 * a caller saves round trips simply by asking later. One thread at a time. What the bytes travel over is a transport: a
 * socket here, TLS where the caller brings it.
 */
#pragma once
#include "base/err.h"
#include "base/strbuf.h"
#include "text/smtp_command.h"

enum {
    SMTP_REPLY_LINES_MAX = 100,
    SMTP_REPLY_LINE_MAX = 1024, /* RFC 5321 §4.5.3.1.5 says 512 */
};

struct smtp_transport {
    void *ctx;
    /* At least one and up to n octets, within timeout_ms. ST_CLOSED, ST_TEMPORARY (time), ST_IO. */
    enum status (*read)(void *ctx, char *p, size_t n, size_t *got, int64_t timeout_ms, struct err *err);
    /* All pieces, in order. The time without any progress is bounded by the transport. */
    enum status (*write)(void *ctx, const struct span *pieces, size_t count, struct err *err);
    void (*close)(void *ctx);
};
/* Over a connected stream socket, which it owns. timeout_ms: longest wait for the peer to take bytes. */
struct smtp_transport smtp_socket_transport(int fd, int64_t timeout_ms);

struct smtp_reply {
    unsigned code;     /* 250 */
    char enhanced[12]; /* "5.1.1"; "" where there is none */
    char text[480];    /* lines joined by spaces, without codes; control characters replaced */
};
static inline bool smtp_reply_is_good(const struct smtp_reply *r)
{
    return r->code >= 200 && r->code < 300;
}
static inline bool smtp_reply_is_permanent(const struct smtp_reply *r)
{
    return r->code >= 500;
}

enum smtp_extension {
    SMTP_EXT_PIPELINING = 1,
    SMTP_EXT_SIZE = 2,
    SMTP_EXT_8BITMIME = 4,
    SMTP_EXT_SMTPUTF8 = 8,
    SMTP_EXT_STARTTLS = 16,
    SMTP_EXT_XTRACE = 32,
    SMTP_EXT_DSN = 64,
    SMTP_EXT_CHUNKING = 128,
    SMTP_EXT_BINARYMIME = 256,
    SMTP_EXT_REQUIRETLS = 512,
    SMTP_EXT_FUTURERELEASE = 1024,
    SMTP_EXT_DELIVERBY = 2048,
    SMTP_EXT_MT_PRIORITY = 4096,
    SMTP_EXT_AUTH_PLAIN = 8192,
    SMTP_EXT_AUTH_LOGIN = 16384
};

struct smtp_client;
struct smtp_client *smtp_client_new(const struct smtp_transport *t);
void smtp_client_free(struct smtp_client **c); /* closes; does not say QUIT */
AUTO_DEFINE(smtp_client)
/* After STARTTLS: the new transport; the old one is the caller's again. What was read in plain text is forgotten. */
void smtp_client_set_transport(struct smtp_client *c, const struct smtp_transport *t);

/* Reads the greeting (smtp_client_reply with nothing sent). */
enum status smtp_client_greeting(struct smtp_client *c, int64_t timeout_ms, struct smtp_reply *reply, struct err *err);
/* verb: "EHLO", "HELO", "LHLO". Learns the extensions. */
enum status smtp_client_hello(struct smtp_client *c, const char *verb, const char *hostname, int64_t timeout_ms,
                              struct smtp_reply *reply, struct err *err);
unsigned smtp_client_extensions(const struct smtp_client *c);
uint64_t smtp_client_size_max(const struct smtp_client *c); /* 0: none said */
/* RFC 2852 §3: with by-mode R, BY= must leave so many seconds; 0: any number. */
int64_t smtp_client_by_least(const struct smtp_client *c);
/* RFC 9422 §4: how often MAIL may be said in a session, RCPT in a transaction, and to how many domains in a session. 0:
 * as often as one likes. */
struct smtp_limits {
    uint32_t mail, rcpt, rcpt_domain;
};
const struct smtp_limits *smtp_client_limits(const struct smtp_client *c);

/* One line; CRLF is added. The text must hold no CR or LF. */
void smtp_client_command(struct smtp_client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* MAIL and RCPT with their addresses; only parameters that the peer announced are sent. */
struct smtp_mail {
    struct span from; /* as text, "" for the null reverse-path */
    uint64_t size;    /* 0: not known */
    bool is_8bit, is_binary, is_smtputf8, is_tls_required, is_by_traced;
    bool is_quarantined; /* for our own roles alone */
    struct span trace;   /* empty: none */
    enum smtp_ret ret;
    struct span envid;        /* in xtext */
    int64_t hold_until;       /* Unix seconds; 0: none */
    struct span hold_request; /* smtp_mail_args; for our own roles alone */
    enum smtp_by by;
    int64_t by_seconds;
    int priority;
};
void smtp_client_mail(struct smtp_client *c, const struct smtp_mail *m);
/* to: as text, quoted where it must be. notify and orcpt (in xtext) are sent where the peer knows DSN. */
struct smtp_rcpt {
    struct span to;
    unsigned notify;   /* enum smtp_notify; 0: not said */
    struct span orcpt; /* empty: none */
};
void smtp_client_rcpt(struct smtp_client *c, const struct smtp_rcpt *r);
/* Sends what is buffered without waiting. */
enum status smtp_client_flush(struct smtp_client *c, struct err *err);
/* The next reply; flushes before. ST_SYNTAX where the peer does not speak SMTP. */
enum status smtp_client_reply(struct smtp_client *c, int64_t timeout_ms, struct smtp_reply *reply, struct err *err);
/* After 354: the message in pieces that follow each other, dot-stuffed on the way, ended by CRLF "." CRLF. */
enum status smtp_client_text(struct smtp_client *c, const struct span *pieces, size_t count, struct err *err);
/* The whole message as one last chunk (RFC 3030 §2), where the peer has SMTP_EXT_CHUNKING: no 354 comes before. */
enum status smtp_client_chunk(struct smtp_client *c, const struct span *pieces, size_t count, struct err *err);
