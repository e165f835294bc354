/*
 * mem.h - heap memory that never comes back NULL. Running out of memory ends the role; the master restarts it
 * (STYLE: no half-handled out-of-memory paths). Any thread.
 */
#pragma once
#include <stddef.h>

void *mem_alloc(size_t size);                        /* zeroed */
void *mem_resize(void *p, size_t size);              /* as realloc; new bytes are not zeroed */
void *mem_array(size_t count, size_t size);          /* zeroed; ends the role where count * size overflows */
void *mem_copy(const void *p, size_t len);           /* len 0 gives a valid pointer */
char *mem_cstr(const char *p, size_t len);           /* copy with a NUL added */
void mem_wipe(void *p, size_t len);                  /* for secrets; not optimised away */

/* Logs what and ends the process by abort(). */
_Noreturn void panic(const char *what);
