/* Credentials: setting and checking, imported verifiers, the login cache and what drops it (also another process). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "auth/credentials.h"
#include "base/clock.h"

static struct err err;
static char folder[64], path[96];
static struct credentials *c;
#define ALICE SPAN("alice@example.test")

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/tassis-credentials-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/credentials.db", folder);
    return credentials_open(path, true, &c, &err) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    clock_unfake();
    credentials_free(&c);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static enum status check(struct span account, struct span password)
{
    return credentials_check(c, account, password, &err);
}

static void test_set_and_check(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("secret"), &err), ST_OK);
    assert_int_equal(check(ALICE, SPAN("secret")), ST_OK);
    assert_int_equal(check(ALICE, SPAN("Secret")), ST_DENIED);
    assert_int_equal(check(ALICE, SPAN("")), ST_DENIED);
    assert_int_equal(check(ALICE, SPAN("secret\0more")), ST_DENIED);
    assert_int_equal(check(SPAN("bob@example.test"), SPAN("secret")), ST_DENIED);
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("another"), &err), ST_OK);
    assert_int_equal(check(ALICE, SPAN("secret")), ST_DENIED);
    assert_int_equal(check(ALICE, SPAN("another")), ST_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_impossible_passwords(void **state)
{
    (void)state;
    char longest[PASSWORD_MAX + 1];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(credentials_set_password(c, ALICE, SPAN(""), &err), ST_SYNTAX);
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("a\0b"), &err), ST_SYNTAX);
    assert_int_equal(credentials_set_password(c, ALICE, span_of(longest, PASSWORD_MAX + 1), &err), ST_SYNTAX);
    assert_int_equal(credentials_set_password(c, ALICE, span_of(longest, PASSWORD_MAX), &err), ST_OK);
    assert_int_equal(check(ALICE, span_of(longest, PASSWORD_MAX)), ST_OK);
    assert_int_equal(check(ALICE, span_of(longest, PASSWORD_MAX + 1)), ST_DENIED);
    assert_int_equal(check(ALICE, span_of(longest, PASSWORD_MAX - 1)), ST_DENIED);
}

static void test_imported(void **state)
{
    (void)state;
    static const struct {
        const char *verifier, *password;
    } good[] = {
        /* the specification of SHA-crypt, its first examples */
        {"{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
         "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
         "Hello world!"},
        {"{sha256-crypt}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!"},
        /* crypt_blowfish's own tests */
        {"{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
        {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
    };
    static const char *const bad[] = {
        "",
        "{SSHA}AAAA",
        "{PLAIN}secret",
        "secret",
        "$6$saltstring$short",
        "*",
        "!",
        "{BLF-CRYPT}",
        "{CRYPT",
        "$9$nobody$knows",
        "{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWx",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(credentials_set_verifier(c, ALICE, span_cstr(good[i].verifier), &err), ST_OK);
        assert_int_equal(check(ALICE, span_cstr(good[i].password)), ST_OK);
        assert_int_equal(check(ALICE, SPAN("not that")), ST_DENIED);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(credentials_set_verifier(c, SPAN("bob@example.test"), span_cstr(bad[i]), &err),
                         ST_UNSUPPORTED);
}

static void test_many(void **state)
{
    (void)state;
    struct credential list[] = {
        {ALICE, SPAN("{SHA512-CRYPT}$6$saltsalt$"
                     "TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1")},
        {SPAN("bob@example.test"), SPAN("$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2")},
        {SPAN("carol@example.test"), SPAN("$9$nothing")},
    };
    size_t at = 0;
    assert_int_equal(credentials_check_forms(list, 3, &at, &err), ST_UNSUPPORTED);
    assert_int_equal(at, 2);
    assert_int_equal(credentials_check_forms(list, 2, &at, &err), ST_OK);
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("before"), &err), ST_OK);
    assert_int_equal(check(ALICE, SPAN("before")), ST_OK);
    /* A list that was not looked over is not taken by halves. */
    list[2].verifier = SPAN("{NTLM}0123");
    assert_int_equal(credentials_set_verifiers(c, list, 3, &err), ST_UNSUPPORTED);
    assert_int_equal(check(ALICE, SPAN("before")), ST_OK);
    assert_int_equal(check(SPAN("bob@example.test"), SPAN("secret")), ST_DENIED);

    assert_int_equal(credentials_set_verifiers(c, list, 2, &err), ST_OK);
    assert_int_equal(check(ALICE, SPAN("before")), ST_DENIED);
    assert_int_equal(check(ALICE, SPAN("secret")), ST_OK);
    assert_int_equal(check(SPAN("bob@example.test"), SPAN("secret")), ST_OK);
}

static void test_remove(void **state)
{
    (void)state;
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("secret"), &err), ST_OK);
    assert_int_equal(check(ALICE, SPAN("secret")), ST_OK);
    assert_int_equal(credentials_remove(c, ALICE, &err), ST_OK);
    assert_int_equal(check(ALICE, SPAN("secret")), ST_DENIED);
    assert_int_equal(credentials_remove(c, ALICE, &err), ST_NOTFOUND);
}

static void test_cache(void **state)
{
    (void)state;
    clock_fake(1000, 1000);
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("secret"), &err), ST_OK);
    assert_false(credentials_is_cached(c, ALICE, SPAN("secret")));
    assert_int_equal(check(ALICE, SPAN("wrong")), ST_DENIED);
    assert_false(credentials_is_cached(c, ALICE, SPAN("wrong")));
    assert_int_equal(check(ALICE, SPAN("secret")), ST_OK);
    assert_true(credentials_is_cached(c, ALICE, SPAN("secret")));
    assert_false(credentials_is_cached(c, ALICE, SPAN("wrong")));
    assert_false(credentials_is_cached(c, SPAN("bob@example.test"), SPAN("secret")));
    assert_int_equal(check(ALICE, SPAN("wrong")), ST_DENIED); /* does not push the right one out */
    assert_true(credentials_is_cached(c, ALICE, SPAN("secret")));
    clock_fake(1000, 1000 + 299 * 1000);
    assert_true(credentials_is_cached(c, ALICE, SPAN("secret")));
    clock_fake(1000, 1000 + 300 * 1000);
    assert_false(credentials_is_cached(c, ALICE, SPAN("secret")));
}

/* What another process does to the file. */
static void in_another_process(void (*fn)(struct credentials *other))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct credentials *other = NULL;
        struct err why;
        if (credentials_open(path, false, &other, &why) != ST_OK)
            _exit(1);
        fn(other);
        credentials_free(&other);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void change_bob(struct credentials *other)
{
    struct err why;
    if (credentials_set_password(other, SPAN("bob@example.test"), SPAN("new"), &why) != ST_OK)
        _exit(1);
}

static void change_alice(struct credentials *other)
{
    struct err why;
    if (credentials_set_password(other, ALICE, SPAN("new"), &why) != ST_OK)
        _exit(1);
}

static void test_cache_is_dropped_by_others(void **state)
{
    (void)state;
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("secret"), &err), ST_OK);
    assert_int_equal(check(ALICE, SPAN("secret")), ST_OK);
    assert_true(credentials_is_cached(c, ALICE, SPAN("secret")));
    in_another_process(change_bob);
    assert_false(credentials_is_cached(c, ALICE, SPAN("secret"))); /* dropped whole */
    assert_int_equal(check(ALICE, SPAN("secret")), ST_OK);
    in_another_process(change_alice);
    assert_int_equal(check(ALICE, SPAN("secret")), ST_DENIED);
    assert_int_equal(check(ALICE, SPAN("new")), ST_OK);
}

static void test_missing_file(void **state)
{
    (void)state;
    struct credentials *other = NULL;
    char missing[128];
    snprintf(missing, sizeof missing, "%s/none.db", folder);
    assert_int_equal(credentials_open(missing, false, &other, &err), ST_NOTFOUND);
    assert_null(other);
}

static bool is_key_of(const struct scram_keys *keys, struct span password)
{
    struct scram_keys again = *keys;
    scram_derive(&again, password);
    return memcmp(&again, keys, sizeof again) == 0;
}

static struct scram_keys keys_now(struct span account)
{
    struct scram_keys keys;
    memset(&keys, 0, sizeof keys);
    assert_int_equal(credentials_scram(c, account, &keys, &err), ST_OK);
    assert_int_equal(keys.iterations, SCRAM_ITERATIONS);
    return keys;
}

/* The keys are always those of the password that is valid now; where there are none, nothing shows it. */
static void test_scram_keys(void **state)
{
    (void)state;
    struct scram_keys none = keys_now(ALICE), other = keys_now(SPAN("bob@example.test"));
    assert_memory_not_equal(none.salt, other.salt, sizeof none.salt);
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("secret"), &err), ST_OK);
    struct scram_keys first = keys_now(ALICE);
    assert_true(is_key_of(&first, SPAN("secret")));
    assert_memory_not_equal(first.salt, none.salt, sizeof none.salt);
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("other"), &err), ST_OK);
    struct scram_keys second = keys_now(ALICE);
    assert_true(is_key_of(&second, SPAN("other")));

    /* An imported verifier has none until its password comes in. */
    assert_int_equal(credentials_set_verifier(c, ALICE,
                                              SPAN("$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnI"
                                                   "FNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"),
                                              &err),
                     ST_OK);
    struct scram_keys imported = keys_now(ALICE);
    assert_memory_equal(imported.salt, none.salt, sizeof none.salt);
    assert_int_equal(check(ALICE, SPAN("wrong")), ST_DENIED);
    assert_memory_equal(keys_now(ALICE).salt, none.salt, sizeof none.salt);
    assert_int_equal(check(ALICE, SPAN("Hello world!")), ST_OK);
    struct scram_keys added = keys_now(ALICE);
    assert_true(is_key_of(&added, SPAN("Hello world!")));

    /* A password that SASLprep does not allow has none, and so has nobody. */
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("a\x07z"), &err), ST_OK);
    assert_int_equal(check(ALICE, SPAN("a\x07z")), ST_OK);
    assert_memory_equal(keys_now(ALICE).salt, none.salt, sizeof none.salt);
    assert_int_equal(credentials_set_password(c, ALICE, SPAN("secret"), &err), ST_OK);
    assert_int_equal(credentials_remove(c, ALICE, &err), ST_OK);
    assert_memory_equal(keys_now(ALICE).salt, none.salt, sizeof none.salt);

    /* The salts of those who are not there outlive the process. */
    credentials_free(&c);
    assert_int_equal(credentials_open(path, false, &c, &err), ST_OK);
    assert_memory_equal(keys_now(ALICE).salt, none.salt, sizeof none.salt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set_and_check, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_impossible_passwords, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_imported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cache_is_dropped_by_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scram_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
