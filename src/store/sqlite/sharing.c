/* sharing.c - see sharing.h. */
#include "store/sharing.h"
#include "store/sqlite/directory_internal.h"
#include "base/banned.h"

/* ---- principals ------------------------------------------------------------------------------------------------ */

static void fill_id(struct arena *a, sqlite3_stmt *s, void *row)
{
    (void)a;
    *(uint64_t *)row = column_u64(s, 0);
}

static void fill_group(struct arena *a, sqlite3_stmt *s, void *row)
{
    *(struct principal_group *)row = (struct principal_group){column_u64(s, 0), arena_copy(a, column_span(s, 1))};
}

enum status directory_principal(struct directory *d, struct arena *a, struct span address, struct principal *out,
                                struct err *err)
{
    uint64_t *id;
    size_t count;
    TRY(directory_rows(d, a, "SELECT id FROM account WHERE address = ? AND kind = 0", DB_VALUES(TEXT(address)),
                       sizeof *id, fill_id, (void **)&id, &count, err));
    if (count == 0)
        return err_set(err, ST_NOTFOUND, "no such account");
    *out = (struct principal){.account_id = *id, .address = address};
    return directory_rows(d, a,
                          "SELECT g.id, g.address FROM member m JOIN account g ON g.id = m.team WHERE m.account = ?"
                          " ORDER BY g.id",
                          DB_VALUES(INT(*id)), sizeof *out->groups, fill_group, (void **)&out->groups,
                          &out->group_count, err);
}

bool principal_has_group(const struct principal *who, uint64_t group_id)
{
    size_t low = 0, high = who->group_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (who->groups[middle].id < group_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < who->group_count && who->groups[low].id == group_id;
}

/* ---- shares ----------------------------------------------------------------------------------------------------- */

static void fill_owner(struct arena *a, sqlite3_stmt *s, void *row)
{
    *(struct sharing_owner *)row =
        (struct sharing_owner){arena_copy(a, column_span(s, 0)), column_u64(s, 1), column_i64(s, 2) == DIRECTORY_GROUP};
}

enum status directory_owners_for(struct directory *d, struct arena *a, const struct principal *who,
                                 struct sharing_owner **list, size_t *count, struct err *err)
{
    return directory_rows(d, a,
                          "SELECT address, id, kind FROM account WHERE id <> ?1 AND id IN ("
                          " SELECT owner FROM share WHERE grantee IN (0, ?1)"
                          " UNION SELECT team FROM member WHERE account = ?1"
                          " UNION SELECT s.owner FROM member m JOIN share s ON s.grantee = m.team WHERE m.account = ?1)"
                          " ORDER BY address",
                          DB_VALUES(INT(who->account_id)), sizeof **list, fill_owner, (void **)list, count, err);
}

static enum status share_add(struct directory *d, const struct directory_change *c, struct err *err)
{
    return db_run(d->db, err, "INSERT OR IGNORE INTO share(grantee, owner) VALUES(?, ?)", INT(c->ids[0]), INT(c->id));
}

static enum status shares_of(struct directory *d, struct arena *a, uint64_t owner, uint64_t **list, size_t *count,
                             struct err *err)
{
    return directory_rows(d, a, "SELECT grantee FROM share WHERE owner = ?", DB_VALUES(INT(owner)), sizeof **list,
                          fill_id, (void **)list, count, err);
}

static bool has_id(const uint64_t *list, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == id)
            return true;
    return false;
}

/* What is there already costs no commit. */
enum status directory_share_add(struct directory *d, uint64_t owner, uint64_t grantee, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    uint64_t *known;
    size_t count;
    TRY(shares_of(d, &a, owner, &known, &count, err));
    if (has_id(known, count, grantee))
        return ST_OK;
    return directory_write(d, &(struct directory_change){.id = owner, .ids = &grantee, .id_count = 1}, share_add, err);
}

static enum status share_remove(struct directory *d, const struct directory_change *c, struct err *err)
{
    for (size_t i = 0; i < c->id_count; i++)
        TRY(db_run(d->db, err, "DELETE FROM share WHERE owner = ? AND grantee = ?", INT(c->id), INT(c->ids[i])));
    return ST_OK;
}

enum status directory_share_keep(struct directory *d, uint64_t owner, const uint64_t *grantees, size_t count,
                                 struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    uint64_t *known;
    size_t known_count, extra = 0;
    TRY(shares_of(d, &a, owner, &known, &known_count, err));
    for (size_t i = 0; i < known_count; i++)
        if (!has_id(grantees, count, known[i]))
            known[extra++] = known[i];
    if (extra == 0)
        return ST_OK;
    return directory_write(d, &(struct directory_change){.id = owner, .ids = known, .id_count = extra}, share_remove,
                           err);
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static enum status group_add(struct directory *d, const struct directory_change *c, struct err *err)
{
    return directory_add_row(d, c, DIRECTORY_GROUP, err);
}

enum status directory_group_add(struct directory *d, struct span address, struct err *err)
{
    struct directory_change c = {.a = address};
    TRY(directory_check_address(address, false, &c.domain, err));
    return directory_write(d, &c, group_add, err);
}

enum status directory_group_list(struct directory *d, struct arena *a, struct span **list, size_t *count,
                                 struct err *err)
{
    return directory_rows(d, a, "SELECT address FROM account WHERE kind = 1 ORDER BY address", NULL, 0, sizeof **list,
                          directory_fill_span, (void **)list, count, err);
}

/* The ids of a group (c->a) and of an account (c->b). */
static enum status pair_of(struct directory *d, const struct directory_change *c, int64_t *group, int64_t *account,
                           struct err *err)
{
    TRY(db_number(d->db, 0, group, err, "SELECT id FROM account WHERE kind = 1 AND address = ?", TEXT(c->a)));
    if (!*group)
        return err_set(err, ST_NOTFOUND, "there is no group %.*s; see 'tassis group list'", SPAN_ARG(c->a));
    TRY(db_number(d->db, 0, account, err, "SELECT id FROM account WHERE kind = 0 AND address = ?", TEXT(c->b)));
    if (!*account)
        return err_set(err, ST_NOTFOUND, "there is no account %.*s; see 'tassis account list'", SPAN_ARG(c->b));
    return ST_OK;
}

static enum status member_add(struct directory *d, const struct directory_change *c, struct err *err)
{
    int64_t group, account, members;
    TRY(pair_of(d, c, &group, &account, err));
    TRY(db_number(d->db, 0, &members, err, "SELECT count(*) FROM member WHERE team = ?", INT(group)));
    if (members >= GROUP_MEMBERS_MAX)
        return err_set(err, ST_LIMIT, "a group has at most %d members", GROUP_MEMBERS_MAX);
    TRY(db_run(d->db, err, "INSERT OR IGNORE INTO member(account, team) VALUES(?, ?)", INT(account), INT(group)));
    return db_changes(d->db) ? ST_OK : err_set(err, ST_EXISTS, "%.*s is a member already", SPAN_ARG(c->b));
}

enum status directory_member_add(struct directory *d, struct span group, struct span address, struct err *err)
{
    return directory_write(d, &(struct directory_change){.a = group, .b = address}, member_add, err);
}

static enum status member_remove(struct directory *d, const struct directory_change *c, struct err *err)
{
    int64_t group, account;
    TRY(pair_of(d, c, &group, &account, err));
    TRY(db_run(d->db, err, "DELETE FROM member WHERE account = ? AND team = ?", INT(account), INT(group)));
    return db_changes(d->db) ? ST_OK : err_set(err, ST_NOTFOUND, "%.*s is no member", SPAN_ARG(c->b));
}

enum status directory_member_remove(struct directory *d, struct span group, struct span address, struct err *err)
{
    return directory_write(d, &(struct directory_change){.a = group, .b = address}, member_remove, err);
}

enum status directory_member_list(struct directory *d, struct arena *a, struct span group, struct span **list,
                                  size_t *count, struct err *err)
{
    return directory_rows(d, a,
                          "SELECT p.address FROM account g JOIN member m ON m.team = g.id JOIN account p"
                          " ON p.id = m.account WHERE g.kind = 1 AND g.address = ? ORDER BY p.address",
                          DB_VALUES(TEXT(group)), sizeof **list, directory_fill_span, (void **)list, count, err);
}
