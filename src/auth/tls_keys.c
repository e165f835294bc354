/* tls_keys.c - see tls_keys.h. */
#include "auth/tls_keys.h"
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "sys/file.h"
#include "base/banned.h"

enum {
    PEM_FILE_MAX = 64 * 1024 - 1, /* a chain is one field of a frame */
    SELF_SIGNED_DAYS = 3650,
    SELF_SIGNED_EARLY_SECONDS = 3600, /* clocks of clients that are behind */
    FOLDER_PATH_MAX = 4096,
    DIGEST_MAX = 64,
};

struct tls_key {
    uint32_t id;
    EVP_PKEY *key;
    struct strbuf chain;
};
struct tls_keys {
    struct tls_key list[TLS_CHAINS_MAX];
    size_t count;
};

struct tls_keys *tls_keys_new(void)
{
    return mem_alloc(sizeof(struct tls_keys));
}

void tls_keys_free(struct tls_keys **k)
{
    if (!*k)
        return;
    for (size_t i = 0; i < (*k)->count; i++) {
        EVP_PKEY_free((*k)->list[i].key);
        strbuf_free(&(*k)->list[i].chain);
    }
    free(*k);
    *k = NULL;
}

static enum status openssl_error(struct err *err, enum status st, const char *what)
{
    char why[160];
    ERR_error_string_n(ERR_get_error(), why, sizeof why);
    ERR_clear_error();
    return err_set_operator(err, st, "internal error, try again later", "%s: %s", what, why);
}

static EVP_PKEY *parse_key(struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, "") : NULL;
    BIO_free(bio);
    return key;
}

static X509 *parse_leaf(struct span pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
    X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return leaf;
}

static uint32_t public_key_id(X509 *leaf)
{
    unsigned char digest[DIGEST_MAX];
    uint32_t id;
    if (!X509_pubkey_digest(leaf, EVP_sha256(), digest, NULL))
        panic("SHA-256 failed");
    memcpy(&id, digest, sizeof id);
    return id;
}

static enum status add_pair(struct tls_keys *k, struct span chain, struct span key_pem, struct err *err)
{
    if (k->count == TLS_CHAINS_MAX)
        return err_set(err, ST_LIMIT, "more than %d certificates", TLS_CHAINS_MAX);
    X509 *leaf = parse_leaf(chain);
    EVP_PKEY *key = leaf ? parse_key(key_pem) : NULL;
    enum status st = ST_OK;
    if (!leaf)
        st = openssl_error(err, ST_SYNTAX, "the certificate is not PEM");
    else if (!key)
        st = openssl_error(err, ST_SYNTAX, "the key is not PEM, or has a pass phrase");
    else if (EVP_PKEY_base_id(key) != EVP_PKEY_RSA && EVP_PKEY_base_id(key) != EVP_PKEY_EC)
        st = err_set(err, ST_SYNTAX, "the key is neither RSA nor ECDSA");
    else if (X509_check_private_key(leaf, key) != 1)
        st = openssl_error(err, ST_SYNTAX, "the key is not the certificate's");
    if (st == ST_OK) {
        struct tls_key *t = &k->list[k->count++];
        t->id = public_key_id(leaf);
        strbuf_add(&t->chain, chain);
        t->key = key;
        key = NULL;
    }
    EVP_PKEY_free(key);
    X509_free(leaf);
    return st;
}

static void wiped_free(struct strbuf *b)
{
    if (b->p)
        mem_wipe(b->p, b->cap);
    strbuf_free(b);
}

enum status tls_keys_add(struct tls_keys *k, int certificate_fd, int key_fd, struct err *err)
{
    AUTO_STRBUF chain = STRBUF_INIT;
    struct strbuf key = STRBUF_INIT;
    enum status st = file_read_fd(certificate_fd, "the certificate", PEM_FILE_MAX, &chain, err);
    if (st == ST_OK)
        st = file_read_fd(key_fd, "the key", PEM_FILE_MAX, &key, err);
    if (st == ST_OK)
        st = add_pair(k, strbuf_span(&chain), strbuf_span(&key), err);
    wiped_free(&key);
    return st;
}

/* ---- the self-signed one -------------------------------------------------------------------------------------------
 */

static bool add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(x, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

/* RFC 5280: version 3, a random serial of 63 bits, the name as SAN (RFC 9525: the CN is not looked at, but shown). */
static X509 *make_certificate(EVP_PKEY *key, const char *hostname)
{
    char san[300];
    X509 *x = X509_new();
    if (!x)
        return NULL;
    snprintf(san, sizeof san, "DNS:%s", hostname);
    X509_NAME *name = X509_get_subject_name(x);
    /* A CN has at most 64 characters; longer names have the SAN alone. */
    const char *cn = strlen(hostname) <= 64 ? hostname : "tassis";
    BIGNUM *serial = BN_new();
    bool ok = serial && BN_rand(serial, 63, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) && X509_set_version(x, X509_VERSION_3) == 1 &&
              X509_gmtime_adj(X509_getm_notBefore(x), -SELF_SIGNED_EARLY_SECONDS) &&
              X509_time_adj_ex(X509_getm_notAfter(x), SELF_SIGNED_DAYS, 0, NULL) && X509_set_pubkey(x, key) == 1 &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) == 1 &&
              X509_set_issuer_name(x, name) == 1 && add_extension(x, NID_subject_alt_name, san) &&
              add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(x, NID_key_usage, "critical,digitalSignature") &&
              add_extension(x, NID_ext_key_usage, "serverAuth") && X509_sign(x, key, EVP_sha256()) > 0;
    BN_free(serial);
    if (!ok) {
        X509_free(x);
        return NULL;
    }
    return x;
}

static enum status write_pem(const char *path, X509 *x, EVP_PKEY *key, struct err *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    bool ok = bio && (x ? PEM_write_bio_X509(bio, x)
                        : PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)) == 1;
    long len = ok ? BIO_get_mem_data(bio, &bytes) : 0;
    enum status st = ok ? file_write_atomic(path, 0600, span_of(bytes, (size_t)len), err)
                        : openssl_error(err, ST_IO, "cannot write PEM");
    if (bytes)
        mem_wipe(bytes, (size_t)len);
    BIO_free(bio);
    return st;
}

static enum status make_self_signed(const char *certificate_path, const char *key_path, const char *hostname,
                                    struct err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = key ? make_certificate(key, hostname) : NULL;
    enum status st = x ? write_pem(key_path, NULL, key, err) : openssl_error(err, ST_IO, "cannot make a certificate");
    if (st == ST_OK)
        st = write_pem(certificate_path, x, NULL, err);
    X509_free(x);
    EVP_PKEY_free(key);
    return st;
}

static enum status add_paths(struct tls_keys *k, const char *certificate_path, const char *key_path,
                             const char *hostname, struct err *err)
{
    AUTO_FD int certificate = open(certificate_path, O_RDONLY | O_CLOEXEC);
    AUTO_FD int key = open(key_path, O_RDONLY | O_CLOEXEC);
    if (certificate < 0 || key < 0)
        return err_errno(err, "cannot open %s", certificate < 0 ? certificate_path : key_path);
    TRY(tls_keys_add(k, certificate, key, err));
    X509 *leaf = parse_leaf(tls_keys_chain(k, k->count - 1));
    bool is_named = leaf && X509_check_host(leaf, hostname, 0, 0, NULL) == 1;
    X509_free(leaf);
    if (is_named)
        return ST_OK;
    struct tls_key *last = &k->list[--k->count];
    EVP_PKEY_free(last->key);
    strbuf_free(&last->chain);
    *last = (struct tls_key){0};
    return err_set(err, ST_NOTFOUND, "the self-signed certificate is for another name");
}

enum status tls_keys_add_self_signed(struct tls_keys *k, const char *folder, const char *hostname, struct err *err)
{
    char certificate_path[FOLDER_PATH_MAX], key_path[FOLDER_PATH_MAX];
    snprintf(certificate_path, sizeof certificate_path, "%s/self-signed-cert.pem", folder);
    snprintf(key_path, sizeof key_path, "%s/self-signed-key.pem", folder);
    struct err missing;
    if (add_paths(k, certificate_path, key_path, hostname, &missing) == ST_OK)
        return ST_OK;
    /* Also a pair of which a crash between the two files left only half, or halves of two pairs: nothing is lost by new
     * ones. */
    TRY(make_self_signed(certificate_path, key_path, hostname, err));
    return add_paths(k, certificate_path, key_path, hostname, err);
}

/* ---- use
 * ------------------------------------------------------------------------------------------------------------- */

size_t tls_keys_count(const struct tls_keys *k)
{
    return k->count;
}

uint32_t tls_keys_id(const struct tls_keys *k, size_t index)
{
    return k->list[index].id;
}

struct span tls_keys_chain(const struct tls_keys *k, size_t index)
{
    return strbuf_span(&k->list[index].chain);
}

static const struct tls_key *find(const struct tls_keys *k, uint32_t id)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->list[i].id == id)
            return &k->list[i];
    return NULL;
}

bool tls_keys_has(const struct tls_keys *k, uint32_t id)
{
    return find(k, id) != NULL;
}

static bool input_fits(const struct tls_key *t, enum tls_sign_scheme scheme, struct span input)
{
    if (scheme == TLS_SIGN_RSA_RAW)
        return EVP_PKEY_base_id(t->key) == EVP_PKEY_RSA && input.len == (size_t)EVP_PKEY_size(t->key);
    return scheme == TLS_SIGN_ECDSA && EVP_PKEY_base_id(t->key) == EVP_PKEY_EC && input.len >= 20 &&
           input.len <= DIGEST_MAX;
}

enum status tls_keys_sign(const struct tls_keys *k, uint32_t id, enum tls_sign_scheme scheme, struct span input,
                          struct strbuf *out, struct err *err)
{
    const struct tls_key *t = find(k, id);
    if (!t)
        return err_set(err, ST_NOTFOUND, "no such key");
    if (!input_fits(t, scheme, input))
        return err_set(err, ST_SYNTAX, "this key cannot sign that");
    size_t room = (size_t)EVP_PKEY_size(t->key), before = out->len;
    unsigned char *signature = (unsigned char *)strbuf_extend(out, room);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(t->key, NULL);
    bool ok = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
              (scheme != TLS_SIGN_RSA_RAW || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1) &&
              EVP_PKEY_sign(ctx, signature, &room, (const unsigned char *)input.p, input.len) == 1;
    EVP_PKEY_CTX_free(ctx);
    strbuf_truncate(out, before + (ok ? room : 0));
    return ok ? ST_OK : openssl_error(err, ST_IO, "cannot sign");
}
