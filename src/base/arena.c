/* arena.c - see arena.h. Blocks of 4 KB, larger pieces get a block of their own behind the newest. */
#include "base/arena.h"
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/banned.h"

enum { BLOCK_BYTES = 4096 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) char bytes[];
};

void arena_free(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena)ARENA_INIT;
}

static struct arena_block *block_new(size_t size)
{
    if (size > SIZE_MAX / 2)
        panic("arena piece too large");
    struct arena_block *b = malloc(sizeof *b + size);
    if (!b)
        panic("out of memory");
    b->size = size;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX / 2)
        panic("arena piece too large");
    size = (size + align - 1) & ~(align - 1);
    a->total += size;

    char *at;
    if (size > BLOCK_BYTES / 4) {
        struct arena_block *own = block_new(size);
        if (a->blocks) { /* behind the newest, which stays open for small pieces */
            own->next = a->blocks->next;
            a->blocks->next = own;
        } else {
            own->next = NULL;
            a->blocks = own;
            a->used = size;
        }
        at = own->bytes;
    } else {
        if (!a->blocks || a->blocks->size - a->used < size) {
            struct arena_block *b = block_new(BLOCK_BYTES);
            b->next = a->blocks;
            a->blocks = b;
            a->used = 0;
        }
        at = a->blocks->bytes + a->used;
        a->used += size;
    }
    memset(at, 0, size);
    return at;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        panic("array size overflows");
    return arena_alloc(a, count * size);
}

struct span arena_copy(struct arena *a, struct span s)
{
    char *p = arena_alloc(a, s.len);
    if (s.len)
        memcpy(p, s.p, s.len);
    return (struct span){p, s.len};
}

char *arena_cstr(struct arena *a, struct span s)
{
    char *p = arena_alloc(a, s.len + 1);
    if (s.len)
        memcpy(p, s.p, s.len);
    return p;
}

struct span arena_printf(struct arena *a, const char *fmt, ...)
{
    AUTO_STRBUF b = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&b, fmt, ap);
    va_end(ap);
    return arena_strbuf(a, &b);
}
