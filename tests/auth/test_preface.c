/* The preface: there and back, byte by byte, each length and each byte wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "auth/preface.h"

static void sample(struct preface *p)
{
    *p = (struct preface){.protocol = 2, .id = "3fk2a9", .tag = SPAN("a1")};
    memset(p->ticket, 0xa5, sizeof p->ticket);
    p->peer = (struct peer){.address = "2001:db8::1",
                            .port = 50000,
                            .local_port = 993,
                            .tls_version = "TLSv1.3",
                            .tls_cipher = "TLS_AES_256_GCM_SHA384",
                            .tls_bits = 256,
                            .auth_mechanism = "SCRAM-SHA-256"};
}

static void test_round_trip(void **state)
{
    (void)state;
    struct preface p, q;
    size_t size;
    AUTO_STRBUF bytes = STRBUF_INIT;
    sample(&p);
    preface_write(&p, &bytes);
    size_t whole = bytes.len;
    strbuf_add_cstr(&bytes, "a2 NOOP\r\n"); /* what the client had already said */
    for (size_t n = 0; n < whole; n++)
        assert_int_equal(preface_read(span_of(bytes.p, n), &q, &size), PREFACE_PARTIAL);
    for (size_t n = whole; n <= bytes.len; n++) {
        assert_int_equal(preface_read(span_of(bytes.p, n), &q, &size), PREFACE_WHOLE);
        assert_int_equal(size, whole);
        assert_int_equal(q.protocol, 2);
        assert_memory_equal(q.ticket, p.ticket, sizeof p.ticket);
        assert_string_equal(q.id, "3fk2a9");
        assert_string_equal(q.peer.address, "2001:db8::1");
        assert_int_equal(q.peer.port, 50000);
        assert_int_equal(q.peer.local_port, 993);
        assert_string_equal(q.peer.tls_version, "TLSv1.3");
        assert_string_equal(q.peer.tls_cipher, "TLS_AES_256_GCM_SHA384");
        assert_int_equal(q.peer.tls_bits, 256);
        assert_string_equal(q.peer.auth_mechanism, "SCRAM-SHA-256");
        assert_true(span_eq(q.tag, SPAN("a1")));
    }
}

static void test_longest(void **state)
{
    (void)state;
    struct preface p, q;
    size_t size;
    char tag[PREFACE_TAG_MAX];
    AUTO_STRBUF bytes = STRBUF_INIT;
    sample(&p);
    memset(tag, 'x', sizeof tag);
    memset(p.id, 'z', sizeof p.id - 1);
    memset(p.peer.address, '1', sizeof p.peer.address - 1);
    memset(p.peer.tls_version, '1', sizeof p.peer.tls_version - 1);
    memset(p.peer.tls_cipher, '1', sizeof p.peer.tls_cipher - 1);
    memset(p.peer.auth_mechanism, '1', sizeof p.peer.auth_mechanism - 1);
    p.tag = span_of(tag, sizeof tag);
    preface_write(&p, &bytes);
    assert_int_equal(bytes.len, PREFACE_MAX);
    assert_int_equal(preface_read(strbuf_span(&bytes), &q, &size), PREFACE_WHOLE);
    assert_int_equal(q.tag.len, PREFACE_TAG_MAX);
}

static void test_bad(void **state)
{
    (void)state;
    struct preface p, q;
    size_t size;
    AUTO_STRBUF good = STRBUF_INIT, bad = STRBUF_INIT;
    sample(&p);
    preface_write(&p, &good);
    for (size_t i = 0; i < 7; i++) { /* the magic and the version, as soon as they are seen */
        strbuf_clear(&bad);
        strbuf_add(&bad, strbuf_span(&good));
        bad.p[i] ^= 1;
        assert_int_equal(preface_read(span_of(bad.p, i + 1), &q, &size), PREFACE_BAD);
    }
    static const struct {
        size_t at; /* of a length, behind the fixed part */
        char high, low;
    } lengths[] = {{0, 0, 16}, {0, 1, 0}, {0, 0, 0}, {8, 0, 46}, {8, (char)0xff, (char)0xff}};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        strbuf_clear(&bad);
        strbuf_add(&bad, strbuf_span(&good));
        bad.p[PREFACE_FIXED_BYTES + lengths[i].at] = lengths[i].high;
        bad.p[PREFACE_FIXED_BYTES + lengths[i].at + 1] = lengths[i].low;
        assert_int_equal(preface_read(strbuf_span(&bad), &q, &size), PREFACE_BAD);
    }
    strbuf_clear(&bad);
    strbuf_add(&bad, strbuf_span(&good));
    bad.p[bad.len - 1] = '\n'; /* nothing in it may make a line of a log or a protocol */
    assert_int_equal(preface_read(strbuf_span(&bad), &q, &size), PREFACE_BAD);
    bad.p[bad.len - 1] = '1';
    bad.p[PREFACE_FIXED_BYTES + 2] = 'A'; /* an id is [a-z0-9] */
    assert_int_equal(preface_read(strbuf_span(&bad), &q, &size), PREFACE_BAD);
}

/* Every byte set to every value: an answer, and never outside of the input. */
static void test_every_byte(void **state)
{
    (void)state;
    struct preface p, q;
    size_t size;
    AUTO_STRBUF bytes = STRBUF_INIT;
    sample(&p);
    preface_write(&p, &bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        char was = bytes.p[i];
        for (int v = 0; v < 256; v++) {
            bytes.p[i] = (char)v;
            size = 0;
            if (preface_read(strbuf_span(&bytes), &q, &size) == PREFACE_WHOLE)
                assert_true(size > 0 && size <= bytes.len && q.tag.p + q.tag.len <= bytes.p + bytes.len);
        }
        bytes.p[i] = was;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
