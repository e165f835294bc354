/* mem.c - see mem.h. */
#include "base/mem.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/banned.h"

_Noreturn void panic(const char *what)
{
    static const char head[] = "panic: ";
    (void)!write(STDERR_FILENO, head, sizeof head - 1);
    (void)!write(STDERR_FILENO, what, strlen(what));
    (void)!write(STDERR_FILENO, "\n", 1);
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (!p)
        panic("out of memory");
    return p;
}

void *mem_resize(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);
    if (!q)
        panic("out of memory");
    return q;
}

void *mem_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        panic("array size overflows");
    return mem_alloc(count * size);
}

void *mem_copy(const void *p, size_t len)
{
    void *q = malloc(len ? len : 1);
    if (!q)
        panic("out of memory");
    if (len)
        memcpy(q, p, len);
    return q;
}

char *mem_cstr(const char *p, size_t len)
{
    char *z = malloc(len + 1);
    if (!z)
        panic("out of memory");
    if (len)
        memcpy(z, p, len);
    z[len] = '\0';
    return z;
}

void mem_wipe(void *p, size_t len)
{
    explicit_bzero(p, len);
}
