/* test_message.c - the generator's messages: exact sizes, exact line ends, and every change of the body is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "message.h"

static struct message m;

static void make(uint64_t number, size_t size)
{
    message_make(&m, number, size, "sender@elsewhere.test", "user0@example.test");
}

static void assert_lines(struct span text)
{
    size_t dots = 0, start = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '\n') {
            assert_true(i > 0 && text.p[i - 1] == '\r');
            assert_true(i - start < 1000); /* RFC 5321 §4.5.3.1.6 */
            start = i + 1;
            dots += start < text.len && text.p[start] == '.';
        } else if (text.p[i] == '\r') {
            assert_true(i + 1 < text.len && text.p[i + 1] == '\n');
        }
    }
    assert_int_equal(start, text.len); /* ends with a line end */
    assert_int_equal(dots, 1);
    assert_true(span_starts(message_from_dot(&m), SPAN(".")));
}

static void sizes_and_line_ends_are_exact(void **state)
{
    (void)state;
    static const size_t sizes[] = {1024, 4096, 6 * 1024 - 1, 6 * 1024, 10240, 102400, 10 * 1024 * 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t number = 0; number < (sizes[i] > 100000 ? 2 : 200); number++) {
            size_t size =
                sizes[i] + (size_t)(sizes[i] == 10240 ? number : 0); /* every place for the cut of the last line */
            make(number, size);
            assert_int_equal(m.text.len, size);
            assert_lines(strbuf_span(&m.text));
            struct message_id id = {0};
            const char *why;
            assert_true(message_check(strbuf_span(&m.text), &id, &why));
            assert_int_equal(id.number, number);
            assert_true(id.run == message_run());
        }
}

static void headers_may_be_added(void **state)
{
    (void)state;
    make(7, 2048);
    AUTO_STRBUF all = STRBUF_INIT;
    strbuf_add_cstr(&all, "Return-Path: <x@elsewhere.test>\r\nReceived: by mx.example.test\r\n");
    strbuf_add(&all, strbuf_span(&m.text));
    struct message_id id;
    const char *why;
    assert_true(message_check(strbuf_span(&all), &id, &why));
    assert_int_equal(id.number, 7);
}

static void every_changed_octet_of_the_body_is_noticed(void **state)
{
    (void)state;
    make(3, 2048);
    size_t body = span_find(strbuf_span(&m.text), SPAN("\r\n\r\n"), 0) + 4;
    struct message_id id;
    const char *why;
    for (size_t i = body; i < m.text.len; i++) {
        m.text.p[i] ^= 1;
        assert_false(message_check(strbuf_span(&m.text), &id, &why));
        m.text.p[i] ^= 1;
    }
    for (size_t cut = 1; cut < m.text.len - body; cut++) {
        assert_false(message_check(span_take(strbuf_span(&m.text), m.text.len - cut), &id, &why));
        assert_string_equal(why, "the body's size is wrong");
    }
    assert_true(message_check(strbuf_span(&m.text), &id, &why));
}

/* What lazy servers do: leave the stuffed dot, take the dot away, drop the last line end, give another message. */
static void usual_mistakes_are_noticed(void **state)
{
    (void)state;
    make(5, 4096);
    struct message_id id;
    const char *why;
    AUTO_STRBUF other = STRBUF_INIT;
    strbuf_add(&other, message_before_dot(&m));
    strbuf_add_char(&other, '.');
    strbuf_add(&other, message_from_dot(&m));
    assert_false(message_check(strbuf_span(&other), &id, &why));
    strbuf_clear(&other);
    strbuf_add(&other, message_before_dot(&m));
    strbuf_add(&other, span_skip(message_from_dot(&m), 1));
    assert_false(message_check(strbuf_span(&other), &id, &why));
    assert_false(message_check(span_take(strbuf_span(&m.text), m.text.len - 2), &id, &why));
    assert_false(message_check(SPAN(""), &id, &why));
    assert_false(message_check(SPAN("Subject: x\r\n\r\nbody\r\n"), &id, &why));
    assert_string_equal(why, "no header X-Bench");
}

static void envelopes_are_known(void **state)
{
    (void)state;
    const struct span first = SPAN("<abc.4@elsewhere.test>"), reply = SPAN("<abc.6@elsewhere.test>"),
                      before = SPAN("<abc.5@elsewhere.test>"), subject = SPAN("Re: where to meet on Monday 6");
    assert_true(message_check_envelope(first, SPAN("Minutes of the meeting 4"), SPAN("NIL")));
    assert_true(
        message_check_envelope(SPAN("<abc.16@elsewhere.test>"), SPAN("Minutes of the meeting 16 walrus"), SPAN("NIL")));
    assert_true(message_check_envelope(reply, subject, before));
    assert_false(message_check_envelope(first, SPAN("Minutes of the meeting 8"), SPAN("NIL")));
    assert_false(message_check_envelope(first, SPAN("Minutes of the meeting 4"), before));
    assert_false(message_check_envelope(reply, subject, SPAN("NIL")));
    assert_false(message_check_envelope(reply, subject, first));
    assert_false(message_check_envelope(reply, subject, SPAN("<abd.5@elsewhere.test>")));
    assert_false(message_check_envelope(SPAN("NIL"), subject, SPAN("NIL")));
}

static int done(void **state)
{
    (void)state;
    message_free(&m);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_line_ends_are_exact),
        cmocka_unit_test(headers_may_be_added),
        cmocka_unit_test(every_changed_octet_of_the_body_is_noticed),
        cmocka_unit_test(usual_mistakes_are_noticed),
        cmocka_unit_test(envelopes_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
