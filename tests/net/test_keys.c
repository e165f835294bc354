/* test_keys.c - see test_keys.h. */
#include "test_keys.h"
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

enum { KEYS_MAX = 4 };

struct test_keys {
    EVP_PKEY *keys[KEYS_MAX];
    struct span pems[KEYS_MAX];
    size_t count;
    _Atomic uint32_t signatures;
    _Atomic bool must_fail;
};

struct test_keys *test_keys_new(void)
{
    return mem_alloc(sizeof(struct test_keys));
}

void test_keys_free(struct test_keys **kp)
{
    struct test_keys *k = *kp;
    for (size_t i = 0; i < k->count; i++) {
        EVP_PKEY_free(k->keys[i]);
        free((void *)(uintptr_t)k->pems[i].p);
    }
    free(k);
    *kp = NULL;
}

static void add_names(X509 *cert, const char *const names[], size_t count)
{
    char text[512] = "";
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%sDNS:%s", i ? "," : "", names[i]);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, text);
    assert(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

void test_keys_add(struct test_keys *k, const char *kind, const char *const names[], size_t count)
{
    assert(k->count < KEYS_MAX);
    EVP_PKEY *key =
        strcmp(kind, "rsa") == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen(strcmp(kind, "ec") == 0 ? "P-256" : "P-384");
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1,
                               0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    add_names(cert, names, count);
    int signed_bytes = X509_sign(cert, key, EVP_sha256());
    assert(signed_bytes > 0);
    (void)signed_bytes;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, cert);
    char *pem;
    long len = BIO_get_mem_data(bio, &pem);
    k->pems[k->count] = span_of(mem_copy(pem, (size_t)len), (size_t)len);
    k->keys[k->count++] = key;
    BIO_free(bio);
    X509_free(cert);
}

static enum status sign(void *ctx, uint32_t index, enum tls_sign_scheme scheme, struct span input, struct strbuf *out,
                        struct err *err)
{
    struct test_keys *k = ctx;
    unsigned char signature[512];
    size_t len = sizeof signature;
    if (atomic_load(&k->must_fail) || index >= k->count)
        return err_set(err, ST_TEMPORARY, "the vault is away");
    EVP_PKEY_CTX *pc = EVP_PKEY_CTX_new(k->keys[index], NULL);
    bool is_good = EVP_PKEY_sign_init(pc) == 1 &&
                   (scheme != TLS_SIGN_RSA_RAW || EVP_PKEY_CTX_set_rsa_padding(pc, RSA_NO_PADDING) == 1) &&
                   EVP_PKEY_sign(pc, signature, &len, (const unsigned char *)input.p, input.len) == 1;
    EVP_PKEY_CTX_free(pc);
    if (!is_good)
        return err_set(err, ST_BUG, "signing failed");
    atomic_fetch_add(&k->signatures, 1);
    strbuf_add_bytes(out, signature, len);
    return ST_OK;
}

struct tls_context *test_keys_context(struct test_keys *k)
{
    struct tls_context *t = NULL;
    struct err err;
    enum status st = tls_context_new(k->pems, k->count, &(struct tls_signer){sign, k}, &t, &err);
    if (st != ST_OK)
        fprintf(stderr, "%s\n", err.operator_text);
    assert(st == ST_OK);
    return t;
}

uint32_t test_keys_signatures(const struct test_keys *k)
{
    return atomic_load(&k->signatures);
}

void test_keys_fail(struct test_keys *k, bool must_fail)
{
    atomic_store(&k->must_fail, must_fail);
}
