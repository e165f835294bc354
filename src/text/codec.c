/*
 * codec.c - see codec.h. Both decoders of bodies make one pass and never write more than they read, so the output
 * is reserved once.
 */
#include "text/codec.h"
#include "text/lexical.h"
#include "base/banned.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Value of a base64 digit plus one; 0: not of the alphabet. */
static const uint8_t digit_plus_one[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static unsigned digit_at(const char *p)
{
    return digit_plus_one[(unsigned char)*p];
}

void base64_encode(struct span in, struct strbuf *out)
{
    char *to = strbuf_extend(out, (in.len + 2) / 3 * 4);
    size_t i = 0;
    for (; i + 3 <= in.len; i += 3) {
        uint32_t v = (uint32_t)(unsigned char)in.p[i] << 16 | (uint32_t)(unsigned char)in.p[i + 1] << 8 |
                     (unsigned char)in.p[i + 2];
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = alphabet[v >> 6 & 63];
        *to++ = alphabet[v & 63];
    }
    if (i == in.len)
        return;
    bool has_two = in.len - i == 2;
    uint32_t v = (uint32_t)(unsigned char)in.p[i] << 16;
    if (has_two)
        v |= (uint32_t)(unsigned char)in.p[i + 1] << 8;
    *to++ = alphabet[v >> 18];
    *to++ = alphabet[v >> 12 & 63];
    to[0] = to[1] = '=';
    if (has_two)
        to[0] = alphabet[v >> 6 & 63];
}

bool base64_decode_strict(struct span in, struct strbuf *out)
{
    if (in.len % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < in.len && in.p[in.len - 1 - padding] == '=')
        padding++;
    size_t before = out->len, digits = in.len - padding;
    strbuf_reserve(out, in.len / 4 * 3);
    uint32_t v = 0;
    for (size_t i = 0; i < digits; i++) {
        unsigned d = digit_at(in.p + i);
        if (d == 0) {
            strbuf_truncate(out, before);
            return false;
        }
        v = v << 6 | (d - 1);
        if (i % 4 == 3) {
            char three[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
            strbuf_add_bytes(out, three, 3);
            v = 0;
        }
    }
    /* RFC 4648 §3.5: the unused bits are zero; anything else is not what an encoder writes. */
    if ((padding == 1 && (v & 3) != 0) || (padding == 2 && (v & 15) != 0)) {
        strbuf_truncate(out, before);
        return false;
    }
    if (padding == 1) {
        char two[2] = {(char)(v >> 10), (char)(v >> 2)};
        strbuf_add_bytes(out, two, 2);
    } else if (padding == 2) {
        strbuf_add_char(out, (char)(v >> 4));
    }
    return true;
}

void base64_decode_body(struct span in, struct strbuf *out)
{
    if (in.len == 0)
        return;
    strbuf_reserve(out, in.len / 4 * 3 + 3);
    char *to = out->p + out->len;
    uint32_t v = 0;
    unsigned have = 0; /* digits in v */
    for (size_t i = 0; i < in.len;) {
        if (have == 0 && in.len - i >= 4) {
            unsigned a = digit_at(in.p + i), b = digit_at(in.p + i + 1), c = digit_at(in.p + i + 2),
                     d = digit_at(in.p + i + 3);
            if (a && b && c && d) {
                v = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
                *to++ = (char)(v >> 16);
                *to++ = (char)(v >> 8);
                *to++ = (char)v;
                v = 0;
                i += 4;
                continue;
            }
        }
        char c = in.p[i++];
        unsigned d = digit_at(&c);
        if (d) {
            v = v << 6 | (d - 1);
            if (++have == 4) {
                *to++ = (char)(v >> 16);
                *to++ = (char)(v >> 8);
                *to++ = (char)v;
                v = have = 0;
            }
        } else if (c == '=' && have >= 2) {
            break; /* RFC 2045 §6.8: the end of the data */
        }
    }
    if (have >= 2)
        *to++ = (char)(have == 2 ? v >> 4 : v >> 10);
    if (have == 3)
        *to++ = (char)(v >> 2);
    out->len = (size_t)(to - out->p);
    *to = '\0';
}

/* One line without its end and without trailing white space. True: it ended in a soft line break. */
static bool qp_decode_line(struct span line, struct strbuf *out)
{
    bool is_soft = line.len && line.p[line.len - 1] == '=';
    if (is_soft)
        line.len--;
    while (line.len) {
        size_t at = span_find_byte(line, '=', 0);
        if (at == SPAN_NPOS)
            at = line.len;
        strbuf_add(out, span_take(line, at));
        line = span_skip(line, at);
        if (line.len == 0)
            break;
        int high = line.len >= 3 ? hex_value(line.p[1]) : -1, low = line.len >= 3 ? hex_value(line.p[2]) : -1;
        bool is_escape = high >= 0 && low >= 0;
        strbuf_add_char(out, (char)(is_escape ? high * 16 + low : '='));
        line = span_skip(line, is_escape ? 3 : 1);
    }
    return is_soft;
}

void qp_decode_body(struct span in, struct strbuf *out)
{
    strbuf_reserve(out, in.len);
    while (in.len) {
        size_t lf = span_find_byte(in, '\n', 0);
        struct span line = span_take(in, lf == SPAN_NPOS ? in.len : lf);
        struct span end = span_take(span_skip(in, line.len), 1);
        in = span_skip(in, line.len + end.len);
        if (end.len && line.len && line.p[line.len - 1] == '\r') {
            line.len--;
            end = span_of(line.p + line.len, 2);
        }
        while (line.len && (line.p[line.len - 1] == ' ' || line.p[line.len - 1] == '\t'))
            line.len--;
        if (!qp_decode_line(line, out))
            strbuf_add(out, end);
    }
}
