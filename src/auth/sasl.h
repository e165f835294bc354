/*
 * sasl.h - the SASL mechanisms as the vault speaks them: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login-00),
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677).
 *
 * A mechanism turns the client's responses into a name and a password, which the caller judges; or, SCRAM, into a name
 * whose keys the caller gives, and a proof that is judged by them. Pure, but for SCRAM's nonce; an exchange belongs to
 * one thread at a time.
 */
#pragma once
#include "auth/scram.h"
#include "base/arena.h"
#include "base/err.h"

struct sasl_mechanism;
/* NULL: unknown. */
const struct sasl_mechanism *sasl_find(struct span name);

struct sasl {
    const struct sasl_mechanism *mechanism;
    unsigned step;
    struct strbuf user, password; /* wiped by sasl_end() */
    struct strbuf answer;         /* what *challenge points into, and at the end what the client is to be told */
    struct span binding;          /* the channel's (RFC 9266), or none; set before the first step, borrowed */
    struct scram scram;
    bool is_proof; /* COMPLETE said that the client knows the password: there is none to judge */
};

enum sasl_step { SASL_STEP_CHALLENGE, SASL_STEP_KEYS, SASL_STEP_COMPLETE, SASL_STEP_BAD };

/* One response of the client; is_absent: there was no initial response. On COMPLETE user and password are there; on
 * CHALLENGE *challenge is what to send. On KEYS the caller goes on with sasl_give_keys(). BAD: not the mechanism's
 * grammar, or an authorization identity that is not the user. */
enum sasl_step sasl_take(struct sasl *x, struct span response, bool is_absent, struct span *challenge);
/* The keys of x->user, or of nobody: then no proof will be good. Gives the challenge. */
void sasl_give_keys(struct sasl *x, const struct scram_keys *keys, struct span *challenge);
void sasl_end(struct sasl *x);

/* The canonical account address of a SASL user name: local part in lower case, domain in lower-case A-label form. */
enum status sasl_canonical_account(struct arena *a, struct span user, struct span *account, struct err *err);
