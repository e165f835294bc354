/*
 * tls_key.c - a key whose private half is somewhere else (DESIGN: only the vault has it).
 *
 * OpenSSL calls the RSA and EC method tables of such a "foreign" key directly instead of exporting the key to a
 * provider. Only signing is replaced. For RSA all padding is done here and what leaves is one raw private operation on
 * a number of the modulus's size, so that TLS 1.2's PKCS #1 and TLS 1.3's PSS are one verb; for ECDSA it is the digest.
 *
 * The method tables are OpenSSL's old interface, deprecated in 3.0 and still the only one that takes a few lines; a
 * provider would be the other way. This file alone uses it.
 */
#define OPENSSL_API_COMPAT 0x10100000L
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_internal.h"
#include "base/banned.h"

enum { RSA_BYTES_MAX = 1024 }; /* RSA-8192 */

static RSA_METHOD *rsa_method;
static EC_KEY_METHOD *ec_method;
static int rsa_slot, ec_slot; /* where our struct tls_key hangs at the key */
static pthread_once_t methods_once = PTHREAD_ONCE_INIT;

static bool ask(const struct tls_key *key, enum tls_sign_scheme scheme, struct span input, struct strbuf *out)
{
    struct err err;
    if (!key)
        return false;
    if (key->signer.sign(key->signer.ctx, key->index, scheme, input, out, &err) == ST_OK)
        return true;
    struct log_line l;
    log_begin(&l, LOG_ERROR, "tls-sign-failed");
    log_u64(&l, "key", key->index);
    log_err(&l, &err);
    log_end(&l);
    return false;
}

/* Returns the number of bytes written to `to`, or -1. */
static int rsa_private_encrypt(int from_len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    unsigned char padded[RSA_BYTES_MAX];
    int size = RSA_size(rsa);
    if (size > RSA_BYTES_MAX)
        return -1;
    if (padding == RSA_PKCS1_PADDING) {
        if (RSA_padding_add_PKCS1_type_1(padded, size, from, from_len) != 1)
            return -1;
    } else if (padding == RSA_NO_PADDING && from_len == size) {
        memcpy(padded, from, (size_t)size);
    } else {
        return -1;
    }
    AUTO_STRBUF out = STRBUF_INIT;
    if (!ask(RSA_get_ex_data(rsa, rsa_slot), TLS_SIGN_RSA_RAW, span_of(padded, (size_t)size), &out) ||
        out.len != (size_t)size)
        return -1;
    memcpy(to, out.p, out.len);
    return size;
}

static ECDSA_SIG *ec_sign_sig(const unsigned char *digest, int digest_len, const BIGNUM *kinv, const BIGNUM *r,
                              EC_KEY *ec)
{
    (void)kinv, (void)r;
    AUTO_STRBUF out = STRBUF_INIT;
    if (digest_len < 0 ||
        !ask(EC_KEY_get_ex_data(ec, ec_slot), TLS_SIGN_ECDSA, span_of(digest, (size_t)digest_len), &out))
        return NULL;
    const unsigned char *p = (const unsigned char *)out.p;
    return d2i_ECDSA_SIG(NULL, &p, (long)out.len);
}

static int ec_sign(int type, const unsigned char *digest, int digest_len, unsigned char *signature,
                   unsigned int *signature_len, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
    (void)type;
    ECDSA_SIG *sig = ec_sign_sig(digest, digest_len, kinv, r, ec);
    if (!sig)
        return 0;
    int len = i2d_ECDSA_SIG(sig, NULL);
    bool fits = len > 0 && len <= ECDSA_size(ec);
    if (fits)
        *signature_len = (unsigned)i2d_ECDSA_SIG(sig, &signature);
    ECDSA_SIG_free(sig);
    return fits;
}

static void make_methods(void)
{
    rsa_slot = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    ec_slot = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    rsa_method = RSA_meth_dup(RSA_get_default_method());
    ec_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    if (rsa_slot < 0 || ec_slot < 0 || !rsa_method || !ec_method)
        panic("OpenSSL key methods cannot be made");
    RSA_meth_set1_name(rsa_method, "tassis vault");
    RSA_meth_set_flags(rsa_method, RSA_METHOD_FLAG_NO_CHECK | RSA_FLAG_EXT_PKEY);
    RSA_meth_set_priv_enc(rsa_method, rsa_private_encrypt);
    EC_KEY_METHOD_set_sign(ec_method, ec_sign, NULL, ec_sign_sig);
}

static EVP_PKEY *rsa_key(EVP_PKEY *public_key, struct tls_key *key)
{
    EVP_PKEY *made = EVP_PKEY_new();
    RSA *rsa = EVP_PKEY_get1_RSA(public_key);
    RSA *copy = rsa ? RSAPublicKey_dup(rsa) : NULL;
    RSA_free(rsa);
    if (made && copy && RSA_set_method(copy, rsa_method) == 1 && RSA_set_ex_data(copy, rsa_slot, key) == 1 &&
        EVP_PKEY_assign_RSA(made, copy) == 1)
        return made;
    RSA_free(copy);
    EVP_PKEY_free(made);
    return NULL;
}

static EVP_PKEY *ec_key(EVP_PKEY *public_key, struct tls_key *key)
{
    EVP_PKEY *made = EVP_PKEY_new();
    EC_KEY *ec = EVP_PKEY_get1_EC_KEY(public_key);
    EC_KEY *copy = ec ? EC_KEY_dup(ec) : NULL;
    EC_KEY_free(ec);
    if (made && copy && EC_KEY_set_method(copy, ec_method) == 1 && EC_KEY_set_ex_data(copy, ec_slot, key) == 1 &&
        EVP_PKEY_assign_EC_KEY(made, copy) == 1)
        return made;
    EC_KEY_free(copy);
    EVP_PKEY_free(made);
    return NULL;
}

enum status tls_key_new(X509 *certificate, struct tls_key *key, EVP_PKEY **out, struct err *err)
{
    pthread_once(&methods_once, make_methods);
    EVP_PKEY *public_key = X509_get0_pubkey(certificate);
    *out = NULL;
    switch (public_key ? EVP_PKEY_get_base_id(public_key) : EVP_PKEY_NONE) {
    case EVP_PKEY_RSA:
        if (EVP_PKEY_get_size(public_key) <= RSA_BYTES_MAX)
            *out = rsa_key(public_key, key);
        break;
    case EVP_PKEY_EC:
        *out = ec_key(public_key, key);
        break;
    default:
        break;
    }
    ERR_clear_error();
    return *out ? ST_OK : err_set(err, ST_UNSUPPORTED, "the certificate's key is neither RSA nor ECDSA");
}
