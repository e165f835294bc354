/* rate.c - see rate.h. */
#include "policy/rate.h"
#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/banned.h"

/* A cache line: a set is looked through for every message. */
struct entry {
    uint64_t key;                /* 0: free */
    uint32_t newest;             /* the step that counts[newest % RATE_STEPS] belongs to */
    uint32_t counts[RATE_STEPS]; /* of the steps up to it */
};
_Static_assert(sizeof(struct entry) == 64, "an entry is one cache line");

struct rate {
    pthread_mutex_t lock; /* held for some comparisons */
    struct entry *entries;
};
enum { SETS = RATE_KEYS_MAX / RATE_WAYS };

struct rate *rate_new(void)
{
    struct rate *r = mem_alloc(sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    r->entries = mem_alloc(RATE_KEYS_MAX * sizeof *r->entries); /* of zeros: pages that are not used take no memory */
    return r;
}

void rate_free(struct rate **rp)
{
    struct rate *r = *rp;
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r->entries);
    free(r);
    *rp = NULL;
}

static uint64_t key_of(unsigned kind, struct span key)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_addf(&text, "%u ", kind);
    strbuf_add(&text, key);
    uint64_t hash = hash_bytes(strbuf_span(&text));
    return hash ? hash : 1;
}

/* The steps since the entry was last used had nothing. */
static void move_to(struct entry *e, uint32_t now)
{
    uint32_t passed = now - e->newest;
    for (uint32_t i = 1; i <= passed && i <= RATE_STEPS; i++)
        e->counts[(e->newest + i) % RATE_STEPS] = 0;
    e->newest = now;
}

static uint64_t total(const struct entry *e)
{
    uint64_t n = 0;
    for (int i = 0; i < RATE_STEPS; i++)
        n += e->counts[i];
    return n;
}

/* The key's entry, or the one that it may take over. */
static struct entry *find(struct rate *r, uint64_t key, uint32_t now)
{
    struct entry *set = &r->entries[key % SETS * RATE_WAYS], *least = &set[0];
    uint64_t least_total = UINT64_MAX;
    for (int i = 0; i < RATE_WAYS; i++) {
        struct entry *e = &set[i];
        move_to(e, now);
        if (e->key == key)
            return e;
        uint64_t n = e->key ? total(e) : 0;
        if (n < least_total) {
            least_total = n;
            least = e;
        }
    }
    *least = (struct entry){.key = key, .newest = now};
    return least;
}

bool rate_take(struct rate *r, unsigned kind, struct span key, uint32_t max)
{
    if (max == 0)
        return true;
    uint64_t hash = key_of(kind, key);
    uint32_t now = (uint32_t)(clock_mono_ms() / 1000 / RATE_STEP_SECONDS);
    pthread_mutex_lock(&r->lock);
    struct entry *e = find(r, hash, now);
    bool may = total(e) < max;
    if (may)
        e->counts[now % RATE_STEPS]++;
    pthread_mutex_unlock(&r->lock);
    return may;
}
