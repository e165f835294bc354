/*
 * body.c - see body.h.
 *
 * Both forms hold BODY_PREFIX_MAX unused octets, then the body: base[0 .. PREFIX_MAX) is the room for a prefix, the
 * body starts at base + BODY_PREFIX_MAX. A mapping grows by doubling with mremap(2), which moves page tables, not
 * pages; what was reserved and not written costs nothing. It is given back to the system at the end, whatever malloc
 * would keep.
 */
#include "sys/body.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/banned.h"

enum {
    FIRST_BYTES = 4096,
    LARGE_SHARE = 4,               /* large bodies of a role together: this part of the machine's memory */
    LARGE_TOTAL_LEAST = 256 << 20, /* but no less */
};

/* Octets in all mappings. Strangers decide how many there are, so they have a limit together; small bodies do not count, and
 * so mail goes on while somebody fills it up. */
static _Atomic uint64_t large_total;
static _Atomic uint64_t large_total_max; /* 0: not known yet */

struct body {
    uint64_t limit, size;
    char *base;     /* NULL before the first append */
    size_t bytes;   /* there are at base, the prefix's room included */
    bool is_mapped; /* else on the heap */
    uint64_t counted; /* octets of it in large_total */
};

void body_set_large_total_max(uint64_t octets)
{
    atomic_store(&large_total_max, octets);
}

static uint64_t total_max(void)
{
    uint64_t max = atomic_load(&large_total_max);
    if (max)
        return max;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    max = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / LARGE_SHARE : 0;
    if (max < LARGE_TOTAL_LEAST)
        max = LARGE_TOTAL_LEAST;
    atomic_store(&large_total_max, max);
    return max;
}

/* A body that will have `size` octets. One that is alone may always grow: its own limit holds. */
static enum status count_large(struct body *b, uint64_t size, struct err *err)
{
    if (size <= BODY_HEAP_MAX || size <= b->counted)
        return ST_OK;
    uint64_t more = size - b->counted, total = atomic_fetch_add(&large_total, more) + more;
    if (total > total_max() && total > size) {
        atomic_fetch_sub(&large_total, more);
        return err_set(err, ST_TEMPORARY, "too many large messages at once, try again later");
    }
    b->counted = size;
    return ST_OK;
}

struct body *body_new(uint64_t limit)
{
    struct body *b = mem_alloc(sizeof *b);
    b->limit = limit;
    return b;
}

void body_free(struct body **bp)
{
    struct body *b = *bp;
    *bp = NULL;
    if (!b)
        return;
    atomic_fetch_sub(&large_total, b->counted);
    if (b->is_mapped)
        munmap(b->base, b->bytes);
    else
        free(b->base);
    free(b);
}

uint64_t body_size(const struct body *b)
{
    return b->size;
}

/* The one time that octets already here are copied: at most BODY_HEAP_MAX of them. */
static enum status move_to_mapping(struct body *b, size_t bytes, struct err *err)
{
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return err_errno(err, "mapping %zu octets for a message", bytes);
    if (b->size)
        memcpy(map + BODY_PREFIX_MAX, b->base + BODY_PREFIX_MAX, (size_t)b->size);
    free(b->base);
    b->base = map;
    b->bytes = bytes;
    b->is_mapped = true;
    return ST_OK;
}

static enum status grow_mapping(struct body *b, size_t bytes, struct err *err)
{
    char *map = mremap(b->base, b->bytes, bytes, MREMAP_MAYMOVE);
    if (map == MAP_FAILED)
        return err_errno(err, "mapping %zu octets for a message", bytes);
    b->base = map;
    b->bytes = bytes;
    return ST_OK;
}

static enum status reserve(struct body *b, uint64_t size, struct err *err)
{
    if (size > SIZE_MAX / 4)
        return err_set(err, ST_LIMIT, "message is too large");
    size_t need = BODY_PREFIX_MAX + (size_t)size;
    if (need <= b->bytes)
        return ST_OK;
    size_t bytes = b->bytes ? b->bytes : BODY_PREFIX_MAX + FIRST_BYTES;
    while (bytes < need)
        bytes *= 2;
    if (b->is_mapped)
        return grow_mapping(b, bytes, err);
    if (size > BODY_HEAP_MAX)
        return move_to_mapping(b, bytes, err);
    b->base = mem_resize(b->base, bytes);
    b->bytes = bytes;
    return ST_OK;
}

enum status body_append(struct body *b, struct span bytes, struct err *err)
{
    if (bytes.len > b->limit - b->size)
        return err_set(err, ST_LIMIT, "message is larger than %llu octets", (unsigned long long)b->limit);
    if (bytes.len == 0)
        return ST_OK;
    TRY(count_large(b, b->size + bytes.len, err));
    TRY(reserve(b, b->size + bytes.len, err));
    memcpy(b->base + BODY_PREFIX_MAX + b->size, bytes.p, bytes.len);
    b->size += bytes.len;
    return ST_OK;
}

enum status body_span(struct body *b, struct span *out, struct err *err)
{
    TRY(reserve(b, b->size, err));
    *out = span_of(b->base + BODY_PREFIX_MAX, (size_t)b->size);
    return ST_OK;
}

enum status body_prefix(struct body *b, struct span prefix, struct span *out, struct err *err)
{
    if (prefix.len > BODY_PREFIX_MAX)
        return err_set(err, ST_LIMIT, "trace header is larger than %d octets", BODY_PREFIX_MAX);
    TRY(reserve(b, b->size, err));
    char *at = b->base + BODY_PREFIX_MAX - prefix.len;
    if (prefix.len)
        memcpy(at, prefix.p, prefix.len);
    *out = span_of(at, prefix.len + (size_t)b->size);
    return ST_OK;
}
