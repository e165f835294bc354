/*
 * internal.h - store, account and transaction as src/store/sqlite sees them.
 *
 * Locks, in the order in which they may be taken:
 *   account.opening   while an account's file is made, migrated and looked at for the first time
 *   account.writer    from store_begin() of a writer until its commit is published; threads queue here, not in SQLite
 *   store.lock        the map of accounts, references, idle connections; a few instructions
 *   view_cache.lock   see view_cache.c
 *   account.pins_lock   leases nothing, runs small statements of a writer
 *   account.keywords_lock, account.deliveries.lock, hub.lock: leaves
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include "base/map.h"
#include "store/account.h"
#include "store/directory.h"
#include "store/quota.h"
#include "store/sqlite/db.h"

/* A connection leased by one transaction at a time, or idle: then in its account's list and in the store's, by age. */
struct handle {
    struct db *db;
    struct account *account;
    int64_t idle_since_ms;
    struct handle *next_idle;     /* of the account, last used first */
    struct handle *newer, *older; /* of the store */
};

struct store {
    char *data_dir;
    uint32_t handles_max;
    bool is_reader;
    int lock_fd; /* holds the claim on accounts/ */
    struct directory *directory;
    pthread_mutex_t lock;
    struct map *accounts; /* address -> struct account */
    struct handle *newest, *oldest;
    uint32_t handles_open, handles_idle;
    struct view_cache views;
    struct index_worker *indexer; /* NULL: none (index_worker.c) */
    _Atomic uint64_t quota_default[QUOTA_RESOURCES];
};

struct keywords { /* immutable, counted */
    _Atomic uint32_t refs;
    uint32_t count;
    struct span names[KEYWORDS_MAX];
};

/* Those who wait to be delivered to an account (deliver.c); empty where nobody leads. */
struct deliveries {
    pthread_mutex_t lock;
    struct waiting_delivery *first, *last;
    bool is_led;
};

/* One call of message_deliver(). */
struct waiting_delivery {
    struct waiting_delivery *next;
    struct span mailbox;
    const struct content *content;
    struct mail_date received;
    uint32_t uid;
    enum status status;
    struct err err;
    bool is_done, is_leader;
    pthread_cond_t changed;
};

/* The views of somebody who is not the owner (store_act_as). */
struct reader_views {
    uint64_t reader;
    struct view_set views;
    struct reader_views *next;
};

struct account {
    struct store *store;
    struct span address;
    char *dir, *file;
    uint64_t id;
    bool is_ready; /* under opening; set once */
    bool is_stale; /* not in the map any more; under store.lock */
    dev_t device;  /* which file it is: one of the same name made later is another account's */
    ino_t inode;
    uint32_t refs;    /* under store.lock */
    uint32_t handles; /* idle, leased and being closed; under store.lock */
    struct handle *idle;
    pthread_mutex_t opening;
    pthread_mutex_t writer;
    _Atomic uintptr_t writer_thread; /* pthread_self() of who holds it, 0 */
    uint64_t modseq;                 /* the last one committed; under writer */
    _Atomic uint64_t held[QUOTA_RESOURCES]; /* by all its mailboxes (quota.c); written under writer */
    struct deliveries deliveries;
    struct view_set views;
    _Atomic(struct reader_views *) readers; /* who else has read here; only grows */
    struct hub hub;
    struct pin *pins; /* contents that are being read (pin.c); under pins_lock */
    pthread_mutex_t pins_lock;
    char object_name[16]; /* under keywords_lock; "" not read yet, then constant */
    pthread_mutex_t keywords_lock;
    struct keywords *keywords; /* NULL: not read yet */
    bool is_caught_up;         /* who indexes: all that was there is indexed, now segments are merged */
    _Atomic bool has_expunged; /* the index may hold what is gone */
    /* under the indexer's lock */
    struct account *next_to_index;
    int64_t index_at_ms; /* 0: not waiting */
    uint32_t unindexed;  /* about */
};

/* ---- pool.c ---------------------------------------------------------------------------------------------------- */

enum status handle_lease(struct account *a, struct handle **out, struct err *err);
void handle_release(struct handle **h);
/* Closes idle connections until at most `keep` are left, or those idle since before `before_ms`. */
void handles_trim(struct store *s, uint32_t keep, int64_t before_ms);
/* Frees the account if nobody needs it any more; store.lock is held, and is given up. */
void account_settle(struct account *a);

/* ---- index_worker.c -------------------------------------------------------------------------------------------- */

/* A commit has brought so many contents. */
void index_note(struct account *a, uint32_t contents);
void index_worker_stop(struct store *s);

/* ---- txn.c ------------------------------------------------------------------------------------------------------ */

/* A mailbox's numbers, as they are in its row; while a writer works on it, the truth is here until txn_flush(). */
struct mailbox_row {
    mailbox_id id;
    uint32_t uidvalidity, uidnext, messages, unseen, deleted, recent_from;
    uint64_t size, deleted_size, highest_modseq;
    uint8_t use;
    bool is_noselect;
    uint64_t tombstones, journal_modseq;
    int64_t journal_pruned_utc;
};

/* What a flag change has made of a message. */
struct txn_flags {
    uint32_t uid;
    uint64_t flags, modseq;
};

struct txn_mailbox {
    struct txn_mailbox *next;
    struct mailbox_row row;
    uint32_t messages_before; /* as the row had them when the transaction began */
    uint64_t size_before;
    bool is_dirty;   /* the row must be written */
    bool is_changed; /* messages changed: views and watchers care */
    bool is_gone;
    bool is_noticed; /* nothing of it has changed that a view shows, but watchers care */
    struct seqset *uids; /* changed, removed and added */
    /* Where nothing but flags has changed, all of it: the next view comes from these and the one before, with no row
     * read. Ascending; NULL: none. */
    struct txn_flags *flags;
    size_t flags_count, flags_cap;
    bool is_more_than_flags;
};

struct txn {
    struct account *account;
    struct handle *handle;
    struct db *db;
    enum txn_mode mode;
    uint64_t reader;    /* store_act_as(); 0: the owner */
    uint64_t may_flags; /* those that may change */
    bool is_broken;    /* a statement failed half-way: may not commit */
    bool has_read;     /* content_read() was called */
    uint64_t modseq;   /* of this transaction's changes; 0: none yet */
    uint32_t contents; /* made under this modseq */
    int64_t mailboxes_made; /* less those deleted */
    struct txn_mailbox *mailboxes;
    struct keywords *keywords; /* changed by this transaction, or NULL */
    bool is_list_changed;      /* names, subscriptions */
    bool is_metadata_changed;
    struct arena arena;
};

/* ST_BUG unless the transaction may write (and, is_flushed, flushes). */
enum status txn_need(struct txn *t, bool is_flushed, struct err *err);
/* The modseq of this transaction's changes. */
uint64_t txn_modseq(struct txn *t);
/* The mailbox's numbers for changing; set is_dirty after a change. ST_NOTFOUND. */
enum status txn_mailbox(struct txn *t, mailbox_id id, struct txn_mailbox **out, struct err *err);
/* Notes that these uids changed: raises the mailbox's modseq. */
void txn_changed(struct txn *t, struct txn_mailbox *m, uint32_t first, uint32_t last);
/* As txn_changed(), of one message of which nothing but flags has changed; these are the new ones. */
void txn_flags_changed(struct txn *t, struct txn_mailbox *m, uint32_t uid, uint64_t flags);
/* Writes the changed rows, so that SQL sees them. */
enum status txn_flush(struct txn *t, struct err *err);
/* Marks the transaction broken where st is not ST_OK; returns st. */
enum status txn_check(struct txn *t, enum status st);
#define TRY_WRITE(t, expr) TRY(txn_check(t, expr))

/* ---- mailbox.c --------------------------------------------------------------------------------------------------- */

enum status mailbox_row_load(struct db *db, mailbox_id id, struct mailbox_row *out, struct err *err);
enum status mailbox_row_store(struct db *db, const struct mailbox_row *row, struct err *err);
/* mailbox_change.c: INBOX and the special-use mailboxes of a new account; runs in the migration's transaction. */
enum status account_first_mailboxes(struct db *db, struct err *err);

/* ---- message.c, message_range.c, content.c, journal.c -------------------------------------------------------------
 */

/* A range of a mailbox's messages; only those that have all flags of `mask`. */
struct message_range {
    mailbox_id mailbox;
    uint32_t first, last;
    uint64_t mask;
};
/* The condition of a range on `message`, and its parameters ?1 to ?4. */
#define RANGE           "mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND flags & ?4 = ?4"
#define RANGE_VALUES(r) INT((r).mailbox), INT((r).first), INT((r).last), INT((r).mask)
enum status content_insert(struct txn *t, const struct content *c, content_id *out, struct err *err);
/* One more / one less reference for the contents of these messages; contents without one are deleted. */
enum status content_retain_range(struct txn *t, struct message_range r, struct err *err);
enum status content_release_range(struct txn *t, struct message_range r, struct err *err);
enum status journal_bury_range(struct txn *t, struct txn_mailbox *m, struct message_range r, uint32_t count,
                               struct err *err);
enum status journal_prune(struct txn *t, struct txn_mailbox *m, struct err *err);
/* All messages of a mailbox, without tombstones: the mailbox itself goes. */
enum status message_drop_all(struct txn *t, struct txn_mailbox *m, struct err *err);
/* Moves all messages into another mailbox. */
enum status message_move_all(struct txn *t, mailbox_id from, mailbox_id to, struct err *err);

/* pin.c: `refs` of a content without a message that is kept for who reads it. */
enum { REFS_KEPT = -1 };
/* Of the contents that are about to be deleted with this range, keeps the pinned ones. */
enum status pins_keep_range(struct txn *t, struct message_range r, struct err *err);
/* After a crash: nobody reads. */
enum status pins_clean(struct db *db, struct err *err);

/* quota.c */
/* What all mailboxes hold, of a file that is opened for the first time. */
enum status quota_count(struct account *a, struct db *db, struct err *err);
/* ST_QUOTA where the transaction, as a whole, adds what the account may not hold. */
enum status quota_check(const struct txn *t, struct err *err);
/* The transaction was committed; the writer's lock is held. */
void quota_settle(const struct txn *t);

/* seen.c */
/* The reader's \Seen of these messages. */
enum status seen_change(struct txn *t, struct txn_mailbox *m, uint32_t first, uint32_t last, bool is_seen,
                        struct err *err);
/* How many the reader has seen. */
enum status seen_count(struct txn *t, mailbox_id mailbox, uint32_t *out, struct err *err);
/* Copies of the range have uids from before_first + 1 on: whoever has seen a message has seen its copy. */
enum status seen_copy_range(struct txn *t, struct message_range r, mailbox_id to, uint32_t before_first,
                            struct err *err);
enum status seen_forget_range(struct txn *t, struct message_range r, struct err *err);
enum status seen_drop_mailbox(struct txn *t, mailbox_id mailbox, struct err *err);

/* metadata.c */
enum status metadata_drop_mailbox(struct txn *t, mailbox_id mailbox, struct err *err);
enum status metadata_copy_all(struct txn *t, mailbox_id from, mailbox_id to, struct err *err);

/* keyword.c */
void keywords_free(struct keywords **k);

/* ---- view_load.c ----------------------------------------------------------------------------------------------------
 */

/* The view that follows `base` when this transaction commits, as this reader sees it. */
enum status view_next(struct txn *t, const struct txn_mailbox *m, uint64_t reader, const struct view *base,
                      struct view **out, struct err *err);
/* The reader's views, made where there are none. */
struct view_set *account_views(struct account *a, uint64_t reader);
