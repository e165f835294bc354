/*
 * view.h - what a mailbox holds, in memory: an immutable, counted, chunked snapshot shared by all who have it selected.
 *
 * A commit that touches a mailbox whose view is loaded makes the next snapshot, sharing all untouched chunks. A session
 * keeps a reference to the snapshot its client knows, and finds what changed by comparing it with the current one
 * (chunks that are the same pointer are skipped). Reading needs no lock; any thread.
 */
#pragma once
#include "store/store.h"

struct view;

struct view_message {
    uint32_t uid;
    uint32_t size;
    uint64_t flags;
    uint64_t modseq;
    content_id content;
    int64_t received_utc;
    int16_t received_zone; /* minutes */
    int64_t saved_utc;     /* when it came into this mailbox */
};

/* The current snapshot, loaded where it is not in memory. The caller owns one reference. Never older than a commit that
 * returned before the call; but a TXN_READ may see a commit a moment before its snapshot is published (its watchers are
 * poked after that). */
enum status view_get(struct account *a, mailbox_id id, struct view **out, struct err *err);
/* The snapshot as a client knows it that was told: the mailbox's state at `modseq` with `uidnext`. Rebuilt from rows
 * and tombstones, so that SELECT need not load anything; flags changed since count as changed in view_diff. ST_STATE:
 * too long ago (struct mailbox, journal_modseq). */
enum status view_get_as_of(struct account *a, mailbox_id id, uint64_t modseq, uint32_t uidnext, struct view **out,
                           struct err *err);
/* The current snapshot only if it is in memory, else NULL; no I/O. */
struct view *view_peek(struct account *a, mailbox_id id);
/* The same three as another account sees the mailbox whose id this is, with its own \Seen; 0: the owner. */
enum status view_get_for(struct account *a, uint64_t reader, mailbox_id id, struct view **out, struct err *err);
enum status view_get_as_of_for(struct account *a, uint64_t reader, mailbox_id id, uint64_t modseq, uint32_t uidnext,
                               struct view **out, struct err *err);
struct view *view_peek_for(struct account *a, uint64_t reader, mailbox_id id);
struct view *view_ref(struct view *v);
void view_free(struct view **v);
AUTO_DEFINE(view)

uint32_t view_count(const struct view *v);
uint32_t view_uidnext(const struct view *v);
uint64_t view_modseq(const struct view *v);
/* seq from 1 to view_count(). Valid as long as the reference. */
const struct view_message *view_message(const struct view *v, uint32_t seq);
uint32_t view_seq_of(const struct view *v, uint32_t uid);          /* 0: not there */
uint32_t view_seq_at_or_after(const struct view *v, uint32_t uid); /* count + 1: none */
uint32_t view_last_uid(const struct view *v);                      /* 0: empty */
uint32_t view_first_unseen(const struct view *v);                  /* seq, 0: none */

/* The first seq at or after `seq` whose modseq is greater than this; count + 1: none. Chunks without one cost a
 * comparison. */
uint32_t view_seq_changed(const struct view *v, uint32_t seq, uint64_t modseq);

struct view_diff {
    struct seqset *expunged_uids; /* in `from`, not in `to` */
    struct seqset *expunged_seqs; /* the same as sequence numbers of `from` */
    struct seqset *changed_uids;  /* in both, with another modseq */
    struct seqset *added_uids;    /* only in `to` */
};
/* O(changed chunks). In the arena. */
void view_diff(struct arena *a, const struct view *from, const struct view *to, struct view_diff *out);

/* The uids of those messages of v whose sequence numbers (or uids, if is_uid) are in `set`, as a seqset of uids that
 * exist. */
struct seqset *view_resolve(struct arena *a, const struct view *v, const struct seqset *set, bool is_uid);
