/*
 * charset.c - see charset.h.
 *
 * iconv loads a shared object for a name that a stranger has chosen, and not all of those objects are well looked
 * after. So only the charsets of the tables below reach it: those that mail is written in. The table also says which of
 * them agree with ASCII in all octets below 128, so that plain text, the common case, is only copied.
 */
#include "text/charset.h"
#include <errno.h>
#include <iconv.h>
#include "text/utf8.h"
#include "base/banned.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

struct charset {
    char name[16]; /* as iconv knows it */
    uint8_t unit;  /* octets that are given up where one is wrong */
    bool is_ascii_superset;
};

/* "utf-16" and "utf-32" without a mark of their order are read in the machine's order: little-endian, as Windows sends
 * them against RFC 2781 §4.3. */
static const struct charset charsets[] = {
    /* clang-format off */
    {"iso-8859-1", 1, true}, {"iso-8859-2", 1, true}, {"iso-8859-3", 1, true}, {"iso-8859-4", 1, true},
    {"iso-8859-5", 1, true}, {"iso-8859-6", 1, true}, {"iso-8859-7", 1, true}, {"iso-8859-8", 1, true},
    {"iso-8859-9", 1, true}, {"iso-8859-10", 1, true}, {"iso-8859-11", 1, true}, {"iso-8859-13", 1, true},
    {"iso-8859-14", 1, true}, {"iso-8859-15", 1, true}, {"iso-8859-16", 1, true}, {"windows-1250", 1, true},
    {"windows-1251", 1, true}, {"windows-1252", 1, true}, {"windows-1253", 1, true}, {"windows-1254", 1, true},
    {"windows-1255", 1, true}, {"windows-1256", 1, true}, {"windows-1257", 1, true}, {"windows-1258", 1, true},
    {"koi8-r", 1, true}, {"koi8-u", 1, true}, {"tis-620", 1, true}, {"cp874", 1, true}, {"ibm437", 1, true},
    {"ibm850", 1, true}, {"ibm852", 1, true}, {"ibm855", 1, true}, {"ibm866", 1, true}, {"macintosh", 1, true},
    {"mac-cyrillic", 1, true}, {"viscii", 1, true}, {"gb18030", 1, true}, {"big5-hkscs", 1, true},
    {"euc-tw", 1, true}, {"euc-jp", 1, true}, {"cp932", 1, true}, {"cp949", 1, true}, {"iso-2022-jp-2", 1, false},
    {"iso-2022-kr", 1, false}, {"utf-7", 1, false}, {"utf-16", 2, false}, {"utf-16le", 2, false},
    {"utf-16be", 2, false}, {"utf-32", 4, false}, {"utf-32le", 4, false}, {"utf-32be", 4, false},
    /* clang-format on */
};

/* Other names, and charsets that another one contains. */
static const struct {
    char alias[20];
    char name[16];
} aliases[] = {
    /* clang-format off */
    {"iso8859-1", "iso-8859-1"}, {"iso_8859-1", "iso-8859-1"}, {"latin1", "iso-8859-1"}, {"latin-1", "iso-8859-1"},
    {"iso8859-2", "iso-8859-2"}, {"iso_8859-2", "iso-8859-2"}, {"latin2", "iso-8859-2"},
    {"iso8859-15", "iso-8859-15"}, {"iso_8859-15", "iso-8859-15"}, {"latin9", "iso-8859-15"},
    {"iso-8859-6-i", "iso-8859-6"}, {"iso-8859-8-i", "iso-8859-8"}, {"iso-8859-8-e", "iso-8859-8"},
    {"cp1250", "windows-1250"}, {"cp1251", "windows-1251"}, {"cp1252", "windows-1252"}, {"cp1253", "windows-1253"},
    {"cp1254", "windows-1254"}, {"cp1255", "windows-1255"}, {"cp1256", "windows-1256"}, {"cp1257", "windows-1257"},
    {"cp1258", "windows-1258"}, {"x-cp1250", "windows-1250"}, {"x-cp1251", "windows-1251"},
    {"x-cp1252", "windows-1252"}, {"windows-874", "cp874"}, {"koi8-ru", "koi8-u"}, {"cp437", "ibm437"},
    {"cp850", "ibm850"}, {"cp852", "ibm852"}, {"cp855", "ibm855"}, {"cp866", "ibm866"}, {"x-mac-roman", "macintosh"},
    {"x-mac-cyrillic", "mac-cyrillic"}, {"gb2312", "gb18030"}, {"gbk", "gb18030"}, {"x-gbk", "gb18030"},
    {"cp936", "gb18030"}, {"euc-cn", "gb18030"}, {"gb_2312-80", "gb18030"}, {"big5", "big5-hkscs"},
    {"x-x-big5", "big5-hkscs"}, {"big5hkscs", "big5-hkscs"}, {"cp950", "big5-hkscs"}, {"x-euc-jp", "euc-jp"},
    {"shift_jis", "cp932"}, {"shift-jis", "cp932"}, {"sjis", "cp932"}, {"x-sjis", "cp932"}, {"windows-31j", "cp932"},
    {"euc-kr", "cp949"}, {"ks_c_5601-1987", "cp949"}, {"ks_c_5601", "cp949"}, {"ksc5601", "cp949"}, {"uhc", "cp949"},
    {"windows-949", "cp949"}, {"iso-2022-jp", "iso-2022-jp-2"}, {"iso-2022-jp-1", "iso-2022-jp-2"},
    {"unicode-1-1-utf-7", "utf-7"}, {"ucs-2", "utf-16"}, {"iso-10646-ucs-2", "utf-16be"},
    /* clang-format on */
};

static void add_utf8(struct span text, struct strbuf *out)
{
    while (text.len) {
        size_t bad = 0, good = utf8_valid_length(text, &bad);
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
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (span_ieq(name, span_cstr(aliases[i].alias)))
            name = span_cstr(aliases[i].name);
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++)
        if (span_ieq(name, span_cstr(charsets[i].name)))
            return &charsets[i];
    return NULL;
}

static iconv_t charset_open(const struct charset *c)
{
    return iconv_open("UTF-8", c->name);
}

void charset_preload(void)
{
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++)
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
