/*
 * internal.h - what the engine's own files (imap.c, input.c, dispatch.c, sync.c, selected.c) call of each other;
 * commands keep to session.h. Only for src/imap.
 */
#pragma once
#include "imap/session.h"

enum {
    IMAP_COMMAND_MAX = 64 * 1024,      /* octets of a command with its literals, APPEND's message not counted */
    IMAP_LOGIN_COMMAND_MAX = 8 * 1024, /* the same before login */
    IMAP_BAD_MAX = 20,                 /* so many BAD commands in a row end the session */
    IMAP_IDLE_MS = 30 * 60 * 1000,     /* RFC 3501 §5.4, RFC 2177: at least 30 minutes */
    IMAP_LOGIN_IDLE_MS = 3 * 60 * 1000,
    IMAP_COMMAND_MS = 5 * 60 * 1000, /* from a command's first byte to its last */
    IMAP_LOGIN_COMMAND_MS = 60 * 1000,
    IMAP_DISCARD_MAX = 64 * 1024 * 1024, /* a larger refused literal that comes anyway (RFC 7888) ends the session */
    IMAP_PROGRESS_MS = 10 * 1000,        /* between two words on a command's progress (RFC 9585) */
    IMAP_SELECT_VIEW_MAX = 2000,         /* a mailbox with so many messages is loaded to answer SELECT's UNSEEN */
};

/* table.c */
/* The row of that name; NULL: none. name is "FETCH" or "UID FETCH", in any case. */
const struct imap_command *imap_command_find(struct span name);
/* The table's rows, for whoever goes through all of them. */
size_t imap_command_count(void);
const struct imap_command *imap_command_at(size_t row);
/* "IMAP4rev1 IDLE …" for the session's state. */
void imap_write_capabilities(const struct imap *im, struct strbuf *out);

/* input.c: the protocol's input(), for both roles. */
enum next imap_input(struct session *s);

/* dispatch.c */
/* Reads "FETCH", or "UID FETCH" as one name. */
enum status imap_command_name(struct imap_args *args, struct span *name, struct err *err);
/* A new im->call, with a copy of the command's bytes (without the last CRLF) behind it. It reads the tag and the name;
 * on a bad status the call is there to be finished with it. */
enum status imap_call_begin(struct imap *im, struct span bytes, struct err *err);
/* A call for a command whose first line has been handled already (IDLE, AUTHENTICATE); tag "" for none. */
void imap_call_resume(struct imap *im, struct span tag, const char *name);
/* Checks the state, runs im->call and answers it as far as the output has room. */
enum next imap_call_run(struct imap *im);
/* Only checks the state and runs im->call; something of the command is still to come (APPEND's message). */
enum status imap_call_prepare(struct imap *im, struct err *err);
/* Tells the news and answers im->call with this status. */
enum next imap_call_finish(struct imap *im, enum status st, const struct err *err);
/* Writes the tagged response of a call that is not im->call, and frees it. */
void imap_call_answer(struct imap *im, struct imap_call **call);
void imap_call_free(struct imap_call **call);
/* The protocol's produce(). */
enum next imap_produce(struct session *s);

/* flags.c */
/* As imap_write_flags(), with just these flags. */
void imap_write_flag_list(const struct imap *im, const struct imap_call *call, uint32_t uid, uint64_t flags,
                          struct strbuf *out);

/* respond.c */
/* The tagged response: "tag OK …", "tag NO [CODE] …" or "tag BAD …". */
void imap_tagged(struct imap *im, const struct imap_call *call, enum status st, const struct err *err);
void imap_write_status(struct strbuf *out, struct span tag, const char *no_code, enum status st, const char *text);
const char *imap_response_code(enum status st); /* "NONEXISTENT"; NULL: none */

/* sync.c: telling the client what has changed in its mailbox */
/* Finds out whether there is anything to tell; call->news is NULL where there is not. */
enum status imap_news_begin(struct imap *im, struct imap_call *call, struct err *err);
/* Writes more of call->news; true when all is written, and im->view is the new one. */
bool imap_news_write(struct imap *im, struct imap_call *call);
void imap_news_free(struct imap_news **news);

/* selected.c: the selected mailbox */
struct imap_place;
enum status imap_select(struct imap *im, const struct imap_place *place, mailbox_id id, bool is_read_only,
                        struct arena *a, struct mailbox *out, struct err *err);
void imap_deselect(struct imap *im); /* nothing selected afterwards; no expunge */
/* Takes what is \Recent in the selected mailbox for this session. */
enum status imap_claim_recent(struct imap *im, struct err *err);
/* How many messages of v are \Recent in this session. */
uint32_t imap_recent_count(const struct imap *im, const struct view *v);

/* cmd_append.c */
/* run() has taken a message, whose octets come (im->literal_left, im->is_binary_next). Then, in turn: its octets, and
 * what stands between it and the next literal, or the command's end. `text` is in the call's arena. */
enum status imap_append_octets(struct imap *im, struct span octets, struct err *err);
enum status imap_append_read(struct imap *im, struct imap_call *call, struct span text, bool is_literal_next,
                             struct err *err);
/* All is here. is_append_next: the whole next command is in the buffer and is another one; im->call may then be NULL on
 * return, because it waits in im->waiting for that, or has been answered with those that waited. */
enum status imap_append_finish(struct imap *im, struct imap_call *call, bool is_append_next, struct err *err);
/* Stores and answers those that wait. */
void imap_append_flush(struct imap *im);
void imap_append_free(struct imap_append **append); /* with all that are linked to it */

/* cmd_login.c: a line that answers AUTHENTICATE's challenge (im->tag) */
enum next imap_sasl_line(struct imap *im, struct span line);
void imap_login_free(struct imap_login **login);

/* cmd_idle.c: a line during IDLE */
enum next imap_idle_line(struct imap *im, struct span line);
