/* Tests of text/comparator.h (RFC 4790, RFC 5255 §4). */
#include "check.h"
#include "text/comparator.h"

static void orders(void **state)
{
    (void)state;
    static const struct {
        const char *order;
        bool is_valid;
        const char *meant; /* a letter for each comparator: unicode, ascii, octet */
    } rows[] = {
        {"default", true, "u"},
        {"i;unicode-casemap", true, "u"},
        {"I;ASCII-CASEMAP", true, "a"},
        {"i;octet", true, "o"},
        {"+i;octet", true, "o"},
        {"-i;octet", true, ""},
        {"*", true, "uao"},
        {"i;*casemap", true, "ua"},
        {"i*c*e*p", true, "ua"},
        {"*octet*", true, "o"},
        {"i;basic", true, ""},
        {"cz;*", true, ""},
        {"i;octe", true, ""},
        {"i;octett", true, ""},
        {"", false, ""},
        {"+", false, ""},
        {"**", false, ""},
        {"1;x", false, ""},
        {"i octet", false, ""},
        {"i;\xc3\xa4", false, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char meant[COMPARATORS + 1];
        size_t n = 0;
        struct span order = span_cstr(rows[i].order);
        for (unsigned c = 0; c < COMPARATORS; c++)
            if (comparator_order_is_valid(order) && comparator_is_meant((enum comparator)c, order))
                meant[n++] = "uao"[c];
        meant[n] = 0;
        if (comparator_order_is_valid(order) != rows[i].is_valid || strcmp(meant, rows[i].meant) != 0)
            fail_msg("\"%s\": %s", rows[i].order, meant);
    }
}

static void forms(void **state)
{
    (void)state;
    static const char *const wanted[COMPARATORS] = {
        [COMPARATOR_UNICODE_CASEMAP] = "A\xcc\x88"
                                       "BC[\xff",
        [COMPARATOR_ASCII_CASEMAP] = "\xc3\xa4"
                                     "BC[\xff",
        [COMPARATOR_OCTET] = "\xc3\xa4"
                             "bC[\xff",
    };
    for (unsigned c = 0; c < COMPARATORS; c++) {
        AUTO_STRBUF out = STRBUF_INIT;
        comparator_fold((enum comparator)c,
                        SPAN("\xc3\xa4"
                             "bC[\xff"),
                        &out);
        assert_string_equal(strbuf_cstr(&out), wanted[c]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders),
        cmocka_unit_test(forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
