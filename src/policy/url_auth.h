/*
 * url_auth.h - who may use a URL that carries its own authorization (RFC 4467, RFC 5092 §6.1): making and checking the
 * token of the mechanism INTERNAL.
 *
 * The token is "01" (for this algorithm) and the HMAC-SHA256, in hexadecimal, of the URL as it is written up to its
 * access identifier, under the key of the mailbox. So it vouches for everything in the URL: server, user, mailbox,
 * part, expiry, and for whom it is. What the server is called in it is the client's word: a server is reached by more
 * names than it knows, and nobody but this one can have made the token.
 *
 * Blocking; any thread.
 */
#pragma once
#include "store/url_key.h"
#include "text/imap_url.h"

enum { URL_TOKEN_CHARS = 2 + 64 };

enum url_use {
    URL_USE_IMAP,      /* URLFETCH of who is logged in */
    URL_USE_SUBMISSION /* BURL, on behalf of who is logged in */
};

struct url_target {
    struct imap_url url;
    struct account *account; /* whose mailbox it is; a reference */
    mailbox_id mailbox;
};
void url_target_free(struct url_target *t);
#define AUTO_URL_TARGET __attribute__((cleanup(url_target_free))) struct url_target

/* A user's name in a URL, as the directory writes addresses. ST_SYNTAX. */
enum status url_user(struct arena *a, struct span user, struct span *address, struct err *err);

void url_token_write(const uint8_t key[URL_KEY_BYTES], struct span rump, char out[URL_TOKEN_CHARS + 1]);

/* Whether `who` (a canonical address) may use this URL, and what it leads to. Whatever is wrong with it is ST_DENIED in
 * the same words: neither accounts nor mailboxes can be guessed with it. ST_IO, ST_TEMPORARY. */
enum status url_authorize(struct store *store, struct span who, enum url_use use, struct span text, struct arena *a,
                          struct url_target *out, struct err *err);
