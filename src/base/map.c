/*
 * map.c - open addressing with linear probing; deletion moves the following run back, so there are no tombstones.
 * The hash is SipHash-1-3 (Aumasson and Bernstein 2012) with a random key, so that a stranger cannot choose colliding
 * keys.
 */
#include "base/map.h"
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include "base/mem.h"
#include "base/banned.h"

struct entry {
    uint64_t hash;
    char *key; /* NULL: free slot */
    size_t key_len;
    void *value;
};

struct map {
    struct entry *slots;
    size_t cap; /* power of two */
    size_t count;
};

static uint64_t hash_key[2];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void hash_seed(void)
{
    if (getrandom(hash_key, sizeof hash_key, 0) != (ssize_t)sizeof hash_key)
        panic("getrandom failed");
}

static uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

uint64_t hash_bytes(struct span s)
{
    pthread_once(&hash_once, hash_seed);
    uint64_t v[4] = {
        hash_key[0] ^ 0x736f6d6570736575ULL,
        hash_key[1] ^ 0x646f72616e646f6dULL,
        hash_key[0] ^ 0x6c7967656e657261ULL,
        hash_key[1] ^ 0x7465646279746573ULL,
    };
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t m;
        memcpy(&m, s.p + i, 8);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    uint64_t last = (uint64_t)(s.len & 0xff) << 56;
    for (size_t j = 0; i + j < s.len; j++)
        last |= (uint64_t)(unsigned char)s.p[i + j] << (8 * j);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int r = 0; r < 3; r++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(void)
{
    struct map *m = mem_alloc(sizeof *m);
    m->cap = 8;
    m->slots = mem_array(m->cap, sizeof *m->slots);
    return m;
}

void map_free(struct map **mp)
{
    struct map *m = *mp;
    if (!m)
        return;
    for (size_t i = 0; i < m->cap; i++)
        free(m->slots[i].key);
    free(m->slots);
    free(m);
    *mp = NULL;
}

size_t map_count(const struct map *m)
{
    return m->count;
}

/* The slot that holds key, or the free slot where it would go. */
static size_t locate(const struct map *m, struct span key, uint64_t hash)
{
    size_t i = (size_t)hash & (m->cap - 1);
    while (m->slots[i].key) {
        const struct entry *e = &m->slots[i];
        if (e->hash == hash && span_eq(span_of(e->key, e->key_len), key))
            break;
        i = (i + 1) & (m->cap - 1);
    }
    return i;
}

static void grow(struct map *m)
{
    struct entry *old = m->slots;
    size_t old_cap = m->cap;
    m->cap *= 2;
    m->slots = mem_array(m->cap, sizeof *m->slots);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].key)
            m->slots[locate(m, span_of(old[i].key, old[i].key_len), old[i].hash)] = old[i];
    free(old);
}

void *map_get(const struct map *m, struct span key)
{
    return m->slots[locate(m, key, hash_bytes(key))].value;
}

void *map_put(struct map *m, struct span key, void *value)
{
    if (m->count * 4 >= m->cap * 3)
        grow(m);
    uint64_t hash = hash_bytes(key);
    struct entry *e = &m->slots[locate(m, key, hash)];
    void *old = e->value;
    if (!e->key) {
        *e = (struct entry){hash, mem_cstr(key.p, key.len), key.len, NULL};
        m->count++;
    }
    e->value = value;
    return old;
}

void *map_remove(struct map *m, struct span key)
{
    size_t mask = m->cap - 1;
    size_t hole = locate(m, key, hash_bytes(key));
    if (!m->slots[hole].key)
        return NULL;
    void *value = m->slots[hole].value;
    free(m->slots[hole].key);
    for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
        size_t home = (size_t)m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) { /* the entry may move back to the hole */
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct entry){0};
    m->count--;
    return value;
}

bool map_next(const struct map *m, size_t *at, struct span *key, void **value)
{
    for (; *at < m->cap; (*at)++) {
        const struct entry *e = &m->slots[*at];
        if (e->key) {
            *key = span_of(e->key, e->key_len);
            *value = e->value;
            (*at)++;
            return true;
        }
    }
    return false;
}
