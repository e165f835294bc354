/*
 * xtext.c - how RET, ENVID and ORCPT carry what may not stand in a parameter: xtext (RFC 3461 §4), and the unitext of
 * UTF-8 addresses (RFC 6533 §3). See smtp_command.h.
 */
#include <utf8proc.h>
#include "text/charset.h"
#include "text/smtp_command.h"
#include "base/banned.h"

static int hex_digit(char c)
{
    return ascii_is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; /* RFC 3461 §4: upper case */
}

bool xtext_decode(struct arena *a, struct span text, struct span *out)
{
    AUTO_STRBUF plain = STRBUF_INIT;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c == '+') {
            if (text.len - i < 3 || hex_digit(text.p[i + 1]) < 0 || hex_digit(text.p[i + 2]) < 0)
                return false;
            c = (char)(hex_digit(text.p[i + 1]) * 16 + hex_digit(text.p[i + 2]));
            i += 2;
            if (c < ' ' || c == 0x7f) /* as signed: what is beyond ASCII is below */
                return false;
        } else if (c < '!' || c > '~' || c == '=') {
            return false;
        }
        strbuf_add_char(&plain, c);
    }
    *out = arena_strbuf(a, &plain);
    return true;
}

void xtext_encode(struct span text, struct strbuf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < '!' || c > '~' || c == '+' || c == '=')
            strbuf_addf(out, "+%02X", c);
        else
            strbuf_add_char(out, (char)c);
    }
}

/* ---- unitext ------------------------------------------------------------------------------------------------------
 */

/* "\\x{" 2*6HEXDIG "}": the code point, and how many octets it took; 0: not one. */
static size_t embedded_char(struct span text, utf8proc_int32_t *point)
{
    enum { DIGITS_LEAST = 2, DIGITS_MOST = 6, OPENING = 3 };
    size_t end = span_find_byte(text, '}', 0);
    *point = 0;
    if (!span_starts(text, SPAN("\\x{")) || end == SPAN_NPOS || end < OPENING + DIGITS_LEAST ||
        end > OPENING + DIGITS_MOST)
        return 0;
    for (size_t i = OPENING; i < end; i++) {
        int digit = hex_digit(ascii_upper(text.p[i]));
        if (digit < 0)
            return 0;
        *point = *point * 16 + digit;
    }
    return utf8proc_codepoint_valid(*point) && *point >= ' ' && *point != 0x7f ? end + 1 : 0;
}

bool unitext_decode(struct arena *a, struct span text, struct span *out)
{
    AUTO_STRBUF plain = STRBUF_INIT;
    for (struct span rest = text; rest.len;) {
        utf8proc_int32_t point;
        utf8proc_uint8_t octets[4];
        unsigned char c = (unsigned char)rest.p[0];
        size_t n = embedded_char(rest, &point);
        if (n) {
            strbuf_add(&plain, span_of(octets, (size_t)utf8proc_encode_char(point, octets)));
        } else if (c <= ' ' || c == 0x7f || c == '\\' || c == '+' || c == '=') {
            return false;
        } else {
            strbuf_add_char(&plain, rest.p[0]);
            n = 1;
        }
        rest = span_skip(rest, n);
    }
    *out = arena_strbuf(a, &plain);
    return utf8_is_valid(*out);
}

void unitext_encode(struct span text, struct strbuf *out)
{
    for (struct span rest = text; rest.len;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)rest.p, (utf8proc_ssize_t)rest.len, &point);
        if (n <= 0) { /* not UTF-8 */
            point = 0xfffd;
            n = 1;
        }
        if (point <= ' ' || point >= 0x7f || point == '\\' || point == '+' || point == '=')
            strbuf_addf(out, "\\x{%02X}", (unsigned)point);
        else
            strbuf_add_char(out, (char)point);
        rest = span_skip(rest, (size_t)n);
    }
}
