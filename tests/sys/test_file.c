/* Files: atomic writing, folders, reading with limits, memory files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sys/file.h"

static struct err err;
static char folder[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tassis-file-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static unsigned n;
    char *out = path[n++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static size_t count_entries(void)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void test_atomic(void **state)
{
    (void)state;
    AUTO_STRBUF text = STRBUF_INIT;
    struct stat st;
    const char *path = in_folder("a");
    assert_int_equal(file_write_atomic(path, 0600, SPAN("one"), &err), ST_OK);
    assert_int_equal(file_write_atomic(path, 0640, SPAN("two, longer"), &err), ST_OK);
    assert_int_equal(file_read(path, 100, &text, &err), ST_OK);
    assert_true(span_eq(strbuf_span(&text), SPAN("two, longer")));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(count_entries(), 1); /* no temporary is left */
}

static void test_atomic_failure_leaves_old(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("d"), 0700), 0);
    assert_int_equal(file_write_atomic(in_folder("d"), 0600, SPAN("x"), &err), ST_IO); /* rename over a folder */
    assert_int_equal(count_entries(), 1);
    assert_int_equal(file_write_atomic(in_folder("missing/x"), 0600, SPAN("x"), &err), ST_NOTFOUND);
}

static void test_read_limits(void **state)
{
    (void)state;
    AUTO_STRBUF text = STRBUF_INIT, large = STRBUF_INIT;
    memset(strbuf_extend(&large, 40000), 'x', 40000);
    assert_int_equal(file_write_atomic(in_folder("l"), 0600, strbuf_span(&large), &err), ST_OK);
    strbuf_add_cstr(&text, "before");
    assert_int_equal(file_read(in_folder("l"), 40000, &text, &err), ST_OK);
    assert_int_equal(text.len, 40006);
    assert_int_equal(file_read(in_folder("l"), 39999, &text, &err), ST_LIMIT);
    assert_int_equal(file_read(in_folder("none"), 1, &text, &err), ST_NOTFOUND);
    assert_int_equal(file_read(folder, 1, &text, &err), ST_IO);
}

static void test_folders(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(folder_make(in_folder("x/y/z"), 0700, &err), ST_OK);
    assert_int_equal(stat(in_folder("x/y/z"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(folder_make(in_folder("x/y/z"), 0755, &err), ST_OK); /* stays as it is */
    assert_int_equal(stat(in_folder("x/y/z"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(file_write_atomic(in_folder("f"), 0600, SPAN(""), &err), ST_OK);
    assert_int_equal(folder_make(in_folder("f"), 0700, &err), ST_EXISTS);
    assert_int_not_equal(folder_make(in_folder("f/g"), 0700, &err), ST_OK);
}

static void test_memory_file(void **state)
{
    (void)state;
    AUTO_FD int fd = -1;
    AUTO_STRBUF text = STRBUF_INIT;
    assert_int_equal(memory_file("test", SPAN("hello"), &fd, &err), ST_OK);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(file_read_fd(fd, "test", 10, &text, &err), ST_OK);
    assert_int_equal(file_read_fd(fd, "test", 10, &text, &err), ST_OK); /* from the start again */
    assert_true(span_eq(strbuf_span(&text), SPAN("hellohello")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_atomic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_atomic_failure_leaves_old, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folders, set_up, tear_down),
        cmocka_unit_test(test_memory_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
