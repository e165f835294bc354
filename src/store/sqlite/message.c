/* message.c - adding messages and changing their flags. */
#include "base/clock.h"
#include "store/sqlite/internal.h"
#include "base/banned.h"

enum status message_add(struct txn *t, mailbox_id to, const struct content *c, uint64_t flags,
                        struct mail_date received, uint32_t *uid, struct err *err)
{
    struct txn_mailbox *m;
    TRY(txn_need(t, true, err));
    if (c->raw.len > MESSAGE_SIZE_MAX)
        return err_set(err, ST_LIMIT, "message is too large");
    TRY(txn_mailbox(t, to, &m, err));
    if (m->row.is_noselect)
        return err_set(err, ST_NOTFOUND, "the mailbox cannot hold messages");
    if (m->row.uidnext == UINT32_MAX)
        return err_set(err, ST_LIMIT, "the mailbox has no UIDs left");
    flags &= t->may_flags;
    bool is_seen = t->reader && (flags & FLAG_SEEN); /* by the reader, not by the owner */
    if (t->reader)
        flags &= ~(uint64_t)FLAG_SEEN;
    content_id content;
    TRY_WRITE(t, content_insert(t, c, &content, err));
    TRY_WRITE(t, db_run(t->db, err,
                        "INSERT INTO message(mailbox, uid, content, size, flags, modseq, received_utc, received_zone,"
                        " saved_utc) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        INT(to), INT(m->row.uidnext), INT(content), INT(c->raw.len), INT(flags), INT(txn_modseq(t)),
                        INT(received.utc), INT(received.zone_minutes), INT(clock_wall_ms() / 1000)));
    *uid = m->row.uidnext++;
    m->row.messages++;
    m->row.unseen += !(flags & FLAG_SEEN);
    m->row.deleted += !!(flags & FLAG_DELETED);
    m->row.size += c->raw.len;
    m->row.deleted_size += flags & FLAG_DELETED ? c->raw.len : 0;
    txn_changed(t, m, *uid, *uid);
    if (is_seen)
        TRY_WRITE(t, seen_change(t, m, *uid, *uid, true, err));
    return ST_OK;
}

/* New flags are (flags & keep) | set: all three kinds of change are of this form. */
struct flag_rule {
    uint64_t keep, set;
};
#define FLAGGED_RANGE "mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND ((flags & ?4) | ?5) <> flags"

static struct flag_rule rule_of(enum flag_change how, uint64_t flags)
{
    switch (how) {
    case FLAGS_SET:
        return (struct flag_rule){0, flags};
    case FLAGS_ADD:
        return (struct flag_rule){~(uint64_t)0, flags};
    case FLAGS_REMOVE:
        break;
    }
    return (struct flag_rule){~flags, 0};
}

/* A message of the range: counted, where the rule changes it. */
static void count_change(struct txn *t, struct txn_mailbox *m, struct flag_rule rule, uint32_t uid, uint64_t before,
                         uint64_t size)
{
    uint64_t after = (before & rule.keep) | rule.set;
    if (after == before)
        return;
    m->row.unseen += (uint32_t) !(after & FLAG_SEEN) - (uint32_t) !(before & FLAG_SEEN);
    m->row.deleted += (uint32_t) !!(after & FLAG_DELETED) - (uint32_t) !!(before & FLAG_DELETED);
    m->row.deleted_size += (after & FLAG_DELETED ? size : 0) - (before & FLAG_DELETED ? size : 0);
    txn_flags_changed(t, m, uid, after);
}

static enum status count_by_rows(struct txn *t, struct txn_mailbox *m, struct seqrange r, struct flag_rule rule,
                                 struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err, "SELECT uid, flags, size FROM message WHERE " FLAGGED_RANGE " ORDER BY uid",
                 INT(m->row.id), INT(r.first), INT(r.last), INT(rule.keep), INT(rule.set)));
    enum status st;
    while (db_row(t->db, s, &st, err))
        count_change(t, m, rule, column_u32(s, 0), column_u64(s, 1), column_u64(s, 2));
    return st;
}

/* The view of the last commit is what the rows are, as long as this transaction has not touched them: the writer's lock
 * is held. */
static void count_by_view(struct txn *t, struct txn_mailbox *m, struct seqrange r, struct flag_rule rule,
                          const struct view *v)
{
    for (uint32_t seq = view_seq_at_or_after(v, r.first); seq <= view_count(v); seq++) {
        const struct view_message *message = view_message(v, seq);
        if (message->uid > r.last)
            return;
        count_change(t, m, rule, message->uid, message->flags, message->size);
    }
}

/* Counts what will change, then changes it. `v`: as the rows are, or NULL. */
static enum status change_range(struct txn *t, struct txn_mailbox *m, struct seqrange r, struct flag_rule rule,
                                const struct view *v, struct err *err)
{
    size_t before = m->flags_count;
    if (v)
        count_by_view(t, m, r, rule, v);
    else
        TRY(count_by_rows(t, m, r, rule, err));
    if (m->flags_count == before)
        return ST_OK;
    TRY(db_run(t->db, err, "UPDATE message SET flags = (flags & ?4) | ?5, modseq = ?6 WHERE " FLAGGED_RANGE,
               INT(m->row.id), INT(r.first), INT(r.last), INT(rule.keep), INT(rule.set), INT(txn_modseq(t))));
    if (db_changes(t->db) != m->flags_count - before)
        return err_set(err, ST_BUG, "flags of another number of messages changed than were counted");
    return ST_OK;
}

enum status message_change_flags(struct txn *t, mailbox_id in, const struct seqset *uids, enum flag_change how,
                                 uint64_t flags, struct err *err)
{
    struct txn_mailbox *m;
    TRY(txn_need(t, false, err));
    TRY(txn_mailbox(t, in, &m, err));
    struct flag_rule rule = rule_of(how, flags & t->may_flags);
    rule.keep |= ~t->may_flags;
    bool is_seen = rule.set & FLAG_SEEN, changes_seen = is_seen || !(rule.keep & FLAG_SEEN);
    if (t->reader) { /* the owner's \Seen stays */
        rule.keep |= FLAG_SEEN;
        rule.set &= ~(uint64_t)FLAG_SEEN;
    }
    AUTO(view) v = m->is_changed ? NULL : view_cache_get(&t->account->store->views, &t->account->views, in);
    for (size_t i = 0; i < uids->count && uids->ranges[i].first < m->row.uidnext; i++) {
        TRY_WRITE(t, change_range(t, m, uids->ranges[i], rule, v, err));
        if (t->reader && changes_seen)
            TRY_WRITE(t, seen_change(t, m, uids->ranges[i].first, uids->ranges[i].last, is_seen, err));
    }
    return ST_OK;
}
