/*
 * store.h - accounts, mailboxes and messages, as the protocols see them. No SQL and no file path above this header.
 *
 * Objects and owners
 *   store     one per process (role mail; tools). Thread-safe.
 *   account   a counted reference to one account; shared by all who have it open. Thread-safe. Holding one costs a few
 *             hundred bytes and no file handle: handles are leased per transaction from a bounded LRU.
 *   txn       one transaction, owned by one thread, from store_begin() to store_commit() or txn_free(). Never keep one
 *             across a write to a client or a park. Readers see one state of the account from begin to end.
 *   view      an immutable, counted snapshot of one mailbox's rows (store/view.h).
 *
 * Promises
 *   - After store_commit() of a TXN_WRITE returned ST_OK the change survives a loss of power. TXN_FLAGS may be lost by
 *     a loss of power (not by a crash of the process), but never leaves an inconsistent state.
 *   - Every change of a mailbox raises the account's one modseq; expunged messages leave a tombstone.
 *   - After a commit the watchers of the changed mailboxes are poked (store/hub.h), in no lock of the account.
 *
 * Names of mailboxes are UTF-8, '/' separates levels, "INBOX" (any case on input) is the one that always exists.
 * Statuses: ST_NOTFOUND, ST_EXISTS, ST_LIMIT, ST_QUOTA (at commit: store/quota.h), ST_DENIED (INBOX cannot be deleted…), ST_IO, ST_TEMPORARY (busy).
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "text/date.h"
#include "text/seqset.h"

struct store;
struct account;
struct txn;

typedef uint64_t mailbox_id; /* never reused in an account */
typedef uint64_t content_id; /* never reused in an account */

/* Flags of a message: system flags and the account's keywords as bits (store keyword functions below). */
enum {
    FLAG_SEEN = 1u << 0,
    FLAG_ANSWERED = 1u << 1,
    FLAG_FLAGGED = 1u << 2,
    FLAG_DELETED = 1u << 3,
    FLAG_DRAFT = 1u << 4,
    FLAG_KEYWORD_SHIFT = 5, /* keyword k is bit 5 + k */
    KEYWORDS_MAX = 58,      /* per account; a 59th answers ST_LIMIT */
    KEYWORD_NAME_MAX = 100,
};
#define FLAGS_SYSTEM ((uint64_t)0x1f)

enum {
    MAILBOX_NAME_MAX = 1000, /* octets of a full name */
    MAILBOX_DEPTH_MAX = 32,  /* levels */
    MAILBOXES_MAX = 10000,   /* per account */
};

struct store_options {
    const char *data_dir; /* has accounts/ and directory.db; copied */
    uint32_t handles_max; /* open database handles at once; 0: 256. Exceeded only while more transactions run. */
    bool is_reader;       /* for tools beside a running server: only TXN_READ, no files are made, no claim is taken */
};

/* Claims accounts/ for this process: ST_STATE where another one has it (views and counters are kept in memory). */
enum status store_open(const struct store_options *options, struct store **out, struct err *err);
/* The directory that accounts are looked up in; the store's, valid until store_free(). */
struct directory;
struct directory *store_directory(struct store *s);
/* Removes the files of accounts that the directory has forgotten. Done by store_open() too; also right while a server
 * runs. Once account_open() has noticed a removal, store_begin() on older references answers ST_NOTFOUND. */
enum status store_sweep(struct store *s, struct err *err);
/* Closes handles that were idle for so long; an account whose handles are all closed is complete in its one file. */
void store_tidy(struct store *s, int64_t idle_ms);
/* All accounts must have been released. Checkpoints and closes every handle. */
void store_free(struct store **s);
AUTO_DEFINE(store)

/* Opens the account of this canonical address ("alice@example.test"), which the directory knows. A missing file is
 * made, with INBOX and the special-use mailboxes Drafts, Sent, Junk, Trash, Archive. ST_NOTFOUND: no such account. */
enum status account_open(struct store *s, struct span address, struct account **out, struct err *err);
struct account *account_ref(struct account *a);
void account_free(struct account **a); /* releases this reference */
AUTO_DEFINE(account)
struct span account_address(const struct account *a); /* valid as long as the reference */
uint64_t account_id(const struct account *a);         /* the directory's */

/* A word that no other account has, for naming its mailboxes and messages (RFC 8474). Valid as long as the reference;
 * reads the account at its first call. */
enum status account_object_name(struct account *a, struct span *out, struct err *err);

enum txn_mode {
    TXN_READ,
    TXN_WRITE, /* commit flushes */
    TXN_FLAGS  /* a write whose commit does not flush: flag changes, \Recent, subscriptions */
};
enum status store_begin(struct account *a, enum txn_mode mode, struct txn **out, struct err *err);
/* The transaction is somebody's who is not the owner: `reader` is his account's id. \Seen is his own then, in what he
 * reads (mailbox.unseen, view_get_for) and in what he changes, copies and adds. Of all flags only those in may_flags
 * change or come with a message that is added or copied; the others are passed over without a word (RFC 4314 §4). */
void store_act_as(struct txn *t, uint64_t reader, uint64_t may_flags);
/* Commits, frees the txn (*t becomes NULL in any case), then publishes. On failure nothing happened. */
enum status store_commit(struct txn **t, struct err *err);
/* The modseq that this transaction has given to what it changed; 0: it has changed nothing. */
uint64_t store_modseq(const struct txn *t);
void txn_free(struct txn **t); /* rolls back */
AUTO_DEFINE(txn)

/* ---- mailboxes ------------------------------------------------------------------------------------------ */

enum special_use { USE_NONE, USE_ALL, USE_ARCHIVE, USE_DRAFTS, USE_FLAGGED, USE_JUNK, USE_SENT, USE_TRASH };

struct mailbox {
    mailbox_id id;
    struct span name; /* in the arena given */
    uint32_t uidvalidity;
    uint32_t uidnext;
    uint32_t messages; /* counters, kept by the store; never a scan */
    uint32_t unseen;
    uint32_t deleted;     /* with \Deleted */
    uint32_t recent_from; /* first uid that no session has been told of as \Recent */
    uint64_t size_bytes;
    uint64_t deleted_bytes; /* of those with \Deleted */
    uint64_t highest_modseq;
    uint64_t journal_modseq; /* expunges up to this modseq may be forgotten (for QRESYNC) */
    enum special_use use;
    bool is_noselect; /* exists only for its children (RFC 3501 §6.3.4) */
    bool is_subscribed;
    bool has_children;     /* only set by mailbox_list */
    struct span object_id; /* MAILBOXID (RFC 8474); in the arena given. Stays with renaming. */
};

enum status mailbox_find(struct txn *t, struct span name, struct arena *a, struct mailbox *out, struct err *err);
enum status mailbox_get(struct txn *t, mailbox_id id, struct arena *a, struct mailbox *out, struct err *err);
/* Whether there are mailboxes below this name. */
enum status mailbox_has_children(struct txn *t, struct span name, bool *out, struct err *err);
/* The order of names: INBOX first, children right behind their parent. */
int mailbox_name_cmp(struct span a, struct span b);
/* All, in the order of names. */
enum status mailbox_list(struct txn *t, struct arena *a, struct mailbox **list, size_t *count, struct err *err);
/* Makes missing parents too. A \Noselect mailbox of that name becomes selectable. ST_EXISTS, ST_LIMIT; ST_SYNTAX for
 * names with empty levels, control characters, '%', '*', or invalid UTF-8. */
enum status mailbox_create(struct txn *t, struct span name, enum special_use use, mailbox_id *id, struct err *err);
/* USE_NONE: none any more. ST_DENIED for what is \Noselect. */
enum status mailbox_set_use(struct txn *t, mailbox_id id, enum special_use use, struct err *err);
/* With its messages. Where it has children it stays as \Noselect; where it is that already: ST_DENIED (RFC 3501
 * §6.3.4). */
enum status mailbox_delete(struct txn *t, struct span name, struct err *err);
/* With its children; INBOX: its messages move to the new mailbox and INBOX stays, empty (RFC 3501 §6.3.5). */
enum status mailbox_rename(struct txn *t, struct span from, struct span to, struct err *err);
/* Subscribing a name that does not exist is allowed (RFC 3501 §6.3.6). */
enum status mailbox_subscribe(struct txn *t, struct span name, bool is_subscribed, struct err *err);
/* Subscribed names, sorted, whether they exist or not. */
enum status subscription_list(struct txn *t, struct arena *a, struct span **names, size_t *count, struct err *err);
/* Takes the \Recent messages of a mailbox for the caller: *from is the first recent uid, and the next caller gets none
 * of them (needs TXN_FLAGS or TXN_WRITE). */
enum status mailbox_claim_recent(struct txn *t, mailbox_id id, uint32_t *from, struct err *err);

/* ---- keywords ------------------------------------------------------------------------------------------- */

/* The bit of this keyword (case-insensitive), made where it is missing if may_create. ST_NOTFOUND, ST_LIMIT. */
enum status keyword_bit(struct txn *t, struct span name, bool may_create, uint64_t *bit, struct err *err);
/* names[k] for bit FLAG_KEYWORD_SHIFT + k, as first written. Cached in memory; cheap. Works within a transaction of any
 * mode. */
enum status keyword_names(struct txn *t, struct arena *a, struct span **names, size_t *count, struct err *err);
/* The same without a transaction; false where they are not in memory. They name every bit of a view that the caller
 * has. */
bool keyword_names_known(struct account *a, struct arena *arena, struct span **names, size_t *count);

/* ---- content: immutable bytes with their parsed forms ------------------------------------------------------- */

/* A message ready to be stored: everything that can be computed before a transaction begins. Spans live in the arena,
 * `raw` is the caller's and must stay until the message is added. */
struct content {
    struct span raw;           /* CRLF lines as they came */
    struct span envelope;      /* IMAP ENVELOPE */
    struct span body;          /* IMAP BODY */
    struct span bodystructure; /* IMAP BODYSTRUCTURE */
    struct span parts;         /* mime_pack() */
    struct span preview;       /* preview_write() */
    uint64_t thread;           /* thread_number() */
    uint64_t header_size;      /* with its empty line */
};
void content_prepare(struct arena *a, struct span raw, struct content *out);

/* Which forms content_load() reads; bits. */
enum {
    CONTENT_ENVELOPE = 1,
    CONTENT_BODY = 2,
    CONTENT_BODYSTRUCTURE = 4,
    CONTENT_PARTS = 8,
    CONTENT_HEADER = 16,
    CONTENT_PREVIEW = 32
};
struct content_forms {
    uint64_t size, header_size;
    /* What older versions did not store yet is not there: */
    bool has_thread, has_preview;
    uint64_t thread;
    struct span preview;
    struct span envelope, body, bodystructure, parts, header; /* those asked for, in the arena */
};
enum status content_load(struct txn *t, content_id id, unsigned what, struct arena *a, struct content_forms *out,
                         struct err *err);
/* The same two made anew of what is stored (text/preview.h), for messages that have been there for so long. */
enum status content_make_preview(struct txn *t, content_id id, struct strbuf *out, struct err *err);
enum status content_make_thread(struct txn *t, content_id id, uint64_t *out, struct err *err);
/* Appends up to `size` octets from `offset` (fewer at the end); reads only the chunks it must. */
enum status content_read(struct txn *t, content_id id, uint64_t offset, uint64_t size, struct strbuf *out,
                         struct err *err);

/* Who reads a content in more than one transaction pins it: until content_unpin() its octets stay readable, also where
 * its last message is removed meanwhile. Pin it before the transaction begins in which it is first looked for. Pins
 * count. The account's reference must stay as long. content_unpin(): no transaction of this thread is open. */
void content_pin(struct account *a, content_id id);
void content_unpin(struct account *a, content_id id);

/* ---- messages ------------------------------------------------------------------------------------------- */

enum { MESSAGE_SIZE_MAX = 1u << 30 }; /* hard limit of the layout; the config's limit is lower */

/* Adds a message at the mailbox's end. received: the INTERNALDATE. */
enum status message_add(struct txn *t, mailbox_id to, const struct content *c, uint64_t flags,
                        struct mail_date received, uint32_t *uid, struct err *err);

/* Final delivery: the message is added to the mailbox of this name, with no flags, in a transaction that was committed
 * with a flush when this returns ST_OK. Deliveries that wait for the same account share transaction and flush. The
 * caller has no transaction of this account open. Errors: of mailbox_find, message_add, store_commit. */
enum status message_deliver(struct account *a, struct span mailbox, const struct content *c, struct mail_date received,
                            uint32_t *uid, struct err *err);

enum flag_change { FLAGS_SET, FLAGS_ADD, FLAGS_REMOVE };
/* Changes flags of those of `uids` that exist (FLAGS_SET keeps nothing). Only messages whose flags really change get a
 * new modseq. Range statements: cost is by range. */
enum status message_change_flags(struct txn *t, mailbox_id in, const struct seqset *uids, enum flag_change how,
                                 uint64_t flags, struct err *err);

/* Source and destination uids, pairwise, as COPYUID wants them (RFC 4315 §3). */
struct uid_pairs {
    uint32_t uidvalidity;     /* of the destination */
    struct seqset *from, *to; /* same count, in the same order; in the arena */
};
enum status message_copy(struct txn *t, mailbox_id from, const struct seqset *uids, mailbox_id to, struct arena *a,
                         struct uid_pairs *out, struct err *err);
/* As copy and removal in one (RFC 6851). from == to is allowed: messages get new uids. */
enum status message_move(struct txn *t, mailbox_id from, const struct seqset *uids, mailbox_id to, struct arena *a,
                         struct uid_pairs *out, struct err *err);
/* Removes messages. uids NULL: all; only_deleted: those with \Deleted. *removed (may be NULL) in the arena. */
enum status message_expunge(struct txn *t, mailbox_id in, const struct seqset *uids, bool only_deleted, struct arena *a,
                            struct seqset **removed, struct err *err);

/* The uids below `below_uid` of messages that were removed after this modseq, added to `out`. *is_known false: it is
 * too long ago, what was removed is not remembered (struct mailbox, journal_modseq), and nothing is added. */
enum status message_vanished(struct txn *t, mailbox_id in, uint64_t modseq, uint32_t below_uid, struct arena *a,
                             struct seqset *out, bool *is_known, struct err *err);

/* ---- care ----------------------------------------------------------------------------------------------- */

/* Checks one account: SQLite's integrity check, counters against rows, contents against references, uids below uidnext,
 * chunks whole. Each finding is one line appended to `report`. ST_OK also where there are findings. */
enum status account_check(struct account *a, struct strbuf *report, uint32_t *findings, struct err *err);
