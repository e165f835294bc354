/*
 * mailbox_change.c - making, deleting, renaming and subscribing mailboxes.
 *
 * UIDVALIDITY. Values come from one rising number of the account, never below the clock's seconds, so that a mailbox
 * made anew under an old name has a greater one, even where the whole account was made anew. A mailbox keeps its value
 * when it is renamed, unless a name has lost a greater one before (account.uidvalidity_gone): then the new name might
 * have been known under that greater value, and the mailbox gets a fresh one (RFC 3501 §2.3.1.1, §6.3.5).
 */
#include "base/clock.h"
#include "store/sqlite/internal.h"
#include "store/url_key.h"
#include "base/banned.h"

static struct span parent_of(struct span name)
{
    size_t slash = span_rfind_byte(name, '/');
    return slash == SPAN_NPOS ? SPAN_NONE : span_take(name, slash);
}

/* ---- making -------------------------------------------------------------------------------------------------------
 */

static enum status next_uidvalidity(struct db *db, uint32_t *out, struct err *err)
{
    int64_t last, now = clock_wall_ms() / 1000;
    TRY(db_number_plain(db, 0, &last, err, "SELECT uidvalidity FROM account"));
    int64_t next = last + 1 > now ? last + 1 : now;
    if (next > UINT32_MAX)
        next = last + 1;
    if (next > UINT32_MAX || next < 1)
        return err_set(err, ST_LIMIT, "the account has no UIDVALIDITY left");
    TRY(db_run(db, err, "UPDATE account SET uidvalidity = ?", INT(next)));
    *out = (uint32_t)next;
    return ST_OK;
}

static enum status insert(struct db *db, struct span name, enum special_use use, uint64_t modseq, mailbox_id *id,
                          struct err *err)
{
    uint32_t uidvalidity = 0;
    TRY(next_uidvalidity(db, &uidvalidity, err));
    TRY(db_run(db, err,
               "INSERT INTO mailbox(name, uidvalidity, uidnext, messages, unseen, deleted, size, highest_modseq,"
               " recent_from, special_use, is_noselect, tombstones, journal_modseq, journal_pruned_utc)"
               " VALUES(?, ?, 1, 0, 0, 0, 0, ?, 1, ?, 0, 0, 0, ?)",
               TEXT(name), INT(uidvalidity), INT(modseq), INT(use), INT(clock_wall_ms() / 1000)));
    *id = (uint64_t)sqlite3_last_insert_rowid(db->conn);
    return ST_OK;
}

enum status account_first_mailboxes(struct db *db, struct err *err)
{
    static const struct {
        struct span name;
        enum special_use use;
    } first[] = {
        {SPAN_INIT("INBOX"), USE_NONE}, {SPAN_INIT("Drafts"), USE_DRAFTS}, {SPAN_INIT("Sent"), USE_SENT},
        {SPAN_INIT("Junk"), USE_JUNK},  {SPAN_INIT("Trash"), USE_TRASH},   {SPAN_INIT("Archive"), USE_ARCHIVE},
    };
    TRY(db_run_plain(db, err,
                     "INSERT INTO account(id, modseq, uidvalidity, uidvalidity_gone, object_name)"
                     " VALUES(1, 1, 0, 0, lower(hex(randomblob(6))))"));
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        mailbox_id id;
        TRY(insert(db, first[i].name, first[i].use, 1, &id, err));
        TRY(db_run(db, err, "INSERT INTO subscription(name) VALUES(?)", TEXT(first[i].name)));
    }
    return ST_OK;
}

static enum status id_of(struct txn *t, struct span name, int64_t *id, struct err *err)
{
    return db_number(t->db, 0, id, err, "SELECT id FROM mailbox WHERE name = ?", TEXT(name));
}

/* A \Noselect mailbox becomes one that can be selected, as if made now. */
static enum status revive(struct txn *t, mailbox_id id, enum special_use use, struct err *err)
{
    struct txn_mailbox *m;
    TRY(txn_mailbox(t, id, &m, err));
    if (!m->row.is_noselect)
        return err_set(err, ST_EXISTS, "mailbox exists");
    TRY_WRITE(t, next_uidvalidity(t->db, &m->row.uidvalidity, err));
    m->row.is_noselect = false;
    m->row.use = (uint8_t)use;
    m->row.highest_modseq = txn_modseq(t);
    m->is_dirty = m->is_changed = true;
    return ST_OK;
}

/* RFC 4314 §4: a new mailbox has its parent's access control list. */
static enum status inherit(struct txn *t, struct span name, mailbox_id id, struct err *err)
{
    struct span parent = parent_of(name);
    if (!parent.len)
        return ST_OK;
    return db_run(t->db, err,
                  "INSERT INTO acl(mailbox, identifier, is_negative, grantee, rights)"
                  " SELECT ?, identifier, is_negative, grantee, rights FROM acl"
                  " WHERE mailbox = (SELECT id FROM mailbox WHERE name = ?)",
                  INT(id), TEXT(parent));
}

static enum status create_checked(struct txn *t, struct span name, enum special_use use, mailbox_id *id,
                                  struct err *err)
{
    int64_t old, total;
    TRY(id_of(t, name, &old, err));
    *id = (uint64_t)old;
    t->is_list_changed = true;
    if (old)
        return revive(t, *id, use, err);

    TRY(db_number_plain(t->db, 0, &total, err, "SELECT count(*) FROM mailbox"));
    size_t missing = 0;
    for (struct span p = name; p.len; p = parent_of(p)) {
        TRY(id_of(t, p, &old, err));
        missing += !old;
    }
    if ((uint64_t)total + missing > MAILBOXES_MAX)
        return err_set(err, ST_LIMIT, "an account has at most %d mailboxes", MAILBOXES_MAX);

    for (size_t i = 1; i <= name.len; i++) { /* parents first */
        if (i < name.len && name.p[i] != '/')
            continue;
        struct span level = span_take(name, i);
        TRY(id_of(t, level, &old, err));
        if (old)
            continue;
        t->mailboxes_made++;
        TRY_WRITE(t, insert(t->db, level, i == name.len ? use : USE_NONE, txn_modseq(t), id, err));
        TRY_WRITE(t, inherit(t, level, *id, err));
    }
    return ST_OK;
}

enum status mailbox_create(struct txn *t, struct span name, enum special_use use, mailbox_id *id, struct err *err)
{
    TRY(txn_need(t, true, err));
    TRY(mailbox_name_check(name, &t->arena, &name, err));
    TRY(txn_flush(t, err));
    return create_checked(t, name, use, id, err);
}

/* ---- deleting ------------------------------------------------------------------------------------------------------
 */

/* Bounds of the names below `name`: name/ <= x < name0, as '0' follows '/'. */
static void children_of(struct txn *t, struct span name, struct span *from, struct span *to)
{
    *from = arena_printf(&t->arena, "%.*s/", SPAN_ARG(name));
    *to = arena_printf(&t->arena, "%.*s0", SPAN_ARG(name));
}

enum status mailbox_has_children(struct txn *t, struct span name, bool *out, struct err *err)
{
    struct span from, to;
    int64_t n;
    children_of(t, name, &from, &to);
    TRY(db_number(t->db, 0, &n, err, "SELECT EXISTS(SELECT 1 FROM mailbox WHERE name >= ? AND name < ?)", TEXT(from),
                  TEXT(to)));
    *out = n;
    return ST_OK;
}

static enum status note_gone(struct txn *t, uint32_t uidvalidity, struct err *err)
{
    return db_run(t->db, err, "UPDATE account SET uidvalidity_gone = max(uidvalidity_gone, ?), modseq = max(modseq, ?)",
                  INT(uidvalidity), INT(txn_modseq(t)));
}

enum status mailbox_delete(struct txn *t, struct span name, struct err *err)
{
    TRY(txn_need(t, true, err));
    TRY(mailbox_name_lookup(name, &t->arena, &name, err));
    if (mailbox_name_is_inbox(name))
        return err_set(err, ST_DENIED, "INBOX cannot be deleted");
    TRY(txn_flush(t, err));
    int64_t id;
    TRY(id_of(t, name, &id, err));
    struct txn_mailbox *m;
    TRY(txn_mailbox(t, (uint64_t)id, &m, err));
    bool is_parent;
    TRY(mailbox_has_children(t, name, &is_parent, err));
    if (is_parent && m->row.is_noselect)
        return err_set(err, ST_DENIED, "the mailbox has children");

    TRY_WRITE(t, message_drop_all(t, m, err));
    TRY_WRITE(t, note_gone(t, m->row.uidvalidity, err));
    TRY_WRITE(t, db_run(t->db, err, "DELETE FROM acl WHERE mailbox = ?", INT(id)));
    TRY_WRITE(t, metadata_drop_mailbox(t, (uint64_t)id, err));
    TRY(url_key_forget(t, (uint64_t)id, err));
    t->is_list_changed = true;
    if (is_parent) {
        m->row.is_noselect = true;
        m->row.use = USE_NONE;
        txn_changed(t, m, 1, UINT32_MAX);
        return ST_OK;
    }
    TRY_WRITE(t, db_run(t->db, err, "DELETE FROM mailbox WHERE id = ?", INT(id)));
    t->mailboxes_made--;
    m->is_gone = true;
    return ST_OK;
}

/* ---- renaming ------------------------------------------------------------------------------------------------------
 */

/* Names, ids and UIDVALIDITYs of a mailbox and what is below it. */
struct renamed {
    mailbox_id id;
    struct span name;
};

static enum status list_tree(struct txn *t, struct span name, struct renamed **list, size_t *count, struct err *err)
{
    struct span from, to;
    int64_t total;
    children_of(t, name, &from, &to);
    TRY(db_number(t->db, 0, &total, err, "SELECT count(*) FROM mailbox WHERE name = ? OR (name >= ? AND name < ?)",
                  TEXT(name), TEXT(from), TEXT(to)));
    *list = arena_array(&t->arena, (size_t)total, sizeof **list);
    *count = 0;
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err, "SELECT id, name FROM mailbox WHERE name = ? OR (name >= ? AND name < ?)", TEXT(name),
                 TEXT(from), TEXT(to)));
    enum status st;
    while (db_row(t->db, s, &st, err))
        (*list)[(*count)++] = (struct renamed){column_u64(s, 0), arena_copy(&t->arena, column_span(s, 1))};
    return st;
}

static enum status rename_one(struct txn *t, const struct renamed *r, struct span new_name, struct err *err)
{
    struct txn_mailbox *m;
    int64_t gone;
    TRY(txn_mailbox(t, r->id, &m, err));
    TRY(db_number_plain(t->db, 0, &gone, err, "SELECT uidvalidity_gone FROM account"));
    uint32_t before = m->row.uidvalidity;
    if (before <= gone) {
        TRY(next_uidvalidity(t->db, &m->row.uidvalidity, err));
        m->row.highest_modseq = txn_modseq(t);
        m->is_dirty = m->is_changed = true;
    }
    return db_run(t->db, err, "UPDATE mailbox SET name = ? WHERE id = ?", TEXT(new_name), INT(r->id));
}

static enum status rename_tree(struct txn *t, struct span from, struct span to, struct err *err)
{
    struct renamed *list;
    size_t count;
    TRY(list_tree(t, from, &list, &count, err));
    uint32_t greatest = 0;
    for (size_t i = 0; i < count; i++) { /* all checks before the first change */
        struct span below = span_skip(list[i].name, from.len), checked;
        list[i].name = arena_printf(&t->arena, "%.*s%.*s", SPAN_ARG(to), SPAN_ARG(below));
        TRY(mailbox_name_check(list[i].name, &t->arena, &checked, err));
        struct txn_mailbox *m;
        TRY(txn_mailbox(t, list[i].id, &m, err));
        greatest = m->row.uidvalidity > greatest ? m->row.uidvalidity : greatest;
    }
    struct span parent = parent_of(to);
    int64_t old = 1;
    mailbox_id made;
    if (parent.len)
        TRY(id_of(t, parent, &old, err));
    if (!old)
        TRY(create_checked(t, parent, USE_NONE, &made, err));
    for (size_t i = 0; i < count; i++)
        TRY_WRITE(t, rename_one(t, &list[i], list[i].name, err));
    TRY_WRITE(t, note_gone(t, greatest, err)); /* the old names had these */
    t->is_list_changed = true;
    return ST_OK;
}

enum status mailbox_rename(struct txn *t, struct span from, struct span to, struct err *err)
{
    TRY(txn_need(t, true, err));
    TRY(mailbox_name_lookup(from, &t->arena, &from, err));
    TRY(mailbox_name_check(to, &t->arena, &to, err));
    TRY(txn_flush(t, err));
    int64_t source, target;
    TRY(id_of(t, from, &source, err));
    if (!source)
        return err_set(err, ST_NOTFOUND, "no such mailbox");
    TRY(id_of(t, to, &target, err));
    if (target)
        return err_set(err, ST_EXISTS, "a mailbox of the new name exists");
    if (mailbox_name_is_inbox(from)) {
        mailbox_id made;
        TRY(create_checked(t, to, USE_NONE, &made, err));
        TRY_WRITE(t, metadata_copy_all(t, (uint64_t)source, made, err)); /* RFC 5464 §4.1: INBOX keeps its own */
        return txn_check(t, message_move_all(t, (uint64_t)source, made, err));
    }
    if (to.len > from.len && span_starts(to, from) && to.p[from.len] == '/')
        return err_set(err, ST_DENIED, "a mailbox cannot be moved below itself");
    return rename_tree(t, from, to, err);
}

/* ---- special use ------------------------------------------------------------------------------------------------ */

enum status mailbox_set_use(struct txn *t, mailbox_id id, enum special_use use, struct err *err)
{
    struct txn_mailbox *m;
    TRY(txn_need(t, true, err));
    TRY(txn_mailbox(t, id, &m, err));
    if (m->row.is_noselect)
        return err_set(err, ST_DENIED, "this name only holds other mailboxes");
    m->row.use = (uint8_t)use;
    m->is_dirty = true;
    t->is_list_changed = true;
    return ST_OK;
}

/* ---- subscribing, \Recent
 * -------------------------------------------------------------------------------------------- */

enum { SUBSCRIPTIONS_MAX = MAILBOXES_MAX * 2 };

enum status mailbox_subscribe(struct txn *t, struct span name, bool is_subscribed, struct err *err)
{
    TRY(txn_need(t, false, err));
    if (is_subscribed) {
        int64_t total;
        TRY(mailbox_name_check(name, &t->arena, &name, err));
        TRY(db_number_plain(t->db, 0, &total, err, "SELECT count(*) FROM subscription"));
        if (total >= SUBSCRIPTIONS_MAX)
            return err_set(err, ST_LIMIT, "an account has at most %d subscriptions", SUBSCRIPTIONS_MAX);
        TRY_WRITE(t, db_run(t->db, err, "INSERT OR IGNORE INTO subscription(name) VALUES(?)", TEXT(name)));
    } else {
        TRY(mailbox_name_lookup(name, &t->arena, &name, err));
        TRY_WRITE(t, db_run(t->db, err, "DELETE FROM subscription WHERE name = ?", TEXT(name)));
        if (db_changes(t->db) == 0)
            return err_set(err, ST_NOTFOUND, "not subscribed");
    }
    t->is_list_changed = true;
    return ST_OK;
}

enum status mailbox_claim_recent(struct txn *t, mailbox_id id, uint32_t *from, struct err *err)
{
    struct txn_mailbox *m;
    TRY(txn_need(t, false, err));
    TRY(txn_mailbox(t, id, &m, err));
    *from = m->row.recent_from;
    if (m->row.recent_from != m->row.uidnext) {
        m->row.recent_from = m->row.uidnext;
        m->is_dirty = true;
    }
    return ST_OK;
}
