/*
 * journal.c - tombstones: which messages a mailbox has lost since a modseq, and forgetting that after a while.
 *
 * A mailbox keeps at most TOMBSTONES_MAX of them and none older than TOMBSTONE_DAYS. mailbox.journal_modseq is the
 * modseq up to which they may be missing; who asks for an older state is told that it cannot be had. Pruning reads the
 * mailbox's tombstones whole, so it runs when the count is over its bound (and then makes room for a quarter more) and
 * else once a day.
 */
#include "base/clock.h"
#include "store/sqlite/internal.h"
#include "base/banned.h"

enum {
    TOMBSTONES_MAX = 200000,
    TOMBSTONES_KEPT = 150000, /* after pruning by count */
    TOMBSTONE_DAYS = 90,
    DAY_SECONDS = 86400,
};

enum status journal_bury_range(struct txn *t, struct txn_mailbox *m, struct message_range r, uint32_t count,
                               struct err *err)
{
    TRY(db_run(t->db, err,
               "INSERT INTO tombstone(mailbox, uid, modseq, removed_utc) SELECT mailbox, uid, ?5, ?6 FROM message"
               " WHERE " RANGE,
               RANGE_VALUES(r), INT(txn_modseq(t)), INT(clock_wall_ms() / 1000)));
    m->row.tombstones += count;
    m->is_dirty = true;
    return ST_OK;
}

enum status message_vanished(struct txn *t, mailbox_id in, uint64_t modseq, uint32_t below_uid, struct arena *a,
                             struct seqset *out, bool *is_known, struct err *err)
{
    struct mailbox_row row;
    TRY(mailbox_row_load(t->db, in, &row, err));
    *is_known = modseq >= row.journal_modseq;
    if (!*is_known || modseq >= row.highest_modseq)
        return ST_OK;
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err, "SELECT uid FROM tombstone WHERE mailbox = ? AND modseq > ? AND uid < ? ORDER BY uid",
                 INT(in), INT(modseq), INT(below_uid)));
    enum status st;
    while (db_row(t->db, s, &st, err))
        seqset_add(a, out, column_u32(s, 0), column_u32(s, 0));
    return st;
}

/* Drops tombstones up to this modseq, but none of this transaction: open sessions have yet to hear of those. */
static enum status drop_until(struct txn *t, struct txn_mailbox *m, uint64_t modseq, struct err *err)
{
    if (modseq >= txn_modseq(t))
        modseq = txn_modseq(t) - 1;
    if (modseq <= m->row.journal_modseq)
        return ST_OK;
    TRY(db_run(t->db, err, "DELETE FROM tombstone WHERE mailbox = ? AND modseq <= ?", INT(m->row.id), INT(modseq)));
    m->row.tombstones -= db_changes(t->db);
    m->row.journal_modseq = modseq;
    m->is_dirty = true;
    return ST_OK;
}

enum status journal_prune(struct txn *t, struct txn_mailbox *m, struct err *err)
{
    int64_t now = clock_wall_ms() / 1000, modseq = 0;
    if (m->row.tombstones > TOMBSTONES_MAX) {
        TRY(db_number(t->db, 0, &modseq, err,
                      "SELECT modseq FROM tombstone WHERE mailbox = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
                      INT(m->row.id), INT(TOMBSTONES_KEPT)));
        TRY(drop_until(t, m, (uint64_t)modseq, err));
    }
    if (now - m->row.journal_pruned_utc < DAY_SECONDS)
        return ST_OK;
    m->row.journal_pruned_utc = now;
    m->is_dirty = true;
    TRY(db_number(t->db, 0, &modseq, err, "SELECT max(modseq) FROM tombstone WHERE mailbox = ? AND removed_utc < ?",
                  INT(m->row.id), INT(now - (int64_t)TOMBSTONE_DAYS * DAY_SECONDS)));
    return drop_until(t, m, (uint64_t)modseq, err);
}
