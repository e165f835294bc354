/*
 * pool.h - leases of connections to another role's SMTP or LMTP (smtp_pool_new() is in smtp/smtp.h). Thread-safe.
 */
#pragma once
#include "smtp/client.h"
#include "smtp/smtp.h"

enum {
    POOL_REPLY_MS = 60 * 1000, /* of our own roles; a delivery's flush is in it */
    POOL_IDLE_MS = 60 * 1000,  /* older connections are closed, not used */
    POOL_IDLE_MAX = 32
};

struct smtp_lease {
    struct smtp_client *client;
    bool is_used; /* has been leased before: the other side may have gone away since */
    bool is_open; /* a MAIL was sent and not finished: the next user says RSET first. Who finishes it clears this */
    int64_t idle_since_ms;
};

/* Begins a transaction on a connection (used or new) with MAIL and the first RCPT, in one write and one read. Both
 * replies are given. A connection that turns out to be dead is replaced by a new one, once. ST_TEMPORARY where the
 * other role could not be reached. */
enum status smtp_pool_begin(struct smtp_pool *p, const struct smtp_mail *mail, const struct smtp_rcpt *first_rcpt,
                            struct smtp_lease **out, struct smtp_reply *mail_reply, struct smtp_reply *rcpt_reply,
                            struct err *err);

/* One command outside of a transaction, and its reply; a dead connection is replaced likewise. */
enum status smtp_pool_command(struct smtp_pool *p, struct smtp_reply *reply, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Back to the pool: all replies must have been read. */
void smtp_pool_return(struct smtp_pool *p, struct smtp_lease **l);
/* Closes: something went wrong, or the other side is in the middle of something. */
void smtp_pool_drop(struct smtp_pool *p, struct smtp_lease **l);
