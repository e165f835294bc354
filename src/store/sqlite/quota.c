/*
 * quota.c - see store/quota.h.
 *
 * The mailboxes' counters are the only thing on disk. What the account holds together is summed up when its file is
 * opened for the first time, in the pass over the rows that finds the modseq, and kept in memory from then on, as the
 * modseq is: a delivery writes no row more than it did without quotas, and there is no second number on disk that could
 * say something else than the first. A transaction knows by how much each mailbox that it touches has grown.
 */
#include "store/sqlite/internal.h"
#include "base/banned.h"

enum status quota_count(struct account *a, struct db *db, struct err *err)
{
    sqlite3_stmt *s;
    enum status st;
    TRY(db_query_values(db, &s, err, "SELECT coalesce(sum(size), 0), coalesce(sum(messages), 0), count(*) FROM mailbox",
                        NULL, 0));
    if (!db_row(db, s, &st, err))
        return st;
    for (int i = 0; i < QUOTA_RESOURCES; i++)
        atomic_store(&a->held[i], column_u64(s, i));
    db_done(s);
    return ST_OK;
}

void store_set_quota(struct store *s, const struct quota *limits)
{
    for (int i = 0; i < QUOTA_RESOURCES; i++)
        atomic_store(&s->quota_default[i], limits->of[i]);
}

/* Of the account with this address and, where it is not 0, this id. */
static enum status limits_of(struct store *s, struct span address, uint64_t id, struct quota *out, struct err *err)
{
    AUTO_ARENA arena = ARENA_INIT;
    struct address_entry entry = {.kind = ADDRESS_NONE};
    size_t at = span_rfind_byte(address, '@');
    if (at != SPAN_NPOS)
        TRY(directory_lookup(s->directory, &arena, span_take(address, at), span_skip(address, at + 1), &entry, err));
    if (entry.kind != ADDRESS_ACCOUNT || (id && entry.account_id != id))
        return err_set(err, ST_NOTFOUND, "no such account");
    for (int i = 0; i < QUOTA_RESOURCES; i++) {
        uint64_t limit = entry.quota.of[i];
        out->of[i] = limit == QUOTA_DEFAULT ? atomic_load(&s->quota_default[i]) : limit;
    }
    if (out->of[QUOTA_MAILBOXES] > MAILBOXES_MAX) /* RFC 9208 §3.2: limits of the system are told too */
        out->of[QUOTA_MAILBOXES] = MAILBOXES_MAX;
    return ST_OK;
}

enum status account_limits(struct store *s, struct span address, struct quota *out, struct err *err)
{
    return limits_of(s, address, 0, out, err);
}

enum status account_quota(struct account *a, struct quota *held, struct quota *limits, struct err *err)
{
    TRY(limits_of(a->store, a->address, a->id, limits, err));
    for (int i = 0; i < QUOTA_RESOURCES; i++)
        held->of[i] = atomic_load(&a->held[i]);
    return ST_OK;
}

static enum status full(enum quota_resource r, struct err *err)
{
    static const char *const what[QUOTA_RESOURCES] = {
        [QUOTA_STORAGE] = "the account has no space left",
        [QUOTA_MESSAGES] = "the account has as many messages as it may",
        [QUOTA_MAILBOXES] = "the account has as many mailboxes as it may",
    };
    return err_set(err, ST_QUOTA, "%s", what[r]);
}

/* Amounts are below 2^63: sizes of what is on a disk. */
static enum status fits(const struct quota *held, const struct quota *limits, const int64_t *growth, struct err *err)
{
    for (int i = 0; i < QUOTA_RESOURCES; i++)
        if (growth[i] > 0 && held->of[i] + (uint64_t)growth[i] > limits->of[i])
            return full((enum quota_resource)i, err);
    return ST_OK;
}

enum status account_has_room(struct account *a, uint64_t octets, struct err *err)
{
    struct quota held, limits;
    const int64_t growth[QUOTA_RESOURCES] = {[QUOTA_STORAGE] = octets ? (int64_t)octets : 1, [QUOTA_MESSAGES] = 1};
    TRY(account_quota(a, &held, &limits, err));
    return fits(&held, &limits, growth, err);
}

enum status store_has_room(struct store *s, struct span address, uint64_t octets, struct err *err)
{
    struct quota limits;
    AUTO(account) a = NULL;
    TRY(account_limits(s, address, &limits, err));
    if (limits.of[QUOTA_STORAGE] == QUOTA_NONE && limits.of[QUOTA_MESSAGES] == QUOTA_NONE)
        return ST_OK;
    TRY(account_open(s, address, &a, err));
    return account_has_room(a, octets, err);
}

/* What a mailbox that is gone held, its rows have been taken from it before. */
static void growth_of(const struct txn *t, int64_t growth[QUOTA_RESOURCES])
{
    growth[QUOTA_STORAGE] = growth[QUOTA_MESSAGES] = 0;
    growth[QUOTA_MAILBOXES] = t->mailboxes_made;
    for (const struct txn_mailbox *m = t->mailboxes; m; m = m->next) {
        growth[QUOTA_STORAGE] += (int64_t)(m->row.size - m->size_before);
        growth[QUOTA_MESSAGES] += (int64_t)m->row.messages - (int64_t)m->messages_before;
    }
}

enum status quota_check(const struct txn *t, struct err *err)
{
    int64_t growth[QUOTA_RESOURCES];
    struct quota held, limits;
    growth_of(t, growth);
    if (growth[QUOTA_STORAGE] <= 0 && growth[QUOTA_MESSAGES] <= 0 && growth[QUOTA_MAILBOXES] <= 0)
        return ST_OK;
    TRY(account_quota(t->account, &held, &limits, err));
    return fits(&held, &limits, growth, err);
}

void quota_settle(const struct txn *t)
{
    int64_t growth[QUOTA_RESOURCES];
    growth_of(t, growth);
    for (int i = 0; i < QUOTA_RESOURCES; i++)
        if (growth[i])
            atomic_fetch_add(&t->account->held[i], (uint64_t)growth[i]);
}
