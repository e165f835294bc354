/*
 * view_internal.h - how views are made and cached; for src/store only.
 *
 * A view is a list of chunks; a chunk is up to VIEW_CHUNK_MESSAGES messages in uid order and belongs to every view that
 * lists it (counted). Both are immutable once view_build_finish() has returned.
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "store/view.h"

enum { VIEW_CHUNK_MESSAGES = 256 };

struct view_chunk {
    _Atomic uint32_t refs;
    uint32_t count; /* >= 1 */
    uint32_t unseen;
    uint64_t modseq; /* the greatest of its messages */
    struct view_message messages[VIEW_CHUNK_MESSAGES];
};

struct view {
    _Atomic uint32_t refs;
    uint32_t uidnext;
    uint64_t modseq;
    uint32_t count;
    uint32_t chunk_count;
    struct view_chunk **chunks;
    uint32_t *starts; /* messages before chunk i */
};

/* The chunk that holds sequence number seq (1..count). */
uint32_t view_chunk_of_seq(const struct view *v, uint32_t seq);

/* Messages are given in uid order; whole chunks of another view may be shared between them. */
struct view_build {
    struct view_chunk **chunks;
    uint32_t chunk_count, chunk_cap;
    struct view_chunk *open; /* being filled, or NULL */
};
void view_build_add(struct view_build *b, const struct view_message *m);
void view_build_share(struct view_build *b, struct view_chunk *c);
struct view *view_build_finish(struct view_build *b, uint32_t uidnext, uint64_t modseq);
void view_build_drop(struct view_build *b);

/* Copies what `base` holds before uid `until` from position *seq on (chunks are shared where they fit whole). */
void view_build_copy(struct view_build *b, const struct view *base, uint32_t *seq, uint32_t until);

/* ---- cache: the current view of each mailbox that is in memory ------------------------------------------------- */

enum { VIEW_CACHE_MESSAGES = 1000000 }; /* kept of views that nobody uses, newest first: about 56 MB */

struct view_slot;
struct view_cache { /* one per store */
    pthread_mutex_t lock;
    pthread_cond_t loaded;
    struct view_slot *newest, *oldest;
    uint64_t messages;
    uint64_t messages_max;
};
struct view_set { /* one per account */
    struct view_slot *first;
};

void view_cache_init(struct view_cache *c);
void view_cache_destroy(struct view_cache *c);

/* The current view, a new reference, or NULL. */
struct view *view_cache_get(struct view_cache *c, struct view_set *set, mailbox_id mailbox);
/* As view_cache_get, but where there is none the caller becomes the one who loads it (returns NULL); others wait. */
struct view *view_cache_claim(struct view_cache *c, struct view_set *set, mailbox_id mailbox);
/* Ends a claim. False: a commit was published meanwhile, v is not the current view (and was not kept). v NULL: failed.
 */
bool view_cache_fill(struct view_cache *c, struct view_set *set, mailbox_id mailbox, struct view *v);
/* A commit changed the mailbox: `next` takes the place of `base`; where another view stands there it is dropped. next
 * may be NULL. Takes the reference to next. */
void view_cache_publish(struct view_cache *c, struct view_set *set, mailbox_id mailbox, const struct view *base,
                        struct view *next);
void view_cache_drop_set(struct view_cache *c, struct view_set *set);
