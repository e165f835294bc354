/*
 * trace.h - what a message says about its way, and what we add: trace ids, Received (RFC 5321 §4.4, RFC 3848, RFC 6531
 * §4.3), Return-Path, Delivered-To, and for new mail Date and Message-ID (RFC 6409 §8).
 */
#pragma once
#include "smtp/session.h"

/* Octets of header fields that our own roles may have put before a message since a door measured it. */
enum { SMTP_TRACE_ROOM = 64 * 1024 };

/* A new random id of SMTP_TRACE_CHARS lower-case letters and digits, with NUL. */
void trace_new(char out[SMTP_TRACE_MAX + 1]);

/* The Received field of the session's transaction. */
void received_write(const struct smtp *sm, struct strbuf *out);

enum { DELIVERED_TO_MAX = 100 }; /* fields; a message with more goes in circles */
struct message_facts {
    struct span header; /* with its empty line */
    unsigned hops;      /* Received fields */
    bool has_return_path, has_bcc, has_date, has_message_id;
    struct span message_id;    /* without its brackets; empty: none, or nothing that is one */
    struct span from;          /* the From field's value, as sent */
    struct span *delivered_to; /* values of Delivered-To, trimmed */
    size_t delivered_to_count;
};
/* One walk over the header. */
void message_facts_of(struct arena *a, struct span message, struct message_facts *out);

/* Takes all fields of these names out of the message's header: *b is replaced by a new body. */
enum status message_drop_fields(struct body **b, const struct span *names, size_t count, struct err *err);

/* "Date: …" and "Message-ID: <trace@hostname>", each where the message has none. */
void message_complete(const struct message_facts *f, const char *trace, const char *hostname, struct strbuf *out);
