/* limiter.c - see limiter.h. A map of counts behind one lock; a key that counts nothing takes no memory. */
#include "net/limiter.h"
#include <pthread.h>
#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"
#include "base/banned.h"

struct limiter {
    pthread_mutex_t lock;
    struct map *counts; /* key -> the count itself, as a pointer */
};

struct limiter *limiter_new(void)
{
    struct limiter *l = mem_alloc(sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    l->counts = map_new();
    return l;
}

void limiter_free(struct limiter **lp)
{
    struct limiter *l = *lp;
    if (!l)
        return;
    map_free(&l->counts);
    pthread_mutex_destroy(&l->lock);
    free(l);
    *lp = NULL;
}

bool limiter_enter(struct limiter *l, struct span key, uint32_t max)
{
    pthread_mutex_lock(&l->lock);
    uintptr_t count = (uintptr_t)map_get(l->counts, key);
    bool may_enter = max == 0 || count < max;
    if (may_enter)
        map_put(l->counts, key, (void *)(count + 1));
    pthread_mutex_unlock(&l->lock);
    return may_enter;
}

void limiter_leave(struct limiter *l, struct span key)
{
    pthread_mutex_lock(&l->lock);
    uintptr_t count = (uintptr_t)map_get(l->counts, key);
    if (count > 1)
        map_put(l->counts, key, (void *)(count - 1));
    else
        map_remove(l->counts, key);
    pthread_mutex_unlock(&l->lock);
}

uint32_t limiter_count(struct limiter *l, struct span key)
{
    pthread_mutex_lock(&l->lock);
    uintptr_t count = (uintptr_t)map_get(l->counts, key);
    pthread_mutex_unlock(&l->lock);
    return (uint32_t)count;
}
