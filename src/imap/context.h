/*
 * context.h - searches whose results are kept up to date: RETURN (UPDATE) of SEARCH and SORT (RFC 5267 §4.3). Only for
 * src/imap.
 *
 * A context is the program, read once more into an arena of its own, and the uids of its results in the order that was
 * asked for. When the news of the mailbox are told (sync.c) the context looks at what has changed since it last did,
 * and tells what came into the results and what left them. What is gone is told before its EXPUNGE, everything else
 * behind EXISTS and FETCH, so that message numbers are right in both. While expunges are held back, nothing is told.
 *
 * A result's place among the others never changes, as all that can be sorted by is part of the message.
 *
 * Owned by the session, gone with the selected mailbox; the limits below say what an idle session can hold.
 */
#pragma once
#include "imap/search_result.h"
#include "text/imap_search_args.h"
#include "text/imap_sort_args.h"

enum {
    IMAP_CONTEXTS_MAX = 8,                      /* of a session */
    IMAP_CONTEXT_PROGRAM_BYTES_MAX = 32 * 1024, /* of one program, read */
    IMAP_CONTEXT_RANGES_MAX = 64 * 1024,        /* of one context's results; 8 octets each */
    IMAP_CONTEXT_SORTED_AT_ONCE = 500,          /* new results that are put in order one by one */
};

struct imap_context {
    struct imap_context *next;
    char *tag;
    char *mailbox; /* what an answer says behind the tag: " MAILBOX a UIDVALIDITY 1" of ESEARCH; NULL: nothing */
    bool is_uid;
    bool is_sorted;
    struct sort_args sort;
    struct search_args program; /* its message numbers are uids */
    struct arena arena;         /* of the program */
    struct seqrange *ranges;    /* uids of the results, in their order; each range ascends */
    size_t count;
    uint64_t modseq;  /* messages up to this one have been looked at */
    uint32_t uidnext; /* messages from here on had not come yet */
};

/* ST_SYNTAX where a context of this tag is there (RFC 5267 §4.3). */
enum status imap_context_check_tag(const struct imap *im, struct span tag, struct err *err);
/* Makes a context of the command's arguments `text`; not the session's yet. Where that cannot be, or not be kept up to
 * date, *refused says why and NULL is returned. Before "$" is replaced. */
struct imap_context *imap_context_new(struct imap *im, const struct imap_call *call, struct span text, bool is_sorted,
                                      const char **refused);
void imap_context_free(struct imap_context **c);
/* The session's from here on, with these results; else *refused is set and the context is freed. */
void imap_context_keep(struct imap *im, struct imap_context **c, struct search_hits hits, const char **refused);
/* The same at a command's end. Where a limit has left messages out, and where `refused` says so, the client is told
 * that there will be no updates. */
void search_keep_context(struct imap *im, const struct imap_call *call, struct imap_context **c,
                         struct search_hits hits, const char *refused, struct strbuf *out);
/* "* NO [NOUPDATE "a1"] Too many contexts" */
void imap_context_write_refused(struct span tag, const char *why, struct strbuf *out);
void imap_context_cancel(struct imap *im, struct span tag); /* fine where there is none */
void imap_contexts_free(struct imap *im);                   /* all */
/* Replaces the results. False where they are too many ranges: the context has lost them then. */
bool imap_context_set_results(struct imap_context *c, const uint32_t *uids, size_t count);

/* ---- telling, context_tell.c ------------------------------------------------------------------------------------ */

/* All results, in their order; *count of them. Freed by the caller. */
uint32_t *imap_context_results(const struct imap_context *c, size_t *count);
/* Appends ADDTO, or REMOVEFROM, of those of `uids` that are marked. `uids` are all results of im->view's messages: with
 * those that come in, or before those that leave are taken out. */
void imap_context_tell(const struct imap *im, const struct imap_context *c, bool is_removal, const uint32_t *uids,
                       const bool *marks, size_t count, struct strbuf *out);
/* The context is freed: the client is told so (NOUPDATE), and may search again. */
void imap_context_give_up(struct imap *im, struct imap_context *c);
/* Tells of results that are about to be expunged: uids of im->view, which the client has yet. */
void imap_contexts_tell_gone(struct imap *im, const struct seqset *expunged_uids);

/* ---- with the news, context_update.c --------------------------------------------------------------------------- */

/* Looks at what has changed, im->view being what the client knows, and tells it. A step at a time, the state in
 * *update; true: all is told. */
struct context_update;
bool imap_contexts_tell_changed(struct imap *im, struct imap_call *call, struct context_update **update);
void imap_context_update_free(struct context_update **update);
