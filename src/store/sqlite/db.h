/*
 * db.h - one SQLite connection, its prepared statements, and the durability rules (the essay is in db.c).
 *
 * A struct db is used by one thread at a time. SQL texts are string literals: a statement is cached under the literal's
 * address, prepared at its first use and kept until db_close(). Values are given as INT(), TEXT(), BLOB(); what they
 * point to must stay until the statement was run.
 *
 *   sqlite3_stmt *s;
 *   TRY(db_query(db, &s, err, "SELECT uid FROM message WHERE mailbox = ?", INT(id)));
 *   while (db_row(db, s, &st, err))
 *       ...column_u64(s, 0)...
 *   TRY(st);
 */
#pragma once
#include <sqlite3.h>
#include "base/arena.h"
#include "base/err.h"

enum {
    DB_PAGE_BYTES = 4096,
    DB_CHECKPOINT_PAGES = 4000,
    DB_WAL_BYTES = (DB_CHECKPOINT_PAGES + 1000) * DB_PAGE_BYTES,
    DB_CACHE_KB = 512, /* a connection's page cache: 256 open handles stay below 128 MB */
    DB_BUSY_MS = 10000,
    DB_STATEMENTS_MAX = 256, /* distinct SQL literals; a power of two, twice what there is */
};

struct db_statement {
    const char *sql;
    sqlite3_stmt *stmt;
};

struct db {
    sqlite3 *conn;
    sqlite3_blob *blob; /* open on content.data while a transaction reads bodies */
    bool is_flushing;   /* synchronous = FULL */
    bool is_broken;     /* an I/O error happened: closed instead of kept */
    struct db_statement statements[DB_STATEMENTS_MAX];
};

enum db_kind { DB_INT, DB_TEXT, DB_BLOB };
struct db_value {
    enum db_kind kind;
    int64_t number;
    struct span bytes;
};
#define INT(v)  ((struct db_value){.kind = DB_INT, .number = (int64_t)(v)})
#define TEXT(v) ((struct db_value){.kind = DB_TEXT, .bytes = (v)})
#define BLOB(v) ((struct db_value){.kind = DB_BLOB, .bytes = (v)})

/* Opens an existing file (may be empty) with this project's settings. `is_new`: sets page size and WAL mode too. */
enum status db_open(const char *path, bool is_new, struct db **out, struct err *err);
/* The last connection of a file copies the WAL into it and removes it. */
void db_close(struct db **db);

/* For who only looks: closing leaves the WAL as it was found, so that the next writer still sees that there was a
 * crash. */
void db_leave_wal(struct db *db);

/* For the first connection of a process to a file that it writes to: whether a WAL was left there. Asked before
 * db_open(). */
bool db_has_wal(const char *path);
/* And what follows from it: nobody knows how much of that WAL is on the disk, so all of it is put there. */
enum status db_renew_wal(struct db *db, struct err *err);

/* Commits flush (synchronous = FULL) or do not (NORMAL). Only outside a transaction. */
enum status db_set_flushing(struct db *db, bool is_flushing, struct err *err);

enum status db_query_values(struct db *db, sqlite3_stmt **out, struct err *err, const char *sql,
                            const struct db_value *values, size_t count);
enum status db_run_values(struct db *db, struct err *err, const char *sql, const struct db_value *values, size_t count);

#define DB_VALUES(...)                                                                                                 \
    (struct db_value[]){__VA_ARGS__}, sizeof((struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)
/* Binds and is ready for db_row(). */
#define db_query(db, out, err, sql, ...) db_query_values(db, out, err, sql, DB_VALUES(__VA_ARGS__))
/* Runs a statement that gives no rows. */
#define db_run(db, err, sql, ...)  db_run_values(db, err, sql, DB_VALUES(__VA_ARGS__))
#define db_run_plain(db, err, sql) db_run_values(db, err, sql, NULL, 0)

/* True while there is a row. At the end or on failure the statement is reset and *st says which it was. */
bool db_row(struct db *db, sqlite3_stmt *s, enum status *st, struct err *err);
/* For who stops before the last row. */
void db_done(sqlite3_stmt *s);
/* The first row's first column; `missing` where there is no row or it is NULL. */
enum status db_number_values(struct db *db, int64_t missing, int64_t *out, struct err *err, const char *sql,
                             const struct db_value *values, size_t count);
#define db_number(db, missing, out, err, sql, ...)  db_number_values(db, missing, out, err, sql, DB_VALUES(__VA_ARGS__))
#define db_number_plain(db, missing, out, err, sql) db_number_values(db, missing, out, err, sql, NULL, 0)
/* Rows changed by the last statement. */
uint64_t db_changes(const struct db *db);

enum status db_begin_read(struct db *db, struct err *err);
enum status db_begin_write(struct db *db, struct err *err);
enum status db_commit(struct db *db, struct err *err);
/* Resets what is still running and rolls back; never fails (a connection that cannot is marked broken). */
void db_rollback(struct db *db);

/* Fills *err from the connection's last error. */
enum status db_error(struct db *db, int rc, const char *doing, struct err *err);

static inline int64_t column_i64(sqlite3_stmt *s, int i)
{
    return sqlite3_column_int64(s, i);
}
static inline uint64_t column_u64(sqlite3_stmt *s, int i)
{
    return (uint64_t)sqlite3_column_int64(s, i);
}
static inline uint32_t column_u32(sqlite3_stmt *s, int i)
{
    return (uint32_t)sqlite3_column_int64(s, i);
}
/* Valid until the next step. */
static inline struct span column_span(sqlite3_stmt *s, int i)
{
    const void *p = sqlite3_column_blob(s, i);
    return span_of(p, p ? (size_t)sqlite3_column_bytes(s, i) : 0);
}
