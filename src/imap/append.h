/*
 * append.h - an APPEND or REPLACE being received: append_read.c reads what comes, cmd_append.c stores it. Only for
 * src/imap.
 */
#pragma once
#include "imap/internal.h"
#include "sys/body.h"

/* Flags are in the call's arena, which lives as long. */
struct append_message {
    struct append_message *next;
    struct imap_flags flags;
    struct mail_date received;
    struct body *body;
    struct content content;
    bool is_binary; /* came as a literal8: may have NULs */
};

/* Between the parentheses of CATENATE, and what the literal is whose octets come in. */
enum append_part { APPEND_MESSAGE, APPEND_CATENATE, APPEND_CATENATE_URL };

struct imap_append {
    struct imap_append *next; /* in im->waiting */
    struct imap_call *call;   /* of one that waits: owned */
    struct span mailbox;
    struct append_message *first, **end;
    struct append_message *current; /* whose octets come in */
    unsigned count;
    uint64_t octets;
    bool is_in_utf8; /* ")" is to come */
    enum append_part part;
    unsigned parts;                /* of all CATENATEs of this command */
    struct strbuf url;             /* APPEND_CATENATE_URL: what has come of it */
    const struct seqset *replaced; /* REPLACE's uid; else NULL */
    uint32_t uidvalidity;          /* once stored */
    struct seqset *uids;
};

/* append_read.c: the command up to its first literal, or all of it. Makes im->append. */
enum status append_read_first(struct imap *im, struct imap_call *call, const struct seqset *replaced, struct err *err);

/* cmd_append.c: ST_DENIED where the name only holds other mailboxes. */
enum status append_find_mailbox(struct txn *t, struct imap_call *call, struct span name, struct mailbox *m,
                                struct err *err);
