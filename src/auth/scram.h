/*
 * scram.h - SCRAM-SHA-256 (RFC 5802, RFC 7677) as the server speaks it, with channel binding by tls-exporter
 * (RFC 9266). Pure but for scram_random_nonce(): the caller looks the keys up and decides what a failure means.
 *
 *   client-first -> scram_first() -> the caller finds x->user's keys -> scram_challenge() -> client-final ->
 *   scram_final() -> the server's signature
 *
 * Nothing that is kept lets anybody log in who reads it, but for who sees an exchange as well (RFC 5802 §9).
 */
#pragma once
#include "base/err.h"
#include "base/strbuf.h"

enum {
    SCRAM_KEY_BYTES = 32,
    SCRAM_SALT_BYTES = 16,
    SCRAM_ITERATIONS = 10000, /* RFC 7677 §4: at least 4096. The same for all accounts, so it tells nothing of one */
    SCRAM_NONCE_CHARS = 24,
    SCRAM_ITERATIONS_MAX = 1000000,
    SCRAM_BINDING_BYTES = 32, /* RFC 9266 §4.1 */
};

struct scram_keys {
    uint8_t salt[SCRAM_SALT_BYTES];
    uint32_t iterations;
    uint8_t stored[SCRAM_KEY_BYTES], server[SCRAM_KEY_BYTES];
};

/* RFC 4013, as a stored string. False: not UTF-8, or a character that may not be there; then no SCRAM for it. The
 * caller wipes *out. */
bool scram_prepare(struct span text, struct strbuf *out);
/* Fills in stored and server from a prepared password and the rest. Slow by intention (iterations). */
void scram_derive(struct scram_keys *keys, struct span prepared);

struct scram {
    bool is_plus;        /* the mechanism's name says so */
    struct span binding; /* the channel's, SCRAM_BINDING_BYTES; empty: there is none. Borrowed by the caller's leave */
    struct strbuf user;  /* what the client calls itself, prepared */
    struct strbuf gs2;   /* gs2-header */
    struct strbuf auth;  /* AuthMessage, as far as it is known */
    struct strbuf nonce; /* the client's and ours */
    struct scram_keys keys;
};

/* Reads client-first-message. False: not its grammar, or a channel binding that does not fit. */
bool scram_first(struct scram *x, struct span message);
/* `nonce`: SCRAM_NONCE_CHARS printable characters but ",". Appends server-first-message to *out. */
void scram_challenge(struct scram *x, const struct scram_keys *keys, struct span nonce, struct strbuf *out);
/* Reads client-final-message. True: it proves that the client knows the password; *out gets server-final-message. */
bool scram_final(struct scram *x, struct span message, struct strbuf *out);
void scram_end(struct scram *x); /* wipes */

void scram_random_nonce(char nonce[SCRAM_NONCE_CHARS]);
