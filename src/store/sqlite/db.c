/*
 * db.c - connections, and why nothing that was acknowledged is lost.
 *
 * An account is one SQLite database in WAL mode: FILE.db, and while it is open FILE.db-wal (changes not yet copied
 * into it) and FILE.db-shm (an index of the WAL, rebuilt when missing). These are the states that can be on disk and
 * why losing power, or the process, in each of them loses nothing that was promised:
 *
 *  1. No file. Accounts are made on first use; the directory knows the account, so the next use makes the file again.
 *  2. An empty file, or one without a finished schema. The file is made with O_EXCL, and its folder is flushed before
 *     SQLite writes to it. Schema and first mailboxes are one transaction: it is there whole or the next open runs it.
 *     The first opening of a process sets WAL mode where the file is not in it yet.
 *  3. File and WAL. A commit of TXN_WRITE (synchronous=FULL) has written its frames to the WAL and flushed the WAL
 *     before it returns; SQLite flushes the folder at the first flush of a new WAL. Recovery replays frames up to the
 *     last commit frame whose checksums hold, so the state is always the one after some commit: a message, its content,
 *     its mailbox's counters, UIDNEXT and modseq are of one transaction and come and go together.
 *  4. File and WAL, ending with commits of TXN_FLAGS (synchronous=NORMAL), which are not flushed. Losing power may lose
 *     a tail of them, never something before them: the WAL is read in order, and the next flush covers all that was
 *     written before it.
 *  5. In the middle of a checkpoint. The WAL is flushed before its pages are copied to the file, and the file is
 *     flushed before the WAL is written from its start again; in between the WAL still holds every copied page.
 *     (synchronous=NORMAL keeps these two flushes.)
 *  6. Closed. The last connection copies the WAL, flushes the file and removes the WAL: the file alone is complete and
 *     may be copied. A removal undone by a loss of power leaves a WAL whose pages are all in the file already.
 *  7. After a flush that failed, in this process or one before it. Nothing is committed and nothing is copied into the
 *     file until the whole WAL was written and flushed anew (wal_vfs.c); a transaction that begins meanwhile fails.
 *  8. A modseq that was told to a client is not told again for another change. The modseq of a lost flag change (4)
 *     could be: so an account found with a WAL at its first opening goes on MODSEQ_JUMP higher (account.c). A tool
 *     that only reads leaves the WAL where it is (db_leave_wal). UIDs are given only in flushed transactions.
 *  9. Account removed. The directory remembers the address as a grave in the transaction that forgets the account. The
 *     files are unlinked, WAL first, the folder is flushed, and only then the grave is closed; an account of the same
 *     address is not opened before. Connections still open on the old file see that it was moved (SQLite compares
 *     inodes) and do not touch the new one's WAL.
 *
 * POSIX locks are the process's: nobody may open and close an account's file by hand while a connection is open on it.
 */
#include "store/sqlite/db.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "store/sqlite/wal_vfs.h"
#include "base/banned.h"

enum status db_error(struct db *db, int rc, const char *doing, struct err *err)
{
    const char *text = db && db->conn ? sqlite3_errmsg(db->conn) : sqlite3_errstr(rc);
    const char *file = db && db->conn ? sqlite3_db_filename(db->conn, "main") : "";
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set_operator(err, ST_TEMPORARY, "busy, try again later", "%s: %s: %s", file, doing, text);
    case SQLITE_FULL:
        if (db)
            db->is_broken = true;
        return err_set_operator(err, ST_IO, "the server's storage is full", "%s: %s: %s", file, doing, text);
    case SQLITE_TOOBIG:
        return err_set_operator(err, ST_LIMIT, "too large", "%s: %s: %s", file, doing, text);
    default:
        if (db)
            db->is_broken = true;
        return err_set_operator(err, ST_IO, "internal error, try again later", "%s: %s: %s (%d)", file, doing, text,
                                rc);
    }
}

static enum status exec(struct db *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db->conn, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? ST_OK : db_error(db, rc, sql, err);
}

static enum status configure(struct db *db, bool is_new, struct err *err)
{
    sqlite3_extended_result_codes(db->conn, 1);
    sqlite3_busy_timeout(db->conn, DB_BUSY_MS);
    sqlite3_db_config(db->conn, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->conn, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->conn, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->conn, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(db->conn, SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    char settings[256];
    (void)snprintf(settings, sizeof settings,
                   "PRAGMA synchronous=FULL; PRAGMA cache_size=-%d; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
                   "PRAGMA journal_size_limit=%d;", /* a WAL that one large commit has blown up shrinks again */
                   DB_CACHE_KB, DB_WAL_BYTES);
    TRY(exec(db, settings, err));
    db->is_flushing = true;
    if (is_new) {
        (void)snprintf(settings, sizeof settings, "PRAGMA page_size=%d; PRAGMA journal_mode=WAL;", DB_PAGE_BYTES);
        TRY(exec(db, settings, err));
    }
    sqlite3_wal_autocheckpoint(db->conn, DB_CHECKPOINT_PAGES);
    return ST_OK;
}

enum status db_open(const char *path, bool is_new, struct db **out, struct err *err)
{
    wal_vfs_start();
    struct db *db = mem_alloc(sizeof *db);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE;
    int rc = sqlite3_open_v2(path, &db->conn, flags, WAL_VFS_NAME);
    enum status st = ST_OK;
    if (rc != SQLITE_OK)
        st = err_set_operator(err, ST_IO, "internal error, try again later", "%s: cannot open: %s", path,
                              db->conn ? sqlite3_errmsg(db->conn) : sqlite3_errstr(rc));
    if (st == ST_OK)
        st = configure(db, is_new, err);
    if (st != ST_OK) {
        db_close(&db);
        return st;
    }
    *out = db;
    return ST_OK;
}

void db_close(struct db **dbp)
{
    struct db *db = *dbp;
    if (!db)
        return;
    if (db->blob)
        sqlite3_blob_close(db->blob);
    if (db->conn && wal_is_suspect(db->conn))
        db_leave_wal(db); /* what is not on the disk may not be copied over what is */
    for (size_t i = 0; i < DB_STATEMENTS_MAX; i++)
        sqlite3_finalize(db->statements[i].stmt);
    if (sqlite3_close(db->conn) != SQLITE_OK)
        log_text(LOG_ERROR, "store-close", "%s", sqlite3_errmsg(db->conn));
    free(db);
    *dbp = NULL;
}

void db_leave_wal(struct db *db)
{
    sqlite3_db_config(db->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

enum status db_set_flushing(struct db *db, bool is_flushing, struct err *err)
{
    if (db->is_flushing == is_flushing)
        return ST_OK;
    TRY(exec(db, is_flushing ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", err));
    db->is_flushing = is_flushing;
    return ST_OK;
}

static enum status prepared(struct db *db, const char *sql, sqlite3_stmt **out, struct err *err)
{
    size_t i = (size_t)(((uintptr_t)sql * 0x9e3779b97f4a7c15ULL) >> 40) & (DB_STATEMENTS_MAX - 1);
    for (size_t tries = 0; db->statements[i].sql && db->statements[i].sql != sql; tries++) {
        if (tries == DB_STATEMENTS_MAX)
            panic("more SQL statements than DB_STATEMENTS_MAX");
        i = (i + 1) & (DB_STATEMENTS_MAX - 1);
    }
    struct db_statement *s = &db->statements[i];
    if (!s->sql) {
        int rc = sqlite3_prepare_v3(db->conn, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
        if (rc != SQLITE_OK)
            return db_error(db, rc, sql, err);
        s->sql = sql;
    }
    *out = s->stmt;
    return ST_OK;
}

enum status db_query_values(struct db *db, sqlite3_stmt **out, struct err *err, const char *sql,
                            const struct db_value *values, size_t count)
{
    sqlite3_stmt *s = NULL;
    TRY(prepared(db, sql, &s, err));
    int rc = SQLITE_OK;
    for (size_t i = 0; i < count && rc == SQLITE_OK; i++) {
        const struct db_value *v = &values[i];
        const char *bytes = v->bytes.p ? v->bytes.p : ""; /* an empty value is not NULL */
        if (v->kind == DB_INT)
            rc = sqlite3_bind_int64(s, (int)i + 1, v->number);
        else if (v->kind == DB_TEXT)
            rc = sqlite3_bind_text64(s, (int)i + 1, bytes, v->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
        else
            rc = sqlite3_bind_blob64(s, (int)i + 1, bytes, v->bytes.len, SQLITE_STATIC);
    }
    if (rc != SQLITE_OK)
        return db_error(db, rc, sql, err);
    *out = s;
    return ST_OK;
}

bool db_row(struct db *db, sqlite3_stmt *s, enum status *st, struct err *err)
{
    int rc = sqlite3_step(s);
    *st = ST_OK;
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        *st = db_error(db, rc, sqlite3_sql(s), err);
    sqlite3_reset(s);
    return false;
}

void db_done(sqlite3_stmt *s)
{
    sqlite3_reset(s);
}

enum status db_run_values(struct db *db, struct err *err, const char *sql, const struct db_value *values, size_t count)
{
    sqlite3_stmt *s;
    TRY(db_query_values(db, &s, err, sql, values, count));
    enum status st;
    while (db_row(db, s, &st, err))
        ;
    return st;
}

enum status db_number_values(struct db *db, int64_t missing, int64_t *out, struct err *err, const char *sql,
                             const struct db_value *values, size_t count)
{
    sqlite3_stmt *s;
    TRY(db_query_values(db, &s, err, sql, values, count));
    enum status st;
    *out = missing;
    if (db_row(db, s, &st, err)) {
        if (sqlite3_column_type(s, 0) != SQLITE_NULL)
            *out = column_i64(s, 0);
        db_done(s);
    }
    return st;
}

uint64_t db_changes(const struct db *db)
{
    return (uint64_t)sqlite3_changes64(db->conn);
}

enum status db_begin_read(struct db *db, struct err *err)
{
    return db_run_plain(db, err, "BEGIN");
}

enum status db_begin_write(struct db *db, struct err *err)
{
    TRY(db_run_plain(db, err, "BEGIN IMMEDIATE"));
    int rc = wal_begin(db->conn, db->is_flushing);
    if (rc == SQLITE_OK)
        return ST_OK;
    db->is_broken = true;
    enum status st = err_set_operator(err, ST_IO, "internal error, try again later", "%s: a flush has failed: %s",
                                      sqlite3_db_filename(db->conn, "main"), sqlite3_errstr(rc));
    db_rollback(db);
    return st;
}

enum status db_renew_wal(struct db *db, struct err *err)
{
    wal_suspect(db->conn);
    TRY(db_begin_write(db, err));
    return db_commit(db, err);
}

bool db_has_wal(const char *path)
{
    AUTO_STRBUF wal = STRBUF_INIT;
    strbuf_addf(&wal, "%s-wal", path);
    struct stat st;
    return stat(strbuf_cstr(&wal), &st) == 0 && st.st_size > 0;
}

static void close_blob(struct db *db)
{
    if (db->blob)
        sqlite3_blob_close(db->blob);
    db->blob = NULL;
}

enum status db_commit(struct db *db, struct err *err)
{
    close_blob(db);
    return db_run_plain(db, err, "COMMIT");
}

void db_rollback(struct db *db)
{
    close_blob(db);
    for (size_t i = 0; i < DB_STATEMENTS_MAX; i++)
        if (db->statements[i].stmt && sqlite3_stmt_busy(db->statements[i].stmt))
            sqlite3_reset(db->statements[i].stmt);
    if (sqlite3_get_autocommit(db->conn))
        return; /* SQLite rolled back by itself, as after a full disk */
    struct err err;
    if (db_run_plain(db, &err, "ROLLBACK") != ST_OK)
        db->is_broken = true;
}
