/*
 * view_cache.c - which mailboxes have their current view in memory.
 *
 * One lock for all accounts of the store, held for a few pointer moves. Views that sessions use stay; of the others the
 * most recently used stay up to a number of messages. A view is put into its slot either by who loaded it or by a
 * commit that made it from its predecessor. The two may race: the loader marks the slot, a commit that is published
 * while the mark stands makes it dirty, and a dirty load is not kept, because it may miss the commit.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "store/view_internal.h"
#include "base/banned.h"

enum { EVICT_LOOK_MAX = 64 }; /* slots looked at per eviction, so that many used views cannot make it slow */

struct view_slot {
    mailbox_id mailbox;
    struct view *view;
    bool is_loading;
    bool is_dirty; /* a commit was published while loading */
    uint32_t waiting;
    struct view_set *set;
    struct view_slot *next_in_set;
    struct view_slot *newer, *older; /* linked while view is set */
};

void view_cache_init(struct view_cache *c)
{
    *c = (struct view_cache){.messages_max = VIEW_CACHE_MESSAGES};
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->loaded, NULL);
}

void view_cache_destroy(struct view_cache *c)
{
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->loaded);
}

static struct view_slot *find(struct view_set *set, mailbox_id mailbox)
{
    struct view_slot *s = set->first;
    while (s && s->mailbox != mailbox)
        s = s->next_in_set;
    return s;
}

static void unlink_age(struct view_cache *c, struct view_slot *s)
{
    *(s->newer ? &s->newer->older : &c->newest) = s->older;
    *(s->older ? &s->older->newer : &c->oldest) = s->newer;
    s->newer = s->older = NULL;
}

static void link_newest(struct view_cache *c, struct view_slot *s)
{
    s->older = c->newest;
    /* The analyzer does not follow that a freed slot left this list in take_view().
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    *(c->newest ? &c->newest->newer : &c->oldest) = s;
    c->newest = s;
}

/* An empty view has a weight too, so that many small mailboxes are bounded as well. */
static uint64_t weight(const struct view *v)
{
    return (uint64_t)v->count + VIEW_CHUNK_MESSAGES;
}

/* Takes the slot's view out; the caller frees it after the lock. */
static struct view *take_view(struct view_cache *c, struct view_slot *s)
{
    struct view *v = s->view;
    if (v) {
        unlink_age(c, s);
        c->messages -= weight(v);
        s->view = NULL;
    }
    return v;
}

static void put_view(struct view_cache *c, struct view_slot *s, struct view *v)
{
    s->view = v;
    c->messages += weight(v);
    link_newest(c, s);
}

static void remove_if_idle(struct view_slot *s)
{
    if (s->view || s->is_loading || s->waiting)
        return;
    struct view_slot **at = &s->set->first;
    while (*at != s)
        at = &(*at)->next_in_set;
    *at = s->next_in_set;
    free(s);
}

/* Drops views that only the cache holds, oldest first. */
static void evict(struct view_cache *c)
{
    struct view_slot *s = c->oldest;
    for (int looked = 0; s && c->messages > c->messages_max && looked < EVICT_LOOK_MAX; looked++) {
        struct view_slot *newer = s->newer;
        if (atomic_load(&s->view->refs) == 1) {
            struct view *v = take_view(c, s);
            remove_if_idle(s);
            view_free(&v);
        } else { /* in use: to the other end, so that it is not looked at again and again */
            unlink_age(c, s);
            link_newest(c, s);
        }
        s = newer;
    }
}

static struct view *use(struct view_cache *c, struct view_slot *s)
{
    unlink_age(c, s);
    link_newest(c, s);
    return view_ref(s->view);
}

struct view *view_cache_get(struct view_cache *c, struct view_set *set, mailbox_id mailbox)
{
    pthread_mutex_lock(&c->lock);
    struct view_slot *s = find(set, mailbox);
    struct view *v = s && s->view ? use(c, s) : NULL;
    pthread_mutex_unlock(&c->lock);
    return v;
}

struct view *view_cache_claim(struct view_cache *c, struct view_set *set, mailbox_id mailbox)
{
    struct view *v = NULL;
    pthread_mutex_lock(&c->lock);
    struct view_slot *s = find(set, mailbox);
    if (!s) {
        s = mem_alloc(sizeof *s);
        s->mailbox = mailbox;
        s->set = set;
        s->next_in_set = set->first;
        set->first = s;
    }
    s->waiting++;
    while (s->is_loading)
        pthread_cond_wait(&c->loaded, &c->lock);
    s->waiting--;
    if (s->view) {
        v = use(c, s);
    } else {
        s->is_loading = true;
        s->is_dirty = false;
    }
    pthread_mutex_unlock(&c->lock);
    return v;
}

bool view_cache_fill(struct view_cache *c, struct view_set *set, mailbox_id mailbox, struct view *v)
{
    pthread_mutex_lock(&c->lock);
    struct view_slot *s = find(set, mailbox);
    bool is_current = v && !s->is_dirty;
    s->is_loading = false;
    if (is_current) {
        put_view(c, s, view_ref(v));
        evict(c);
    } else {
        remove_if_idle(s);
    }
    pthread_cond_broadcast(&c->loaded);
    pthread_mutex_unlock(&c->lock);
    return is_current;
}

void view_cache_publish(struct view_cache *c, struct view_set *set, mailbox_id mailbox, const struct view *base,
                        struct view *next)
{
    struct view *old = NULL;
    pthread_mutex_lock(&c->lock);
    struct view_slot *s = find(set, mailbox);
    if (s) {
        s->is_dirty = true;
        old = take_view(c, s);
        if (next && old == base) {
            put_view(c, s, next);
            next = NULL;
            evict(c);
        } else {
            remove_if_idle(s);
        }
    }
    pthread_mutex_unlock(&c->lock);
    view_free(&old);
    view_free(&next);
}

void view_cache_drop_set(struct view_cache *c, struct view_set *set)
{
    pthread_mutex_lock(&c->lock);
    while (set->first) {
        struct view_slot *s = set->first;
        struct view *v = take_view(c, s);
        set->first = s->next_in_set;
        free(s);
        view_free(&v);
    }
    pthread_mutex_unlock(&c->lock);
}
