/*
 * codec.c - see codec.h. Both decoders of bodies make one pass and never write more than they read and held, so the
 * output is reserved once. That of quoted-printable holds back what only the rest of the line decides.
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

static void put_group(uint32_t v, char **to)
{
    *(*to)++ = (char)(v >> 16);
    *(*to)++ = (char)(v >> 8);
    *(*to)++ = (char)v;
}

/* Four digits in a row, as nearly all are. */
static bool take_group(const char *p, char **to)
{
    unsigned a = digit_at(p), b = digit_at(p + 1), c = digit_at(p + 2), d = digit_at(p + 3);
    if (!a || !b || !c || !d)
        return false;
    put_group((a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1), to);
    return true;
}

void base64_decode_some(struct base64_decoder *d, struct span in, struct strbuf *out)
{
    if (in.len == 0 || d->is_over)
        return;
    strbuf_reserve(out, in.len / 4 * 3 + 3);
    char *to = out->p + out->len;
    for (size_t i = 0; i < in.len;) {
        if (d->count == 0 && in.len - i >= 4 && take_group(in.p + i, &to)) {
            i += 4;
            continue;
        }
        char c = in.p[i++];
        unsigned digit = digit_at(&c);
        if (digit) {
            d->digits = d->digits << 6 | (digit - 1);
            if (++d->count == 4) {
                put_group(d->digits, &to);
                d->digits = d->count = 0;
            }
        } else if (c == '=' && d->count >= 2) {
            d->is_over = true; /* RFC 2045 §6.8: the end of the data */
            break;
        }
    }
    out->len = (size_t)(to - out->p);
    *to = '\0';
}

void base64_decode_end(struct base64_decoder *d, struct strbuf *out)
{
    if (d->count >= 2)
        strbuf_add_char(out, (char)(d->count == 2 ? d->digits >> 4 : d->digits >> 10));
    if (d->count == 3)
        strbuf_add_char(out, (char)(d->digits >> 2));
    *d = (struct base64_decoder){.is_over = true};
}

void base64_decode_body(struct span in, struct strbuf *out)
{
    struct base64_decoder d = {0};
    base64_decode_some(&d, in, out);
    base64_decode_end(&d, out);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* How much of what is held is decided: it is data as it stands. 0: wait for more. An escape that is complete is put out
 * as its octet. */
static size_t decided(struct qp_decoder *d, struct strbuf *out)
{
    size_t n = 1;
    if (d->held[0] == '=' && d->len > 1 && hex_value(d->held[1]) >= 0) {
        if (d->len == 2)
            return 0;
        int low = hex_value(d->held[2]);
        if (low < 0)
            return 1;
        strbuf_add_char(out, (char)(hex_value(d->held[1]) * 16 + low));
        d->len = 0;
        return 0;
    }
    if (d->held[0] == '\r')
        return d->len > 1;
    /* White space, and behind "=" it too, is dropped where the line ends there. */
    while (n < d->len && is_blank(d->held[n]))
        n++;
    if (n == d->len)
        return n == QP_HELD_MAX ? n : 0;
    if (d->held[n] == '\r' && n + 1 == d->len && d->len < QP_HELD_MAX)
        return 0;
    return d->held[0] == '=' ? 1 : n;
}

static void decide(struct qp_decoder *d, struct strbuf *out)
{
    size_t n;
    while (d->len && (n = decided(d, out)) > 0) {
        strbuf_add_bytes(out, d->held, n);
        d->len -= n;
        memmove(d->held, d->held + n, d->len);
    }
}

/* A line ends, with this or with the body. */
static void end_line(struct qp_decoder *d, struct span end, struct strbuf *out)
{
    if (end.len && d->len && d->held[d->len - 1] == '\r') {
        d->len--;
        end = SPAN("\r\n");
    }
    while (d->len && is_blank(d->held[d->len - 1]))
        d->len--;
    bool is_soft = d->len && d->held[d->len - 1] == '=';
    strbuf_add_bytes(out, d->held, d->len - is_soft);
    if (!is_soft)
        strbuf_add(out, end);
    d->len = 0;
}

void qp_decode_some(struct qp_decoder *d, struct span in, struct strbuf *out)
{
    strbuf_reserve(out, in.len);
    for (size_t i = 0; i < in.len;) {
        size_t plain = i;
        while (d->len == 0 && plain < in.len && in.p[plain] != '=' && in.p[plain] != '\r' && in.p[plain] != '\n' &&
               !is_blank(in.p[plain]))
            plain++;
        strbuf_add_bytes(out, in.p + i, plain - i);
        i = plain;
        if (i == in.len)
            break;
        char c = in.p[i++];
        if (c == '\n') {
            end_line(d, SPAN("\n"), out);
        } else {
            d->held[d->len++] = c;
            decide(d, out);
        }
    }
}

void qp_decode_end(struct qp_decoder *d, struct strbuf *out)
{
    end_line(d, SPAN_NONE, out);
}

void qp_decode_body(struct span in, struct strbuf *out)
{
    struct qp_decoder d = {0};
    qp_decode_some(&d, in, out);
    qp_decode_end(&d, out);
}
