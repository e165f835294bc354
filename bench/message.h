/*
 * message.h - mail as people get it, of an exact size, that can be recognised and checked when it comes back.
 *
 * Each message has the headers of real mail (trace, MIME, sometimes encoded words and a thread's References); larger
 * ones are multipart with a base64 attachment. One header, X-Bench, holds the number, the body's size and the body's
 * checksum. Servers may add headers and must not touch the body.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"
#include "base/strbuf.h"

enum { MESSAGE_SIZE_MIN = 1024 };

struct message {
    struct strbuf text; /* size octets, CRLF line ends, ends with CRLF */
    size_t dot_at;      /* the one line that begins with "." begins here */
};

/*
 * Makes message `number` of exactly `size` octets (at least MESSAGE_SIZE_MIN), in place of what was in m. Numbers
 * distinguish the messages of one run of the generator, runs are told apart by message_run().
 */
void message_make(struct message *m, uint64_t number, size_t size, const char *from, const char *to);
void message_free(struct message *m);
/* The same in two parts with the dot stuffed (RFC 5321 §4.5.2): before, ".", after. */
struct span message_before_dot(const struct message *m);
struct span message_from_dot(const struct message *m);

struct message_id {
    uint64_t run, number;
};
/* Whether text is a message of this generator whose body is whole; *why says what is wrong otherwise. */
bool message_check(struct span text, struct message_id *id, const char **why);
/* The identity from a header block alone. */
bool message_identity(struct span header, struct message_id *id);
/* Whether an envelope is that of the message with this message-id: subject and in-reply-to (empty: none) as they were
 * made. */
bool message_check_envelope(struct span message_id, struct span subject, struct span in_reply_to);
/* Which run of the generator this is; messages of different runs differ. */
uint64_t message_run(void);
/* A word that occurs in the subject of every 16th message, for SEARCH. */
#define MESSAGE_RARE_WORD "walrus"
