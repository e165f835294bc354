/* span.c - see span.h. Nothing here allocates. */
#include "base/span.h"
#include "base/banned.h"

bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool span_ieq(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

int span_cmp(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c != 0)
        return c;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_eq(span_take(s, prefix.len), prefix);
}

bool span_istarts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_ieq(span_take(s, prefix.len), prefix);
}

bool span_ends(struct span s, struct span suffix)
{
    return s.len >= suffix.len && span_eq(span_skip(s, s.len - suffix.len), suffix);
}

struct span span_skip(struct span s, size_t n)
{
    if (n >= s.len)
        return (struct span){s.p ? s.p + s.len : NULL, 0};
    return (struct span){s.p + n, s.len - n};
}

struct span span_take(struct span s, size_t n)
{
    return (struct span){s.p, n < s.len ? n : s.len};
}

struct span span_slice(struct span s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (struct span){s.p ? s.p + from : NULL, to - from};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
    while (s.len && is_blank(s.p[0]))
        s = span_skip(s, 1);
    while (s.len && is_blank(s.p[s.len - 1]))
        s.len--;
    return s;
}

size_t span_find_byte(struct span s, char c, size_t from)
{
    if (from >= s.len)
        return SPAN_NPOS;
    const char *hit = memchr(s.p + from, c, s.len - from);
    return hit ? (size_t)(hit - s.p) : SPAN_NPOS;
}

size_t span_rfind_byte(struct span s, char c)
{
    for (size_t i = s.len; i > 0; i--)
        if (s.p[i - 1] == c)
            return i - 1;
    return SPAN_NPOS;
}

size_t span_find(struct span s, struct span needle, size_t from)
{
    if (from > s.len || s.len - from < needle.len)
        return SPAN_NPOS;
    if (needle.len == 0)
        return from;
    const char *hit = memmem(s.p + from, s.len - from, needle.p, needle.len);
    return hit ? (size_t)(hit - s.p) : SPAN_NPOS;
}

bool span_cut(struct span *s, char c, struct span *head)
{
    size_t at = span_find_byte(*s, c, 0);
    if (at == SPAN_NPOS) {
        *head = *s;
        *s = span_skip(*s, s->len);
        return false;
    }
    *head = span_take(*s, at);
    *s = span_skip(*s, at + 1);
    return true;
}

bool span_to_u64(struct span s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
        uint64_t d = (uint64_t)(s.p[i] - '0');
        if (v > (max - d) / 10 || d > max)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}
