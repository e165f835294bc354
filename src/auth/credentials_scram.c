/*
 * credentials_scram.c - SCRAM's keys beside the verifiers (credentials.h).
 *
 * A row of `scram` is of the same password as the account's row of `verifier`: triggers remove it when that changes or
 * goes, and it is written in that change's transaction or under the condition that the verifier is still the same.
 *
 * Who asks for the keys of an account that has none gets what looks like keys: a salt that is made of the name and a
 * secret of this installation, so that it is the same each time, and a stored key to which no proof is known. So the
 * first half of an exchange tells nobody which accounts there are.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include "auth/credentials_internal.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/banned.h"

static void bind_keys(struct statement *s, const struct scram_keys *keys)
{
    sqlite3_bind_blob(s->stmt, 2, keys->salt, sizeof keys->salt, SQLITE_TRANSIENT);
    sqlite3_bind_int64(s->stmt, 3, keys->iterations);
    sqlite3_bind_blob(s->stmt, 4, keys->stored, sizeof keys->stored, SQLITE_TRANSIENT);
    sqlite3_bind_blob(s->stmt, 5, keys->server, sizeof keys->server, SQLITE_TRANSIENT);
}

enum status scram_store(struct credentials *c, struct span account, const struct scram_keys *keys, struct err *err)
{
    AUTO_STATEMENT s = {NULL};
    if (!keys)
        return ST_OK;
    TRY(credentials_prepare(c, "INSERT OR REPLACE INTO scram VALUES (?1, ?2, ?3, ?4, ?5)", account, &s, err));
    bind_keys(&s, keys);
    return sqlite3_step(s.stmt) == SQLITE_DONE ? ST_OK : credentials_sql_error(c, err);
}

bool scram_new_keys(struct span password, struct scram_keys *keys)
{
    AUTO_STRBUF prepared = STRBUF_INIT;
    strbuf_reserve(&prepared, PASSWORD_MAX * 4);
    if (!scram_prepare(password, &prepared))
        return false;
    keys->iterations = SCRAM_ITERATIONS;
    if (RAND_bytes(keys->salt, sizeof keys->salt) != 1)
        panic("no random bytes");
    scram_derive(keys, strbuf_span(&prepared));
    mem_wipe(prepared.p, prepared.cap);
    return true;
}

static bool has_keys(struct credentials *c, struct span account)
{
    struct err ignored;
    AUTO_STATEMENT s = {NULL};
    return credentials_prepare(c, "SELECT 1 FROM scram WHERE account = ?1", account, &s, &ignored) != ST_OK ||
           sqlite3_step(s.stmt) != SQLITE_DONE;
}

/* A failure is no harm: the next login tries again. */
void scram_add_missing(struct credentials *c, struct span account, struct span password, const char *verifier)
{
    struct scram_keys keys;
    struct err ignored;
    pthread_mutex_lock(&c->lock);
    bool has = has_keys(c, account);
    pthread_mutex_unlock(&c->lock);
    if (has || !scram_new_keys(password, &keys))
        return;
    pthread_mutex_lock(&c->lock);
    struct statement s = {NULL};
    if (credentials_prepare(c,
                            "INSERT OR IGNORE INTO scram SELECT ?1, ?2, ?3, ?4, ?5"
                            " WHERE EXISTS (SELECT 1 FROM verifier WHERE account = ?1 AND verifier = ?6)",
                            account, &s, &ignored) == ST_OK) {
        bind_keys(&s, &keys);
        sqlite3_bind_text(s.stmt, 6, verifier, -1, SQLITE_TRANSIENT);
        (void)sqlite3_step(s.stmt);
    }
    statement_end(&s); /* before the lock goes */
    pthread_mutex_unlock(&c->lock);
    mem_wipe(&keys, sizeof keys);
}

static enum status read_blob(struct credentials *c, struct statement *s, int column, uint8_t *out, size_t size,
                             struct err *err)
{
    if (sqlite3_column_bytes(s->stmt, column) != (int)size)
        return err_set_operator(err, ST_IO, "internal error, try again later", "credentials.db: a key of wrong size");
    (void)c;
    memcpy(out, sqlite3_column_blob(s->stmt, column), size);
    return ST_OK;
}

static enum status read_keys(struct credentials *c, struct span account, struct scram_keys *keys, bool *is_known,
                             struct err *err)
{
    AUTO_STATEMENT s = {NULL};
    TRY(credentials_prepare(c, "SELECT salt, iterations, stored_key, server_key FROM scram WHERE account = ?1", account,
                            &s, err));
    int rc = sqlite3_step(s.stmt);
    *is_known = rc == SQLITE_ROW;
    if (rc == SQLITE_DONE)
        return ST_OK;
    if (rc != SQLITE_ROW)
        return credentials_sql_error(c, err);
    keys->iterations = (uint32_t)sqlite3_column_int64(s.stmt, 1);
    TRY(read_blob(c, &s, 0, keys->salt, sizeof keys->salt, err));
    TRY(read_blob(c, &s, 2, keys->stored, sizeof keys->stored, err));
    return read_blob(c, &s, 3, keys->server, sizeof keys->server, err);
}

static enum status read_secret(struct credentials *c, uint8_t out[SCRAM_KEY_BYTES], struct err *err)
{
    AUTO_STATEMENT s = {NULL};
    TRY(credentials_prepare(c, "SELECT value FROM secret WHERE name = ?1", SPAN("salt"), &s, err));
    if (sqlite3_step(s.stmt) != SQLITE_ROW)
        return credentials_sql_error(c, err);
    return read_blob(c, &s, 0, out, SCRAM_KEY_BYTES, err);
}

enum status credentials_scram(struct credentials *c, struct span account, struct scram_keys *keys, struct err *err)
{
    uint8_t secret[SCRAM_KEY_BYTES], made[SCRAM_KEY_BYTES];
    unsigned len = sizeof made;
    bool is_known = false;
    pthread_mutex_lock(&c->lock);
    enum status st = read_secret(c, secret, err);
    if (st == ST_OK)
        st = read_keys(c, account, keys, &is_known, err);
    pthread_mutex_unlock(&c->lock);
    TRY(st);
    if (!HMAC(EVP_sha256(), secret, sizeof secret, (const unsigned char *)account.p, account.len, made, &len) ||
        (!is_known && RAND_bytes(keys->stored, sizeof keys->stored) != 1))
        panic("no HMAC-SHA256, or no random bytes");
    if (is_known)
        return ST_OK;
    memcpy(keys->salt, made, sizeof keys->salt);
    keys->iterations = SCRAM_ITERATIONS;
    memset(keys->server, 0, sizeof keys->server); /* no proof will be good, so nothing is signed with it */
    return ST_OK;
}
