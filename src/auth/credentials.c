/*
 * credentials.c - see credentials.h.
 *
 * The table is tiny and read on every login; the work is in crypt_r(), which runs under no lock. The login cache holds,
 * for an account, the HMAC-SHA256 of a password that was right, under a random key that only this process has: who
 * steals the memory later has to guess both. It is dropped whole when the file changes, which SQLite's data_version
 * tells at the price of one small read, and an answer is remembered only if the file was still the same after the slow
 * work as before.
 */
#include "auth/credentials.h"
#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "auth/credentials_internal.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/banned.h"

enum {
    CACHE_SECONDS = 300,
    CACHE_ENTRIES_MAX = 100000,
    BUSY_TIMEOUT_MS = 10000,
    VERIFIER_MAX = CRYPT_OUTPUT_SIZE - 1,
};
_Static_assert((int)PASSWORD_MAX < (int)CRYPT_MAX_PASSPHRASE_SIZE, "crypt_r would refuse the longest password");

static const char schema[] = "CREATE TABLE IF NOT EXISTS verifier ("
                             " account TEXT PRIMARY KEY, verifier TEXT NOT NULL, changed_at INTEGER NOT NULL"
                             ") STRICT, WITHOUT ROWID;"
                             "CREATE TABLE IF NOT EXISTS scram ("
                             " account TEXT PRIMARY KEY, salt BLOB NOT NULL, iterations INTEGER NOT NULL,"
                             " stored_key BLOB NOT NULL, server_key BLOB NOT NULL"
                             ") STRICT, WITHOUT ROWID;"
                             "CREATE TRIGGER IF NOT EXISTS verifier_changed AFTER UPDATE OF verifier ON verifier BEGIN"
                             " DELETE FROM scram WHERE account = old.account; END;"
                             "CREATE TRIGGER IF NOT EXISTS verifier_removed AFTER DELETE ON verifier BEGIN"
                             " DELETE FROM scram WHERE account = old.account; END;"
                             "CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;"
                             "INSERT OR IGNORE INTO secret VALUES ('salt', randomblob(32));"
                             "PRAGMA user_version = 2;";

struct cached_login {
    unsigned char digest[DIGEST_BYTES];
    int64_t expires_at_ms;
};

/* ---- SQLite ------------------------------------------------------------------------------------------------------ */

enum status credentials_sql_error(struct credentials *c, struct err *err)
{
    return err_set_operator(err, ST_IO, "internal error, try again later", "credentials.db: %s", sqlite3_errmsg(c->db));
}

void statement_end(struct statement *s)
{
    sqlite3_finalize(s->stmt);
}

enum status credentials_prepare(struct credentials *c, const char *sql, struct span account, struct statement *s,
                                struct err *err)
{
    if (sqlite3_prepare_v2(c->db, sql, -1, &s->stmt, NULL) != SQLITE_OK)
        return credentials_sql_error(c, err);
    if (sqlite3_bind_parameter_count(s->stmt) > 0)
        sqlite3_bind_text(s->stmt, 1, account.p ? account.p : "", (int)account.len, SQLITE_TRANSIENT);
    return ST_OK;
}

static enum status read_version(struct credentials *c, int64_t *version, struct err *err)
{
    AUTO_STATEMENT s = {NULL};
    TRY(credentials_prepare(c, "PRAGMA data_version", SPAN_NONE, &s, err));
    if (sqlite3_step(s.stmt) != SQLITE_ROW)
        return credentials_sql_error(c, err);
    *version = sqlite3_column_int64(s.stmt, 0);
    return ST_OK;
}

/* *verifier is NULL where there is no such account; else the caller's. */
static enum status read_verifier(struct credentials *c, struct span account, char **verifier, struct err *err)
{
    AUTO_STATEMENT s = {NULL};
    *verifier = NULL;
    TRY(credentials_prepare(c, "SELECT verifier FROM verifier WHERE account = ?1", account, &s, err));
    int rc = sqlite3_step(s.stmt);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(s.stmt, 0);
        *verifier = mem_cstr(text, strlen(text));
        return ST_OK;
    }
    return rc == SQLITE_DONE ? ST_OK : credentials_sql_error(c, err);
}

/* ---- the cache (under the lock) ------------------------------------------------------------------------------------
 */

static void cache_clear(struct credentials *c)
{
    size_t at = 0;
    struct span account;
    void *entry;
    while (map_next(c->cache, &at, &account, &entry)) {
        mem_wipe(entry, sizeof(struct cached_login));
        free(entry);
    }
    map_free(&c->cache);
    c->cache = map_new();
}

static void cache_drop(struct credentials *c, struct span account)
{
    struct cached_login *entry = map_remove(c->cache, account);
    free(entry);
}

/* Drops the cache where the file is not the one it was filled from. */
static enum status cache_freshen(struct credentials *c, struct err *err)
{
    int64_t version = 0;
    TRY(read_version(c, &version, err));
    if (version != c->data_version) {
        cache_clear(c);
        c->data_version = version;
        c->generation++;
    }
    return ST_OK;
}

static void password_digest(const struct credentials *c, struct span account, struct span password,
                            unsigned char out[DIGEST_BYTES])
{
    AUTO_STRBUF both = STRBUF_INIT;
    strbuf_reserve(&both, account.len + password.len + 2);
    strbuf_add(&both, account);
    strbuf_add_char(&both, '\0');
    strbuf_add(&both, password);
    unsigned len = DIGEST_BYTES;
    if (!HMAC(EVP_sha256(), c->key, DIGEST_BYTES, (unsigned char *)both.p, both.len, out, &len))
        panic("HMAC-SHA256 failed");
    mem_wipe(both.p, both.len);
}

static bool cache_has(struct credentials *c, struct span account, const unsigned char digest[DIGEST_BYTES])
{
    struct cached_login *entry = map_get(c->cache, account);
    if (!entry)
        return false;
    if (entry->expires_at_ms <= clock_mono_ms()) {
        cache_drop(c, account);
        return false;
    }
    return CRYPTO_memcmp(entry->digest, digest, DIGEST_BYTES) == 0;
}

static void cache_put(struct credentials *c, struct span account, const unsigned char digest[DIGEST_BYTES])
{
    if (map_count(c->cache) >= CACHE_ENTRIES_MAX)
        cache_clear(c);
    struct cached_login *entry = mem_alloc(sizeof *entry);
    memcpy(entry->digest, digest, DIGEST_BYTES);
    entry->expires_at_ms = clock_mono_ms() + CACHE_SECONDS * 1000;
    free(map_put(c->cache, account, entry));
}

/* ---- verifiers -----------------------------------------------------------------------------------------------------
 */

/* The crypt(5) string behind a {SCHEME} that says no more than the string itself. */
static bool strip_scheme(struct span verifier, struct span *out)
{
    static const char *const schemes[] = {"{CRYPT}",        "{BLF-CRYPT}",    "{SHA512-CRYPT}",
                                          "{SHA256-CRYPT}", "{MD5-CRYPT}",    "{DES-CRYPT}",
                                          "{YESCRYPT}",     "{SCRYPT-CRYPT}", "{GOST-YESCRYPT}"};
    *out = verifier;
    if (verifier.len == 0 || verifier.p[0] != '{')
        return true;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (span_istarts(verifier, span_cstr(schemes[i]))) {
            *out = span_skip(verifier, strlen(schemes[i]));
            return true;
        }
    return false;
}

/* crypt_r() into a fresh string; NULL where the setting is of no known form. */
static char *crypt_new(struct span password, const char *setting)
{
    char *z = mem_cstr(password.p, password.len);
    struct crypt_data *data = mem_alloc(sizeof *data);
    const char *made = crypt_r(z, setting, data);
    char *out = made && made[0] != '*' ? mem_cstr(made, strlen(made)) : NULL;
    mem_wipe(data, sizeof *data);
    mem_wipe(z, password.len);
    free(data);
    free(z);
    return out;
}

static void new_setting(char setting[CRYPT_GENSALT_OUTPUT_SIZE])
{
    if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, CRYPT_GENSALT_OUTPUT_SIZE))
        panic("crypt_gensalt knows no yescrypt");
}

static char *new_verifier(struct span password)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    new_setting(setting);
    char *out = crypt_new(password, setting);
    if (!out)
        panic("crypt_r knows no yescrypt");
    return out;
}

static bool verifier_matches(const char *verifier, struct span password)
{
    char *made = crypt_new(password, verifier);
    size_t len = strlen(verifier);
    bool is_same = made && strlen(made) == len && CRYPTO_memcmp(made, verifier, len) == 0;
    free(made);
    return is_same;
}

static bool password_is_possible(struct span password)
{
    return password.len > 0 && password.len <= PASSWORD_MAX && span_find_byte(password, '\0', 0) == SPAN_NPOS;
}

/* ---- the interface
 * --------------------------------------------------------------------------------------------------- */

enum status credentials_open(const char *path, bool may_create, struct credentials **out, struct err *err)
{
    AUTO(credentials) c = mem_alloc(sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->cache = map_new();
    if (RAND_bytes(c->key, sizeof c->key) != 1)
        return err_set(err, ST_IO, "no random bytes");
    mode_t before = umask(0077);
    int rc = sqlite3_open_v2(path, &c->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (may_create ? SQLITE_OPEN_CREATE : 0), NULL);
    umask(before);
    if (rc != SQLITE_OK)
        return err_set_operator(err, rc == SQLITE_CANTOPEN ? ST_NOTFOUND : ST_IO, "internal error, try again later",
                                "cannot open %s: %s", path, c->db ? sqlite3_errmsg(c->db) : "no memory");
    sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
    sqlite3_extended_result_codes(c->db, 1);
    if (sqlite3_exec(c->db, "PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY", NULL,
                     NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(c->db, schema, NULL, NULL, NULL) != SQLITE_OK)
        return credentials_sql_error(c, err);
    TRY(read_version(c, &c->data_version, err));
    new_setting(c->unknown);
    *out = c;
    c = NULL;
    return ST_OK;
}

void credentials_free(struct credentials **c)
{
    if (!*c)
        return;
    cache_clear(*c);
    map_free(&(*c)->cache);
    sqlite3_close((*c)->db);
    pthread_mutex_destroy(&(*c)->lock);
    mem_wipe(*c, sizeof **c);
    free(*c);
    *c = NULL;
}

static enum status store_verifier(struct credentials *c, struct span account, const char *verifier, struct err *err)
{
    AUTO_STATEMENT s = {NULL};
    TRY(credentials_prepare(c,
                            "INSERT INTO verifier (account, verifier, changed_at) VALUES (?1, ?2, ?3)"
                            " ON CONFLICT (account) DO UPDATE SET verifier = ?2, changed_at = ?3",
                            account, &s, err));
    sqlite3_bind_text(s.stmt, 2, verifier, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(s.stmt, 3, clock_wall_ms() / 1000);
    return sqlite3_step(s.stmt) == SQLITE_DONE ? ST_OK : credentials_sql_error(c, err);
}

static enum status store_password(struct credentials *c, struct span account, const char *verifier,
                                  const struct scram_keys *keys, struct err *err)
{
    if (sqlite3_exec(c->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return credentials_sql_error(c, err);
    enum status st = store_verifier(c, account, verifier, err);
    if (st == ST_OK)
        st = scram_store(c, account, keys, err);
    if (st == ST_OK && sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        st = credentials_sql_error(c, err);
    if (st != ST_OK)
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static enum status lock_and_store(struct credentials *c, struct span account, const char *verifier,
                                  const struct scram_keys *keys, struct err *err)
{
    pthread_mutex_lock(&c->lock);
    enum status st = store_password(c, account, verifier, keys, err);
    cache_drop(c, account);
    c->generation++; /* data_version does not count our own changes */
    pthread_mutex_unlock(&c->lock);
    return st;
}

enum status credentials_set_password(struct credentials *c, struct span account, struct span password, struct err *err)
{
    if (!password_is_possible(password))
        return err_set(err, ST_SYNTAX, "a password has 1 to %d octets and no NUL", PASSWORD_MAX);
    struct scram_keys keys;
    bool has_keys = scram_new_keys(password, &keys);
    char *verifier = new_verifier(password);
    enum status st = lock_and_store(c, account, verifier, has_keys ? &keys : NULL, err);
    mem_wipe(&keys, sizeof keys);
    free(verifier);
    return st;
}

/* The string without its {SCHEME}, if it can be one of crypt(5). */
static enum status bare_verifier(struct span verifier, struct span *bare, struct err *err)
{
    if (!strip_scheme(verifier, bare))
        return err_set(err, ST_UNSUPPORTED, "the verifier's {SCHEME} is not one of crypt(5)");
    if (bare->len == 0 || bare->len > VERIFIER_MAX || span_find_byte(*bare, '\0', 0) != SPAN_NPOS)
        return err_set(err, ST_UNSUPPORTED, "the verifier is not a crypt(5) string");
    return ST_OK;
}

/* One trial shows that crypt_r knows the method and makes strings of this length: else nobody could ever log in. */
static enum status try_verifier(struct span bare, struct err *err)
{
    char *z = mem_cstr(bare.p, bare.len);
    char *trial = crypt_new(SPAN("trial"), z);
    enum status st = trial && strlen(trial) == bare.len
                         ? ST_OK
                         : err_set(err, ST_UNSUPPORTED, "the verifier is not a crypt(5) string of a known method");
    free(trial);
    free(z);
    return st;
}

enum status credentials_set_verifier(struct credentials *c, struct span account, struct span verifier, struct err *err)
{
    struct span bare;
    TRY(bare_verifier(verifier, &bare, err));
    TRY(try_verifier(bare, err));
    char *z = mem_cstr(bare.p, bare.len);
    enum status st = lock_and_store(c, account, z, NULL, err);
    free(z);
    return st;
}

/* ---- many at once ------------------------------------------------------------------------------------------------ */

/* Method, cost and length: "$2y$10$" of "$2y$10$salt…", "$6$" of "$6$salt$…", "$6$rounds=5000$" of "$6$rounds=5000$…".
 */
static void verifier_form(struct span bare, struct strbuf *form)
{
    struct span rest = bare.len && bare.p[0] == '$' ? span_skip(bare, 1) : SPAN_NONE, part;
    strbuf_clear(form);
    strbuf_addf(form, "%zu", bare.len);
    for (size_t i = 0; span_find_byte(rest, '$', 0) != SPAN_NPOS && span_cut(&rest, '$', &part); i++) {
        bool is_cost = part.len == 2 || span_find_byte(part, '=', 0) != SPAN_NPOS;
        if (i > 0 && !is_cost)
            break;
        strbuf_add_char(form, '$');
        strbuf_add(form, part);
    }
}

enum status credentials_check_forms(const struct credential *list, size_t count, size_t *at, struct err *err)
{
    AUTO_STRBUF form = STRBUF_INIT;
    struct map *tried = map_new();
    struct span bare;
    enum status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        *at = i;
        st = bare_verifier(list[i].verifier, &bare, err);
        if (st != ST_OK)
            break;
        verifier_form(bare, &form);
        if (!map_get(tried, strbuf_span(&form)))
            st = try_verifier(bare, err);
        map_put(tried, strbuf_span(&form), tried); /* any value: a set */
    }
    map_free(&tried);
    return st;
}

static enum status store_all(struct credentials *c, const struct credential *list, size_t count, struct err *err)
{
    struct span bare;
    for (size_t i = 0; i < count; i++) {
        if (!strip_scheme(list[i].verifier, &bare))
            return err_set(err, ST_UNSUPPORTED, "the verifier's {SCHEME} is not one of crypt(5)");
        char *z = mem_cstr(bare.p, bare.len);
        enum status st = store_verifier(c, list[i].account, z, err);
        free(z);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum status store_as_one(struct credentials *c, const struct credential *list, size_t count, struct err *err)
{
    if (sqlite3_exec(c->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return credentials_sql_error(c, err);
    enum status st = store_all(c, list, count, err);
    if (st == ST_OK && sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        st = credentials_sql_error(c, err);
    if (st != ST_OK)
        sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

enum status credentials_set_verifiers(struct credentials *c, const struct credential *list, size_t count,
                                      struct err *err)
{
    pthread_mutex_lock(&c->lock);
    enum status st = store_as_one(c, list, count, err);
    cache_clear(c);
    c->generation++;
    pthread_mutex_unlock(&c->lock);
    return st;
}

enum status credentials_remove(struct credentials *c, struct span account, struct err *err)
{
    pthread_mutex_lock(&c->lock);
    AUTO_STATEMENT s = {NULL};
    enum status st = credentials_prepare(c, "DELETE FROM verifier WHERE account = ?1", account, &s, err);
    if (st == ST_OK && sqlite3_step(s.stmt) != SQLITE_DONE)
        st = credentials_sql_error(c, err);
    if (st == ST_OK && sqlite3_changes(c->db) == 0)
        st = err_set(err, ST_NOTFOUND, "the account has no password");
    cache_drop(c, account);
    c->generation++;
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* What the slow part needs: read under the lock. */
struct lookup {
    bool is_cached;
    char *verifier;
    uint64_t generation;
};

static enum status look_up(struct credentials *c, struct span account, const unsigned char digest[DIGEST_BYTES],
                           struct lookup *l, struct err *err)
{
    TRY(cache_freshen(c, err));
    l->generation = c->generation;
    l->is_cached = cache_has(c, account, digest);
    return l->is_cached ? ST_OK : read_verifier(c, account, &l->verifier, err);
}

static void remember(struct credentials *c, struct span account, const unsigned char digest[DIGEST_BYTES],
                     uint64_t generation)
{
    struct err ignored;
    pthread_mutex_lock(&c->lock);
    if (cache_freshen(c, &ignored) == ST_OK && c->generation == generation)
        cache_put(c, account, digest);
    pthread_mutex_unlock(&c->lock);
}

bool credentials_is_cached(struct credentials *c, struct span account, struct span password)
{
    unsigned char digest[DIGEST_BYTES];
    struct err ignored;
    password_digest(c, account, password, digest);
    pthread_mutex_lock(&c->lock);
    bool is_cached = cache_freshen(c, &ignored) == ST_OK && cache_has(c, account, digest);
    pthread_mutex_unlock(&c->lock);
    return is_cached;
}

enum status credentials_check(struct credentials *c, struct span account, struct span password, struct err *err)
{
    unsigned char digest[DIGEST_BYTES];
    struct lookup l = {0};
    bool is_possible = password_is_possible(password);
    if (!is_possible)
        password = SPAN("impossible"); /* for the same work */
    password_digest(c, account, password, digest);
    pthread_mutex_lock(&c->lock);
    enum status st = look_up(c, account, digest, &l, err);
    pthread_mutex_unlock(&c->lock);
    if (st != ST_OK || (l.is_cached && is_possible))
        return st;
    bool is_right = verifier_matches(l.verifier ? l.verifier : c->unknown, password) && l.verifier;
    is_right = is_right && is_possible;
    if (is_right)
        scram_add_missing(c, account, password, l.verifier);
    free(l.verifier);
    if (!is_right)
        return err_set(err, ST_DENIED, "wrong user name or password");
    remember(c, account, digest, l.generation);
    return ST_OK;
}
