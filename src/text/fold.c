/*
 * fold.c - text_fold(), see charset.h. Works a character at a time with a bounded memory, so that a body of any size is
 * folded in one pass: what stands still open is only the combining marks behind the last starter.
 */
#include "text/charset.h"
#include <utf8proc.h>
#include "text/utf8.h"
#include "base/banned.h"

enum {
    MARKS_MAX = 32,      /* marks that are put in order together; longer runs are cut (UAX #15 §13 says 30) */
    DECOMPOSED_MAX = 32, /* code points of one; Unicode's longest has 18 */
};

struct mark {
    utf8proc_int32_t code;
    utf8proc_propval_t class;
};

/* Decomposing can leave combining marks in any order; they are held back until the next starter and written in the
 * order of their classes (Unicode §3.11). */
struct folder {
    struct mark marks[MARKS_MAX];
    size_t count;
    struct strbuf *out;
};

static void put_code(struct folder *f, utf8proc_int32_t code)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char(code, bytes);
    if (n > 0)
        strbuf_add_bytes(f->out, bytes, (size_t)n);
}

static void flush_marks(struct folder *f)
{
    for (size_t i = 0; i < f->count; i++)
        put_code(f, f->marks[i].code);
    f->count = 0;
}

static void fold_code(struct folder *f, utf8proc_int32_t code)
{
    utf8proc_propval_t class = utf8proc_get_property(code)->combining_class;
    if (class == 0) {
        flush_marks(f);
        put_code(f, code);
        return;
    }
    if (f->count == MARKS_MAX)
        flush_marks(f);
    size_t i = f->count++;
    for (; i > 0 && f->marks[i - 1].class > class; i--)
        f->marks[i] = f->marks[i - 1];
    f->marks[i] = (struct mark){code, class};
}

static void fold_sequence(struct folder *f, struct span s)
{
    utf8proc_int32_t code, codes[DECOMPOSED_MAX];
    int boundary = 0;
    utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.len, &code);
    utf8proc_ssize_t n =
        utf8proc_decompose_char(code, codes, DECOMPOSED_MAX,
                                UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD, &boundary);
    if (n < 0 || n > DECOMPOSED_MAX) {
        codes[0] = code;
        n = 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        fold_code(f, codes[i]);
}

static void add_lower(struct span ascii, struct strbuf *out)
{
    if (ascii.len == 0)
        return;
    char *to = strbuf_extend(out, ascii.len);
    for (size_t i = 0; i < ascii.len; i++) {
        unsigned char c = (unsigned char)ascii.p[i];
        to[i] = (char)(c | (((unsigned)(c - 'A') < 26U) << 5)); /* without a branch: the compiler vectorises it */
    }
}

void text_fold(struct span utf8, struct strbuf *out)
{
    struct folder f = {.count = 0, .out = out};
    strbuf_reserve(out, utf8.len);
    while (utf8.len) {
        size_t n = ascii_length(utf8);
        if (n) {
            flush_marks(&f);
            add_lower(span_take(utf8, n), out);
        } else {
            size_t bad;
            n = utf8_sequence_length(utf8, &bad);
            if (n) {
                fold_sequence(&f, span_take(utf8, n));
            } else { /* octets that are no UTF-8 stay as they are */
                n = bad;
                flush_marks(&f);
                strbuf_add(out, span_take(utf8, n));
            }
        }
        utf8 = span_skip(utf8, n);
    }
    flush_marks(&f);
}
