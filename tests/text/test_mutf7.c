/* Tests of text/mutf7.h. */
#include "check.h"
#include "text/mutf7.h"

static const struct {
    const char *wire, *utf8; /* utf8 NULL: refused */
} rows[] = {
    {"", ""},
    {"INBOX", "INBOX"},
    {"&-", "&"},
    {"a&-b&-", "a&b&"},
    {"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
     "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"}, /* RFC 3501 §5.1.3 */
    {"&AOQ-", "\xc3\xa4"},
    {"&AOQA9g-", "\xc3\xa4\xc3\xb6"},
    {"&AOQA9gD8-x", "\xc3\xa4\xc3\xb6\xc3\xbcx"},
    {"Entw&APw-rfe", "Entw\xc3\xbcrfe"},
    {"&2D3eAA-", "\xf0\x9f\x98\x80"},
    {"&AAk-", "\t"},
    {"&AH8-", "\x7f"},
    {"&", NULL},
    {"a&", NULL},
    {"&AOQ", NULL},       /* not closed */
    {"&AOQ-&APY-", NULL}, /* RFC 3501 §5.1.3: superfluous shifts */
    {"&AGE-", NULL},      /* "a" stands for itself */
    {"&AAA-", NULL},      /* NUL */
    {"&AOR-", NULL},      /* bits left over */
    {"&AOQAA-", NULL},    /* half a unit */
    {"&A-", NULL},
    {"&2D0-", NULL},    /* half a pair */
    {"&3gDYPQ-", NULL}, /* the wrong way round */
    {"&2D0AYQ-", NULL},
    {"&AO/-", NULL}, /* "/" is no digit here */
    {"&AO=-", NULL},
    {"\xc3\xa4", NULL},
    {"a\tb", NULL},
    {"a\x7f", NULL},
};

static void both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        strbuf_add_cstr(&out, "=");
        if (mutf7_decode(span_cstr(rows[i].wire), &out) != (rows[i].utf8 != NULL))
            fail_msg("%s", rows[i].wire);
        check_span(rows[i].wire, span_skip(strbuf_span(&out), 1), span_cstr(rows[i].utf8));
        if (!rows[i].utf8)
            continue;
        strbuf_clear(&out);
        mutf7_encode(span_cstr(rows[i].utf8), &out);
        check_span(rows[i].utf8, strbuf_span(&out), span_cstr(rows[i].wire));
    }
}

/* Every character there is, alone and beside others. */
static void every_character(void **state)
{
    (void)state;
    AUTO_STRBUF name = STRBUF_INIT;
    AUTO_STRBUF wire = STRBUF_INIT;
    AUTO_STRBUF back = STRBUF_INIT;
    for (uint32_t c = 1; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        strbuf_clear(&name);
        strbuf_clear(&wire);
        strbuf_clear(&back);
        for (uint32_t repeat = 0; repeat <= c % 4; repeat++) {
            if (c < 0x80) {
                strbuf_add_char(&name, (char)c);
            } else if (c < 0x800) {
                strbuf_add_char(&name, (char)(0xc0 | c >> 6));
                strbuf_add_char(&name, (char)(0x80 | (c & 0x3f)));
            } else if (c < 0x10000) {
                strbuf_add_char(&name, (char)(0xe0 | c >> 12));
                strbuf_add_char(&name, (char)(0x80 | (c >> 6 & 0x3f)));
                strbuf_add_char(&name, (char)(0x80 | (c & 0x3f)));
            } else {
                strbuf_add_char(&name, (char)(0xf0 | c >> 18));
                strbuf_add_char(&name, (char)(0x80 | (c >> 12 & 0x3f)));
                strbuf_add_char(&name, (char)(0x80 | (c >> 6 & 0x3f)));
                strbuf_add_char(&name, (char)(0x80 | (c & 0x3f)));
            }
        }
        mutf7_encode(strbuf_span(&name), &wire);
        assert_true(mutf7_decode(strbuf_span(&wire), &back));
        check_span("round trip", strbuf_span(&back), strbuf_span(&name));
    }
}

static void invalid_bytes_become_replacement_characters(void **state)
{
    (void)state;
    AUTO_STRBUF wire = STRBUF_INIT;
    mutf7_encode(SPAN("a\xff"
                      "b"),
                 &wire);
    check_span("invalid", strbuf_span(&wire), SPAN("a&,,0-b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(every_character),
        cmocka_unit_test(invalid_bytes_become_replacement_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
