/*
 * strbuf.h - bytes that we own: a growing buffer for output and for building texts.
 *
 * A strbuf starts as STRBUF_INIT (no memory) and is released by strbuf_free(), after which it is as new. `len` bytes
 * at `p` are valid; a NUL always follows them once anything was added (not counted). Growth doubles. One thread.
 */
#pragma once
#include <stdarg.h>
#include "base/span.h"

struct strbuf {
    char *p;
    size_t len;
    size_t cap;
};
#define STRBUF_INIT                                                                                                    \
    {                                                                                                                  \
        NULL, 0, 0                                                                                                     \
    }
#define AUTO_STRBUF __attribute__((cleanup(strbuf_free))) struct strbuf

void strbuf_free(struct strbuf *b);
void strbuf_clear(struct strbuf *b);                /* len = 0, memory kept */
void strbuf_reserve(struct strbuf *b, size_t more); /* room for `more` further bytes */
char *strbuf_extend(struct strbuf *b, size_t n);    /* adds n uninitialised bytes, returns where they start */
void strbuf_add(struct strbuf *b, struct span s);
void strbuf_add_bytes(struct strbuf *b, const void *p, size_t n);
void strbuf_add_cstr(struct strbuf *b, const char *z);
void strbuf_add_char(struct strbuf *b, char c);
void strbuf_add_u64(struct strbuf *b, uint64_t v);  /* decimal; much faster than addf */
void strbuf_addf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vaddf(struct strbuf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void strbuf_truncate(struct strbuf *b, size_t len); /* len <= b->len */
void strbuf_consume(struct strbuf *b, size_t n);    /* drops the first n bytes (memmove) */

static inline struct span strbuf_span(const struct strbuf *b)
{
    return (struct span){b->p, b->len};
}
/* A NUL-terminated view, "" when empty. Valid until the next change. */
static inline const char *strbuf_cstr(const struct strbuf *b)
{
    return b->p ? b->p : "";
}
