/*
 * mutf7.c - see mutf7.h. Printable ASCII stands for itself, "&-" for "&"; everything else is UTF-16 in big-endian
 * order, as base64 without padding and with "," in place of "/", between "&" and "-".
 */
#include "text/mutf7.h"
#include <utf8proc.h>
#include "base/banned.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_direct(uint32_t c)
{
    return c >= 0x20 && c <= 0x7e;
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == ',' ? 63 : -1;
}

static void add_utf8(uint32_t c, struct strbuf *out)
{
    uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)c, bytes);
    strbuf_add_bytes(out, bytes, (size_t)n);
}

/* One UTF-16 unit of a shifted run; *high holds a surrogate that waits for its second half. */
static bool add_unit(uint32_t unit, uint32_t *high, struct strbuf *out)
{
    bool is_low = unit >= 0xdc00 && unit <= 0xdfff;
    if (*high) {
        if (!is_low)
            return false;
        add_utf8(0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00), out);
        *high = 0;
        return true;
    }
    if (is_low || unit == 0 || is_direct(unit))
        return false;
    if (unit >= 0xd800 && unit <= 0xdbff)
        *high = unit;
    else
        add_utf8(unit, out);
    return true;
}

/* What stands between "&" and "-". */
static bool decode_run(struct span run, struct strbuf *out)
{
    uint32_t bits = 0, high = 0;
    unsigned have = 0;
    for (size_t i = 0; i < run.len; i++) {
        int value = digit_value(run.p[i]);
        if (value < 0)
            return false;
        bits = (bits << 6 | (uint32_t)value) & 0x3fffff;
        have += 6;
        if (have >= 16) {
            have -= 16;
            if (!add_unit(bits >> have & 0xffff, &high, out))
                return false;
        }
    }
    return high == 0 && have < 6 && (bits & ((1u << have) - 1)) == 0;
}

static bool decode(struct span name, struct strbuf *out)
{
    bool is_after_run = false;
    for (size_t i = 0; i < name.len; i++) {
        if (!is_direct((unsigned char)name.p[i]))
            return false;
        if (name.p[i] != '&') {
            strbuf_add_char(out, name.p[i]);
            is_after_run = false;
            continue;
        }
        size_t end = span_find_byte(name, '-', i + 1);
        if (end == SPAN_NPOS)
            return false;
        if (end == i + 1) {
            strbuf_add_char(out, '&');
            is_after_run = false;
        } else {
            if (is_after_run || !decode_run(span_slice(name, i + 1, end), out))
                return false;
            is_after_run = true;
        }
        i = end;
    }
    return true;
}

bool mutf7_decode(struct span name, struct strbuf *out)
{
    size_t before = out->len;
    if (decode(name, out))
        return true;
    strbuf_truncate(out, before);
    return false;
}

struct encoder {
    struct strbuf *out;
    bool is_shifted;
    uint32_t bits;
    unsigned have;
};

static void put_unit(struct encoder *e, uint32_t unit)
{
    if (!e->is_shifted) {
        strbuf_add_char(e->out, '&');
        e->is_shifted = true;
    }
    e->bits = (e->bits & 0x3f) << 16 | unit;
    e->have += 16;
    while (e->have >= 6) {
        e->have -= 6;
        strbuf_add_char(e->out, alphabet[e->bits >> e->have & 0x3f]);
    }
}

static void end_run(struct encoder *e)
{
    if (!e->is_shifted)
        return;
    if (e->have)
        strbuf_add_char(e->out, alphabet[e->bits << (6 - e->have) & 0x3f]);
    strbuf_add_char(e->out, '-');
    *e = (struct encoder){.out = e->out};
}

void mutf7_encode(struct span utf8, struct strbuf *out)
{
    struct encoder e = {.out = out};
    while (utf8.len) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)utf8.p, (utf8proc_ssize_t)utf8.len, &c);
        if (n <= 0 || c == 0) {
            n = 1;
            c = 0xfffd;
        }
        utf8 = span_skip(utf8, (size_t)n);
        if (is_direct((uint32_t)c)) {
            end_run(&e);
            strbuf_add_char(out, (char)c);
            if (c == '&')
                strbuf_add_char(out, '-');
        } else if (c >= 0x10000) {
            put_unit(&e, 0xd800 + (((uint32_t)c - 0x10000) >> 10));
            put_unit(&e, 0xdc00 + (((uint32_t)c - 0x10000) & 0x3ff));
        } else {
            put_unit(&e, (uint32_t)c);
        }
    }
    end_run(&e);
}
