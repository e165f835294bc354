/*
 * map.h - bytes to pointer, a hash map. Keys are copied; values are the caller's. Hash is seeded per process
 * (strangers choose keys). Not thread-safe: the owner locks.
 */
#pragma once
#include "base/span.h"

struct map;

struct map *map_new(void);
void map_free(struct map **m); /* values are not freed */
size_t map_count(const struct map *m);
void *map_get(const struct map *m, struct span key);               /* NULL: none */
void *map_put(struct map *m, struct span key, void *value);        /* returns the value it replaced, or NULL; value != NULL */
void *map_remove(struct map *m, struct span key);                  /* returns the value, or NULL */

/* Walks all entries in no order: for (size_t at = 0; map_next(m, &at, &key, &value);). No changes meanwhile. */
bool map_next(const struct map *m, size_t *at, struct span *key, void **value);

/* The hash used, seeded by random bytes at first use. */
uint64_t hash_bytes(struct span s);
