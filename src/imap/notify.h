/*
 * notify.h - NOTIFY (RFC 5465): what a session is told without having asked, of the selected mailbox and of others.
 * Only for src/imap.
 *
 * Of the selected mailbox the news are those of sync.c; NOTIFY says which of them are told, and that they are told as
 * soon as they are there, also outside of IDLE. Of other mailboxes the session keeps what it last knew (counters, name,
 * subscription) and compares it with what there is when an account that it watches has changed. It watches its own
 * account, and others that share mailboxes with it where the groups name them, by one watcher each (store/hub.h).
 *
 * Owned by the session. The limits say what an idle session can hold; where they do not suffice the client is told by
 * NOTIFICATIONOVERFLOW (§5.8), and nothing is watched any more.
 */
#pragma once
#include "imap/session.h"
#include "text/imap_notify_args.h"

enum {
    NOTIFY_OWNERS_MAX = 16,        /* accounts that are watched */
    NOTIFY_MAILBOXES_MAX = 2000,   /* mailboxes that the groups name */
    NOTIFY_BYTES_MAX = 512 * 1024, /* of all that is kept of them */
};

/* A mailbox of which something is to be told, as it was last seen. */
struct notify_mailbox {
    struct span path; /* as this user calls it */
    mailbox_id id;
    unsigned events; /* enum notify_event: of all groups that name it */
    uint32_t uidvalidity, uidnext, messages, unseen;
    uint64_t modseq;
    enum special_use use;
    bool is_noselect, has_children, is_subscribed;
    bool may_read; /* else nothing is told of its messages (RFC 5465 §5) */
};

struct notify_list {
    struct arena arena;
    struct notify_mailbox *items; /* by name */
    size_t count;
};

struct notify_owner {
    struct imap_notify *notify;
    struct account *account;
    struct span prefix; /* "" for the user's own mailboxes; in notify->arena */
    struct watcher watcher;
    _Atomic bool is_changed; /* set by the hub */
    struct notify_list known;
};

struct imap_notify {
    struct imap *im;
    struct arena arena;
    struct notify_args args;
    const struct notify_group *selected;            /* NULL: nothing is told of the selected mailbox */
    struct notify_owner *owners[NOTIFY_OWNERS_MAX]; /* the first is the user's own */
    size_t owner_count;
    _Atomic bool has_news; /* set by the hub: an owner is_changed */
    _Atomic bool is_over;  /* RFC 5465 §5.8: as if there had been NOTIFY NONE */
};

/* ---- notify.c ------------------------------------------------------------------------------------------------------
 */

/* Reads what there is and begins to watch. `text` is NOTIFY's arguments. ST_LIMIT: too much to be watched. */
enum status imap_notify_new(struct imap *im, struct imap_call *call, struct span text, struct imap_notify **out,
                            struct err *err);
void imap_notify_free(struct imap_notify **n);
/* The session's from here on, in place of what was. */
void imap_notify_replace(struct imap *im, struct imap_notify *n);
/* Empties a list. */
void imap_notify_forget(struct notify_list *list);
/* Watches accounts that have come to share something; they are to be read. ST_LIMIT. */
enum status imap_notify_find_owners(struct imap_notify *n, struct arena *a, struct err *err);
/* The owner's mailboxes as they are; those that no group names are left out. The caller forgets *out, also
 * after an error. */
enum status imap_notify_read(struct imap_notify *n, const struct notify_owner *o, struct notify_list *out,
                             struct err *err);

/* The limits are passed. */
bool imap_notify_is_too_much(const struct imap_notify *n);

/* ---- what the engine asks -------------------------------------------------------------------------------------------
 */

/* Whether the group names this mailbox; not asked of the selected ones. `path` is as this user calls it. */
bool imap_notify_names(const struct notify_group *g, bool is_own, struct span path, bool is_subscribed);
/* Which news of the selected mailbox this call may tell: enum notify_event; all without NOTIFY. */
unsigned imap_notify_of_selected(const struct imap *im, const struct imap_call *call);
/* The FETCH items for messages that are new in the selected mailbox; NULL: none. */
const struct fetch_args *imap_notify_fetch(const struct imap *im);
/* Whether a change of an entry of this mailbox of this account is to be told, 0: of the server (RFC 5465 §5.6, §5.7).
 */
bool imap_notify_wants_metadata(const struct imap *im, const struct account *a, mailbox_id id);
/* News are told while no command runs: NULL notify is no. */
bool imap_notify_listens(const struct imap *im);
/* What watches the selected mailbox and metadata is to poke the session at once, also outside of IDLE. */
bool imap_notify_is_hearing(const struct imap *im);
bool imap_notify_has_news(const struct imap *im);

/* ---- notify_news.c
 * ---------------------------------------------------------------------------------------------------- */

/* Looks at what has changed in other mailboxes; call->notify is what there is to tell. */
void imap_notify_begin(struct imap *im, struct imap_call *call);
/* For NOTIFY SET STATUS, and of mailboxes that may not be read: tells of all as they are. */
void imap_notify_tell_all(struct imap *im, struct imap_call *call);
/* Writes more of it; true when all is written. */
bool imap_notify_write(struct imap *im, struct imap_call *call);
