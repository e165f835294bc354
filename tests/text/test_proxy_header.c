/*
 * test_proxy_header.c - PROXY headers of both versions. Each is fed at every length: only the whole one is complete,
 * and octets behind it are not touched.
 */
#include "check.h"
#include "text/proxy_header.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

static const struct {
    struct span in;
    const char *client; /* "": none */
    uint16_t port, local_port;
} good[] = {
    {SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n"), "192.0.2.1", 56324, 25},
    {SPAN_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"), "2001:db8::1", 1, 65535},
    {SPAN_INIT("PROXY TCP6 ::ffff:192.0.2.1 ::1 0 993\r\n"), "192.0.2.1", 0, 993},
    {SPAN_INIT("PROXY UNKNOWN\r\n"), "", 0, 0},
    {SPAN_INIT("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), "", 0, 0},
    {SPAN_INIT(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\x04\0\x19"), "192.0.2.1", 56324, 25},
    {SPAN_INIT(V2 "\x21\x21\0\x24"
                  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                  "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0\1\x03\xe1"),
     "2001:db8::1", 1, 993},
    {SPAN_INIT(V2 "\x21\x11\0\x10\xc0\0\2\1\xc6\x33\x64\7\xdc\x04\0\x19\4\0\1x"), "192.0.2.1", 56324,
     25},                                   /* a field behind */
    {SPAN_INIT(V2 "\x20\0\0\0"), "", 0, 0}, /* LOCAL */
    {SPAN_INIT(V2 "\x20\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\x04\0\x19"), "", 0, 0},
    {SPAN_INIT(V2 "\x21\0\0\0"), "", 0, 0},     /* UNSPEC */
    {SPAN_INIT(V2 "\x21\x31\0\2ab"), "", 0, 0}, /* Unix */
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct proxy_header h;
        size_t used = 0;
        char with[600], client[IP_TEXT_MAX];
        for (size_t n = 0; n < good[i].in.len; n++)
            if (proxy_header_parse(span_take(good[i].in, n), &h, &used) != PROXY_MORE)
                fail_msg("row %zu is whole at %zu octets", i, n);
        memcpy(with, good[i].in.p, good[i].in.len);
        memcpy(with + good[i].in.len, "EHLO x\r\n", 8);
        assert_int_equal(proxy_header_parse(span_of(with, good[i].in.len + 8), &h, &used), PROXY_OK);
        assert_int_equal(used, good[i].in.len);
        ip_write(&h.client, client);
        assert_string_equal(client, good[i].client);
        assert_int_equal(h.client_port, good[i].port);
        assert_int_equal(h.local_port, good[i].local_port);
    }
}

static const struct span bad[] = {
    SPAN_INIT("EHLO client\r\n"),
    SPAN_INIT("\x16\x03\x01"),
    SPAN_INIT("PROXY\r\n"),
    SPAN_INIT("PROXY \r\n"),
    SPAN_INIT("proxy TCP4 192.0.2.1 198.51.100.7 1 25\r\n"),
    SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n"),
    SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.7 56324 25 x\r\n"),
    SPAN_INIT("PROXY TCP4 2001:db8::1 198.51.100.7 56324 25\r\n"),
    SPAN_INIT("PROXY TCP6 192.0.2.1 198.51.100.7 56324 25\r\n"),
    SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.7 65536 25\r\n"),
    SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.7 056 25\r\n"),
    SPAN_INIT("PROXY TCP4  192.0.2.1 198.51.100.7 56 25\r\n"),
    SPAN_INIT("PROXY UDP4 192.0.2.1 198.51.100.7 56 25\r\n"),
    SPAN_INIT("PROXY UNKNOWN "
              "45678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678\r\n"),
    SPAN_INIT(V2 "\x11\x11\0\0"),                                     /* version 1 */
    SPAN_INIT(V2 "\x22\x11\0\0"),                                     /* an unknown command */
    SPAN_INIT(V2 "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\7\xdc\x04\0"), /* too short for its addresses */
    SPAN_INIT(V2 "\x21\x11\xff\xff"),                                 /* larger than we take */
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct proxy_header h;
        size_t used;
        if (proxy_header_parse(bad[i], &h, &used) != PROXY_BAD)
            fail_msg("row %zu was taken", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
