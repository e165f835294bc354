/* Tests of base/err.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "base/err.h"

static void carries_two_texts(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, ST_LIMIT, "%d is too many", 5), ST_LIMIT);
    assert_int_equal(err.status, ST_LIMIT);
    assert_string_equal(err.client, "5 is too many");
    assert_string_equal(err.operator_text, "5 is too many");
    assert_int_equal(err_set_operator(&err, ST_IO, "try later", "disk %s", "sda"), ST_IO);
    assert_string_equal(err.client, "try later");
    assert_string_equal(err.operator_text, "disk sda");
}

static void client_text_is_one_printable_line(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, ST_SYNTAX, "unknown: %s", "A\r\nB\t\x7f\xc3\xa4~");
    assert_string_equal(err.client, "unknown: A??B????~");
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, ST_SYNTAX, "%1000d", 1);
    assert_int_equal(strlen(err.client), sizeof err.client - 1);
    err_set_operator(&err, ST_SYNTAX, "x", "%1000d", 1);
    assert_int_equal(strlen(err.operator_text), sizeof err.operator_text - 1);
    errno = ENOENT;
    assert_int_equal(err_errno(&err, "%1000d", 1), ST_NOTFOUND);
}

static void errno_gives_the_status(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum status status;
    } rows[] = {{ENOENT, ST_NOTFOUND}, {EACCES, ST_DENIED}, {EPERM, ST_DENIED}, {EEXIST, ST_EXISTS}, {EIO, ST_IO}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err;
        errno = rows[i].number;
        assert_int_equal(err_errno(&err, "open %s", "file"), rows[i].status);
        assert_int_equal(err.status, rows[i].status);
        assert_non_null(strstr(err.operator_text, "open file: "));
        assert_non_null(strstr(err.operator_text, strerror(rows[i].number)));
        assert_null(strstr(err.client, "file"));
    }
}

static void every_status_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < ST_COUNT; i++) {
        assert_non_null(status_name((enum status)i));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(status_name((enum status)i), status_name((enum status)j));
    }
    assert_string_equal(status_name(ST_BUG), "bug");
    assert_string_equal(status_name((enum status)99), "unknown");
}

static enum status fails_at(int step, struct err *err)
{
    TRY(step == 1 ? err_set(err, ST_LIMIT, "one") : ST_OK);
    TRY(step == 2 ? err_set(err, ST_QUOTA, "two") : ST_OK);
    return ST_OK;
}

static void try_returns_the_first_failure(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(fails_at(1, &err), ST_LIMIT);
    assert_int_equal(fails_at(2, &err), ST_QUOTA);
    assert_int_equal(fails_at(0, &err), ST_OK);
}

static void fds_are_closed(void **state)
{
    (void)state;
    int seen;
    {
        AUTO_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        seen = fd;
        assert_true(fcntl(seen, F_GETFD) >= 0);
    }
    assert_int_equal(fcntl(seen, F_GETFD), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_two_texts),       cmocka_unit_test(client_text_is_one_printable_line),
        cmocka_unit_test(long_texts_are_cut),      cmocka_unit_test(errno_gives_the_status),
        cmocka_unit_test(every_status_has_a_name), cmocka_unit_test(try_returns_the_first_failure),
        cmocka_unit_test(fds_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
