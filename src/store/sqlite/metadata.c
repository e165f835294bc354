/* metadata.c - see store/metadata.h. A row without a value stands for a removal that not everybody has been told. */
#include "store/metadata.h"
#include "base/clock.h"
#include "store/sqlite/internal.h"
#include "base/banned.h"

enum { REMOVAL_TOLD_S = 24 * 60 * 60 }; /* longer than any session stays without being told */

/* Who an entry belongs to: shared ones nobody. */
#define KEY(t, k) INT((k)->mailbox), INT((k)->is_private), INT((k)->is_private ? (t)->reader : 0)

/* ---- reading ---------------------------------------------------------------------------------------------------- */

enum status metadata_get(struct txn *t, const struct metadata_key *key, struct arena *a, bool *has, struct span *value,
                         struct err *err)
{
    sqlite3_stmt *s;
    enum status st;
    *has = false;
    *value = SPAN_NONE;
    TRY(db_query(t->db, &s, err,
                 "SELECT value FROM metadata WHERE mailbox = ? AND is_private = ? AND reader = ? AND path = ?"
                 " AND value IS NOT NULL",
                 KEY(t, key), TEXT(key->path)));
    if (!db_row(t->db, s, &st, err))
        return st;
    *has = true;
    *value = arena_copy(a, column_span(s, 0));
    db_done(s);
    return ST_OK;
}

enum status metadata_list(struct txn *t, const struct metadata_key *key, struct arena *a, struct span **paths,
                          size_t *count, struct err *err)
{
    sqlite3_stmt *s;
    enum status st;
    *paths = arena_array(a, METADATA_ENTRIES_MAX, sizeof **paths);
    *count = 0;
    TRY(db_query(t->db, &s, err,
                 "SELECT path FROM metadata WHERE mailbox = ? AND is_private = ? AND reader = ? AND value IS NOT NULL"
                 " ORDER BY path LIMIT ?",
                 KEY(t, key), INT(METADATA_ENTRIES_MAX)));
    while (db_row(t->db, s, &st, err))
        (*paths)[(*count)++] = arena_copy(a, column_span(s, 0));
    return st;
}

/* ---- changing --------------------------------------------------------------------------------------------------- */

/* The account's modseq is the greatest in its file (schema.c). */
static enum status note(struct txn *t, struct err *err)
{
    t->is_metadata_changed = true;
    return db_run(t->db, err, "UPDATE account SET modseq = max(modseq, ?)", INT(txn_modseq(t)));
}

static enum status remove_row(struct txn *t, const struct metadata_key *key, struct err *err)
{
    int64_t now = clock_wall_ms() / 1000;
    TRY_WRITE(t, db_run(t->db, err, "DELETE FROM metadata WHERE value IS NULL AND changed_utc < ?",
                        INT(now - REMOVAL_TOLD_S)));
    TRY_WRITE(t, db_run(t->db, err,
                        "INSERT OR REPLACE INTO metadata(mailbox, is_private, reader, path, modseq, changed_utc, value)"
                        " VALUES(?, ?, ?, ?, ?, ?, NULL)",
                        KEY(t, key), TEXT(key->path), INT(txn_modseq(t)), INT(now)));
    return txn_check(t, note(t, err));
}

enum status metadata_touch(struct txn *t, const struct metadata_key *key, struct err *err)
{
    TRY(txn_need(t, true, err));
    return remove_row(t, key, err);
}

/* Whether another value of this size fits in. */
static enum status check_limits(struct txn *t, const struct metadata_key *key, size_t size, bool *is_too_many,
                                struct err *err)
{
    int64_t others, bytes;
    TRY(db_number(t->db, 0, &others, err,
                  "SELECT count(*) FROM metadata WHERE mailbox = ? AND is_private = ? AND reader = ? AND path <> ?"
                  " AND value IS NOT NULL",
                  KEY(t, key), TEXT(key->path)));
    *is_too_many = others >= METADATA_ENTRIES_MAX;
    if (*is_too_many)
        return err_set(err, ST_LIMIT, "a mailbox has at most %d entries", METADATA_ENTRIES_MAX);
    TRY(db_number_plain(t->db, 0, &bytes, err, "SELECT coalesce(sum(length(value)), 0) FROM metadata"));
    if ((uint64_t)bytes + size > METADATA_ACCOUNT_BYTES)
        return err_set(err, ST_LIMIT, "the values of an account's entries are too much together");
    return ST_OK;
}

enum status metadata_set(struct txn *t, const struct metadata_key *key, const struct span *value, bool *is_too_many,
                         struct err *err)
{
    *is_too_many = false;
    TRY(txn_need(t, true, err));
    if (!value) {
        int64_t has;
        TRY(db_number(t->db, 0, &has, err,
                      "SELECT count(*) FROM metadata WHERE mailbox = ? AND is_private = ? AND reader = ? AND path = ?"
                      " AND value IS NOT NULL",
                      KEY(t, key), TEXT(key->path)));
        return has ? remove_row(t, key, err) : ST_OK;
    }
    TRY(check_limits(t, key, value->len, is_too_many, err));
    TRY_WRITE(t, db_run(t->db, err,
                        "INSERT OR REPLACE INTO metadata(mailbox, is_private, reader, path, modseq, changed_utc, value)"
                        " VALUES(?, ?, ?, ?, ?, ?, ?)",
                        KEY(t, key), TEXT(key->path), INT(txn_modseq(t)), INT(clock_wall_ms() / 1000), BLOB(*value)));
    return txn_check(t, note(t, err));
}

enum status metadata_drop_mailbox(struct txn *t, mailbox_id mailbox, struct err *err)
{
    return db_run(t->db, err, "DELETE FROM metadata WHERE mailbox = ?", INT(mailbox));
}

enum status metadata_copy_all(struct txn *t, mailbox_id from, mailbox_id to, struct err *err)
{
    return db_run(t->db, err,
                  "INSERT OR REPLACE INTO metadata(mailbox, is_private, reader, path, modseq, changed_utc, value)"
                  " SELECT ?, is_private, reader, path, modseq, changed_utc, value FROM metadata"
                  " WHERE mailbox = ? AND value IS NOT NULL",
                  INT(to), INT(from));
}

/* ---- what has changed ------------------------------------------------------------------------------------------- */

enum status metadata_modseq(struct txn *t, uint64_t *out, struct err *err)
{
    int64_t modseq;
    TRY(db_number_plain(t->db, 0, &modseq, err, "SELECT coalesce(max(modseq), 0) FROM metadata"));
    *out = (uint64_t)modseq;
    return ST_OK;
}

/* The modseq of the change that is the max-th after `since`, or of the last. */
static enum status last_of(struct txn *t, uint64_t since, size_t max, int64_t *out, struct err *err)
{
    return db_number(t->db, 0, out, err,
                     "SELECT coalesce(max(modseq), 0) FROM (SELECT modseq FROM metadata WHERE modseq > ?"
                     " ORDER BY modseq LIMIT ?)",
                     INT(since), INT(max));
}

#define CHANGED "FROM metadata WHERE modseq > ?1 AND modseq <= ?2 AND (is_private = 0 OR reader = ?3)"

enum status metadata_changes(struct txn *t, uint64_t since, size_t max, struct arena *a, struct metadata_change **list,
                             size_t *count, uint64_t *to, struct err *err)
{
    int64_t last, total;
    sqlite3_stmt *s;
    enum status st;
    TRY(last_of(t, since, max, &last, err));
    *to = (uint64_t)last > since ? (uint64_t)last : since;
    TRY(db_number(t->db, 0, &total, err, "SELECT count(*) " CHANGED, INT(since), INT(last), INT(t->reader)));
    *list = arena_array(a, (size_t)total, sizeof **list);
    *count = 0;
    TRY(db_query(t->db, &s, err,
                 "SELECT mailbox, is_private, path, modseq " CHANGED " ORDER BY modseq, mailbox, is_private, path",
                 INT(since), INT(last), INT(t->reader)));
    while (db_row(t->db, s, &st, err))
        (*list)[(*count)++] = (struct metadata_change){
            {column_u64(s, 0), column_i64(s, 1), arena_copy(a, column_span(s, 2))}, column_u64(s, 3)};
    return st;
}
