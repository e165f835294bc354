/*
 * metadata.h - METADATA in a session (RFC 5464): reading and writing entries of one mailbox or of the server, for
 * GETMETADATA and LIST (RFC 9590), and telling a session that has enabled it what others have changed. Only for
 * src/imap.
 *
 * Some entries are not stored as such: the server's shared ones come from the config and are read-only,
 * /private/specialuse is the mailbox's special use (RFC 6154 §4).
 */
#pragma once
#include "imap/place.h"
#include "store/metadata.h"
#include "text/imap_metadata_args.h"

/* What entries are read of or set on. */
struct metadata_target {
    const struct mailbox *mailbox; /* NULL: the server */
    bool is_own;                   /* the user's own account has it */
};

struct metadata_answer {
    struct span name;
    bool has_value; /* else NIL */
    struct span value;
};
struct metadata_answers {
    struct metadata_answer *items; /* in the arena */
    size_t count, cap;
    size_t written; /* by imap_metadata_write() */
    size_t longest; /* of values left out for MAXSIZE; 0: none was */
};

/* RFC 5464 §3.3: whether these rights let the user read entries, and set them. Shared ones are set by who may write. */
bool imap_metadata_may_read(acl_rights rights);
bool imap_metadata_may_set(acl_rights rights, bool is_private);

/* The entries that are asked for, each once. One that has no value is NIL where it was named itself, without DEPTH. */
enum status imap_metadata_read(struct imap *im, struct txn *txn, const struct metadata_target *of,
                               const struct metadata_query *query, struct arena *a, struct metadata_answers *out,
                               struct err *err);
/* METADATA responses while there is room in the output; true when all are written. `path` empty: of the server. */
bool imap_metadata_write(struct imap *im, struct span path, struct metadata_answers *answers);

/* Sets one entry in a TXN_WRITE. The call's no_code is set where it is refused. */
enum status imap_metadata_set(struct imap *im, struct imap_call *call, struct txn *txn,
                              const struct metadata_target *on, const struct metadata_entry *entry, struct err *err);
/* The response code for a value that is too large: "METADATA MAXSIZE 16384". */
extern const char imap_metadata_maxsize[];

/* ---- metadata_news.c: unsolicited METADATA responses (§4.4.2) ---------------------------------------------------- */

struct metadata_watch; /* im->metadata; NULL where METADATA is not enabled */

/* After ENABLE METADATA: the user's account and those that share something with him are watched. */
void imap_metadata_enable(struct imap *im);
/* From now on changes in this account are told too; it has mailboxes that the client has been shown. Nothing where
 * METADATA is not enabled, or the account is watched. */
void imap_metadata_watch(struct imap *im, struct account *a);
/* This session has made the changes of this modseq itself: they are not told. */
void imap_metadata_own_change(struct imap *im, const struct account *a, uint64_t modseq);
bool imap_metadata_has_news(const struct imap *im);
/* Tells them. What cannot be read now is told later. */
void imap_metadata_tell(struct imap *im);
void imap_metadata_free(struct metadata_watch **w);
