/* url_auth.c - see url_auth.h. */
#include "policy/url_auth.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "base/clock.h"
#include "text/address.h"
#include "base/banned.h"

void url_target_free(struct url_target *t)
{
    account_free(&t->account);
}

enum status url_user(struct arena *a, struct span user, struct span *address, struct err *err)
{
    struct mailbox_address parsed;
    struct span domain;
    TRY(address_parse(a, user, true, &parsed, err));
    TRY(domain_to_ascii(a, parsed.domain, &domain, err));
    char *local_part = arena_cstr(a, parsed.local_part);
    for (size_t i = 0; i < parsed.local_part.len; i++)
        local_part[i] = ascii_lower(local_part[i]);
    *address = arena_printf(a, "%s@%.*s", local_part, SPAN_ARG(domain));
    return ST_OK;
}

void url_token_write(const uint8_t key[URL_KEY_BYTES], struct span rump, char out[URL_TOKEN_CHARS + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    unsigned length = 0;
    (void)HMAC(EVP_sha256(), key, URL_KEY_BYTES, (const unsigned char *)rump.p, rump.len, digest, &length);
    out[0] = '0';
    out[1] = '1';
    for (size_t i = 0; i < (URL_TOKEN_CHARS - 2) / 2; i++) {
        out[2 + 2 * i] = digits[digest[i] >> 4];
        out[3 + 2 * i] = digits[digest[i] & 15];
    }
    out[URL_TOKEN_CHARS] = '\0';
}

static bool is_token_right(const uint8_t key[URL_KEY_BYTES], const struct imap_url *url)
{
    char want[URL_TOKEN_CHARS + 1], given[URL_TOKEN_CHARS];
    if (url->token.len != URL_TOKEN_CHARS)
        return false;
    for (size_t i = 0; i < URL_TOKEN_CHARS; i++)
        given[i] = ascii_lower(url->token.p[i]);
    url_token_write(key, url->rump, want);
    return CRYPTO_memcmp(want, given, URL_TOKEN_CHARS) == 0;
}

/* RFC 4467 §3, RFC 4468 §3.3: for whom it is. submit+ is for submission only, user+ for IMAP only. */
static bool may_access(const struct imap_url *url, struct span who, enum url_use use, struct arena *a)
{
    struct span user;
    struct err err;
    switch (url->access) {
    case URL_ACCESS_SUBMIT:
    case URL_ACCESS_USER:
        return use == (url->access == URL_ACCESS_SUBMIT ? URL_USE_SUBMISSION : URL_USE_IMAP) &&
               url_user(a, url->access_user, &user, &err) == ST_OK && span_eq(user, who);
    case URL_ACCESS_AUTHUSER:
    case URL_ACCESS_ANONYMOUS:
        return who.len > 0;
    case URL_ACCESS_NONE:
        break;
    }
    return false;
}

static enum status denied(struct err *err)
{
    return err_set(err, ST_DENIED, "IMAP URL authorization failed");
}

static enum status check(struct store *store, struct span who, enum url_use use, struct span text, struct arena *a,
                         struct url_target *out, struct err *err)
{
    const struct imap_url *url = &out->url;
    uint8_t key[URL_KEY_BYTES];
    struct span owner;
    struct mailbox m;
    TRY(imap_url_parse(a, text, &out->url, err));
    if (!url->token.len || !span_ieq(url->mechanism, SPAN("INTERNAL")) || !may_access(url, who, use, a))
        return denied(err);
    if (url->expires && clock_wall_ms() / 1000 >= url->expires_at)
        return denied(err);
    TRY(url_user(a, url->user, &owner, err));
    TRY(account_open(store, owner, &out->account, err));
    AUTO(txn) txn = NULL;
    TRY(store_begin(out->account, TXN_READ, &txn, err));
    TRY(mailbox_find(txn, url->mailbox, a, &m, err));
    TRY(url_key_get(txn, m.id, key, err));
    out->mailbox = m.id;
    return is_token_right(key, url) ? ST_OK : denied(err);
}

enum status url_authorize(struct store *store, struct span who, enum url_use use, struct span text, struct arena *a,
                          struct url_target *out, struct err *err)
{
    *out = (struct url_target){0};
    enum status st = check(store, who, use, text, a, out, err);
    if (st == ST_OK || st == ST_IO || st == ST_TEMPORARY || st == ST_BUG)
        return st;
    return denied(err);
}
