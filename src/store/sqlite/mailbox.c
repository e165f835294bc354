/* mailbox.c - reading mailboxes: rows, lookups, the list, subscriptions. Changes are in mailbox_change.c. */
#include <stdlib.h>
#include "store/sqlite/internal.h"
#include "base/banned.h"

#define ROW_COLUMNS                                                                                                    \
    "id, uidvalidity, uidnext, messages, unseen, deleted, recent_from, size, highest_modseq, special_use, "            \
    "is_noselect, "                                                                                                    \
    "tombstones, journal_modseq, journal_pruned_utc, deleted_size"
enum { NAME_COLUMN = 15, SUBSCRIBED_COLUMN = 16, OBJECT_NAME_COLUMN = 17 };
#define LISTED                                                                                                         \
    ROW_COLUMNS ", name, EXISTS(SELECT 1 FROM subscription s WHERE s.name = mailbox.name),"                            \
                " (SELECT object_name FROM account)"

static struct mailbox_row row_of(sqlite3_stmt *s)
{
    return (struct mailbox_row){
        .id = column_u64(s, 0),
        .uidvalidity = column_u32(s, 1),
        .uidnext = column_u32(s, 2),
        .messages = column_u32(s, 3),
        .unseen = column_u32(s, 4),
        .deleted = column_u32(s, 5),
        .recent_from = column_u32(s, 6),
        .size = column_u64(s, 7),
        .highest_modseq = column_u64(s, 8),
        .use = (uint8_t)column_u32(s, 9),
        .is_noselect = column_i64(s, 10),
        .tombstones = column_u64(s, 11),
        .journal_modseq = column_u64(s, 12),
        .journal_pruned_utc = column_i64(s, 13),
        .deleted_size = column_u64(s, 14),
    };
}

enum status mailbox_row_load(struct db *db, mailbox_id id, struct mailbox_row *out, struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query(db, &s, err, "SELECT " ROW_COLUMNS " FROM mailbox WHERE id = ?", INT(id)));
    enum status st;
    if (!db_row(db, s, &st, err))
        return st == ST_OK ? err_set(err, ST_NOTFOUND, "no such mailbox") : st;
    *out = row_of(s);
    db_done(s);
    return ST_OK;
}

enum status mailbox_row_store(struct db *db, const struct mailbox_row *r, struct err *err)
{
    return db_run(db, err,
                  "UPDATE mailbox SET uidvalidity = ?, uidnext = ?, messages = ?, unseen = ?, deleted = ?,"
                  " recent_from = ?, size = ?, highest_modseq = ?, special_use = ?, is_noselect = ?, tombstones = ?,"
                  " journal_modseq = ?, journal_pruned_utc = ?, deleted_size = ? WHERE id = ?",
                  INT(r->uidvalidity), INT(r->uidnext), INT(r->messages), INT(r->unseen), INT(r->deleted),
                  INT(r->recent_from), INT(r->size), INT(r->highest_modseq), INT(r->use), INT(r->is_noselect),
                  INT(r->tombstones), INT(r->journal_modseq), INT(r->journal_pruned_utc), INT(r->deleted_size), INT(r->id));
}

static struct mailbox mailbox_of(sqlite3_stmt *s, struct arena *a)
{
    struct mailbox_row r = row_of(s);
    return (struct mailbox){
        .id = r.id,
        .name = arena_copy(a, column_span(s, NAME_COLUMN)),
        .uidvalidity = r.uidvalidity,
        .uidnext = r.uidnext,
        .messages = r.messages,
        .unseen = r.unseen,
        .deleted = r.deleted,
        .recent_from = r.recent_from,
        .size_bytes = r.size,
        .deleted_bytes = r.deleted_size,
        .highest_modseq = r.highest_modseq,
        .journal_modseq = r.journal_modseq,
        .use = r.use <= USE_TRASH ? (enum special_use)r.use : USE_NONE,
        .is_noselect = r.is_noselect,
        .is_subscribed = column_i64(s, SUBSCRIBED_COLUMN),
        .object_id =
            arena_printf(a, "F%.*s-%llx", SPAN_ARG(column_span(s, OBJECT_NAME_COLUMN)), (unsigned long long)r.id),
    };
}

static enum status one(struct txn *t, sqlite3_stmt *s, struct arena *a, struct mailbox *out, struct err *err)
{
    enum status st;
    if (!db_row(t->db, s, &st, err))
        return st == ST_OK ? err_set(err, ST_NOTFOUND, "no such mailbox") : st;
    *out = mailbox_of(s, a);
    db_done(s);
    if (t->reader) {
        uint32_t seen;
        TRY(seen_count(t, out->id, &seen, err));
        out->unseen = out->messages - seen;
    }
    return ST_OK;
}

enum status mailbox_find(struct txn *t, struct span name, struct arena *a, struct mailbox *out, struct err *err)
{
    sqlite3_stmt *s;
    TRY(txn_flush(t, err));
    TRY(mailbox_name_lookup(name, a, &name, err));
    TRY(db_query(t->db, &s, err, "SELECT " LISTED " FROM mailbox WHERE name = ?", TEXT(name)));
    return one(t, s, a, out, err);
}

enum status mailbox_get(struct txn *t, mailbox_id id, struct arena *a, struct mailbox *out, struct err *err)
{
    sqlite3_stmt *s;
    TRY(txn_flush(t, err));
    TRY(db_query(t->db, &s, err, "SELECT " LISTED " FROM mailbox WHERE id = ?", INT(id)));
    return one(t, s, a, out, err);
}

static int by_name(const void *a, const void *b)
{
    return mailbox_name_cmp(((const struct mailbox *)a)->name, ((const struct mailbox *)b)->name);
}

/* A child sorts right behind its parent. */
static bool is_parent(const struct mailbox *m, const struct mailbox *next)
{
    return next->name.len > m->name.len && span_starts(next->name, m->name) && next->name.p[m->name.len] == '/';
}

enum status mailbox_list(struct txn *t, struct arena *a, struct mailbox **list, size_t *count, struct err *err)
{
    TRY(txn_flush(t, err));
    int64_t total;
    TRY(db_number_plain(t->db, 0, &total, err, "SELECT count(*) FROM mailbox"));
    *list = arena_array(a, (size_t)total, sizeof **list);
    *count = 0;
    sqlite3_stmt *s;
    TRY(db_query_values(t->db, &s, err, "SELECT " LISTED " FROM mailbox", NULL, 0));
    enum status st;
    while (db_row(t->db, s, &st, err))
        (*list)[(*count)++] = mailbox_of(s, a);
    TRY(st);
    for (size_t i = 0; t->reader && i < *count; i++) {
        uint32_t seen;
        TRY(seen_count(t, (*list)[i].id, &seen, err));
        (*list)[i].unseen = (*list)[i].messages - seen;
    }
    qsort(*list, *count, sizeof **list, by_name);
    for (size_t i = 0; i + 1 < *count; i++)
        (*list)[i].has_children = is_parent(&(*list)[i], &(*list)[i + 1]);
    return ST_OK;
}

static int by_span(const void *a, const void *b)
{
    return mailbox_name_cmp(*(const struct span *)a, *(const struct span *)b);
}

enum status subscription_list(struct txn *t, struct arena *a, struct span **names, size_t *count, struct err *err)
{
    int64_t total;
    TRY(db_number_plain(t->db, 0, &total, err, "SELECT count(*) FROM subscription"));
    *names = arena_array(a, (size_t)total, sizeof **names);
    *count = 0;
    sqlite3_stmt *s;
    TRY(db_query_values(t->db, &s, err, "SELECT name FROM subscription", NULL, 0));
    enum status st;
    while (db_row(t->db, s, &st, err))
        (*names)[(*count)++] = arena_copy(a, column_span(s, 0));
    TRY(st);
    qsort(*names, *count, sizeof **names, by_span);
    return ST_OK;
}
