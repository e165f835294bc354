/*
 * schema.c - the queue's tables, and how older files become newer ones: numbered steps, run at open, in one transaction
 * each. A step that was released is never changed.
 *
 * Version 2: a recipient's id is its message's with 16 bits behind, so that one message's recipients lie together and
 * no second index is needed; `destination` has a row for each destination that something waits for. The body is the
 * last column of its row: reading what stands before it touches one page.
 */
#include "queue/internal.h"
#include "base/banned.h"

static const char version_1[] = "CREATE TABLE message(id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL,"
                                " trace TEXT NOT NULL, queued_at INTEGER NOT NULL, size INTEGER NOT NULL,"
                                " smtputf8 INTEGER NOT NULL, eightbit INTEGER NOT NULL, body BLOB NOT NULL);"
                                "CREATE TABLE recipient(id INTEGER PRIMARY KEY AUTOINCREMENT, message INTEGER NOT NULL,"
                                " address TEXT NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
                                " next_attempt_at INTEGER NOT NULL, last_reply TEXT NOT NULL);"
                                "CREATE INDEX recipient_message ON recipient(message);"
                                "CREATE INDEX recipient_due ON recipient(next_attempt_at) WHERE state = 0;";

/* lane: 0 urgent, 1 ordinary, 2 patient (by MT-PRIORITY). See version 4. */
static const char version_2[] =
    "ALTER TABLE message RENAME TO old_message; ALTER TABLE recipient RENAME TO old_recipient;"
    "DROP INDEX recipient_message; DROP INDEX recipient_due;"
    "CREATE TABLE message(id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, trace TEXT NOT NULL,"
    " queued_at INTEGER NOT NULL, deadline_at INTEGER, size INTEGER NOT NULL, body_type INTEGER NOT NULL,"
    " ret INTEGER NOT NULL, by_mode INTEGER NOT NULL, smtputf8 INTEGER NOT NULL, tls_required INTEGER NOT NULL,"
    " by_traced INTEGER NOT NULL, priority INTEGER NOT NULL, hold_until INTEGER NOT NULL, deliver_by INTEGER NOT NULL,"
    " envid TEXT NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE recipient(id INTEGER PRIMARY KEY, address TEXT NOT NULL, destination TEXT NOT NULL,"
    " orcpt TEXT NOT NULL, notify INTEGER NOT NULL, lane INTEGER NOT NULL, state INTEGER NOT NULL,"
    " delay_told INTEGER NOT NULL, attempts INTEGER NOT NULL, next_attempt_at INTEGER NOT NULL,"
    " last_reply TEXT NOT NULL);"
    "CREATE TABLE destination(name TEXT PRIMARY KEY, next_at INTEGER NOT NULL, blocked_until INTEGER NOT NULL,"
    " failures INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO message SELECT id, sender, trace, queued_at, queued_at + 432000, size, eightbit, 0, 0, smtputf8, 0, "
    "0, 0,"
    " 0, 0, '', body FROM old_message;"
    "INSERT INTO recipient SELECT message * 65536 + (SELECT count(*) FROM old_recipient b WHERE b.message = a.message"
    " AND b.id < a.id), address, lower(substr(address, length(rtrim(address, replace(address, '@', ''))) + 1)), '', 0, "
    "1,"
    " state, 0, attempts, next_attempt_at, last_reply FROM old_recipient a;"
    "DROP TABLE old_message; DROP TABLE old_recipient;"
    "CREATE INDEX message_deadline ON message(deadline_at) WHERE deadline_at IS NOT NULL;"
    "CREATE INDEX recipient_due ON recipient(destination, lane, next_attempt_at) WHERE state = 0;"
    "CREATE INDEX destination_due ON destination(next_at);"
    "INSERT INTO destination SELECT destination, min(next_attempt_at), 0, 0 FROM recipient WHERE state = 0 GROUP BY 1;";

/* What is known of other domains' TLS (tls_store.h). */
static const char version_3[] =
    "CREATE TABLE sts(domain TEXT PRIMARY KEY, id TEXT NOT NULL, text TEXT NOT NULL, fetched_at INTEGER NOT NULL,"
    " expires_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE tls_session(day INTEGER NOT NULL, domain TEXT NOT NULL, kind TEXT NOT NULL, policy TEXT NOT NULL,"
    " mx TEXT NOT NULL, address TEXT NOT NULL, result TEXT NOT NULL, sessions INTEGER NOT NULL,"
    " PRIMARY KEY(day, domain, kind, policy, mx, address, result)) WITHOUT ROWID;";

/* lane: one for each priority, 0 the most urgent (RFC 6710 §5). hold_request: what FUTURERELEASE was asked for, as
 * reports repeat it (RFC 4865 §5); empty: nothing. */
static const char version_4[] =
    "ALTER TABLE message ADD COLUMN hold_request TEXT NOT NULL DEFAULT '';"
    "UPDATE recipient SET lane = 9 - ifnull((SELECT priority FROM message m WHERE m.id = recipient.id >> 16), 0);";

static const char *const versions[QUEUE_SCHEMA_VERSION] = {version_1, version_2, version_3, version_4};

static enum status read_version(struct queue_db *d, int *version, struct err *err)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(d->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
        return queue_sql_error(d, "user_version", err);
    *version = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int(st, 0) : -1;
    sqlite3_finalize(st);
    return ST_OK;
}

static enum status step(struct queue_db *d, int version, struct err *err)
{
    char *mark = sqlite3_mprintf("PRAGMA user_version = %d; COMMIT", version + 1);
    TRY(queue_sql_run(d, "BEGIN IMMEDIATE", err));
    enum status st = queue_sql_run(d, versions[version], err);
    if (st == ST_OK)
        st = queue_sql_run(d, mark, err);
    if (st != ST_OK)
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_free(mark);
    return st;
}

enum status queue_migrate(struct queue_db *d, struct err *err)
{
    int version = -1;
    TRY(read_version(d, &version, err));
    if (version < 0 || version > QUEUE_SCHEMA_VERSION)
        return err_set(err, ST_UNSUPPORTED, "the queue's file is of version %d, this program knows %d", version,
                       QUEUE_SCHEMA_VERSION);
    bool was_old = version == 1;
    for (; version < QUEUE_SCHEMA_VERSION; version++)
        TRY(step(d, version, err));
    /* Files of version 1 could not shrink; that is a property of the whole file, set by writing it anew. */
    return was_old ? queue_sql_run(d, "PRAGMA auto_vacuum=INCREMENTAL; VACUUM", err) : ST_OK;
}
