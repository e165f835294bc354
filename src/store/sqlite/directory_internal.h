/*
 * directory_internal.h - the directory's connection, for the files that it is made of: directory.c (domains, accounts,
 * aliases, graves), directory_quota.c and sharing.c (groups, who shares with whom).
 */
#pragma once
#include <pthread.h>
#include "base/map.h"
#include "store/directory.h"
#include "store/sqlite/schema.h"

struct directory {
    pthread_mutex_t lock;
    struct db *db;
    struct map *cache; /* address -> struct cached */
    int64_t data_version;
};

/* What a change is about; each kind uses some of it. */
struct directory_change {
    struct span a, b;
    struct span domain;
    const struct span *addresses; /* accounts to add */
    size_t address_count, *added, *at;
    enum status (*remove)(void *context, struct span address, struct err *err);
    void *context;
    uint64_t id;
    const uint64_t *ids;
    size_t id_count;
    const void *value;
};
typedef enum status directory_work(struct directory *d, const struct directory_change *c, struct err *err);
/* Runs work() in a write transaction and forgets what was looked up. */
enum status directory_write(struct directory *d, const struct directory_change *c, directory_work *work,
                            struct err *err);

/* Rows of a query with these parameters, as an array of `size` bytes each, filled by fill(). */
typedef void directory_fill(struct arena *a, sqlite3_stmt *s, void *row);
enum status directory_rows(struct directory *d, struct arena *a, const char *sql, const struct db_value *values,
                           size_t value_count, size_t size, directory_fill *fill, void **list, size_t *count,
                           struct err *err);
directory_fill directory_fill_span;

/* directory_quota.c: the limits in three columns from `at` on, in the order of enum quota_resource. */
struct quota directory_quota_of(sqlite3_stmt *s, int at);

/* An address in canonical form; the empty local part only where it may stand for the whole domain. */
enum status directory_check_address(struct span address, bool may_be_domain, struct span *domain, struct err *err);
/* Adds a row of this kind to the accounts; c->a is the address. */
enum directory_kind { DIRECTORY_PERSON, DIRECTORY_GROUP };
enum status directory_add_row(struct directory *d, const struct directory_change *c, enum directory_kind kind,
                              struct err *err);
