/*
 * fold.c - text_fold(), see charset.h: the preparation of strings that RFC 5051 §2 describes. A code point at a time,
 * no state between them, so that a body of any size is folded in one pass.
 */
#include "text/charset.h"
#include <utf8proc.h>
#include "text/utf8.h"
#include "base/banned.h"

enum {
    DECOMPOSED_MAX = 32, /* code points of one; Unicode's longest has 18 */
    HANGUL_FIRST = 0xac00,
    HANGUL_LAST = 0xd7a3,
    SHARP_S = 0xdf, /* utf8proc gives it the capital U+1E9E, UnicodeData.txt gives it none */
};

static void put_code(utf8proc_int32_t code, struct strbuf *out)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char(code, bytes);
    if (n > 0)
        strbuf_add_bytes(out, bytes, (size_t)n);
}

/* §2 (2): its titlecase by UnicodeData.txt, and that decomposed as far as it goes, whatever the type. What gives
 * lower case then stays so (U+01C4 becomes D z U+030C, the RFC's example). Hangul syllables decompose by a rule and not
 * by a property of that file; they stay. */
static void fold_sequence(struct span s, struct strbuf *out)
{
    utf8proc_int32_t code, codes[DECOMPOSED_MAX];
    int boundary = 0;
    utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.len, &code);
    if (code != SHARP_S)
        code = utf8proc_totitle(code);
    utf8proc_ssize_t n = -1;
    if (code < HANGUL_FIRST || code > HANGUL_LAST)
        n = utf8proc_decompose_char(code, codes, DECOMPOSED_MAX, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
                                    &boundary);
    if (n < 0 || n > DECOMPOSED_MAX) {
        put_code(code, out);
        return;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        put_code(codes[i], out);
}

static void add_upper(struct span ascii, struct strbuf *out)
{
    char *to = strbuf_extend(out, ascii.len);
    for (size_t i = 0; i < ascii.len; i++) {
        unsigned char c = (unsigned char)ascii.p[i];
        to[i] = (char)(c & ~(((unsigned)(c - 'a') < 26U) << 5)); /* without a branch: the compiler vectorises it */
    }
}

void text_fold(struct span utf8, struct strbuf *out)
{
    strbuf_reserve(out, utf8.len);
    while (utf8.len) {
        size_t n = ascii_length(utf8);
        if (n) {
            add_upper(span_take(utf8, n), out);
        } else {
            size_t bad;
            n = utf8_sequence_length(utf8, &bad);
            if (n) {
                fold_sequence(span_take(utf8, n), out);
            } else { /* octets that are no UTF-8 stay as they are */
                n = bad;
                strbuf_add(out, span_take(utf8, n));
            }
        }
        utf8 = span_skip(utf8, n);
    }
}
