/*
 * charset.c - see charset.h.
 *
 * iconv loads a shared object for a name that a stranger has chosen, and not all of those objects are well looked
 * after. So only the charsets of the table below reach it: those that mail is written in. The table also says which of
 * them agree with ASCII in all bytes below 128, so that plain text, the common case, is only copied.
 */
#include "text/charset.h"
#include "base/banned.h"
#include <errno.h>
#include <iconv.h>
#include <utf8proc.h>

enum {
    NAME_MAX_BYTES = 64,
    MARKS_MAX = 32, /* combining marks that are put in order together; longer runs are cut (UAX #15 §13 says 30) */
    DECOMPOSED_MAX = 32, /* code points of one; Unicode's longest has 18 */
};

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

struct charset {
    const char *name;       /* lower case */
    const char *iconv_name; /* NULL: the same */
    uint8_t unit;           /* octets that are skipped where one is wrong */
    bool is_ascii_superset;
};

#define SUPERSET(name)                                                                                                 \
    {                                                                                                                  \
        name, NULL, 1, true                                                                                            \
    }
#define ALIAS(name, of)                                                                                                \
    {                                                                                                                  \
        name, of, 1, true                                                                                              \
    }
#define STATEFUL(name)                                                                                                 \
    {                                                                                                                  \
        name, NULL, 1, false                                                                                           \
    }
#define WIDE(name, of, unit)                                                                                           \
    {                                                                                                                  \
        name, of, unit, false                                                                                          \
    }
/* UTF-16 and UTF-32 without a mark of their order are big-endian by RFC 2781 §4.3; iconv takes the machine's order, and
 * what is sent is little-endian, as Windows writes it. */
static const struct charset charsets[] = {
    SUPERSET("iso-8859-1"),
    SUPERSET("windows-1252"),
    SUPERSET("iso-8859-15"),
    SUPERSET("iso-8859-2"),
    SUPERSET("iso-8859-3"),
    SUPERSET("iso-8859-4"),
    SUPERSET("iso-8859-5"),
    SUPERSET("iso-8859-6"),
    SUPERSET("iso-8859-7"),
    SUPERSET("iso-8859-8"),
    SUPERSET("iso-8859-9"),
    SUPERSET("iso-8859-10"),
    SUPERSET("iso-8859-11"),
    SUPERSET("iso-8859-13"),
    SUPERSET("iso-8859-14"),
    SUPERSET("iso-8859-16"),
    ALIAS("iso-8859-8-i", "iso-8859-8"),
    ALIAS("iso-8859-8-e", "iso-8859-8"),
    ALIAS("iso-8859-6-i", "iso-8859-6"),
    ALIAS("iso8859-1", "iso-8859-1"),
    ALIAS("iso8859-15", "iso-8859-15"),
    ALIAS("iso8859-2", "iso-8859-2"),
    ALIAS("iso_8859-1", "iso-8859-1"),
    ALIAS("iso_8859-15", "iso-8859-15"),
    ALIAS("latin1", "iso-8859-1"),
    ALIAS("latin-1", "iso-8859-1"),
    ALIAS("latin2", "iso-8859-2"),
    ALIAS("latin9", "iso-8859-15"),
    SUPERSET("windows-1250"),
    SUPERSET("windows-1251"),
    SUPERSET("windows-1253"),
    SUPERSET("windows-1254"),
    SUPERSET("windows-1255"),
    SUPERSET("windows-1256"),
    SUPERSET("windows-1257"),
    SUPERSET("windows-1258"),
    ALIAS("cp1250", "windows-1250"),
    ALIAS("cp1251", "windows-1251"),
    ALIAS("cp1252", "windows-1252"),
    ALIAS("cp1253", "windows-1253"),
    ALIAS("cp1254", "windows-1254"),
    ALIAS("cp1255", "windows-1255"),
    ALIAS("cp1256", "windows-1256"),
    ALIAS("cp1257", "windows-1257"),
    ALIAS("cp1258", "windows-1258"),
    ALIAS("x-cp1250", "windows-1250"),
    ALIAS("x-cp1251", "windows-1251"),
    ALIAS("x-cp1252", "windows-1252"),
    ALIAS("windows-874", "cp874"),
    SUPERSET("tis-620"),
    SUPERSET("cp874"),
    SUPERSET("koi8-r"),
    SUPERSET("koi8-u"),
    ALIAS("koi8-ru", "koi8-u"),
    SUPERSET("ibm437"),
    SUPERSET("ibm850"),
    SUPERSET("ibm852"),
    SUPERSET("ibm855"),
    SUPERSET("ibm866"),
    ALIAS("cp437", "ibm437"),
    ALIAS("cp850", "ibm850"),
    ALIAS("cp852", "ibm852"),
    ALIAS("cp866", "ibm866"),
    SUPERSET("macintosh"),
    ALIAS("x-mac-roman", "macintosh"),
    ALIAS("x-mac-cyrillic", "mac-cyrillic"),
    SUPERSET("viscii"),
    SUPERSET("gb18030"),
    ALIAS("gb2312", "gb18030"),
    ALIAS("gbk", "gb18030"),
    ALIAS("cp936", "gb18030"),
    ALIAS("x-gbk", "gb18030"),
    ALIAS("euc-cn", "gb18030"),
    ALIAS("gb_2312-80", "gb18030"),
    SUPERSET("big5-hkscs"),
    ALIAS("big5", "big5-hkscs"),
    ALIAS("big5hkscs", "big5-hkscs"),
    ALIAS("cp950", "big5-hkscs"),
    ALIAS("x-x-big5", "big5-hkscs"),
    SUPERSET("euc-tw"),
    SUPERSET("euc-jp"),
    ALIAS("x-euc-jp", "euc-jp"),
    ALIAS("shift_jis", "cp932"),
    ALIAS("shift-jis", "cp932"),
    ALIAS("x-sjis", "cp932"),
    ALIAS("sjis", "cp932"),
    ALIAS("windows-31j", "cp932"),
    ALIAS("cp932", "cp932"),
    ALIAS("euc-kr", "cp949"),
    ALIAS("ks_c_5601-1987", "cp949"),
    ALIAS("ks_c_5601", "cp949"),
    ALIAS("ksc5601", "cp949"),
    ALIAS("cp949", "cp949"),
    ALIAS("uhc", "cp949"),
    ALIAS("windows-949", "cp949"),
    WIDE("iso-2022-jp", "iso-2022-jp-2", 1),
    STATEFUL("iso-2022-jp-2"),
    STATEFUL("iso-2022-jp-1"),
    WIDE("iso-2022-jp-ms", "iso-2022-jp-2", 1),
    STATEFUL("iso-2022-kr"),
    STATEFUL("iso-2022-cn"),
    STATEFUL("utf-7"),
    WIDE("unicode-1-1-utf-7", "utf-7", 1),
    WIDE("utf-16", NULL, 2),
    WIDE("utf-16le", NULL, 2),
    WIDE("utf-16be", NULL, 2),
    WIDE("ucs-2", "utf-16", 2),
    WIDE("iso-10646-ucs-2", "utf-16be", 2),
    WIDE("utf-32", NULL, 4),
    WIDE("utf-32le", NULL, 4),
    WIDE("utf-32be", NULL, 4),
};
enum { CHARSETS = sizeof charsets / sizeof *charsets };

/* --- UTF-8 --- */

static size_t ascii_length(struct span s)
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

/* Length of the well-formed sequence that starts s (not empty), or 0 with *bad the octets to give up: the longest start
 * of a sequence, at least one (Unicode 15 §3.9, table 3-7 and "maximal subpart"). */
static size_t sequence_length(struct span s, size_t *bad)
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

/* Octets up to the first that is not of a well-formed sequence. */
static size_t valid_length(struct span s, size_t *bad)
{
    size_t i = 0;
    while (i < s.len) {
        i += ascii_length(span_skip(s, i));
        if (i == s.len)
            break;
        size_t n = sequence_length(span_skip(s, i), bad);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

bool utf8_is_valid(struct span s)
{
    size_t bad;
    return valid_length(s, &bad) == s.len;
}

static void add_utf8(struct span text, struct strbuf *out)
{
    while (text.len) {
        size_t bad = 0, good = valid_length(text, &bad);
        strbuf_add(out, span_take(text, good));
        text = span_skip(text, good);
        if (text.len)
            strbuf_add(out, SPAN(REPLACEMENT));
        text = span_skip(text, bad);
    }
}

static void add_ascii(struct span text, struct strbuf *out)
{
    while (text.len) {
        size_t good = ascii_length(text);
        strbuf_add(out, span_take(text, good));
        if (good < text.len)
            strbuf_add(out, SPAN(REPLACEMENT));
        text = span_skip(text, good + 1);
    }
}

/* --- iconv --- */

static bool is_utf8_name(struct span name)
{
    return span_ieq(name, SPAN("utf-8")) || span_ieq(name, SPAN("utf8"));
}

static bool is_ascii_name(struct span name)
{
    return span_ieq(name, SPAN("us-ascii")) || span_ieq(name, SPAN("ascii")) ||
           span_ieq(name, SPAN("ansi_x3.4-1968")) || span_ieq(name, SPAN("iso646-us"));
}

static const struct charset *charset_find(struct span name)
{
    if (name.len > NAME_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < CHARSETS; i++)
        if (span_ieq(name, span_cstr(charsets[i].name)))
            return &charsets[i];
    return NULL;
}

static iconv_t charset_open(const struct charset *c)
{
    return iconv_open("UTF-8", c->iconv_name ? c->iconv_name : c->name);
}

void charset_preload(void)
{
    for (size_t i = 0; i < CHARSETS; i++)
        if (!charsets[i].iconv_name)
            (void)charset_open(&charsets[i]); /* never closed: an open one keeps its module in memory */
}

bool charset_is_known(struct span charset)
{
    if (charset.len == 0 || is_utf8_name(charset) || is_ascii_name(charset))
        return true;
    const struct charset *c = charset_find(charset);
    if (!c)
        return false;
    iconv_t cd = charset_open(c);
    if (cd == (iconv_t)-1)
        return false;
    iconv_close(cd);
    return true;
}

/* One call of iconv, its output appended to out. */
static size_t step(iconv_t cd, char **in, size_t *in_left, struct strbuf *out)
{
    size_t room = *in_left * 2 + 64;
    strbuf_reserve(out, room);
    char *to = out->p + out->len;
    size_t result = iconv(cd, in, in_left, &to, &room);
    int saved = errno;
    strbuf_extend(out, (size_t)(to - (out->p + out->len)));
    errno = saved;
    return result;
}

static void convert(iconv_t cd, const struct charset *c, struct span text, struct strbuf *out)
{
    char *in = (char *)(uintptr_t)text.p; /* iconv's prototype is older than const */
    size_t left = text.len;
    while (left) {
        size_t left_before = left, len_before = out->len;
        if (step(cd, &in, &left, out) != (size_t)-1)
            continue;
        if (errno == E2BIG && (left != left_before || out->len != len_before))
            continue;
        /* EILSEQ: not of the charset; EINVAL: cut off at the end. */
        strbuf_add(out, SPAN(REPLACEMENT));
        size_t skip = errno == EINVAL || left < c->unit ? left : c->unit;
        in += skip;
        left -= skip;
    }
    size_t none = 0;
    char *end = NULL;
    (void)step(cd, &end, &none, out); /* what a stateful charset still holds back */
}

static void add_charset(const struct charset *c, struct span text, struct strbuf *out)
{
    if (c->is_ascii_superset) {
        size_t plain = ascii_length(text);
        strbuf_add(out, span_take(text, plain));
        text = span_skip(text, plain);
    }
    if (text.len == 0)
        return;
    iconv_t cd = charset_open(c);
    if (cd == (iconv_t)-1) {
        add_ascii(text, out);
        return;
    }
    convert(cd, c, text, out);
    iconv_close(cd);
}

void charset_to_utf8(struct span charset, struct span text, struct strbuf *out)
{
    if (is_utf8_name(charset) || (charset.len == 0 && utf8_is_valid(text))) {
        add_utf8(text, out);
        return;
    }
    const struct charset *c = charset_find(charset.len ? charset : SPAN("windows-1252"));
    if (c)
        add_charset(c, text, out);
    else
        add_ascii(text, out);
}

/* --- folding --- */

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
            n = sequence_length(utf8, &bad);
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
