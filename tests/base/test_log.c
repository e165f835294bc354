/* Tests of base/log.h: lines are caught by putting a pipe in the place of stderr. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"

static char caught[8192];
static int saved_stderr, read_end;

static void catch_begin(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    read_end = ends[0];
}

static struct span catch_end(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    ssize_t n = read(read_end, caught, sizeof caught);
    close(read_end);
    return span_of(caught, n > 0 ? (size_t)n : 0);
}

#define assert_line(got, expected)                                                                                     \
    do {                                                                                                               \
        caught[(got).len] = '\0';                                                                                      \
        assert_string_equal(caught, expected);                                                                         \
    } while (0)

static int fake_clock(void **state)
{
    (void)state;
    clock_fake(1769860800123, 5); /* 2026-01-31T12:00:00.123Z */
    log_set_role("mail");
    log_set_level(LOG_INFO);
    return 0;
}

static int real_clock(void **state)
{
    (void)state;
    clock_unfake();
    return 0;
}

static void writes_pairs(void **state)
{
    (void)state;
    struct log_line l;
    catch_begin();
    log_begin(&l, LOG_INFO, "login");
    log_str(&l, "session", "3fk2a9");
    log_str(&l, "account", "alice@example.test");
    log_str(&l, "nothing", NULL);
    log_span(&l, "empty", SPAN(""));
    log_u64(&l, "size", UINT64_MAX);
    log_i64(&l, "change", -7);
    log_end(&l);
    assert_line(catch_end(), "2026-01-31T12:00:00.123Z mail info login session=3fk2a9 account=alice@example.test "
                             "size=18446744073709551615 change=-7\n");
}

/* What a stranger sends cannot begin a new line or a new pair. */
static void quotes_values(void **state)
{
    (void)state;
    static const struct {
        struct span value;
        const char *written;
    } rows[] = {
        {SPAN_INIT("a b"), "\"a b\""},
        {SPAN_INIT("a=b"), "\"a=b\""},
        {SPAN_INIT("a\r\nb"), "\"a\\x0d\\x0ab\""},
        {SPAN_INIT("a\"b\\"), "\"a\\\"b\\\\\""},
        {SPAN_INIT("\0\x7f\x1b"), "\"\\x00\\x7f\\x1b\""},
        {SPAN_INIT("<a+b@c.d>,[1:2]/_-"), "<a+b@c.d>,[1:2]/_-"},
        {SPAN_INIT("\xc3\xa4"), "\"\xc3\xa4\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct log_line l;
        char expected[128];
        snprintf(expected, sizeof expected, "2026-01-31T12:00:00.123Z mail warn event value=%s\n", rows[i].written);
        catch_begin();
        log_begin(&l, LOG_WARN, "event");
        log_span(&l, "value", rows[i].value);
        log_end(&l);
        assert_line(catch_end(), expected);
    }
}

static void drops_levels_below(void **state)
{
    (void)state;
    catch_begin();
    log_text(LOG_DEBUG, "event", "dropped");
    log_set_level(LOG_ERROR);
    log_text(LOG_WARN, "event", "dropped");
    log_text(LOG_ERROR, "event", "kept %d", 1);
    log_set_level(LOG_DEBUG);
    log_text(LOG_DEBUG, "event", "kept %d", 2);
    log_set_level(LOG_INFO);
    assert_line(catch_end(), "2026-01-31T12:00:00.123Z mail error event text=\"kept 1\"\n"
                             "2026-01-31T12:00:00.123Z mail debug event text=\"kept 2\"\n");
}

static void writes_errors(void **state)
{
    (void)state;
    struct err err;
    struct log_line l;
    err_set_operator(&err, ST_IO, "try later", "disk %s", "gone");
    catch_begin();
    log_begin(&l, LOG_ERROR, "failed");
    log_err(&l, &err);
    log_end(&l);
    assert_line(catch_end(), "2026-01-31T12:00:00.123Z mail error failed status=io reason=\"disk gone\"\n");
}

/* Longer than a line: cut, but still one line, and a value that was quoted is still closed. */
static void cuts_long_lines(void **state)
{
    (void)state;
    static const char fills[] = {'x', ' ', '\n', '"'};
    for (size_t f = 0; f < sizeof fills; f++)
        for (size_t len = 1960; len < 2100; len++) {
            char value[2100];
            struct log_line l;
            memset(value, fills[f], len);
            catch_begin();
            log_begin(&l, LOG_INFO, "long");
            log_span(&l, "value", span_of(value, len));
            log_str(&l, "more", "a b");
            log_str(&l, "more", "ab");
            log_end(&l);
            struct span got = catch_end();
            assert_true(got.len <= sizeof l.text);
            assert_int_equal(span_find_byte(got, '\n', 0), got.len - 1);
            size_t quotes = 0;
            for (size_t i = 0; i < got.len; i++) {
                if (got.p[i] == '\\')
                    i++;
                else
                    quotes += got.p[i] == '"';
            }
            assert_int_equal(quotes % 2, 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_pairs),  cmocka_unit_test(quotes_values),   cmocka_unit_test(drops_levels_below),
        cmocka_unit_test(writes_errors), cmocka_unit_test(cuts_long_lines),
    };
    return cmocka_run_group_tests(tests, fake_clock, real_clock);
}
