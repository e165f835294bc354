/*
 * directory_quota.c - what accounts may hold (store/quota.h), in the accounts' rows of the directory: NULL is what the
 * config says, -1 any amount.
 */
#include "store/sqlite/directory_internal.h"
#include "base/banned.h"

struct quota directory_quota_of(sqlite3_stmt *s, int at)
{
    struct quota q;
    for (int i = 0; i < QUOTA_RESOURCES; i++)
        if (sqlite3_column_type(s, at + i) == SQLITE_NULL)
            q.of[i] = QUOTA_DEFAULT;
        else
            q.of[i] = column_i64(s, at + i) < 0 ? QUOTA_NONE : column_u64(s, at + i);
    return q;
}

/* In the columns' terms. */
static struct db_value quota_value(uint64_t limit)
{
    return limit == QUOTA_NONE ? INT(-1) : INT(limit);
}

static enum status quota_set(struct directory *d, const struct directory_change *c, struct err *err)
{
    static const char *const sql[QUOTA_RESOURCES][2] = {
        {"UPDATE account SET quota_storage = ? WHERE address = ?",
         "UPDATE account SET quota_storage = NULL WHERE address = ?"},
        {"UPDATE account SET quota_messages = ? WHERE address = ?",
         "UPDATE account SET quota_messages = NULL WHERE address = ?"},
        {"UPDATE account SET quota_mailboxes = ? WHERE address = ?",
         "UPDATE account SET quota_mailboxes = NULL WHERE address = ?"},
    };
    const struct quota *q = c->value;
    for (int i = 0; i < QUOTA_RESOURCES; i++) {
        if (q->of[i] == QUOTA_DEFAULT)
            TRY(db_run(d->db, err, sql[i][1], TEXT(c->a)));
        else
            TRY(db_run(d->db, err, sql[i][0], quota_value(q->of[i]), TEXT(c->a)));
        if (db_changes(d->db) == 0)
            return err_set(err, ST_NOTFOUND, "no such account");
    }
    return ST_OK;
}

enum status directory_quota_set(struct directory *d, struct span address, const struct quota *q, struct err *err)
{
    return directory_write(d, &(struct directory_change){.a = address, .value = q}, quota_set, err);
}
