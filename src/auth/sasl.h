/*
 * sasl.h - the SASL mechanisms as the vault speaks them: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00).
 *
 * A mechanism turns the client's responses into a name and a password; what to do with them is the caller's business.
 * SCRAM will be another row of the table with more steps. Pure; an exchange belongs to one thread at a time.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

struct sasl_mechanism;
/* NULL: unknown. */
const struct sasl_mechanism *sasl_find(struct span name);

struct sasl {
    const struct sasl_mechanism *mechanism;
    unsigned step;
    struct strbuf user, password; /* wiped by sasl_end() */
};

enum sasl_step { SASL_STEP_CHALLENGE, SASL_STEP_COMPLETE, SASL_STEP_BAD };

/* One response of the client; is_absent: there was no initial response. On COMPLETE user and password are there; on
 * CHALLENGE *challenge is what to send. BAD: not the mechanism's grammar, or an authorization identity that is not the
 * user. */
enum sasl_step sasl_take(struct sasl *x, struct span response, bool is_absent, struct span *challenge);
void sasl_end(struct sasl *x);

/* The canonical account address of a SASL user name: local part in lower case, domain in lower-case A-label form. */
enum status sasl_canonical_account(struct arena *a, struct span user, struct span *account, struct err *err);
