/*
 * credentials.h - password verifiers by account address (vault/credentials.db). Only the role vault and the command
 * line open it. Thread-safe.
 *
 * A verifier is a crypt(5) string, with or without a {SCHEME} prefix as other servers write it ({BLF-CRYPT},
 * {SHA512-CRYPT}, {SHA256-CRYPT}, {CRYPT}…). New ones are yescrypt.
 */
#pragma once
#include "auth/scram.h"
#include "base/err.h"
#include "base/span.h"

struct credentials;
enum status credentials_open(const char *path, bool may_create, struct credentials **out, struct err *err);
void credentials_free(struct credentials **c);
AUTO_DEFINE(credentials)

enum { PASSWORD_MAX = 511 }; /* what crypt_r takes */
enum status credentials_set_password(struct credentials *c, struct span account, struct span password, struct err *err);
/* A ready verifier from another server; ST_UNSUPPORTED where crypt(3) does not know its form. */
enum status credentials_set_verifier(struct credentials *c, struct span account, struct span verifier, struct err *err);
/* Many at once. The slow trial that shows that crypt(3) knows a form is made once for each form; after an error *at is
 * the index of the one that it is about. Touches no file. */
struct credential {
    struct span account, verifier;
};
enum status credentials_check_forms(const struct credential *list, size_t count, size_t *at, struct err *err);
/* Of a list that credentials_check_forms() found good: all or none. */
enum status credentials_set_verifiers(struct credentials *c, const struct credential *list, size_t count,
                                      struct err *err);
enum status credentials_remove(struct credentials *c, struct span account, struct err *err);
/* ST_DENIED for a wrong password and for an unknown account alike, after the same work. Slow by intention, but for a
 * password that was right in the last minutes (kept as a keyed hash in memory; dropped as soon as the file changes). */
enum status credentials_check(struct credentials *c, struct span account, struct span password, struct err *err);
/* SCRAM's keys of the account; where it has none (an unknown account, an imported verifier with which nobody has logged
 * in yet, a password that SASLprep does not allow), keys that look like them and to which nothing is a proof. A password
 * that credentials_check() finds right by the slow work gets its keys there. */
enum status credentials_scram(struct credentials *c, struct span account, struct scram_keys *keys, struct err *err);
/* Whether credentials_check() would answer ST_OK from memory, without the slow work. */
bool credentials_is_cached(struct credentials *c, struct span account, struct span password);
