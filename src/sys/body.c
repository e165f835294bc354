/*
 * body.c - see body.h.
 *
 * Both forms hold BODY_PREFIX_MAX unused octets, then the body: base[0 .. PREFIX_MAX) is the room for a prefix, the body
 * starts at base + BODY_PREFIX_MAX. The memfd is mapped privately and writable, so writing a prefix copies a page or two
 * and never the body. The mapping is dropped by the next append.
 */
#include "sys/body.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/banned.h"

enum { FIRST_BYTES = 4096 };

struct body {
    uint64_t limit, size;
    char *heap;        /* NULL before the first append and once the body is in the memfd */
    size_t heap_bytes; /* allocated, the prefix's room included */
    int fd;            /* the memfd, or -1 */
    char *map;
    size_t map_bytes;
};

struct body *body_new(uint64_t limit)
{
    struct body *b = mem_alloc(sizeof *b);
    b->limit = limit;
    b->fd = -1;
    return b;
}

static void unmap(struct body *b)
{
    if (b->map)
        munmap(b->map, b->map_bytes);
    b->map = NULL;
}

void body_free(struct body **bp)
{
    struct body *b = *bp;
    *bp = NULL;
    if (!b)
        return;
    unmap(b);
    free(b->heap);
    if (b->fd >= 0)
        close(b->fd);
    free(b);
}

uint64_t body_size(const struct body *b)
{
    return b->size;
}

static void heap_reserve(struct body *b, size_t size)
{
    size_t need = BODY_PREFIX_MAX + size;
    if (need <= b->heap_bytes)
        return;
    size_t bytes = b->heap_bytes ? b->heap_bytes : BODY_PREFIX_MAX + FIRST_BYTES;
    while (bytes < need)
        bytes *= 2;
    b->heap = mem_resize(b->heap, bytes);
    b->heap_bytes = bytes;
}

static enum status file_write(struct body *b, struct span bytes, struct err *err)
{
    uint64_t at = BODY_PREFIX_MAX + b->size;
    while (bytes.len) {
        ssize_t n = pwrite(b->fd, bytes.p, bytes.len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(err, "writing a message body to its memory file");
        at += (uint64_t)n;
        bytes = span_skip(bytes, (size_t)n);
    }
    return ST_OK;
}

/* The one time that bytes already here are copied: at most BODY_HEAP_MAX of them. */
static enum status move_to_file(struct body *b, struct err *err)
{
    b->fd = memfd_create("message", MFD_CLOEXEC);
    if (b->fd < 0)
        return err_errno(err, "memfd_create");
    struct span all = span_of(b->heap ? b->heap + BODY_PREFIX_MAX : NULL, (size_t)b->size);
    b->size = 0;
    TRY(file_write(b, all, err));
    b->size = all.len;
    free(b->heap);
    b->heap = NULL;
    b->heap_bytes = 0;
    return ST_OK;
}

enum status body_append(struct body *b, struct span bytes, struct err *err)
{
    if (bytes.len > b->limit - b->size)
        return err_set(err, ST_LIMIT, "message is larger than %llu octets", (unsigned long long)b->limit);
    if (bytes.len == 0)
        return ST_OK;
    if (b->fd < 0 && b->size + bytes.len > BODY_HEAP_MAX)
        TRY(move_to_file(b, err));
    if (b->fd >= 0) {
        unmap(b);
        TRY(file_write(b, bytes, err));
    } else {
        heap_reserve(b, (size_t)b->size + bytes.len);
        memcpy(b->heap + BODY_PREFIX_MAX + b->size, bytes.p, bytes.len);
    }
    b->size += bytes.len;
    return ST_OK;
}

/* *base: where the prefix's room begins. */
static enum status base_of(struct body *b, char **base, struct err *err)
{
    if (b->fd < 0) {
        heap_reserve(b, (size_t)b->size);
        *base = b->heap;
        return ST_OK;
    }
    if (!b->map) {
        size_t bytes = BODY_PREFIX_MAX + (size_t)b->size;
        char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, b->fd, 0);
        if (map == MAP_FAILED)
            return err_errno(err, "mapping a message body of %zu octets", bytes);
        b->map = map;
        b->map_bytes = bytes;
    }
    *base = b->map;
    return ST_OK;
}

enum status body_span(struct body *b, struct span *out, struct err *err)
{
    char *base;
    TRY(base_of(b, &base, err));
    *out = span_of(base + BODY_PREFIX_MAX, (size_t)b->size);
    return ST_OK;
}

enum status body_prefix(struct body *b, struct span prefix, struct span *out, struct err *err)
{
    if (prefix.len > BODY_PREFIX_MAX)
        return err_set(err, ST_LIMIT, "trace header is larger than %d octets", BODY_PREFIX_MAX);
    char *base;
    TRY(base_of(b, &base, err));
    char *at = base + BODY_PREFIX_MAX - prefix.len;
    if (prefix.len)
        memcpy(at, prefix.p, prefix.len);
    *out = span_of(at, prefix.len + (size_t)b->size);
    return ST_OK;
}
