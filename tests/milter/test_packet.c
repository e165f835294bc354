/* Packets: what is written octet by octet, and what is read whole, in pieces, and malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "milter/packet.h"

#define assert_span(s, literal) assert_true(span_eq((s), SPAN(literal)))

static void test_writing(void **state)
{
    (void)state;
    AUTO_STRBUF out = STRBUF_INIT;
    milter_put_options(&out);
    assert_int_equal(out.len, 4 + 1 + 12);
    assert_true(span_starts(strbuf_span(&out), SPAN("\0\0\0\x0dO\0\0\0\x06")));
    strbuf_clear(&out);
    milter_put_connect(&out, SPAN("[192.0.2.1]"), SPAN("192.0.2.1"), 0x1234);
    assert_span(strbuf_span(&out), "[192.0.2.1]\0"
                                   "4\x12\x34"
                                   "192.0.2.1\0");
    strbuf_clear(&out);
    milter_put_connect(&out, SPAN("x"), SPAN("2001:db8::1"), 25);
    assert_span(strbuf_span(&out), "x\0"
                                   "6\0\x19"
                                   "IPv6:2001:db8::1\0");
    strbuf_clear(&out);
    milter_put_connect(&out, SPAN("localhost"), SPAN_NONE, 0);
    assert_span(strbuf_span(&out), "localhost\0U");
}

static void test_header_values(void **state)
{
    (void)state;
    static const struct {
        struct span value;
        bool is_space_kept;
        struct span data;
    } rows[] = {
        {SPAN_INIT(" Hello"), false, SPAN_INIT("S\0Hello\0")},
        {SPAN_INIT("  Hello"), false, SPAN_INIT("S\0 Hello\0")},
        {SPAN_INIT(" Hello"), true, SPAN_INIT("S\0 Hello\0")},
        {SPAN_INIT(" a\r\n\tb"), false, SPAN_INIT("S\0a\n\tb\0")},
        {SPAN_INIT(" a\0b"), false, SPAN_INIT("S\0ab\0")},
        {SPAN_INIT(""), false, SPAN_INIT("S\0\0")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        milter_put_header(&out, SPAN("S"), rows[i].value, rows[i].is_space_kept);
        assert_true(span_eq(strbuf_span(&out), rows[i].data));
    }
}

static void test_macros(void **state)
{
    (void)state;
    const struct milter_macro macros[] = {{"j", SPAN("mx")}, {"{mail_addr}", SPAN("a@b")}, {"i", SPAN_NONE}};
    AUTO_STRBUF out = STRBUF_INIT;
    milter_put_macros(&out, 'M', SPAN("i  {mail_addr}"), macros, 3);
    assert_span(strbuf_span(&out), "\0\0\0\x12"
                                   "DM{mail_addr}\0a@b\0");
    strbuf_clear(&out);
    milter_put_macros(&out, 'C', SPAN("{j} {mail}"), macros, 3);
    assert_span(strbuf_span(&out), "\0\0\0\x07"
                                   "DCj\0mx\0");
    strbuf_clear(&out);
    milter_put_macros(&out, 'C', SPAN("i"), macros, 3);
    assert_int_equal(out.len, 0);
}

static void test_frames_at_every_length(void **state)
{
    (void)state;
    struct span input = SPAN("\0\0\0\x05y550\0\0\0\0\1c");
    char letter;
    struct span data;
    size_t size;
    for (size_t n = 0; n < input.len; n++) {
        enum milter_frame f = milter_frame_next(span_take(input, n), &letter, &data, &size);
        assert_int_equal(f, n < 9 ? MILTER_FRAME_PARTIAL : MILTER_FRAME_WHOLE);
    }
    assert_int_equal(size, 9);
    assert_int_equal(letter, 'y');
    assert_span(data, "550\0");
    assert_int_equal(milter_frame_next(span_skip(input, 9), &letter, &data, &size), MILTER_FRAME_WHOLE);
    assert_int_equal(data.len, 0);
    static const struct span bad[] = {SPAN_INIT("\0\0\0\0"), SPAN_INIT("\0\2\0\1"), SPAN_INIT("\xff\xff\xff\xff"),
                                      SPAN_INIT("HTTP/1.1 400")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(milter_frame_next(bad[i], &letter, &data, &size), MILTER_FRAME_BAD);
}

static void test_options(void **state)
{
    (void)state;
    struct milter_options o;
    struct err err;
    assert_int_equal(milter_options_read(SPAN("\0\0\0\6\0\0\0\1\0\0\0\x40"), &o, &err), ST_OK);
    assert_int_equal(o.version, 6);
    assert_int_equal(o.actions, MILTER_ADD_HEADERS);
    assert_int_equal(o.steps, MILTER_NO_EOH);
    assert_int_equal(milter_options_read(SPAN("\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\2i {mail_addr}\0"), &o, &err), ST_OK);
    assert_true(o.has_macros[MILTER_STAGE_MAIL] && !o.has_macros[MILTER_STAGE_CONNECT]);
    assert_span(o.macros[MILTER_STAGE_MAIL], "i {mail_addr}");
    static const struct span bad[] = {
        SPAN_INIT(""),
        SPAN_INIT("\0\0\0\6\0\0\0\1\0\0\0"),
        SPAN_INIT("\0\0\0\1\0\0\0\1\0\0\0\0"),
        SPAN_INIT("\0\0\0\7\0\0\0\1\0\0\0\0"),
        SPAN_INIT("\0\0\0\6\0\1\0\1\0\0\0\0"),
        SPAN_INIT("\0\0\0\6\0\0\0\1\x10\0\0\0"),
        SPAN_INIT("\0\0\0\6\0\0\0\1\0\0\0\0\0\0\0\7x\0"),
        SPAN_INIT("\0\0\0\6\0\0\0\1\0\0\0\0\0\0\0\1"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(milter_options_read(bad[i], &o, &err), ST_OK);
}

static void test_replies(void **state)
{
    (void)state;
    static const struct {
        char letter;
        struct span data;
        unsigned code;
        const char *enhanced, *text;
    } rows[] = {
        {'r', SPAN_INIT(""), 550, "5.7.1", "Refused"},
        {'t', SPAN_INIT(""), 451, "4.7.1", "Try again later"},
        {'4', SPAN_INIT(""), 421, "4.7.0", "Try again later, closing connection"},
        {'y', SPAN_INIT("554 5.7.1 go away\0"), 554, "5.7.1", "go away"},
        {'y', SPAN_INIT("554 5.7.123 go away\0"), 554, "5.7.123", "go away"},
        {'y', SPAN_INIT("554 4.7.1 odd\0"), 554, "5.7.1", "4.7.1 odd"},
        {'y', SPAN_INIT("550\0"), 550, "5.7.1", "Refused"},
        {'y', SPAN_INIT("550 5.1.1\0"), 550, "5.1.1", "Refused"},
        {'y', SPAN_INIT("450 100%% sure, 5%\0"), 450, "4.7.1", "100% sure, 5%"},
        {'y', SPAN_INIT("550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three\0"), 550, "5.7.1", "one\ntwo\nthree"},
        {'y', SPAN_INIT("550 5.7.1 a\tb\x1b\0"), 550, "5.7.1", "a b "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct milter_answer answer;
        struct err err;
        assert_int_equal(milter_answer_read(rows[i].letter, rows[i].data, &answer, &err), ST_OK);
        assert_int_equal(answer.kind, MILTER_ANSWER_REFUSE);
        assert_int_equal(answer.code, rows[i].code);
        assert_string_equal(answer.enhanced, rows[i].enhanced);
        assert_string_equal(answer.text, rows[i].text);
    }
}

static void test_changes(void **state)
{
    (void)state;
    struct milter_answer answer;
    struct err err;
    assert_int_equal(milter_answer_read('i', SPAN("\0\0\0\2X-A\0 b\0"), &answer, &err), ST_OK);
    assert_int_equal(answer.change.kind, MILTER_CHANGE_INSERT_HEADER);
    assert_int_equal(answer.change.index, 2);
    assert_span(answer.change.name, "X-A");
    assert_span(answer.change.value, " b");
    assert_int_equal(milter_answer_read('2', SPAN("<a@b>\0NOTIFY=NEVER\0"), &answer, &err), ST_OK);
    assert_span(answer.change.value, "NOTIFY=NEVER");
    assert_int_equal(milter_answer_read('e', SPAN("<a@b>\0"), &answer, &err), ST_OK);
    assert_int_equal(answer.change.value.len, 0);
    assert_int_equal(milter_answer_read('b', SPAN("a\0b"), &answer, &err), ST_OK);
    assert_span(answer.change.value, "a\0b");
    static const struct {
        char letter;
        struct span data;
    } bad[] = {
        {'h', SPAN_INIT("")},          {'h', SPAN_INIT("X-A\0")},      {'h', SPAN_INIT("X-A\0b")},
        {'h', SPAN_INIT("X\0b\0c\0")}, {'i', SPAN_INIT("\0\0\0X")},    {'m', SPAN_INIT("\0\0\0\1X\0y")},
        {'+', SPAN_INIT("<a@b>")},     {'-', SPAN_INIT("<a@b>\0x\0")}, {'y', SPAN_INIT("250 ok\0")},
        {'y', SPAN_INIT("55\0")},      {'y', SPAN_INIT("550 x")},      {'y', SPAN_INIT("550-a\r\n551 b\0")},
        {'y', SPAN_INIT("550x\0")},    {'Z', SPAN_INIT("")},           {'\0', SPAN_INIT("")},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(milter_answer_read(bad[i].letter, bad[i].data, &answer, &err), ST_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing), cmocka_unit_test(test_header_values),
        cmocka_unit_test(test_macros),  cmocka_unit_test(test_frames_at_every_length),
        cmocka_unit_test(test_options), cmocka_unit_test(test_replies),
        cmocka_unit_test(test_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
