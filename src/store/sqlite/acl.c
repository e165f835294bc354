/* acl.c - see acl.h. */
#include "store/acl.h"
#include <stdlib.h>
#include "store/sqlite/internal.h"
#include "base/banned.h"

/* ---- the list -------------------------------------------------------------------------------------------------- */

enum status acl_list(struct txn *t, mailbox_id mailbox, struct arena *a, struct acl_entry **list, size_t *count,
                     struct err *err)
{
    int64_t total;
    TRY(db_number(t->db, 0, &total, err, "SELECT count(*) FROM acl WHERE mailbox = ?", INT(mailbox)));
    *list = arena_array(a, (size_t)total, sizeof **list);
    *count = 0;
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err,
                 "SELECT identifier, is_negative, grantee, rights FROM acl WHERE mailbox = ?"
                 " ORDER BY identifier, is_negative",
                 INT(mailbox)));
    enum status st;
    while (db_row(t->db, s, &st, err))
        (*list)[(*count)++] = (struct acl_entry){.identifier = arena_copy(a, column_span(s, 0)),
                                                 .is_negative = column_i64(s, 1),
                                                 .grantee = column_u64(s, 2),
                                                 .rights = column_u32(s, 3) & ACL_ALL};
    return st;
}

/* Sessions that have the mailbox selected look at their rights again. */
static enum status notice(struct txn *t, mailbox_id mailbox, struct err *err)
{
    struct txn_mailbox *m;
    TRY(txn_mailbox(t, mailbox, &m, err));
    m->is_noticed = true;
    t->is_list_changed = true;
    return ST_OK;
}

/* What an entry without a row stands for. An entry of other account than this one gives nothing. */
static acl_rights rights_without_row(const struct txn *t, const struct acl_entry *e)
{
    return e->grantee == t->account->id && !e->is_negative ? ACL_ALL : 0;
}

static enum status rights_before(struct txn *t, mailbox_id mailbox, const struct acl_entry *e, acl_rights *out,
                                 struct err *err)
{
    int64_t rights;
    TRY(db_number(t->db, rights_without_row(t, e), &rights, err,
                  "SELECT rights FROM acl WHERE mailbox = ? AND identifier = ? AND is_negative = ? AND grantee = ?",
                  INT(mailbox), TEXT(e->identifier), INT(e->is_negative), INT(e->grantee)));
    *out = (acl_rights)rights;
    return ST_OK;
}

enum status acl_change(struct txn *t, mailbox_id mailbox, const struct acl_entry *e, enum acl_change how,
                       struct err *err)
{
    acl_rights rights;
    int64_t total;
    TRY(txn_need(t, true, err));
    TRY(notice(t, mailbox, err));
    TRY(rights_before(t, mailbox, e, &rights, err));
    rights = acl_change_apply(rights, how, e->rights);
    if (rights == rights_without_row(t, e))
        return acl_remove(t, mailbox, e->identifier, e->is_negative, err);
    TRY(db_number(t->db, 0, &total, err,
                  "SELECT count(*) FROM acl WHERE mailbox = ? AND NOT (identifier = ? AND is_negative = ?)",
                  INT(mailbox), TEXT(e->identifier), INT(e->is_negative)));
    if (total >= ACL_ENTRIES_MAX)
        return err_set(err, ST_LIMIT, "a mailbox has at most %d access control entries", ACL_ENTRIES_MAX);
    TRY_WRITE(t, db_run(t->db, err,
                        "INSERT OR REPLACE INTO acl(mailbox, identifier, is_negative, grantee, rights)"
                        " VALUES(?, ?, ?, ?, ?)",
                        INT(mailbox), TEXT(e->identifier), INT(e->is_negative), INT(e->grantee), INT(rights)));
    return ST_OK;
}

enum status acl_remove(struct txn *t, mailbox_id mailbox, struct span identifier, bool is_negative, struct err *err)
{
    TRY(txn_need(t, true, err));
    TRY(notice(t, mailbox, err));
    TRY_WRITE(t, db_run(t->db, err, "DELETE FROM acl WHERE mailbox = ? AND identifier = ? AND is_negative = ?",
                        INT(mailbox), TEXT(identifier), INT(is_negative)));
    return ST_OK;
}

enum status acl_grantees(struct txn *t, struct arena *a, uint64_t **list, size_t *count, struct err *err)
{
    int64_t total;
    TRY(db_number_plain(t->db, 0, &total, err, "SELECT count(DISTINCT grantee) FROM acl"));
    *list = arena_array(a, (size_t)total, sizeof **list);
    *count = 0;
    sqlite3_stmt *s;
    TRY(db_query_values(t->db, &s, err, "SELECT DISTINCT grantee FROM acl", NULL, 0));
    enum status st;
    while (db_row(t->db, s, &st, err))
        (*list)[(*count)++] = column_u64(s, 0);
    return st;
}

/* ---- what follows from it -------------------------------------------------------------------------------------- */

/* The entries that concern a user, put together. */
struct sum {
    acl_rights given, taken, group;
    bool has_group_entry; /* for the group whose account this is */
};

static bool concerns(const struct principal *who, uint64_t grantee, struct span identifier)
{
    if (grantee == 0)
        return span_eq(identifier, SPAN("anyone"));
    if (grantee == who->account_id)
        return span_eq(identifier, who->address); /* not the id alone: the file may come from another server */
    for (size_t i = 0; i < who->group_count; i++)
        if (who->groups[i].id == grantee)
            return span_starts(identifier, SPAN("group:")) && span_eq(span_skip(identifier, 6), who->groups[i].address);
    return false;
}

static void add_row(const struct txn *t, const struct principal *who, struct sum *sum, struct span identifier,
                    bool is_negative, uint64_t grantee, acl_rights rights)
{
    if (!concerns(who, grantee, identifier))
        return;
    if (is_negative) {
        sum->taken |= rights;
    } else if (grantee == t->account->id) {
        sum->has_group_entry = true;
        sum->group = rights;
    } else {
        sum->given |= rights;
    }
}

static acl_rights rights_from(const struct txn *t, const struct principal *who, const struct sum *sum)
{
    if (who->account_id == t->account->id)
        return ACL_ALL;
    if (!principal_has_group(who, t->account->id))
        return sum->given & ~sum->taken & ACL_ALL;
    acl_rights group = sum->has_group_entry ? sum->group : (acl_rights)ACL_ALL;
    return (((group | sum->given) & ~sum->taken) | ACL_LOOKUP | ACL_ADMIN) & ACL_ALL;
}

enum status acl_rights_of(struct txn *t, mailbox_id mailbox, const struct principal *who, acl_rights *out,
                          struct err *err)
{
    struct sum sum = {0};
    sqlite3_stmt *s;
    TRY(db_query(t->db, &s, err, "SELECT identifier, is_negative, grantee, rights FROM acl WHERE mailbox = ?",
                 INT(mailbox)));
    enum status st;
    while (db_row(t->db, s, &st, err))
        add_row(t, who, &sum, column_span(s, 0), column_i64(s, 1), column_u64(s, 2), column_u32(s, 3));
    *out = rights_from(t, who, &sum);
    return st;
}

acl_rights acl_root_rights(const struct txn *t, const struct principal *who)
{
    return rights_from(t, who, &(struct sum){0});
}

/* ---- for LIST -----------------------------------------------------------------------------------------------------
 */

struct sum_of {
    mailbox_id mailbox;
    struct sum sum;
};

static int by_mailbox(const void *a, const void *b)
{
    mailbox_id x = ((const struct sum_of *)a)->mailbox, y = ((const struct sum_of *)b)->mailbox;
    return x < y ? -1 : x > y;
}

/* One pass over the account's lists, which lie in the order of mailboxes. */
static enum status add_all(struct txn *t, const struct principal *who, struct sum_of *sums, size_t count,
                           struct err *err)
{
    sqlite3_stmt *s;
    TRY(db_query_values(t->db, &s, err, "SELECT mailbox, identifier, is_negative, grantee, rights FROM acl", NULL, 0));
    enum status st;
    while (db_row(t->db, s, &st, err)) {
        struct sum_of wanted = {.mailbox = column_u64(s, 0)};
        struct sum_of *found = count ? bsearch(&wanted, sums, count, sizeof *sums, by_mailbox) : NULL;
        if (found)
            add_row(t, who, &found->sum, column_span(s, 1), column_i64(s, 2), column_u64(s, 3), column_u32(s, 4));
    }
    return st;
}

enum status acl_mailboxes(struct txn *t, const struct principal *who, struct arena *a, struct mailbox **list,
                          acl_rights **rights, size_t *count, struct err *err)
{
    TRY(mailbox_list(t, a, list, count, err));
    struct sum_of *sums = arena_array(a, *count, sizeof *sums);
    for (size_t i = 0; i < *count; i++)
        sums[i].mailbox = (*list)[i].id;
    if (*count)
        qsort(sums, *count, sizeof *sums, by_mailbox);
    TRY(add_all(t, who, sums, *count, err));
    *rights = arena_array(a, *count, sizeof **rights);
    for (size_t i = 0; i < *count; i++) {
        struct sum_of wanted = {.mailbox = (*list)[i].id};
        const struct sum_of *found = bsearch(&wanted, sums, *count, sizeof *sums, by_mailbox);
        (*rights)[i] = rights_from(t, who, &found->sum);
    }
    return ST_OK;
}
