/* login_guard.c - see login_guard.h. A bucket is one number: the time at which it will be full again. */
#include "auth/login_guard.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "sys/config.h"
#include "base/banned.h"

enum { FAILURE_MS = GUARD_REFILL_SECONDS * 1000, IPV6_NETWORK_BYTES = 8 };

struct login_guard {
    pthread_mutex_t lock;
    struct map *full_at; /* network -> int64_t */
    struct map *known;   /* network and account -> int64_t, until when */
};

struct login_guard *login_guard_new(void)
{
    struct login_guard *g = mem_alloc(sizeof *g);
    pthread_mutex_init(&g->lock, NULL);
    g->full_at = map_new();
    g->known = map_new();
    return g;
}

static void forget_all(struct map **m)
{
    size_t at = 0;
    struct span key;
    void *value;
    while (map_next(*m, &at, &key, &value))
        free(value);
    map_free(m);
}

void login_guard_free(struct login_guard **g)
{
    if (!*g)
        return;
    forget_all(&(*g)->full_at);
    forget_all(&(*g)->known);
    pthread_mutex_destroy(&(*g)->lock);
    free(*g);
    *g = NULL;
}

struct network {
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    struct span key; /* into one of them; empty: not counted */
};

static void network_of(struct span address, struct network *n)
{
    n->key = SPAN_NONE;
    if (address.len == 0 || address.len >= sizeof n->text)
        return;
    memcpy(n->text, address.p, address.len);
    n->text[address.len] = '\0';
    if (address_is_loopback(n->text))
        return;
    if (inet_pton(AF_INET6, n->text, n->bytes) == 1)
        n->key = span_of(n->bytes, IPV6_NETWORK_BYTES);
    else if (inet_pton(AF_INET, n->text, n->bytes) == 1)
        n->key = span_of(n->bytes, 4);
}

bool login_guard_allows(struct login_guard *g, struct span address)
{
    struct network n;
    network_of(address, &n);
    if (n.key.len == 0)
        return true;
    pthread_mutex_lock(&g->lock);
    const int64_t *full_at = map_get(g->full_at, n.key);
    bool allows = !full_at || *full_at - clock_mono_ms() <= (int64_t)FAILURE_MS * (GUARD_BURST - 1);
    pthread_mutex_unlock(&g->lock);
    return allows;
}

/* Makes room by dropping buckets that are full again, and half of the others where strangers hold every place. */
static void make_room(struct login_guard *g, int64_t now)
{
    if (map_count(g->full_at) < GUARD_ADDRESSES_MAX)
        return;
    struct map *kept = map_new();
    size_t at = 0;
    struct span key;
    void *value;
    while (map_next(g->full_at, &at, &key, &value))
        if (*(int64_t *)value > now && map_count(kept) < GUARD_ADDRESSES_MAX / 2)
            map_put(kept, key, value);
        else
            free(value);
    map_free(&g->full_at);
    g->full_at = kept;
}

void login_guard_failed(struct login_guard *g, struct span address)
{
    struct network n;
    network_of(address, &n);
    if (n.key.len == 0)
        return;
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&g->lock);
    int64_t *full_at = map_get(g->full_at, n.key);
    if (!full_at) {
        make_room(g, now);
        full_at = mem_alloc(sizeof *full_at);
        map_put(g->full_at, n.key, full_at);
    }
    *full_at = (*full_at > now ? *full_at : now) + FAILURE_MS;
    pthread_mutex_unlock(&g->lock);
}

/* Where the address is not counted there is nothing to know: false. */
static bool known_key(struct span address, struct span account, struct strbuf *key)
{
    struct network n;
    network_of(address, &n);
    strbuf_add(key, n.key);
    strbuf_add(key, account);
    return n.key.len > 0;
}

void login_guard_succeeded(struct login_guard *g, struct span address, struct span account)
{
    AUTO_STRBUF key = STRBUF_INIT;
    if (!known_key(address, account, &key))
        return;
    int64_t *until = mem_alloc(sizeof *until);
    *until = clock_mono_ms() + GUARD_KNOWN_SECONDS * 1000;
    pthread_mutex_lock(&g->lock);
    if (map_count(g->known) >= GUARD_ADDRESSES_MAX) {
        forget_all(&g->known);
        g->known = map_new();
    }
    free(map_put(g->known, strbuf_span(&key), until));
    pthread_mutex_unlock(&g->lock);
}

bool login_guard_knows(struct login_guard *g, struct span address, struct span account)
{
    AUTO_STRBUF key = STRBUF_INIT;
    if (!known_key(address, account, &key))
        return false;
    pthread_mutex_lock(&g->lock);
    const int64_t *until = map_get(g->known, strbuf_span(&key));
    bool knows = until && *until > clock_mono_ms();
    pthread_mutex_unlock(&g->lock);
    return knows;
}
