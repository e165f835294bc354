/*
 * imap.h - the steps of an IMAP client (RFC 3501, 9051). Responses are read whole, literals included, and looked at; a
 * tagged response that is not OK ends the program.
 */
#pragma once
#include "conn.h"

struct imap {
    struct conn *conn;
    uint64_t tag,
        answered; /* the last command sent, and the last whose tagged OK was read: commands may be pipelined */
    uint32_t exists, uid_next, uid_validity; /* as the selected mailbox's responses said last */
    uint64_t highest_modseq;
    bool is_shared;   /* others expunge: "NO [EXPUNGEISSUED]" (RFC 5530) is an answer as good as OK */
    struct strbuf ok; /* the last tagged response, after its tag: "OK [APPENDUID 1 2] done" */
    bool has_literal_plus, has_multiappend, has_move, has_unselect, has_uidplus, has_condstore, has_qresync,
        has_esearch;
};

/* Connects (TLS, STARTTLS as asked) and reads the greeting. */
void imap_open(struct imap *im);
void imap_login(struct imap *im, const char *user);
/* Asks for the capabilities where has_… is needed. */
void imap_capability(struct imap *im);
/* Opens, logs in as account `number`. */
void imap_open_account(struct imap *im, uint64_t number);
void imap_logout(struct imap *im);
void imap_close(struct imap *im); /* without LOGOUT */

/* Writes the next tag and a space; the rest of the command follows by conn_printf(). */
void imap_tag(struct imap *im);
/* Sends one command, tag and CRLF added, and reads to its OK, dropping untagged data (EXISTS is noted). */
void imap_command(struct imap *im, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Reads to the OK of the oldest command that is not answered. */
void imap_wait_ok(struct imap *im);
/* The next response without its last CRLF, literals within. Valid until the next read. */
struct span imap_response(struct imap *im);
/* The next untagged response after "* ", or false: the OK of the oldest unanswered command has come. */
bool imap_untagged(struct imap *im, struct span *text);
/* Reads a continuation ("+ …"). */
void imap_continuation(struct imap *im);
/* SELECT or EXAMINE; sets exists and what else the responses tell, ends the program where EXISTS is missing. */
void imap_select(struct imap *im, const char *mailbox, bool is_read_only);
/* Makes the mailbox where it does not exist. */
void imap_create(struct imap *im, const char *mailbox);

/* MESSAGES of STATUS. */
uint32_t imap_status_messages(struct imap *im, const char *mailbox);
/* Sends one APPEND; its OK is still to be read. Waits for a continuation only where the server has no LITERAL+ (RFC
 * 7888). */
void imap_append(struct imap *im, const char *mailbox, struct span text);
/* Reads the OK of an APPEND, which must have a UID in it where the server has UIDPLUS (RFC 4315 §3). */
void imap_append_answer(struct imap *im);

/* "12 FETCH (…)": the number and what is within the parentheses. */
bool imap_is_fetch(struct span untagged, uint32_t *number, struct span *items);
/* "12 EXISTS" */
bool imap_is_number(struct span untagged, struct span keyword, uint32_t *number);
/* Cuts the next name and value off the items; a literal or a quoted string is given without its dress, a list with it.
 */
bool imap_next_item(struct span *items, struct span *name, struct span *value);
/* The value of one item; false where it is missing. */
bool imap_item(struct span items, struct span name, struct span *value);
