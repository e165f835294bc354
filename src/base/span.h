/*
 * span.h - bytes that somebody else owns: a pointer and a length, never NUL-terminated, never modified.
 *
 * All parsing works on spans. A span is valid as long as the memory it points into; functions that keep a
 * span beyond their return say so. Pure; any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p; /* may be NULL only where len is 0 */
    size_t len;
};

/* The literal's bytes without its NUL; usable in static initialisers as SPAN_INIT. */
#define SPAN(literal)                                                                                                  \
    (struct span) { "" literal, sizeof(literal) - 1 }
#define SPAN_INIT(literal)                                                                                             \
    {                                                                                                                  \
        "" literal, sizeof(literal) - 1                                                                                \
    }
#define SPAN_NONE                                                                                                      \
    (struct span) { NULL, 0 }

/* For "%.*s": printf("%.*s", SPAN_ARG(s)). Lengths over INT_MAX are cut. */
#define SPAN_ARG(s) (int)((s).len > 0x7fffffff ? 0x7fffffff : (s).len), ((s).p ? (s).p : "")

static inline struct span span_of(const void *p, size_t len)
{
    return (struct span){p, len};
}
static inline struct span span_cstr(const char *z)
{
    return (struct span){z, z ? strlen(z) : 0};
}

bool span_eq(struct span a, struct span b);
/* ASCII case-insensitive (A-Z only), as protocol keywords compare. */
bool span_ieq(struct span a, struct span b);
int span_cmp(struct span a, struct span b);
bool span_starts(struct span s, struct span prefix);
bool span_istarts(struct span s, struct span prefix);
bool span_ends(struct span s, struct span suffix);

/* s without its first/last n bytes; n beyond the length gives an empty span. */
struct span span_skip(struct span s, size_t n);
struct span span_take(struct span s, size_t n);
/* From offset `from` up to (not including) `to`; both clamped. */
struct span span_slice(struct span s, size_t from, size_t to);

/* Without leading and trailing SP, HT, CR, LF. */
struct span span_trim(struct span s);

/* Index of the first byte c / the first occurrence of needle at or after `from`; SPAN_NPOS where there is none. */
#define SPAN_NPOS ((size_t)-1)
size_t span_find_byte(struct span s, char c, size_t from);
size_t span_rfind_byte(struct span s, char c);
size_t span_find(struct span s, struct span needle, size_t from);

/* Cuts *s at the first c: the part before goes to *head, *s becomes what follows c. False (and *head = all, *s = empty)
 * where c does not occur. */
bool span_cut(struct span *s, char c, struct span *head);

/* Decimal digits only, at least one, whole span, no sign; false on overflow of max or anything else. */
bool span_to_u64(struct span s, uint64_t max, uint64_t *out);

/* ASCII helpers that do not know locales. */
static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool ascii_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline char ascii_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}
static inline char ascii_upper(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
}
