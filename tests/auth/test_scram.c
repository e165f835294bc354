/* SCRAM-SHA-256: RFC 7677's example, what must not be taken for a proof, channel binding, SASLprep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "auth/scram.h"
#include "base/mem.h"
#include "text/codec.h"

static struct scram_keys keys_of(const char *password, const char *salt64, uint32_t iterations)
{
    struct scram_keys keys = {.iterations = iterations};
    AUTO_STRBUF salt = STRBUF_INIT;
    AUTO_STRBUF prepared = STRBUF_INIT;
    assert_true(base64_decode_strict(span_cstr(salt64), &salt) && salt.len == SCRAM_SALT_BYTES);
    memcpy(keys.salt, salt.p, salt.len);
    assert_true(scram_prepare(span_cstr(password), &prepared));
    scram_derive(&keys, strbuf_span(&prepared));
    return keys;
}

#define FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FINAL "c=biws,r=rOprNGfwEbeRWgbNEkqO" NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

/* RFC 7677 §3 */
static void test_example(void **state)
{
    (void)state;
    struct scram_keys keys = keys_of("pencil", "W22ZaJ0SNY7soEsUEjb6gQ==", 4096);
    struct scram x = {0};
    AUTO_STRBUF out = STRBUF_INIT;
    assert_true(scram_first(&x, SPAN(FIRST)));
    assert_string_equal(strbuf_cstr(&x.user), "user");
    scram_challenge(&x, &keys, SPAN(NONCE), &out);
    assert_string_equal(strbuf_cstr(&out), "r=rOprNGfwEbeRWgbNEkqO" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    strbuf_clear(&out);
    assert_true(scram_final(&x, SPAN(FINAL), &out));
    assert_string_equal(strbuf_cstr(&out), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    scram_end(&x);
}

/* The example with each octet of the last message changed, cut off, or added to. */
static void test_no_proof(void **state)
{
    (void)state;
    struct scram_keys keys = keys_of("pencil", "W22ZaJ0SNY7soEsUEjb6gQ==", 4096);
    for (size_t at = 0; at < 3 * (sizeof FINAL - 1); at++) {
        struct scram x = {0};
        AUTO_STRBUF out = STRBUF_INIT;
        AUTO_STRBUF text = STRBUF_INIT;
        size_t i = at / 3;
        strbuf_add_cstr(&text, FINAL);
        if (at % 3 == 0)
            text.p[i] ^= 1;
        else if (at % 3 == 1)
            strbuf_truncate(&text, i);
        else
            text.p[i] = ',';
        if (span_eq(strbuf_span(&text), SPAN(FINAL)))
            continue;
        assert_true(scram_first(&x, SPAN(FIRST)));
        scram_challenge(&x, &keys, SPAN(NONCE), &out);
        assert_false(scram_final(&x, strbuf_span(&text), &out));
        scram_end(&x);
    }
}

static void test_first(void **state)
{
    (void)state;
    static const char some[SCRAM_BINDING_BYTES] = "binding";
    static const struct {
        const char *message;
        bool is_plus, has_binding, is_good;
        const char *user;
    } rows[] = {
        {"n,,n=user,r=abc", false, false, true, "user"},
        {"n,,n=user,r=abc", false, true, true, "user"},
        {"y,,n=user,r=abc", false, false, true, "user"},
        {"y,,n=user,r=abc", false, true, false, NULL}, /* somebody took -PLUS away */
        {"p=tls-exporter,,n=user,r=abc", true, true, true, "user"},
        {"p=tls-exporter,,n=user,r=abc", true, false, false, NULL},
        {"p=tls-exporter,,n=user,r=abc", false, true, false, NULL},
        {"p=tls-unique,,n=user,r=abc", true, true, false, NULL},
        {"n,,n=user,r=abc", true, true, false, NULL},
        {"n,a=user,n=user,r=abc", false, false, true, "user"},
        {"n,a=other,n=user,r=abc", false, false, false, NULL},
        {"n,user,n=user,r=abc", false, false, false, NULL},
        {"n,,m=ext,n=user,r=abc", false, false, false, NULL},
        {"n,,n=a=2Cb=3Dc,r=abc,x=more", false, false, true, "a,b=c"},
        {"n,,n=a=2cb,r=abc", false, false, false, NULL},
        {"n,,n=a=,r=abc", false, false, false, NULL},
        {"n,,n=,r=abc", false, false, false, NULL},
        {"n,,n=user,r=", false, false, false, NULL},
        {"n,,n=user,r=a c", false, false, false, NULL},
        {"n,,n=user", false, false, false, NULL},
        {"n,,r=abc,n=user", false, false, false, NULL},
        {"n,", false, false, false, NULL},
        {"", false, false, false, NULL},
        {"n,,n=I\xc2\xadX,r=abc", false, false, true, "IX"},
        {"n,,n=\xff,r=abc", false, false, false, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scram x = {.is_plus = rows[i].is_plus};
        if (rows[i].has_binding)
            x.binding = span_of(some, sizeof some);
        bool is_good = scram_first(&x, span_cstr(rows[i].message));
        if (is_good != rows[i].is_good)
            fail_msg("%s", rows[i].message);
        if (is_good)
            assert_string_equal(strbuf_cstr(&x.user), rows[i].user);
        scram_end(&x);
    }
}

/* RFC 4013 §3 */
static void test_prepare(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"I\xc2\xadX", "IX"}, {"user", "user"},       {"USER", "USER"},      {"\xc2\xaa", "a"}, {"\xe2\x85\xa8", "IX"},
        {"\x07", NULL},       {"\xd8\xa7\x31", NULL}, {"a\xc2\xa0z", "a z"}, {"", NULL},        {"\xc3", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        bool is_good = scram_prepare(span_cstr(rows[i].in), &out);
        assert_int_equal(is_good, rows[i].out != NULL);
        if (is_good)
            assert_string_equal(strbuf_cstr(&out), rows[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_no_proof),
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_prepare),
    };
    return cmocka_run_group_tests_name("scram", tests, NULL, NULL);
}
