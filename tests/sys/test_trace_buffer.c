/* Lines on their way to the trace: whole and in order over a channel, bounded where nobody reads, drops told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "sys/channel.h"
#include "sys/trace_buffer.h"

static struct err err;

static void say(unsigned n)
{
    struct log_line l;
    log_begin(&l, LOG_INFO, "accepted");
    log_str(&l, "trace", "abc");
    log_u64(&l, "n", n);
    log_end(&l);
}

static void test_taken_as_said(void **state)
{
    (void)state;
    AUTO_STRBUF out = STRBUF_INIT;
    trace_buffer_set(false);
    say(0);
    trace_buffer_take(&out);
    assert_int_equal(out.len, 0);
    trace_buffer_set(true);
    say(1);
    struct pollfd p = {.fd = trace_buffer_fd(), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 1);
    log_text(LOG_INFO, "other", "not about a message");
    say(2);
    trace_buffer_take(&out);
    assert_int_equal(poll(&p, 1, 0), 0);
    const char *one = strstr(strbuf_cstr(&out), " n=1\n"), *two = strstr(strbuf_cstr(&out), " n=2\n");
    assert_non_null(one);
    assert_non_null(two);
    assert_true(one < two);
    assert_null(strstr(strbuf_cstr(&out), "other"));
}

static void test_bounded_and_told(void **state)
{
    (void)state;
    AUTO_STRBUF out = STRBUF_INIT;
    unsigned said = 0;
    for (; said < 40000; said++)
        say(said);
    trace_buffer_take(&out);
    assert_true(out.len <= TRACE_BUFFER_MAX + 200);
    struct span rest = strbuf_span(&out), line, last = SPAN_NONE;
    unsigned kept = 0;
    while (span_cut(&rest, '\n', &line)) {
        last = line;
        kept++;
    }
    char told[64];
    snprintf(told, sizeof told, "warn trace-dropped lines=%u", said - (kept - 1));
    assert_true(span_ends(last, span_cstr(told)));
    strbuf_clear(&out);
    trace_buffer_take(&out);
    assert_int_equal(out.len, 0);
}

/* Over a channel whose reader comes late: what the channel and the buffer hold comes whole and in order. */
static void test_over_a_channel(void **state)
{
    (void)state;
    enum { LINES = 12000 };
    int ours, theirs;
    AUTO_STRBUF got = STRBUF_INIT;
    assert_int_equal(channel_new(&ours, &theirs, &err), ST_OK);
    trace_sender_start(ours);
    for (unsigned i = 0; i < LINES; i++)
        say(i);
    unsigned expected = 0;
    for (struct pollfd p = {.fd = theirs, .events = POLLIN}; expected < LINES;) {
        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_true(trace_receive(theirs, &got, 1 << 20));
        struct span rest = strbuf_span(&got), line;
        while (span_cut(&rest, '\n', &line)) {
            char end[32];
            snprintf(end, sizeof end, " n=%u", expected++);
            assert_true(span_ends(line, span_cstr(end)));
        }
        strbuf_clear(&got); /* packets are whole lines */
    }
    say(LINES);
    trace_sender_stop();
    assert_true(trace_receive(theirs, &got, 1 << 20));
    assert_non_null(strstr(strbuf_cstr(&got), " n=12000\n"));
    close(ours);
    strbuf_clear(&got);
    assert_false(trace_receive(theirs, &got, 1 << 20));
    close(theirs);
}

int main(void)
{
    /* thousands of lines are of no interest here */
    if (!freopen("/dev/null", "w", stderr) || trace_buffer_start(true, &err) != ST_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_as_said),
        cmocka_unit_test(test_bounded_and_told),
        cmocka_unit_test(test_over_a_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
