/*
 * seen.c - \Seen of those who are not the mailbox's owner (store_act_as()).
 *
 * A message's own row has the owner's \Seen. What another reader has seen is a row of `seen` for that reader; it has a
 * modseq of its own, so that the reader's view changes and nobody else's does. seen_count keeps how many there are, for
 * STATUS. Mailboxes that nobody shares have no rows here, and the statements below find that out from one page.
 *
 * A reader is an account's id in the directory, which is never used again.
 */
#include "store/sqlite/internal.h"
#include "base/banned.h"

static enum status add_count(struct txn *t, mailbox_id mailbox, uint64_t reader, int64_t more, struct err *err)
{
    return db_run(t->db, err,
                  "INSERT INTO seen_count(mailbox, reader, messages) VALUES(?1, ?2, ?3)"
                  " ON CONFLICT DO UPDATE SET messages = messages + ?3",
                  INT(mailbox), INT(reader), INT(more));
}

enum status seen_count(struct txn *t, mailbox_id mailbox, uint32_t *out, struct err *err)
{
    int64_t n;
    TRY(db_number(t->db, 0, &n, err, "SELECT messages FROM seen_count WHERE mailbox = ? AND reader = ?", INT(mailbox),
                  INT(t->reader)));
    *out = (uint32_t)n;
    return ST_OK;
}

/* The range's messages that the reader has not as is_seen. */
#define OTHERS                                                                                                         \
    "FROM message m LEFT JOIN seen s ON s.mailbox = m.mailbox AND s.uid = m.uid AND s.reader = ?4"                     \
    " WHERE m.mailbox = ?1 AND m.uid BETWEEN ?2 AND ?3 AND coalesce(s.is_seen, 0) <> ?5"

enum status seen_change(struct txn *t, struct txn_mailbox *m, uint32_t first, uint32_t last, bool is_seen,
                        struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err, "SELECT m.uid " OTHERS " ORDER BY m.uid", INT(m->row.id), INT(first), INT(last),
                 INT(t->reader), INT(is_seen)));
    enum status st;
    int64_t found = 0;
    while (db_row(t->db, s, &st, err)) {
        txn_changed(t, m, column_u32(s, 0), column_u32(s, 0));
        found++;
    }
    TRY(st);
    if (!found)
        return ST_OK;
    TRY(db_run(t->db, err,
               "INSERT INTO seen(mailbox, uid, reader, is_seen, modseq) SELECT m.mailbox, m.uid, ?4, ?5, ?6 " OTHERS
               " ON CONFLICT DO UPDATE SET is_seen = excluded.is_seen, modseq = excluded.modseq",
               INT(m->row.id), INT(first), INT(last), INT(t->reader), INT(is_seen), INT(txn_modseq(t))));
    return add_count(t, m->row.id, t->reader, is_seen ? found : -found, err);
}

static enum status has_rows(struct txn *t, mailbox_id mailbox, bool *out, struct err *err)
{
    int64_t n;
    TRY(db_number(t->db, 0, &n, err, "SELECT EXISTS(SELECT 1 FROM seen WHERE mailbox = ?)", INT(mailbox)));
    *out = n;
    return ST_OK;
}

enum status seen_copy_range(struct txn *t, struct message_range r, mailbox_id to, uint32_t before_first,
                            struct err *err)
{
    bool has;
    TRY(has_rows(t, r.mailbox, &has, err));
    if (!has)
        return ST_OK;
    TRY(db_run(t->db, err,
               "INSERT OR REPLACE INTO seen(mailbox, uid, reader, is_seen, modseq)"
               " SELECT ?5, ?6 + n.at, s.reader, 1, ?7 FROM"
               " (SELECT uid, row_number() OVER (ORDER BY uid) AS at FROM message WHERE " RANGE ") n"
               " JOIN seen s ON s.mailbox = ?1 AND s.uid = n.uid AND s.is_seen = 1"
               " AND (?8 OR s.reader <> ?9)",
               RANGE_VALUES(r), INT(to), INT(before_first), INT(txn_modseq(t)), INT(!!(t->may_flags & FLAG_SEEN)),
               INT(t->reader)));
    return db_run(t->db, err,
                  "INSERT INTO seen_count(mailbox, reader, messages) SELECT ?1, reader, count(*) FROM seen"
                  " WHERE mailbox = ?1 AND uid > ?2 GROUP BY reader"
                  " ON CONFLICT DO UPDATE SET messages = messages + excluded.messages",
                  INT(to), INT(before_first));
}

enum status seen_forget_range(struct txn *t, struct message_range r, struct err *err)
{
    bool has;
    TRY(has_rows(t, r.mailbox, &has, err));
    if (!has)
        return ST_OK;
    TRY(db_run(t->db, err,
               "UPDATE seen_count SET messages = messages - g.n FROM (SELECT reader, count(*) AS n FROM seen"
               " WHERE mailbox = ?1 AND is_seen = 1 AND uid IN (SELECT uid FROM message WHERE " RANGE ")"
               " GROUP BY reader) g WHERE seen_count.mailbox = ?1 AND seen_count.reader = g.reader",
               RANGE_VALUES(r)));
    return db_run(t->db, err,
                  "DELETE FROM seen WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND uid IN"
                  " (SELECT uid FROM message WHERE " RANGE ")",
                  RANGE_VALUES(r));
}

enum status seen_drop_mailbox(struct txn *t, mailbox_id mailbox, struct err *err)
{
    TRY(db_run(t->db, err, "DELETE FROM seen WHERE mailbox = ?", INT(mailbox)));
    return db_run(t->db, err, "DELETE FROM seen_count WHERE mailbox = ?", INT(mailbox));
}
