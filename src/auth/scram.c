/* scram.c - see scram.h. The names are those of RFC 5802 §3 and §7. */
#include "auth/scram.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <stringprep.h>
#include "base/mem.h"
#include "text/codec.h"
#include "base/banned.h"

enum { NONCE_MAX = 256, USER_MAX = 512 };

bool scram_prepare(struct span text, struct strbuf *out)
{
    char *z = mem_cstr(text.p ? text.p : "", text.len), *prepared = NULL;
    bool is_good = span_find_byte(text, '\0', 0) == SPAN_NPOS &&
                   stringprep_profile(z, &prepared, "SASLprep", STRINGPREP_NO_UNASSIGNED) == STRINGPREP_OK &&
                   prepared[0] != '\0';
    if (is_good)
        strbuf_add_cstr(out, prepared);
    if (prepared)
        mem_wipe(prepared, strlen(prepared));
    mem_wipe(z, text.len);
    free(prepared);
    free(z);
    return is_good;
}

static void hmac(const uint8_t key[SCRAM_KEY_BYTES], struct span data, uint8_t out[SCRAM_KEY_BYTES])
{
    unsigned len = SCRAM_KEY_BYTES;
    if (!HMAC(EVP_sha256(), key, SCRAM_KEY_BYTES, (const unsigned char *)data.p, data.len, out, &len))
        panic("HMAC-SHA256 failed");
}

static void hash(const uint8_t in[SCRAM_KEY_BYTES], uint8_t out[SCRAM_KEY_BYTES])
{
    if (EVP_Digest(in, SCRAM_KEY_BYTES, out, NULL, EVP_sha256(), NULL) != 1)
        panic("SHA-256 failed");
}

void scram_derive(struct scram_keys *keys, struct span prepared)
{
    uint8_t salted[SCRAM_KEY_BYTES], client[SCRAM_KEY_BYTES];
    if (PKCS5_PBKDF2_HMAC(prepared.p, (int)prepared.len, keys->salt, SCRAM_SALT_BYTES, (int)keys->iterations,
                          EVP_sha256(), SCRAM_KEY_BYTES, salted) != 1)
        panic("PBKDF2 failed");
    hmac(salted, SPAN("Client Key"), client);
    hash(client, keys->stored);
    hmac(salted, SPAN("Server Key"), keys->server);
    mem_wipe(salted, sizeof salted);
    mem_wipe(client, sizeof client);
}

void scram_random_nonce(char nonce[SCRAM_NONCE_CHARS])
{
    uint8_t bytes[SCRAM_NONCE_CHARS * 3 / 4];
    AUTO_STRBUF text = STRBUF_INIT;
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        panic("no random bytes");
    base64_encode(span_of(bytes, sizeof bytes), &text);
    memcpy(nonce, text.p, SCRAM_NONCE_CHARS);
}

/* "x=value", up to the next comma or the end. */
static bool take_attribute(struct span *rest, char name, struct span *value)
{
    struct span attribute;
    if (rest->len == 0)
        return false;
    span_cut(rest, ',', &attribute);
    *value = span_skip(attribute, attribute.len < 2 ? attribute.len : 2);
    return attribute.len >= 2 && attribute.p[0] == name && attribute.p[1] == '=';
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, and no other "=" may be there. */
static bool decode_name(struct span name, struct strbuf *out)
{
    AUTO_STRBUF plain = STRBUF_INIT;
    while (name.len) {
        if (name.p[0] != '=') {
            strbuf_add_char(&plain, name.p[0]);
            name = span_skip(name, 1);
            continue;
        }
        bool is_comma = span_starts(name, SPAN("=2C"));
        if (!is_comma && !span_starts(name, SPAN("=3D")))
            return false;
        strbuf_add_char(&plain, is_comma ? ',' : '=');
        name = span_skip(name, 3);
    }
    return plain.len > 0 && plain.len <= USER_MAX && scram_prepare(strbuf_span(&plain), out);
}

/* §6: "y" says that the client knows of channel binding and thinks that we do not; where we do, somebody has removed
 * the -PLUS mechanisms from our list. */
static bool is_flag_good(const struct scram *x, struct span flag)
{
    if (x->is_plus)
        return x->binding.len && span_eq(flag, SPAN("p=tls-exporter"));
    return span_eq(flag, SPAN("n")) || (span_eq(flag, SPAN("y")) && !x->binding.len);
}

static bool is_nonce(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e)
            return false;
    return s.len > 0 && s.len <= NONCE_MAX;
}

bool scram_first(struct scram *x, struct span message)
{
    struct span rest = message, flag, authzid, name, nonce;
    if (!span_cut(&rest, ',', &flag) || !span_cut(&rest, ',', &authzid) || !is_flag_good(x, flag))
        return false;
    struct span bare = rest;
    if (!take_attribute(&rest, 'n', &name) || !take_attribute(&rest, 'r', &nonce) || !is_nonce(nonce) ||
        !decode_name(name, &x->user))
        return false;
    /* The server acts for nobody but the user. */
    if (authzid.len && (!span_starts(authzid, SPAN("a=")) || !span_eq(span_skip(authzid, 2), name)))
        return false;
    strbuf_add(&x->gs2, span_take(message, message.len - bare.len));
    strbuf_add(&x->auth, bare);
    strbuf_add(&x->nonce, nonce);
    return true;
}

void scram_challenge(struct scram *x, const struct scram_keys *keys, struct span nonce, struct strbuf *out)
{
    x->keys = *keys;
    strbuf_add(&x->nonce, nonce);
    size_t start = out->len;
    strbuf_addf(out, "r=%.*s,s=", SPAN_ARG(strbuf_span(&x->nonce)));
    base64_encode(span_of(keys->salt, sizeof keys->salt), out);
    strbuf_addf(out, ",i=%u", keys->iterations);
    strbuf_add_char(&x->auth, ',');
    strbuf_add(&x->auth, span_skip(strbuf_span(out), start));
}

/* c= repeats the gs2-header, and has the channel's binding behind it where that was agreed on. */
static bool is_binding_good(const struct scram *x, struct span text)
{
    AUTO_STRBUF want = STRBUF_INIT;
    AUTO_STRBUF said = STRBUF_INIT;
    strbuf_add(&want, strbuf_span(&x->gs2));
    if (x->is_plus)
        strbuf_add(&want, x->binding);
    return base64_decode_strict(text, &said) && said.len == want.len && CRYPTO_memcmp(said.p, want.p, want.len) == 0;
}

static bool is_proof_good(const struct scram *x, struct span text)
{
    AUTO_STRBUF proof = STRBUF_INIT;
    uint8_t key[SCRAM_KEY_BYTES], stored[SCRAM_KEY_BYTES];
    if (!base64_decode_strict(text, &proof) || proof.len != SCRAM_KEY_BYTES)
        return false;
    hmac(x->keys.stored, strbuf_span(&x->auth), key); /* ClientSignature */
    for (size_t i = 0; i < SCRAM_KEY_BYTES; i++)
        key[i] ^= (uint8_t)proof.p[i];
    hash(key, stored);
    mem_wipe(key, sizeof key);
    return CRYPTO_memcmp(stored, x->keys.stored, sizeof stored) == 0;
}

bool scram_final(struct scram *x, struct span message, struct strbuf *out)
{
    struct span rest = message, binding, nonce, proof;
    size_t at = message.len; /* the proof is the last attribute, and has no comma */
    while (at > 0 && message.p[at - 1] != ',')
        at--;
    struct span last = span_skip(message, at);
    if (at == 0 || !take_attribute(&rest, 'c', &binding) || !take_attribute(&rest, 'r', &nonce) ||
        !take_attribute(&last, 'p', &proof))
        return false;
    if (!is_binding_good(x, binding) || !span_eq(nonce, strbuf_span(&x->nonce)))
        return false;
    strbuf_add_char(&x->auth, ',');
    strbuf_add(&x->auth, span_take(message, at - 1));
    if (!is_proof_good(x, proof))
        return false;
    uint8_t signature[SCRAM_KEY_BYTES];
    hmac(x->keys.server, strbuf_span(&x->auth), signature);
    strbuf_add_cstr(out, "v=");
    base64_encode(span_of(signature, sizeof signature), out);
    return true;
}

void scram_end(struct scram *x)
{
    strbuf_free(&x->user);
    strbuf_free(&x->gs2);
    strbuf_free(&x->auth);
    strbuf_free(&x->nonce);
    mem_wipe(x, sizeof *x);
}
