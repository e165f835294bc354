/*
 * utf8.c - see utf8.h. ASCII is passed over eight octets at a time.
 */
#include "text/utf8.h"
#include "text/charset.h"
#include "base/banned.h"

size_t ascii_length(struct span s)
{
    const uint64_t high_bits = 0x8080808080808080ULL;
    size_t i = 0;
    for (uint64_t eight; i + 8 <= s.len; i += 8) {
        memcpy(&eight, s.p + i, 8);
        if (eight & high_bits)
            break;
    }
    while (i < s.len && (unsigned char)s.p[i] < 0x80)
        i++;
    return i;
}

size_t utf8_sequence_length(struct span s, size_t *bad)
{
    unsigned char lead = (unsigned char)s.p[0], low = 0x80, high = 0xbf;
    *bad = 1;
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    size_t len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead == 0xe0)
        low = 0xa0; /* shorter forms */
    else if (lead == 0xed)
        high = 0x9f; /* surrogates */
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    for (size_t i = 1; i < len; i++) {
        unsigned char c = i < s.len ? (unsigned char)s.p[i] : 0;
        if (c < low || c > high) {
            *bad = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return len;
}

size_t utf8_valid_length(struct span s, size_t *bad)
{
    size_t i = 0;
    while (i < s.len) {
        i += ascii_length(span_skip(s, i));
        if (i == s.len)
            break;
        size_t n = utf8_sequence_length(span_skip(s, i), bad);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

bool utf8_is_valid(struct span s)
{
    size_t bad;
    return utf8_valid_length(s, &bad) == s.len;
}
