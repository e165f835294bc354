/* credentials_internal.h - what credentials.c and credentials_scram.c share. Nobody else includes it. */
#pragma once
#include <crypt.h>
#include <pthread.h>
#include <sqlite3.h>
#include "auth/credentials.h"

enum { DIGEST_BYTES = 32 };

struct credentials {
    pthread_mutex_t lock;
    sqlite3 *db;
    struct map *cache;    /* account -> struct cached_login */
    int64_t data_version; /* the file's, when the cache was last known to be good */
    uint64_t generation;  /* raised by every change of the file, ours or another process's */
    unsigned char key[DIGEST_BYTES];
    char unknown[CRYPT_GENSALT_OUTPUT_SIZE]; /* the setting with which an unknown account's password is hashed */
};

/* One prepared statement with ?1 = account, where it has parameters. Under the lock. */
struct statement {
    sqlite3_stmt *stmt;
};
void statement_end(struct statement *s);
#define AUTO_STATEMENT __attribute__((cleanup(statement_end))) struct statement
enum status credentials_prepare(struct credentials *c, const char *sql, struct span account, struct statement *s,
                                struct err *err);
enum status credentials_sql_error(struct credentials *c, struct err *err);

/* credentials_scram.c, under the lock: keys is NULL where the password has none; then there are none any more. */
enum status scram_store(struct credentials *c, struct span account, const struct scram_keys *keys, struct err *err);
/* New keys for a password; false where it has none (scram_prepare()). Slow, under no lock. */
bool scram_new_keys(struct span password, struct scram_keys *keys);
/* A password that was right has keys from now on, if it had none and `verifier` is still the account's. */
void scram_add_missing(struct credentials *c, struct span account, struct span password, const char *verifier);
