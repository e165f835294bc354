/* srs.c - see srs.h. */
#include "policy/srs.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "base/banned.h"

enum { HASH_CHARS = 6, DAY_SECONDS = 86400, DAYS_ROUND = 1024 };
/* Of letters that survive hosts that change the case of local parts. */
static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static void hash_of(const uint8_t key[SRS_KEY_BYTES], struct span text, char out[HASH_CHARS + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    unsigned length = 0;
    AUTO_STRBUF lower = STRBUF_INIT; /* case may change on the way */
    for (size_t i = 0; i < text.len; i++)
        strbuf_add_char(&lower, ascii_lower(text.p[i]));
    (void)HMAC(EVP_sha256(), key, SRS_KEY_BYTES, (const unsigned char *)strbuf_cstr(&lower), lower.len, digest,
               &length);
    for (size_t i = 0; i < HASH_CHARS; i++)
        out[i] = base32[digest[i] & 31];
    out[HASH_CHARS] = '\0';
}

static bool hash_matches(const uint8_t key[SRS_KEY_BYTES], struct span text, struct span given)
{
    char want[HASH_CHARS + 1];
    unsigned differs = given.len != HASH_CHARS;
    hash_of(key, text, want);
    for (size_t i = 0; i < given.len && i < HASH_CHARS; i++)
        differs |= (unsigned)(ascii_upper(given.p[i]) ^ want[i]);
    return differs == 0;
}

static unsigned day_of(int64_t now)
{
    return (unsigned)(now / DAY_SECONDS % DAYS_ROUND);
}

static int base32_digit(char c)
{
    const char *at = strchr(base32, ascii_upper(c));
    return c && at ? (int)(at - base32) : -1;
}

bool srs_is(struct span local_part)
{
    return local_part.len > 5 && (span_istarts(local_part, SPAN("SRS0")) || span_istarts(local_part, SPAN("SRS1"))) &&
           strchr("=+-", local_part.p[4]);
}

bool srs_forward(struct arena *a, const uint8_t key[SRS_KEY_BYTES], const struct mailbox_address *from, int64_t now,
                 struct span *local_part)
{
    char hash[HASH_CHARS + 1];
    struct span rest;
    if (srs_is(from->local_part) && ascii_upper(from->local_part.p[3]) == '0') {
        /* SRS1: the first forwarder's domain, and its form without "SRS0". */
        rest = arena_printf(a, "%.*s=%.*s", SPAN_ARG(from->domain), SPAN_ARG(span_skip(from->local_part, 4)));
        hash_of(key, rest, hash);
        *local_part = arena_printf(a, "SRS1=%s=%.*s", hash, SPAN_ARG(rest));
    } else if (srs_is(from->local_part)) {
        /* Forwarded by at least two: who forwarded in between is left out. */
        rest = span_skip(from->local_part, 5);
        struct span old_hash;
        if (!span_cut(&rest, '=', &old_hash))
            return false;
        hash_of(key, rest, hash);
        *local_part = arena_printf(a, "SRS1=%s=%.*s", hash, SPAN_ARG(rest));
    } else {
        unsigned day = day_of(now);
        rest = arena_printf(a, "%c%c=%.*s=%.*s", base32[day >> 5], base32[day & 31], SPAN_ARG(from->domain),
                            SPAN_ARG(from->local_part));
        hash_of(key, rest, hash);
        *local_part = arena_printf(a, "SRS0=%s=%.*s", hash, SPAN_ARG(rest));
    }
    return local_part->len <= LOCAL_PART_MAX;
}

static bool is_recent(struct span stamp, int64_t now)
{
    int high = stamp.len == 2 ? base32_digit(stamp.p[0]) : -1, low = stamp.len == 2 ? base32_digit(stamp.p[1]) : -1;
    if (high < 0 || low < 0)
        return false;
    unsigned age = (day_of(now) + DAYS_ROUND - (unsigned)(high * 32 + low)) % DAYS_ROUND;
    return age <= SRS_DAYS_MAX;
}

static struct span write_address(struct arena *a, struct span local, struct span domain)
{
    AUTO_STRBUF text = STRBUF_INIT;
    address_write(&(struct mailbox_address){local, domain}, &text);
    return arena_strbuf(a, &text);
}

bool srs_reverse(struct arena *a, const uint8_t key[SRS_KEY_BYTES], struct span local_part, int64_t now,
                 struct span *address)
{
    if (!srs_is(local_part))
        return false;
    struct span rest = span_skip(local_part, 5), hash, stamp, domain;
    if (!span_cut(&rest, '=', &hash) || !hash_matches(key, rest, hash))
        return false;
    if (local_part.p[3] == '1') { /* back to the first forwarder, in its own form: its hash is its own affair */
        if (!span_cut(&rest, '=', &domain) || domain.len == 0 || rest.len == 0)
            return false;
        *address = write_address(a, arena_printf(a, "SRS0%.*s", SPAN_ARG(rest)), domain);
        return domain_is_valid(domain, true);
    }
    if (!span_cut(&rest, '=', &stamp) || !is_recent(stamp, now) || !span_cut(&rest, '=', &domain) || rest.len == 0)
        return false;
    *address = write_address(a, rest, domain);
    return domain_is_valid(domain, true);
}
