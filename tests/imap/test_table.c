/* The command table as such: every row is named once, and has a seed from which tests/fuzz/fuzz_imap_command begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "imap/internal.h"

static void test_rows(void **state)
{
    (void)state;
    assert_null(imap_command_at(imap_command_count()));
    for (size_t i = 0; i < imap_command_count(); i++) {
        const struct imap_command *c = imap_command_at(i);
        assert_ptr_equal(imap_command_find(span_cstr(c->name)), c); /* no other row has the name */
        assert_non_null(c->run);
        assert_true(c->states != 0);
    }
}

/* "UID FETCH" -> cmd_uid_fetch */
static void seed_path(const char *name, char *path, size_t size)
{
    int n = snprintf(path, size, "%s/cmd_", getenv("IMAP_SEEDS"));
    for (size_t at = (size_t)n; *name && at + 1 < size; name++, at++) {
        path[at] = *name == ' ' ? '_' : ascii_lower(*name);
        path[at + 1] = '\0';
    }
}

static void test_every_command_has_a_seed(void **state)
{
    (void)state;
    for (size_t i = 0; i < imap_command_count(); i++) {
        char path[512], text[4096], line[64];
        const char *name = imap_command_at(i)->name;
        seed_path(name, path, sizeof path);
        FILE *f = fopen(path, "rb");
        if (!f)
            fail_msg("%s has no seed %s", name, path);
        size_t n = fread(text, 1, sizeof text, f);
        fclose(f);
        snprintf(line, sizeof line, "x %s", name);
        if (span_find(span_of(text, n), span_cstr(line), 0) == SPAN_NPOS)
            fail_msg("%s does not say %s", path, name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_every_command_has_a_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
