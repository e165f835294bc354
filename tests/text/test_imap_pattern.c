/* Tests of text/imap_pattern.h. */
#include "check.h"
#include "base/clock.h"
#include "text/imap_pattern.h"

static bool match(const char *pattern, const char *name)
{
    AUTO_ARENA a = ARENA_INIT;
    struct imap_pattern *p;
    struct err err;
    assert_int_equal(imap_pattern_compile(&a, span_cstr(pattern), &p, &err), ST_OK);
    return imap_pattern_match(p, span_cstr(name));
}

static void matches(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool is_match;
    } rows[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "A", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"*", "", true},
        {"*", "a/b/c", true},
        {"%", "a", true},
        {"%", "a/b", false},
        {"%/%", "a/b", true},
        {"%/%", "a/b/c", false},
        {"a/%", "a/b", true},
        {"a/%", "a/", true},
        {"a/%", "a", false},
        {"a/*", "a/b/c", true},
        {"a*", "a", true},
        {"a%c", "abc", true},
        {"a%c", "ab/c", false},
        {"a*c", "ab/c", true},
        {"*b", "a/ab", true},
        {"%b", "ab/ab", false},
        {"*%b", "ab/ab", true},
        {"%*b", "ab/ab", true},
        {"%%b", "ab/ab", false},
        {"%b%b%", "abab", true},
        {"*a*a*a", "bababa", true},
        {"*a*a*a*a", "bababa", false},
        {"%a/b%", "xa/bx", true},
        {"%a/b", "aa/b", true},
        {"~/Mail/%", "~/Mail/foo", true},
        {"INBOX", "INBOX", true},
        {"inbox", "INBOX", true},
        {"iNb*", "INBOX", true},
        {"inbox/a", "INBOX/a", false},
        {"foo%", "INBOX", false},
        {"\xc3\xa4%", "\xc3\xa4\xc3\xb6", true},
    };
    for (size_t i = 0; i < ROWS(rows); i++)
        if (match(rows[i].pattern, rows[i].name) != rows[i].is_match)
            fail_msg("%s on %s", rows[i].pattern, rows[i].name);
}

/* The obvious definition, exponential, for small cases. */
static bool naive(const char *p, const char *n)
{
    if (!*p)
        return !*n;
    if (*p == '*' || *p == '%')
        return naive(p + 1, n) || (*n && (*p == '*' || *n != '/') && naive(p, n + 1));
    return *p == *n && naive(p + 1, n + 1);
}

static void agrees_with_the_definition(void **state)
{
    (void)state;
    uint32_t random = 7;
    for (int i = 0; i < 30000; i++) {
        char pattern[9] = "", name[9] = "";
        random = random * 1664525 + 1013904223;
        for (uint32_t r = random >> 4, k = 0; k < (random & 7); k++, r /= 4)
            pattern[k] = "a/*%"[r % 4];
        random = random * 1664525 + 1013904223;
        for (uint32_t r = random >> 4, k = 0; k < (random & 7); k++, r /= 3)
            name[k] = "a/b"[r % 3];
        if (match(pattern, name) != naive(pattern, name))
            fail_msg("%s on %s", pattern, name);
    }
}

/* States lie in several words: the carry between them, and no time explodes. */
static void long_patterns(void **state)
{
    (void)state;
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF pattern = STRBUF_INIT;
    AUTO_STRBUF name = STRBUF_INIT;
    struct imap_pattern *p;
    struct err err;
    for (int i = 0; i < IMAP_PATTERN_MAX / 2; i++)
        strbuf_add_cstr(&pattern, i % 2 ? "%a" : "*a");
    for (int i = 0; i < 1000; i++)
        strbuf_add_char(&name, 'a');
    assert_int_equal(imap_pattern_compile(&a, strbuf_span(&pattern), &p, &err), ST_OK);
    int64_t start = clock_mono_ms();
    for (int i = 0; i < 100; i++)
        assert_true(imap_pattern_match(p, strbuf_span(&name)));
    assert_false(imap_pattern_match(p, span_take(strbuf_span(&name), IMAP_PATTERN_MAX / 2 - 1)));
    assert_true(imap_pattern_match(p, span_take(strbuf_span(&name), IMAP_PATTERN_MAX / 2)));
    strbuf_add_char(&name, 'b');
    assert_false(imap_pattern_match(p, strbuf_span(&name)));
    assert_true(clock_mono_ms() - start < 2000);
    strbuf_add_cstr(&pattern, "a");
    assert_int_equal(imap_pattern_compile(&a, strbuf_span(&pattern), &p, &err), ST_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches),
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(long_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
