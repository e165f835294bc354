/*
 * pin.c - contents that somebody is reading in several transactions: a literal that was announced cannot be taken back,
 * so its octets stay although their last message is expunged meanwhile.
 *
 * Who is reading what is known in memory (account.pins). An expunge that would take the last reference of a pinned
 * content leaves the content and a row of content_refs with REFS_KEPT; the last unpin removes both. After a crash
 * nobody reads any more: what was kept is removed when the account is first opened.
 *
 * Pinned first and looked for in a transaction that begins later, a content that is found stays: an expunge that
 * committed before the pin is seen by that transaction, one that commits after it sees the pin, because it looks at the
 * pins with the writer's lock held, right before it deletes.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "store/sqlite/internal.h"
#include "base/banned.h"

struct pin {
    struct pin *next;
    content_id content;
    uint32_t count;
    bool is_kept; /* an expunge has met it, and may have committed */
};

static struct pin **find(struct account *a, content_id id)
{
    struct pin **at = &a->pins;
    while (*at && (*at)->content != id)
        at = &(*at)->next;
    return at;
}

void content_pin(struct account *a, content_id id)
{
    pthread_mutex_lock(&a->pins_lock);
    struct pin **at = find(a, id);
    if (!*at) {
        *at = mem_alloc(sizeof **at);
        (*at)->content = id;
    }
    (*at)->count++;
    pthread_mutex_unlock(&a->pins_lock);
}

static enum status remove_kept(struct db *db, content_id id, struct err *err)
{
    TRY(db_run(db, err,
               "DELETE FROM chunk WHERE content IN (SELECT content FROM content_refs WHERE refs = ?1 AND"
               " content = ?2)",
               INT(REFS_KEPT), INT(id)));
    TRY(db_run(db, err,
               "DELETE FROM content WHERE id IN (SELECT content FROM content_refs WHERE refs = ?1 AND"
               " content = ?2)",
               INT(REFS_KEPT), INT(id)));
    return db_run(db, err, "DELETE FROM content_refs WHERE refs = ?1 AND content = ?2", INT(REFS_KEPT), INT(id));
}

/* The writer's lock is held. */
static bool is_pinned_again(struct account *a, content_id id)
{
    pthread_mutex_lock(&a->pins_lock);
    struct pin *p = *find(a, id);
    if (p)
        p->is_kept = true;
    pthread_mutex_unlock(&a->pins_lock);
    return p;
}

static enum status let_go(struct account *a, content_id id, struct err *err)
{
    AUTO(txn) t = NULL;
    TRY(store_begin(a, TXN_FLAGS, &t, err));
    if (is_pinned_again(a, id))
        return ST_OK;
    TRY(remove_kept(t->db, id, err));
    return store_commit(&t, err);
}

void content_unpin(struct account *a, content_id id)
{
    struct pin *gone = NULL;
    pthread_mutex_lock(&a->pins_lock);
    struct pin **at = find(a, id);
    if (*at && --(*at)->count == 0) {
        gone = *at;
        *at = gone->next;
    }
    pthread_mutex_unlock(&a->pins_lock);
    struct err ignored; /* what stays then is removed as after a crash */
    if (gone && gone->is_kept)
        (void)let_go(a, id, &ignored);
    free(gone);
}

/* One pinned content: kept where the range has its last reference. */
static enum status keep(struct txn *t, struct message_range r, content_id id, bool *is_kept, struct err *err)
{
    TRY(db_run(t->db, err,
               "INSERT INTO content_refs(content, refs) SELECT content, ?6 FROM message WHERE " RANGE
               " AND content = ?5 AND coalesce((SELECT refs FROM content_refs r WHERE r.content = ?5), 0) = 0"
               " ON CONFLICT(content) DO UPDATE SET refs = ?6",
               RANGE_VALUES(r), INT(id), INT(REFS_KEPT)));
    *is_kept = db_changes(t->db) > 0;
    return ST_OK;
}

enum status pins_keep_range(struct txn *t, struct message_range r, struct err *err)
{
    enum status st = ST_OK;
    struct account *a = t->account;
    pthread_mutex_lock(&a->pins_lock); /* held over a few small statements, so that nobody unpins in between */
    for (struct pin *p = a->pins; p && st == ST_OK; p = p->next) {
        bool is_kept = false;
        st = keep(t, r, p->content, &is_kept, err);
        p->is_kept |= is_kept;
    }
    pthread_mutex_unlock(&a->pins_lock);
    return st;
}

enum status pins_clean(struct db *db, struct err *err)
{
    TRY(db_begin_write(db, err));
    enum status st = db_run(db, err,
                            "DELETE FROM chunk WHERE content IN (SELECT content FROM content_refs WHERE"
                            " refs = ?)",
                            INT(REFS_KEPT));
    if (st == ST_OK)
        st = db_run(db, err, "DELETE FROM content WHERE id IN (SELECT content FROM content_refs WHERE refs = ?)",
                    INT(REFS_KEPT));
    if (st == ST_OK)
        st = db_run(db, err, "DELETE FROM content_refs WHERE refs = ?", INT(REFS_KEPT));
    if (st == ST_OK)
        st = db_commit(db, err);
    if (st != ST_OK)
        db_rollback(db);
    return st;
}
