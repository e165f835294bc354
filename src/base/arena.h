/*
 * arena.h - the memory of one command: many small pieces, dropped whole.
 *
 * Owner: whoever called arena_init(); arena_free() gives everything back and leaves the arena usable. Pieces are
 * aligned for any type and never freed singly. One thread at a time.
 */
#pragma once
#include "base/span.h"
#include "base/strbuf.h"

struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t used;  /* in the newest block */
    size_t total; /* bytes handed out since init/free, for limits */
};
#define ARENA_INIT                                                                                                     \
    {                                                                                                                  \
        NULL, 0, 0                                                                                                     \
    }
#define AUTO_ARENA __attribute__((cleanup(arena_free))) struct arena

void arena_free(struct arena *a);
void *arena_alloc(struct arena *a, size_t size);               /* zeroed */
void *arena_array(struct arena *a, size_t count, size_t size); /* zeroed; ends the role on overflow */
struct span arena_copy(struct arena *a, struct span s);
char *arena_cstr(struct arena *a, struct span s);              /* copy with a NUL added */
struct span arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Copies the buffer's bytes into the arena. */
static inline struct span arena_strbuf(struct arena *a, const struct strbuf *b)
{
    return arena_copy(a, strbuf_span(b));
}
