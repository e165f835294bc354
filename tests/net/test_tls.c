/*
 * TLS with keys that are elsewhere: RSA and ECDSA, 1.2 and 1.3, SNI, STARTTLS with injected bytes, a signer that fails,
 * and the certificates replaced while sessions live. The client is OpenSSL in this process, and openssl s_client where
 * it is installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "harness.h"
#include "test_keys.h"

struct handshake {
    const char *name; /* SNI; NULL: none */
    int version;
    const char *sigalgs; /* NULL: all */
    const char *ciphers; /* TLS 1.2 */
};

static SSL_CTX *client_ctx(const struct handshake *hs)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(ctx, hs->version);
    SSL_CTX_set_max_proto_version(ctx, hs->version);
    if (hs->sigalgs)
        assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, hs->sigalgs), 1);
    if (hs->ciphers)
        assert_int_equal(SSL_CTX_set_cipher_list(ctx, hs->ciphers), 1);
    return ctx;
}

/* True where the handshake succeeds; *host_matches: the certificate is valid for `host`. */
static bool shake(int port, const struct handshake *hs, const char *host, bool *host_matches)
{
    SSL_CTX *ctx = client_ctx(hs);
    struct client c = client_open(port);
    c.ssl = SSL_new(ctx);
    SSL_set_fd(c.ssl, c.fd);
    if (hs->name)
        SSL_set_tlsext_host_name(c.ssl, hs->name);
    bool is_good = SSL_connect(c.ssl) == 1;
    if (is_good) {
        X509 *cert = SSL_get1_peer_certificate(c.ssl);
        *host_matches = X509_check_host(cert, host, 0, 0, NULL) == 1;
        X509_free(cert);
        client_expect(&c, "hello tls");
        client_say(&c, "through");
        client_expect(&c, "through");
        SSL_shutdown(c.ssl);
    }
    ERR_clear_error();
    client_close(&c);
    SSL_CTX_free(ctx);
    return is_good;
}

static void test_algorithms(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        struct handshake hs;
    } rows[] = {
        {"rsa", {NULL, TLS1_3_VERSION, NULL, NULL}},
        {"rsa", {NULL, TLS1_2_VERSION, NULL, NULL}},
        {"rsa", {NULL, TLS1_2_VERSION, "RSA+SHA256", NULL}},
        {"rsa", {NULL, TLS1_2_VERSION, "RSA+SHA512", "ECDHE-RSA-AES256-SHA384"}},
        {"rsa", {NULL, TLS1_2_VERSION, "rsa_pss_rsae_sha384", NULL}},
        {"rsa", {NULL, TLS1_3_VERSION, "rsa_pss_rsae_sha512", NULL}},
        {"ec", {NULL, TLS1_3_VERSION, NULL, NULL}},
        {"ec", {NULL, TLS1_2_VERSION, NULL, NULL}},
        {"ec384", {NULL, TLS1_3_VERSION, NULL, NULL}},
        {"ec384", {NULL, TLS1_2_VERSION, NULL, "ECDHE-ECDSA-CHACHA20-POLY1305"}},
    };
    static const char *const names[] = {"mail.example.test"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct harness h = {0};
        struct test_keys *keys = test_keys_new();
        test_keys_add(keys, rows[i].kind, names, 1);
        harness_start(&h, NULL);
        server_set_tls(h.server, test_keys_context(keys));
        bool matches = false;
        assert_true(shake(h.tls_port, &rows[i].hs, "mail.example.test", &matches));
        assert_true(matches);
        assert_int_equal(test_keys_signatures(keys), 1);
        harness_stop(&h, 5000);
        test_keys_free(&keys);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"mail.example.test"};
    struct harness h = {0};
    struct test_keys *keys = test_keys_new();
    test_keys_add(keys, "rsa", names, 1);
    harness_start(&h, NULL);
    server_set_tls(h.server, test_keys_context(keys));
    bool matches;
    assert_false(
        shake(h.tls_port, &(struct handshake){NULL, TLS1_1_VERSION, NULL, "DEFAULT:@SECLEVEL=0"}, "", &matches));
    assert_false(shake(h.tls_port, &(struct handshake){NULL, TLS1_2_VERSION, NULL, "AES128-GCM-SHA256"}, "", &matches));
    test_keys_fail(keys, true); /* the vault is away */
    assert_false(shake(h.tls_port, &(struct handshake){NULL, TLS1_3_VERSION, NULL, NULL}, "", &matches));
    assert_false(shake(h.tls_port, &(struct handshake){NULL, TLS1_2_VERSION, NULL, NULL}, "", &matches));
    test_keys_fail(keys, false);
    assert_true(shake(h.tls_port, &(struct handshake){NULL, TLS1_3_VERSION, NULL, NULL}, "", &matches));
    struct client c = client_open(h.tls_port); /* plain words at a TLS port */
    client_say(&c, "EHLO client.example.test");
    char buffer[64];
    while (client_read(&c, buffer, sizeof buffer) > 0)
        ;
    client_close(&c);
    assert_int_equal(h.starts, 1);
    harness_stop(&h, 5000);
    test_keys_free(&keys);
}

static void test_sni(void **state)
{
    (void)state;
    static const char *const first[] = {"mail.example.test"};
    static const char *const second[] = {"imap.example.test", "*.wild.example.test"};
    struct harness h = {0};
    struct test_keys *keys = test_keys_new();
    test_keys_add(keys, "rsa", first, 1);
    test_keys_add(keys, "ec", second, 2);
    harness_start(&h, NULL);
    server_set_tls(h.server, test_keys_context(keys));
    static const struct {
        const char *sni, *host;
    } rows[] = {
        {NULL, "mail.example.test"},
        {"mail.example.test", "mail.example.test"},
        {"imap.example.test", "imap.example.test"},
        {"IMAP.Example.Test", "imap.example.test"},
        {"a.wild.example.test", "a.wild.example.test"},
        {"a.b.wild.example.test", "mail.example.test"}, /* a wildcard is one label */
        {"unknown.example.test", "mail.example.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool matches = false;
        struct handshake hs = {rows[i].sni, i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION, NULL, NULL};
        assert_true(shake(h.tls_port, &hs, rows[i].host, &matches));
        assert_true(matches);
    }
    harness_stop(&h, 5000);
    test_keys_free(&keys);
}

/* What was said in clear behind STARTTLS must not be taken for something said under TLS (CVE-2011-0411). */
static void test_starttls(void **state)
{
    (void)state;
    static const char *const names[] = {"mail.example.test"};
    struct harness h = {0};
    struct test_keys *keys = test_keys_new();
    test_keys_add(keys, "rsa", names, 1);
    harness_start(&h, NULL);
    struct client c = client_open(h.port);
    client_expect(&c, "hello plain");
    client_say(&c, "STARTTLS");
    client_expect(&c, "no"); /* no certificate yet */
    server_set_tls(h.server, test_keys_context(keys));
    client_send(&c, "STARTTLS\r\ninjected\r\nmore", 24);
    client_expect(&c, "begin");
    client_starttls(&c);
    client_say(&c, "first");
    client_expect(&c, "first");
    client_say(&c, "STARTTLS");
    client_expect(&c, "no");
    client_say(&c, "BODY 300000");
    client_expect(&c, "go on");
    char *body = calloc(1, 300000);
    client_send(&c, body, 300000);
    free(body);
    client_expect(&c, "got 300000");
    client_say(&c, "BIG 1000000");
    char buffer[4096];
    for (size_t got = 0; got < 1000000;) {
        size_t n = client_read(&c, buffer, 1000000 - got < sizeof buffer ? 1000000 - got : sizeof buffer);
        assert_true(n > 0);
        got += n;
    }
    client_expect(&c, "");
    client_expect(&c, "done");
    client_say(&c, "QUIT");
    client_expect(&c, "bye");
    assert_int_equal(SSL_read(c.ssl, buffer, 1), 0);
    assert_int_equal(SSL_get_error(c.ssl, 0), SSL_ERROR_ZERO_RETURN); /* close_notify, not a cut */
    client_close(&c);
    harness_stop(&h, 5000);
    test_keys_free(&keys);
}

/* Many at once, with certificates replaced under them and peers that vanish in mid-handshake. */
static void *shake_often(void *arg)
{
    struct harness *h = arg;
    for (int i = 0; i < 25; i++) {
        struct client c = client_open(h->tls_port);
        if (i % 5 == 4) {
            client_send(&c, "\x16\x03\x01\x02\x00", 5);
        } else {
            client_starttls(&c);
            client_expect(&c, "hello tls");
            client_say(&c, "x");
            client_expect(&c, "x");
        }
        client_close(&c);
    }
    return NULL;
}

static void test_replaced(void **state)
{
    (void)state;
    static const char *const names[] = {"mail.example.test"};
    struct harness h = {0};
    struct test_keys *keys = test_keys_new();
    test_keys_add(keys, "ec", names, 1);
    harness_start(&h, NULL);
    server_set_tls(h.server, test_keys_context(keys));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, shake_often, &h);
    for (int i = 0; i < 50; i++) {
        server_set_tls(h.server, test_keys_context(keys));
        usleep(1000);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    harness_stop(&h, 5000);
    test_keys_free(&keys);
}

/* The client people have: openssl s_client, for both kinds and versions. */
static void test_s_client(void **state)
{
    (void)state;
    static const char *const rsa_name[] = {"rsa.example.test"};
    static const char *const ec_name[] = {"ec.example.test"};
    if (system("openssl version >/dev/null 2>&1") != 0)
        skip();
    struct harness h = {0};
    struct test_keys *keys = test_keys_new();
    test_keys_add(keys, "rsa", rsa_name, 1);
    test_keys_add(keys, "ec", ec_name, 1);
    harness_start(&h, NULL);
    server_set_tls(h.server, test_keys_context(keys));
    for (int i = 0; i < 4; i++) {
        char command[512];
        snprintf(command, sizeof command,
                 "(sleep 0.3; printf 'over s_client\\r\\nQUIT\\r\\n') | timeout 20 openssl s_client -quiet -connect "
                 "127.0.0.1:%d "
                 "-servername %s %s 2>/dev/null | grep -q 'over s_client'",
                 h.tls_port, i & 1 ? "rsa.example.test" : "ec.example.test", i & 2 ? "-tls1_2" : "-tls1_3");
        assert_int_equal(system(command), 0);
    }
    harness_stop(&h, 5000);
    test_keys_free(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_algorithms), cmocka_unit_test(test_refused),  cmocka_unit_test(test_sni),
        cmocka_unit_test(test_starttls),   cmocka_unit_test(test_replaced), cmocka_unit_test(test_s_client),
    };
    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
