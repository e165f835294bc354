/*
 * schema.c - the account's tables and how they came to be.
 *
 * A delivery touches few pages: one content row (its bytes lie in overflow pages), one message row and one mailbox row;
 * no other table and no index. That is why
 *   - message is WITHOUT ROWID on (mailbox, uid): the table is its only index;
 *   - counters, UIDNEXT and modseq live in the mailbox row. The account's modseq is the greatest of its mailboxes' (and
 * of account.modseq, which keeps those of mailboxes that are gone); the open account holds it in memory;
 *   - a content's id is made from the modseq that brought it, so no counter is needed to never use one twice;
 *   - reference counts are a table of their own, with rows only for contents that more than one message has: changing a
 *     count in the content row would write the whole body again;
 *   - the ready forms stand before the bytes in a content row, so that reading an envelope does not walk the body.
 *
 * A migration, once released, is never changed; a new one is added at the end.
 */
#include "store/sqlite/schema.h"
#include <stdio.h>
#include "base/banned.h"

static const char version_1[] =
    "CREATE TABLE account("
    "  id INTEGER PRIMARY KEY CHECK(id = 1),"
    "  modseq INTEGER NOT NULL,"            /* of mailboxes that were deleted */
    "  uidvalidity INTEGER NOT NULL,"       /* the last one given */
    "  uidvalidity_gone INTEGER NOT NULL);" /* the greatest that a name has lost by deletion or renaming */
    "CREATE TABLE mailbox("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE,"
    "  uidvalidity INTEGER NOT NULL,"
    "  uidnext INTEGER NOT NULL,"
    "  messages INTEGER NOT NULL,"
    "  unseen INTEGER NOT NULL,"
    "  deleted INTEGER NOT NULL,"
    "  size INTEGER NOT NULL,"
    "  highest_modseq INTEGER NOT NULL,"
    "  recent_from INTEGER NOT NULL,"
    "  special_use INTEGER NOT NULL,"
    "  is_noselect INTEGER NOT NULL,"
    "  tombstones INTEGER NOT NULL,"
    "  journal_modseq INTEGER NOT NULL," /* tombstones up to this modseq may have been pruned */
    "  journal_pruned_utc INTEGER NOT NULL);"
    "CREATE TABLE subscription(name TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE keyword(number INTEGER PRIMARY KEY, name TEXT NOT NULL);"
    "CREATE TABLE content("
    "  id INTEGER PRIMARY KEY,"
    "  size INTEGER NOT NULL,"
    "  header_size INTEGER NOT NULL,"
    "  envelope BLOB NOT NULL,"
    "  body BLOB NOT NULL,"
    "  bodystructure BLOB NOT NULL,"
    "  parts BLOB NOT NULL,"
    "  data BLOB NOT NULL);" /* the first CONTENT_INLINE_BYTES */
    "CREATE TABLE chunk("    /* the rest, in pieces of CONTENT_CHUNK_BYTES */
    "  content INTEGER NOT NULL,"
    "  idx INTEGER NOT NULL," /* from 0 */
    "  data BLOB NOT NULL,"
    "  PRIMARY KEY(content, idx)) WITHOUT ROWID;"
    "CREATE TABLE content_refs(content INTEGER PRIMARY KEY, refs INTEGER NOT NULL);" /* those with refs > 1 */
    "CREATE TABLE message("
    "  mailbox INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL,"
    "  content INTEGER NOT NULL,"
    "  size INTEGER NOT NULL,"
    "  flags INTEGER NOT NULL,"
    "  modseq INTEGER NOT NULL,"
    "  received_utc INTEGER NOT NULL,"
    "  received_zone INTEGER NOT NULL,"
    "  saved_utc INTEGER NOT NULL,"
    "  PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;"
    "CREATE TABLE tombstone("
    "  mailbox INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL,"
    "  modseq INTEGER NOT NULL,"
    "  removed_utc INTEGER NOT NULL,"
    "  PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;";

/* Who comes back asks for what is gone since a modseq: tombstones lie in that order, and new ones at the end. */
static const char version_2[] =
    "CREATE TABLE tombstone_by_modseq("
    "  mailbox INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL,"
    "  modseq INTEGER NOT NULL,"
    "  removed_utc INTEGER NOT NULL,"
    "  PRIMARY KEY(mailbox, modseq, uid)) WITHOUT ROWID;"
    "INSERT INTO tombstone_by_modseq SELECT mailbox, uid, modseq, removed_utc FROM tombstone;"
    "DROP TABLE tombstone;"
    "ALTER TABLE tombstone_by_modseq RENAME TO tombstone;";

/* Preview and thread (text/preview.h) stand with the other ready forms in front of the bytes, which is why the table is
 * made anew; both are NULL for the messages that are there already. The account has a word of its own for the names of
 * its objects (RFC 8474), so that no two accounts' mailboxes or messages are called the same. */
static const char version_3[] =
    "CREATE TABLE content_with_preview("
    "  id INTEGER PRIMARY KEY,"
    "  size INTEGER NOT NULL,"
    "  header_size INTEGER NOT NULL,"
    "  thread INTEGER," /* 0: of no other message's */
    "  envelope BLOB NOT NULL,"
    "  body BLOB NOT NULL,"
    "  bodystructure BLOB NOT NULL,"
    "  parts BLOB NOT NULL,"
    "  preview BLOB,"
    "  data BLOB NOT NULL);"
    "INSERT INTO content_with_preview SELECT id, size, header_size, NULL, envelope, body, bodystructure, parts, NULL,"
    "  data FROM content;"
    "DROP TABLE content;"
    "ALTER TABLE content_with_preview RENAME TO content;"
    "ALTER TABLE account ADD COLUMN object_name TEXT NOT NULL DEFAULT '';"
    "UPDATE account SET object_name = lower(hex(randomblob(6)));";

/* The search index (index.h). */
static const char version_4[] =
    "CREATE TABLE search_state("
    "  id INTEGER PRIMARY KEY CHECK(id = 1),"
    "  format INTEGER NOT NULL,"      /* INDEX_FORMAT */
    "  indexed_to INTEGER NOT NULL);" /* contents up to this id are in a segment */
    "INSERT INTO search_state VALUES(1, 1, 0);"
    "CREATE TABLE search_segment("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  state INTEGER NOT NULL," /* enum segment_state */
    "  docs INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL,"
    "  text_bytes INTEGER NOT NULL," /* of its texts, folded */
    "  made_utc INTEGER NOT NULL,"
    "  contents BLOB NOT NULL);"
    "CREATE TABLE search_block("
    "  id INTEGER PRIMARY KEY," /* segment << 28 | field << 24 | number */
    "  terms BLOB NOT NULL,"
    "  postings BLOB NOT NULL);";

/* Sharing (store/acl.h, seen.c). None of these tables is touched by a delivery. */
static const char version_5[] =
    "CREATE TABLE acl("
    "  mailbox INTEGER NOT NULL,"
    "  identifier TEXT NOT NULL,"
    "  is_negative INTEGER NOT NULL,"
    "  grantee INTEGER NOT NULL," /* the directory's id of who is meant; 0: anyone */
    "  rights INTEGER NOT NULL,"
    "  PRIMARY KEY(mailbox, identifier, is_negative)) WITHOUT ROWID;"
    "CREATE TABLE seen("
    "  mailbox INTEGER NOT NULL,"
    "  uid INTEGER NOT NULL,"
    "  reader INTEGER NOT NULL," /* the directory's id */
    "  is_seen INTEGER NOT NULL,"
    "  modseq INTEGER NOT NULL,"
    "  PRIMARY KEY(mailbox, uid, reader)) WITHOUT ROWID;"
    "CREATE TABLE seen_count("
    "  mailbox INTEGER NOT NULL,"
    "  reader INTEGER NOT NULL,"
    "  messages INTEGER NOT NULL,"
    "  PRIMARY KEY(mailbox, reader)) WITHOUT ROWID;";

/* What of a mailbox goes with an EXPUNGE (STATUS DELETED-STORAGE, RFC 9208). What a whole account holds needs no table: it
 * is the sum of its mailboxes (quota.c). */
static const char version_6[] =
    "ALTER TABLE mailbox ADD COLUMN deleted_size INTEGER NOT NULL DEFAULT 0;"
    "UPDATE mailbox SET deleted_size = (SELECT coalesce(sum(size), 0) FROM message"
    "  WHERE message.mailbox = mailbox.id AND flags & 8 <> 0) WHERE deleted > 0;";

/* Annotations (store/metadata.h). `reader`: whose private entry it is, 0 the owner's; of shared ones 0. */
static const char version_7[] =
    "CREATE TABLE metadata("
    "  mailbox INTEGER NOT NULL," /* 0: the account */
    "  is_private INTEGER NOT NULL,"
    "  reader INTEGER NOT NULL,"
    "  path TEXT NOT NULL,"
    "  modseq INTEGER NOT NULL,"
    "  changed_utc INTEGER NOT NULL,"
    "  value BLOB," /* NULL: removed */
    "  PRIMARY KEY(mailbox, is_private, reader, path)) WITHOUT ROWID;"
    "CREATE INDEX metadata_modseq ON metadata(modseq);";

/* What URLs are authorized with (store/url_key.h). */
static const char version_8[] =
    "CREATE TABLE url_key("
    "  mailbox INTEGER PRIMARY KEY,"
    "  key BLOB NOT NULL);";

const struct migration account_migrations[] = {
    {version_1},
    {version_2},
    {version_3},
    {version_4},
    {version_5},
    {version_6},
    {version_7},
    {version_8},
};
const int account_migration_count = sizeof account_migrations / sizeof *account_migrations;

static enum status user_version(struct db *db, int *out, struct err *err)
{
    int64_t v;
    TRY(db_number_plain(db, 0, &v, err, "PRAGMA user_version"));
    *out = (int)v;
    return ST_OK;
}

static enum status run_missing(struct db *db, const struct migration *list, int from, int count,
                               enum status (*first)(struct db *db, struct err *err), struct err *err)
{
    for (int i = from; i < count; i++) {
        int rc = sqlite3_exec(db->conn, list[i].sql, NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            return db_error(db, rc, "migrating", err);
    }
    if (from == 0 && first)
        TRY(first(db, err));
    char sql[64];
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version=%d", count);
    int rc = sqlite3_exec(db->conn, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? ST_OK : db_error(db, rc, sql, err);
}

enum status schema_migrate(struct db *db, const struct migration *list, int count,
                           enum status (*first)(struct db *db, struct err *err), struct err *err)
{
    int version;
    TRY(user_version(db, &version, err));
    if (version == count)
        return ST_OK;
    TRY(db_begin_write(db, err));
    enum status st = user_version(db, &version, err); /* another process may have been faster */
    if (st == ST_OK && (version > count || version < 0))
        st = err_set_operator(
            err, ST_UNSUPPORTED, "internal error, try again later",
            "%s: made by a newer version (layout %d, this program knows up to %d); install that version",
            sqlite3_db_filename(db->conn, "main"), version, count);
    if (st == ST_OK)
        st = run_missing(db, list, version, count, first, err);
    if (st == ST_OK)
        st = db_commit(db, err);
    if (st != ST_OK)
        db_rollback(db);
    return st;
}
