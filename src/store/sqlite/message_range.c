/*
 * message_range.c - copying, moving and removing messages, by ranges of uids.
 *
 * Each range is first read once (uids, flags, sizes), for the counters and for the answer to the client; then a few
 * INSERT ... SELECT and DELETE statements do the work. Contents are never copied.
 */
#include "base/clock.h"
#include "store/sqlite/internal.h"
#include "base/banned.h"

struct totals {
    uint32_t messages, unseen, deleted;
    uint64_t size, deleted_size;
};

/* What the range holds; its uids are added to `uids`. */
static enum status survey(struct txn *t, struct message_range r, struct arena *a, struct seqset *uids,
                          struct totals *out, struct err *err)
{
    sqlite3_stmt *s;
    *out = (struct totals){0};
    TRY(db_query(t->db, &s, err, "SELECT uid, flags, size FROM message WHERE " RANGE " ORDER BY uid", RANGE_VALUES(r)));
    enum status st;
    while (db_row(t->db, s, &st, err)) {
        uint32_t uid = column_u32(s, 0);
        uint64_t flags = column_u64(s, 1);
        seqset_add(a, uids, uid, uid);
        out->messages++;
        out->unseen += !(flags & FLAG_SEEN);
        out->deleted += !!(flags & FLAG_DELETED);
        out->size += column_u64(s, 2);
        out->deleted_size += flags & FLAG_DELETED ? column_u64(s, 2) : 0;
    }
    return st;
}

static void add_totals(struct mailbox_row *row, struct totals n)
{
    row->messages += n.messages;
    row->unseen += n.unseen;
    row->deleted += n.deleted;
    row->size += n.size;
    row->deleted_size += n.deleted_size;
}

static void subtract_totals(struct mailbox_row *row, struct totals n)
{
    row->messages -= n.messages;
    row->unseen -= n.unseen;
    row->deleted -= n.deleted;
    row->size -= n.size;
    row->deleted_size -= n.deleted_size;
}

static void note_changed(struct txn *t, struct txn_mailbox *m, const struct seqset *uids)
{
    for (size_t i = 0; i < uids->count; i++)
        txn_changed(t, m, uids->ranges[i].first, uids->ranges[i].last);
}

/* ---- copying --------------------------------------------------------------------------------------------------------
 */

/* Puts the range's messages at the end of `to`, with uids from to->row.uidnext. */
static enum status append_range(struct txn *t, struct message_range r, struct txn_mailbox *to, struct totals n,
                                struct err *err)
{
    if (n.messages >= UINT32_MAX - to->row.uidnext)
        return err_set(err, ST_LIMIT, "the mailbox has no UIDs left");
    TRY(db_run(t->db, err,
               "INSERT INTO message(mailbox, uid, content, size, flags, modseq, received_utc, received_zone, saved_utc)"
               " SELECT ?5, ?6 + row_number() OVER (ORDER BY uid), content, size, flags & ?9, ?7, received_utc,"
               " received_zone, ?8 FROM message WHERE " RANGE,
               RANGE_VALUES(r), INT(to->row.id), INT(to->row.uidnext - 1), INT(txn_modseq(t)),
               INT(clock_wall_ms() / 1000), INT(t->may_flags)));
    if (db_changes(t->db) != n.messages)
        return err_set(err, ST_BUG, "copied another number of messages than there are");
    uint32_t first = to->row.uidnext;
    TRY(seen_copy_range(t, r, to->row.id, first - 1, err));
    to->row.uidnext += n.messages;
    if (!(t->may_flags & FLAG_SEEN))
        n.unseen = n.messages;
    if (!(t->may_flags & FLAG_DELETED))
        n.deleted_size = n.deleted = 0;
    add_totals(&to->row, n);
    txn_changed(t, to, first, to->row.uidnext - 1);
    return ST_OK;
}

static enum status forget_range(struct txn *t, struct txn_mailbox *m, struct message_range r, struct totals n,
                                struct err *err)
{
    TRY(seen_forget_range(t, r, err));
    TRY(journal_bury_range(t, m, r, n.messages, err));
    TRY(db_run(t->db, err, "DELETE FROM message WHERE " RANGE, RANGE_VALUES(r)));
    subtract_totals(&m->row, n);
    return ST_OK;
}

static enum status transfer_range(struct txn *t, struct message_range r, struct txn_mailbox *from,
                                  struct txn_mailbox *to, bool is_move, struct arena *a, struct uid_pairs *out,
                                  struct err *err)
{
    struct totals n;
    TRY(survey(t, r, a, out->from, &n, err));
    if (!n.messages)
        return ST_OK;
    uint32_t first = to->row.uidnext;
    if (!is_move)
        TRY(content_retain_range(t, r, err));
    TRY(append_range(t, r, to, n, err));
    if (is_move)
        TRY(forget_range(t, from, r, n, err));
    seqset_add(a, out->to, first, to->row.uidnext - 1);
    return ST_OK;
}

static enum status transfer(struct txn *t, mailbox_id from, const struct seqset *uids, mailbox_id to, bool is_move,
                            struct arena *a, struct uid_pairs *out, struct err *err)
{
    struct txn_mailbox *source, *target;
    TRY(txn_need(t, true, err));
    TRY(txn_mailbox(t, from, &source, err));
    TRY(txn_mailbox(t, to, &target, err));
    if (target->row.is_noselect)
        return err_set(err, ST_NOTFOUND, "the mailbox cannot hold messages");
    *out = (struct uid_pairs){target->row.uidvalidity, seqset_new(a), seqset_new(a)};
    uint32_t last = source->row.uidnext - 1; /* what is added on the way is not transferred again */
    for (size_t i = 0; i < uids->count && uids->ranges[i].first <= last; i++) {
        struct message_range r = {from, uids->ranges[i].first, uids->ranges[i].last, 0};
        if (r.last > last)
            r.last = last;
        TRY_WRITE(t, transfer_range(t, r, source, target, is_move, a, out, err));
    }
    if (is_move) {
        note_changed(t, source, out->from);
        TRY_WRITE(t, journal_prune(t, source, err));
    }
    return ST_OK;
}

enum status message_copy(struct txn *t, mailbox_id from, const struct seqset *uids, mailbox_id to, struct arena *a,
                         struct uid_pairs *out, struct err *err)
{
    return transfer(t, from, uids, to, false, a, out, err);
}

enum status message_move(struct txn *t, mailbox_id from, const struct seqset *uids, mailbox_id to, struct arena *a,
                         struct uid_pairs *out, struct err *err)
{
    return transfer(t, from, uids, to, true, a, out, err);
}

enum status message_move_all(struct txn *t, mailbox_id from, mailbox_id to, struct err *err)
{
    struct uid_pairs ignored;
    struct seqset *all = seqset_new(&t->arena);
    seqset_add(&t->arena, all, 1, UINT32_MAX);
    return message_move(t, from, all, to, &t->arena, &ignored, err);
}

/* ---- removing
 * --------------------------------------------------------------------------------------------------------- */

enum status message_expunge(struct txn *t, mailbox_id in, const struct seqset *uids, bool only_deleted, struct arena *a,
                            struct seqset **removed, struct err *err)
{
    struct txn_mailbox *m;
    TRY(txn_need(t, true, err));
    TRY(txn_mailbox(t, in, &m, err));
    struct seqrange all_range = {1, UINT32_MAX};
    struct seqset all = {&all_range, 1, 1}, *gone = seqset_new(a);
    if (removed)
        *removed = gone;
    if (!uids)
        uids = &all;
    bool is_empty = m->row.messages == 0 || (only_deleted && m->row.deleted == 0);
    for (size_t i = 0; !is_empty && i < uids->count && uids->ranges[i].first < m->row.uidnext; i++) {
        struct message_range r = {in, uids->ranges[i].first, uids->ranges[i].last, only_deleted ? FLAG_DELETED : 0};
        struct totals n;
        TRY_WRITE(t, survey(t, r, a, gone, &n, err));
        if (!n.messages)
            continue;
        TRY_WRITE(t, content_release_range(t, r, err));
        TRY_WRITE(t, forget_range(t, m, r, n, err));
    }
    note_changed(t, m, gone);
    if (gone->count)
        TRY_WRITE(t, journal_prune(t, m, err));
    return ST_OK;
}

enum status message_drop_all(struct txn *t, struct txn_mailbox *m, struct err *err)
{
    struct message_range all = {m->row.id, 1, UINT32_MAX, 0};
    TRY(content_release_range(t, all, err));
    TRY(db_run(t->db, err, "DELETE FROM message WHERE mailbox = ?", INT(m->row.id)));
    TRY(db_run(t->db, err, "DELETE FROM tombstone WHERE mailbox = ?", INT(m->row.id)));
    TRY(seen_drop_mailbox(t, m->row.id, err));
    subtract_totals(&m->row, (struct totals){m->row.messages, m->row.unseen, m->row.deleted, m->row.size,
                                                m->row.deleted_size});
    m->row.tombstones = 0;
    m->row.journal_modseq = txn_modseq(t); /* nobody can be told one by one */
    m->row.recent_from = m->row.uidnext;
    m->is_dirty = true;
    return ST_OK;
}
