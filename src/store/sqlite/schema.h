/*
 * schema.h - numbered migrations: a database's user_version says which of them it has had.
 */
#pragma once
#include "store/sqlite/db.h"

struct migration {
    const char *sql; /* one or more statements */
};

/* Runs what is missing, in one transaction. `first` (may be NULL) is called in that transaction where the database was
 * empty. A newer version than the last known is ST_UNSUPPORTED: nothing is touched. */
enum status schema_migrate(struct db *db, const struct migration *list, int count,
                           enum status (*first)(struct db *db, struct err *err), struct err *err);

extern const struct migration account_migrations[];
extern const int account_migration_count;
