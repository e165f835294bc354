/* strbuf.c - see strbuf.h. */
#include "base/strbuf.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/banned.h"

void strbuf_free(struct strbuf *b)
{
    free(b->p);
    *b = (struct strbuf)STRBUF_INIT;
}

void strbuf_clear(struct strbuf *b)
{
    b->len = 0;
    if (b->p)
        b->p[0] = '\0';
}

void strbuf_reserve(struct strbuf *b, size_t more)
{
    if (more >= SIZE_MAX / 2 - b->len)
        panic("strbuf too large");
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    b->p = mem_resize(b->p, cap);
    b->cap = cap;
}

char *strbuf_extend(struct strbuf *b, size_t n)
{
    strbuf_reserve(b, n);
    char *at = b->p + b->len;
    b->len += n;
    b->p[b->len] = '\0';
    return at;
}

void strbuf_add_bytes(struct strbuf *b, const void *p, size_t n)
{
    if (n)
        memcpy(strbuf_extend(b, n), p, n);
}

void strbuf_add(struct strbuf *b, struct span s)
{
    strbuf_add_bytes(b, s.p, s.len);
}

void strbuf_add_cstr(struct strbuf *b, const char *z)
{
    strbuf_add_bytes(b, z, strlen(z));
}

void strbuf_add_char(struct strbuf *b, char c)
{
    *strbuf_extend(b, 1) = c;
}

void strbuf_add_u64(struct strbuf *b, uint64_t v)
{
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    strbuf_add_bytes(b, digits + n, sizeof digits - n);
}

void strbuf_vaddf(struct strbuf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    char small[256];
    int n = vsnprintf(small, sizeof small, fmt, ap);
    if (n < 0)
        panic("bad format");
    if ((size_t)n < sizeof small) {
        strbuf_add_bytes(b, small, (size_t)n);
    } else {
        strbuf_reserve(b, (size_t)n);
        (void)vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(b, fmt, ap);
    va_end(ap);
}

void strbuf_truncate(struct strbuf *b, size_t len)
{
    if (len > b->len)
        panic("strbuf_truncate beyond the end");
    b->len = len;
    if (b->p)
        b->p[len] = '\0';
}

void strbuf_consume(struct strbuf *b, size_t n)
{
    if (n > b->len)
        panic("strbuf_consume beyond the end");
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->len - n);
    strbuf_truncate(b, b->len - n);
}
