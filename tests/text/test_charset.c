/* Tests of text/charset.h. */
#include "check.h"
#include "text/charset.h"

#define FFFD "\xef\xbf\xbd"

static void converts(void **state)
{
    (void)state;
    static const struct {
        struct span charset, text, utf8;
    } rows[] = {
        {SPAN_INIT("utf-8"), SPAN_INIT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
         SPAN_INIT("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")},
        {SPAN_INIT("UTF8"),
         SPAN_INIT("a\xff"
                   "b"),
         SPAN_INIT("a" FFFD "b")},
        /* Unicode 15 §3.9, table 3-8: one replacement for each maximal subpart */
        {SPAN_INIT("utf-8"),
         SPAN_INIT("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82"
                   "A"),
         SPAN_INIT(FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A")},
        {SPAN_INIT("utf-8"),
         SPAN_INIT("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
                   "A"),
         SPAN_INIT(FFFD FFFD FFFD FFFD "A")},
        {SPAN_INIT("utf-8"), SPAN_INIT("\xed\xa0\x80"), SPAN_INIT(FFFD FFFD FFFD)},
        {SPAN_INIT("utf-8"), SPAN_INIT("\xe2\x82"), SPAN_INIT(FFFD)},
        {SPAN_INIT("us-ascii"), SPAN_INIT("a\xc3\xa4z"), SPAN_INIT("a" FFFD FFFD "z")},
        {SPAN_INIT("x-unknown"), SPAN_INIT("a\xc3z"), SPAN_INIT("a" FFFD "z")},
        {SPAN_INIT(""), SPAN_INIT("a\xc3\xa4"), SPAN_INIT("a\xc3\xa4")},
        {SPAN_INIT(""), SPAN_INIT("\xe4\x80"), SPAN_INIT("\xc3\xa4\xe2\x82\xac")},
        {SPAN_INIT("iso-8859-1"), SPAN_INIT("plain and \xe4\xf6"), SPAN_INIT("plain and \xc3\xa4\xc3\xb6")},
        {SPAN_INIT("ISO-8859-15"), SPAN_INIT("\xa4"), SPAN_INIT("\xe2\x82\xac")},
        {SPAN_INIT("iso-8859-8-i"), SPAN_INIT("\xf9"), SPAN_INIT("\xd7\xa9")},
        {SPAN_INIT("windows-1252"), SPAN_INIT("\x93x\x94\x81"), SPAN_INIT("\xe2\x80\x9cx\xe2\x80\x9d" FFFD)},
        {SPAN_INIT("cp1251"), SPAN_INIT("\xcf"), SPAN_INIT("\xd0\x9f")},
        {SPAN_INIT("koi8-r"), SPAN_INIT("\xf0"), SPAN_INIT("\xd0\x9f")},
        {SPAN_INIT("gb2312"), SPAN_INIT("\xd6\xd0"), SPAN_INIT("\xe4\xb8\xad")},
        {SPAN_INIT("big5"), SPAN_INIT("\xa4\xa4"), SPAN_INIT("\xe4\xb8\xad")},
        {SPAN_INIT("euc-kr"), SPAN_INIT("\xb0\xa1"), SPAN_INIT("\xea\xb0\x80")},
        {SPAN_INIT("shift_jis"), SPAN_INIT("a\x93\xfa"), SPAN_INIT("a\xe6\x97\xa5")},
        {SPAN_INIT("shift_jis"), SPAN_INIT("a\x93"), SPAN_INIT("a" FFFD)},
        {SPAN_INIT("iso-2022-jp"), SPAN_INIT("a\x1b$BF|K\\\x1b(Bz"), SPAN_INIT("a\xe6\x97\xa5\xe6\x9c\xacz")},
        {SPAN_INIT("utf-7"), SPAN_INIT("Hi Mom -+Jjo--!"), SPAN_INIT("Hi Mom -\xe2\x98\xba-!")}, /* RFC 2152 */
        {SPAN_INIT("utf-16"), SPAN_INIT("\xfe\xff\0a\x20\xac"), SPAN_INIT("a\xe2\x82\xac")},
        {SPAN_INIT("utf-16le"),
         SPAN_INIT("a\0\0\xdc"
                   "b\0"),
         SPAN_INIT("a" FFFD "b")},
        {SPAN_INIT("utf-16be"), SPAN_INIT("\0a\0"), SPAN_INIT("a" FFFD)},
        {SPAN_INIT("iso-8859-1"), SPAN_INIT("a\0b"), SPAN_INIT("a\0b")},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        strbuf_add_cstr(&out, ">");
        charset_to_utf8(rows[i].charset, rows[i].text, &out);
        check_span(rows[i].charset.p, span_skip(strbuf_span(&out), 1), rows[i].utf8);
    }
}

/* What iconv needs more room for than is guessed first: euro signs, and many of them. */
static void converts_long_texts(void **state)
{
    (void)state;
    enum { SIGNS = 100000 };
    AUTO_STRBUF in = STRBUF_INIT;
    AUTO_STRBUF out = STRBUF_INIT;
    memset(strbuf_extend(&in, SIGNS), 0x80, SIGNS);
    charset_to_utf8(SPAN("windows-1252"), strbuf_span(&in), &out);
    assert_int_equal(out.len, SIGNS * 3);
    for (size_t i = 0; i < out.len; i += 3)
        assert_memory_equal(out.p + i, "\xe2\x82\xac", 3);
    strbuf_clear(&out);
    memset(in.p, 0x81, SIGNS); /* not of the charset: a step each */
    charset_to_utf8(SPAN("windows-1252"), strbuf_span(&in), &out);
    assert_int_equal(out.len, SIGNS * 3);
}

static void knows_names(void **state)
{
    (void)state;
    static const char *const known[] = {
        "",           "us-ascii", "US-ASCII",     "utf-8",        "UTF-8",       "utf8",
        "ISO-8859-1", "latin1",   "windows-1252", "KOI8-R",       "GB2312",      "gb18030",
        "Big5",       "EUC-JP",   "Shift_JIS",    "ISO-2022-JP",  "euc-kr",      "ks_c_5601-1987",
        "utf-7",      "UTF-16",   "tis-620",      "iso-8859-8-i", "windows-874", "macintosh",
        "ibm437",     "euc-tw",   "viscii"};
    static const char *const unknown[] = {"x-unknown",    "utf-8//TRANSLIT", "iso-8859-1//IGNORE", "UTF-8 ",
                                          "../x",         "wchar_t",         "internal",           "iso-8859-12",
                                          "unknown-8bit", "ebcdic-us"};
    for (size_t i = 0; i < ROWS(known); i++)
        if (!charset_is_known(span_cstr(known[i])))
            fail_msg("%s is not known", known[i]);
    for (size_t i = 0; i < ROWS(unknown); i++)
        if (charset_is_known(span_cstr(unknown[i])))
            fail_msg("%s is known", unknown[i]);
}

/* All that a charset can say is valid UTF-8: every pair of octets in every kind of charset. */
static void always_gives_utf8(void **state)
{
    (void)state;
    static const char *const names[] = {"iso-8859-7", "cp1255",      "gb18030",     "big5",   "euc-jp",
                                        "shift_jis",  "euc-kr",      "euc-tw",      "utf-16", "utf-16be",
                                        "utf-7",      "iso-2022-jp", "iso-2022-kr", "utf-8",  ""};
    for (size_t i = 0; i < ROWS(names); i++)
        for (unsigned pair = 0; pair < 0x10000; pair += 7) {
            AUTO_STRBUF out = STRBUF_INIT;
            const char text[] = {(char)(pair >> 8), (char)pair, '+', (char)0xd8, (char)pair};
            charset_to_utf8(span_cstr(names[i]), span_of(text, sizeof text), &out);
            if (!utf8_is_valid(strbuf_span(&out)))
                fail_msg("%s %04x", names[i], pair);
        }
}

static void knows_valid_utf8(void **state)
{
    (void)state;
    static const struct {
        struct span text;
        bool is_valid;
    } rows[] = {
        {SPAN_INIT(""), true},
        {SPAN_INIT("plain text that is longer than eight octets"), true},
        {SPAN_INIT("\0"), true},
        {SPAN_INIT("\xc2\x80"), true},
        {SPAN_INIT("\xdf\xbf"), true},
        {SPAN_INIT("\xe0\xa0\x80"), true},
        {SPAN_INIT("\xed\x9f\xbf"), true},
        {SPAN_INIT("\xee\x80\x80"), true},
        {SPAN_INIT("\xef\xbf\xbf"), true},
        {SPAN_INIT("\xf0\x90\x80\x80"), true},
        {SPAN_INIT("\xf4\x8f\xbf\xbf"), true},
        {SPAN_INIT("12345678\xff"), false},
        {SPAN_INIT("1234567\xc3"), false},
        {SPAN_INIT("\x80"), false},
        {SPAN_INIT("\xc1\xbf"), false},
        {SPAN_INIT("\xe0\x9f\xbf"), false},
        {SPAN_INIT("\xed\xa0\x80"), false},
        {SPAN_INIT("\xf0\x8f\xbf\xbf"), false},
        {SPAN_INIT("\xf4\x90\x80\x80"), false},
        {SPAN_INIT("\xf5\x80\x80\x80"), false},
        {SPAN_INIT("\xe2\x82"), false},
        {SPAN_INIT("\xe2\x82"
                   "a"),
         false},
    };
    for (size_t i = 0; i < ROWS(rows); i++)
        if (utf8_is_valid(rows[i].text) != rows[i].is_valid)
            fail_msg("row %zu", i);
}

static void folds(void **state)
{
    (void)state;
    static const struct {
        struct span text, folded;
    } rows[] = {
        {SPAN_INIT(""), SPAN_INIT("")},
        {SPAN_INIT("Hello, WORLD @[`{|} 09"), SPAN_INIT("HELLO, WORLD @[`{|} 09")},
        {SPAN_INIT("\xc3\xa4"), SPAN_INIT("A\xcc\x88")}, /* a with diaeresis */
        {SPAN_INIT("a\xcc\x88"), SPAN_INIT("A\xcc\x88")},
        {SPAN_INIT("stra\xc3\x9f"
                   "e"),
         SPAN_INIT("STRA\xc3\x9f"
                   "E")}, /* no titlecase in UnicodeData.txt */
        {SPAN_INIT("\xc4\xb0\xc4\xb1"), SPAN_INIT("I\xcc\x87I")}, /* I with dot; i without */
        {SPAN_INIT("\xef\xac\x81"), SPAN_INIT("fi")},            /* ligature: decomposed behind titlecase */
        {SPAN_INIT("\xc7\x84"), SPAN_INIT("Dz\xcc\x8c")},         /* the RFC's example */
        {SPAN_INIT("\xc7\x86"), SPAN_INIT("Dz\xcc\x8c")},
        {SPAN_INIT("\xef\xbd\x81"), SPAN_INIT("A")},                 /* full width */
        {SPAN_INIT("\xcf\x83\xcf\x82"), SPAN_INIT("\xce\xa3\xce\xa3")}, /* final sigma */
        {SPAN_INIT("\xd0\xbf"), SPAN_INIT("\xd0\x9f")},
        {SPAN_INIT("q\xcc\x87\xcc\xa3"), SPAN_INIT("Q\xcc\x87\xcc\xa3")}, /* marks stay in their order */
        {SPAN_INIT("\xea\xb0\x80"), SPAN_INIT("\xea\xb0\x80")},         /* Hangul stays */
        {SPAN_INIT("\xe3\x81\x8c"), SPAN_INIT("\xe3\x81\x8b\xe3\x82\x99")},
        {SPAN_INIT("a\xff"
                   "b\xc3"),
         SPAN_INIT("A\xff"
                   "B\xc3")},
        {SPAN_INIT("a\0b"), SPAN_INIT("A\0B")},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        text_fold(rows[i].text, &out);
        check_span(rows[i].text.p, strbuf_span(&out), rows[i].folded);
    }
}

/* More marks than are ordered together: none is lost. */
static void folds_endless_marks(void **state)
{
    (void)state;
    enum { MARKS = 1000 };
    AUTO_STRBUF in = STRBUF_INIT;
    AUTO_STRBUF out = STRBUF_INIT;
    for (int i = 0; i < MARKS; i++)
        strbuf_add_cstr(&in, i % 2 ? "\xcc\x87" : "\xcc\xa3");
    text_fold(strbuf_span(&in), &out);
    assert_int_equal(out.len, in.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts),
        cmocka_unit_test(converts_long_texts),
        cmocka_unit_test(knows_names),
        cmocka_unit_test(always_gives_utf8),
        cmocka_unit_test(knows_valid_utf8),
        cmocka_unit_test(folds),
        cmocka_unit_test(folds_endless_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
