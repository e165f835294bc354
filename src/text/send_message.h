/*
 * send_message.h - from what a local program wrote to a message and its envelope: the header is completed, recipients
 * are read from arguments and header fields. Pure; any thread; memory is the arena's.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

enum {
    SEND_RECIPIENTS_MAX = 1000,    /* of one message; the server takes no more */
    SEND_HEADER_MAX = 1024 * 1024, /* octets of a header whose recipients are read */
    SEND_ENVELOPE_MAX = 256 * 1024 /* octets of all recipients together */
};

struct send_recipients {
    struct span list[SEND_RECIPIENTS_MAX]; /* as RCPT has them, without duplicates */
    size_t count, octets;
    bool is_utf8; /* one of them is not ASCII */
};

/* One address as MAIL and RCPT have it; what has no domain gets this one. "" and "<>" give "". ST_SYNTAX. */
enum status send_address(struct arena *a, struct span text, const char *domain, struct span *out, struct err *err);

/* Adds the addresses of a list ("alice, Bob <bob@example.test>"). ST_SYNTAX, ST_LIMIT. */
enum status send_add_list(struct arena *a, struct span text, const char *domain, struct send_recipients *r,
                          struct err *err);
/* Adds those of To, Cc and Bcc, or, where the message is sent again, of the Resent- fields (RFC 5322 §3.6.6). header:
 * of send_split(). */
enum status send_add_header(struct arena *a, struct span header, const char *domain, struct send_recipients *r,
                            struct err *err);

struct send_parts {
    struct span header; /* whole lines, without the empty one; may be empty */
    struct span body;
    bool has_from; /* a From field */
};
/* text: lines with CRLF. An mbox "From " line is dropped; the header ends where a line is none of a header. */
void send_split(struct span text, struct send_parts *out);

/* "From: Name <address>", quoted or encoded as it must be (RFC 5322 §3.4, RFC 2047). */
void send_write_from(const char *full_name, struct span address, struct strbuf *out);
