/*
 * txn.c - transactions: from a leased connection to a published commit.
 *
 * A writer collects, per mailbox, the numbers of its row and the uids it touched. At commit the rows are written once
 * each; the views that are in memory get their successors from the touched uids, read in the same transaction; then
 * SQLite commits; then, with the writer's lock still held so that publications come in commit order, the views, the
 * keywords and the modseq become the current ones. Watchers are poked after the lock is released.
 */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "store/sqlite/internal.h"
#include "base/banned.h"

/* ---- begin ----------------------------------------------------------------------------------------------------- */

static enum status lock_writer(struct account *a, struct err *err)
{
    uintptr_t self = (uintptr_t)pthread_self();
    if (atomic_load(&a->writer_thread) == self)
        return err_set(err, ST_BUG, "a second write transaction of one thread on one account");
    pthread_mutex_lock(&a->writer);
    atomic_store(&a->writer_thread, self);
    return ST_OK;
}

static void unlock_writer(struct account *a)
{
    atomic_store(&a->writer_thread, 0);
    pthread_mutex_unlock(&a->writer);
}

static enum status begin_on(struct txn *t, struct err *err)
{
    TRY(handle_lease(t->account, &t->handle, err));
    t->db = t->handle->db;
    if (t->mode != TXN_READ) {
        TRY(db_set_flushing(t->db, t->mode == TXN_WRITE, err));
        return db_begin_write(t->db, err);
    }
    /* SQLite takes its snapshot at the first read; ours is the state at begin. */
    int64_t ignored;
    TRY(db_begin_read(t->db, err));
    return db_number_plain(t->db, 0, &ignored, err, "SELECT id FROM account");
}

enum status store_begin(struct account *a, enum txn_mode mode, struct txn **out, struct err *err)
{
    if (mode != TXN_READ && a->store->is_reader)
        return err_set(err, ST_DENIED, "the store was opened for reading only");
    if (mode != TXN_READ)
        TRY(lock_writer(a, err));
    struct txn *t = mem_alloc(sizeof *t);
    t->account = a;
    t->mode = mode;
    t->may_flags = ~(uint64_t)0;
    enum status st = begin_on(t, err);
    if (st != ST_OK)
        txn_free(&t);
    *out = t;
    return st;
}

void store_act_as(struct txn *t, uint64_t reader, uint64_t may_flags)
{
    t->reader = reader;
    t->may_flags = may_flags;
}

/* Ends what the transaction holds, not the transaction in SQLite. */
static void release(struct txn *t)
{
    if (t->handle)
        handle_release(&t->handle);
    if (t->mode != TXN_READ)
        unlock_writer(t->account);
}

static void destroy(struct txn *t)
{
    keywords_free(&t->keywords);
    arena_free(&t->arena);
    free(t);
}

void txn_free(struct txn **tp)
{
    struct txn *t = *tp;
    *tp = NULL;
    if (!t)
        return;
    if (t->handle)
        db_rollback(t->db);
    release(t);
    destroy(t);
}

/* ---- what a transaction changes ---------------------------------------------------------------------------------- */

enum status txn_need(struct txn *t, bool is_flushed, struct err *err)
{
    if (t->mode == TXN_READ || (is_flushed && t->mode != TXN_WRITE))
        return err_set(err, ST_BUG, "this change needs another kind of transaction");
    return ST_OK;
}

enum status txn_check(struct txn *t, enum status st)
{
    if (st != ST_OK)
        t->is_broken = true;
    return st;
}

uint64_t store_modseq(const struct txn *t)
{
    return t->modseq;
}

uint64_t txn_modseq(struct txn *t)
{
    if (!t->modseq)
        t->modseq = t->account->modseq + 1;
    return t->modseq;
}

enum status txn_mailbox(struct txn *t, mailbox_id id, struct txn_mailbox **out, struct err *err)
{
    struct txn_mailbox *m = t->mailboxes;
    while (m && m->row.id != id)
        m = m->next;
    if (!m) {
        struct mailbox_row row;
        TRY(mailbox_row_load(t->db, id, &row, err));
        m = arena_alloc(&t->arena, sizeof *m);
        m->row = row;
        m->messages_before = row.messages;
        m->size_before = row.size;
        m->uids = seqset_new(&t->arena);
        m->next = t->mailboxes;
        t->mailboxes = m;
    }
    if (m->is_gone)
        return err_set(err, ST_NOTFOUND, "no such mailbox");
    *out = m;
    return ST_OK;
}

static void note_uids(struct txn *t, struct txn_mailbox *m, uint32_t first, uint32_t last)
{
    m->row.highest_modseq = txn_modseq(t);
    m->is_dirty = m->is_changed = true;
    seqset_add(&t->arena, m->uids, first, last);
}

void txn_changed(struct txn *t, struct txn_mailbox *m, uint32_t first, uint32_t last)
{
    note_uids(t, m, first, last);
    m->is_more_than_flags = true;
}

void txn_flags_changed(struct txn *t, struct txn_mailbox *m, uint32_t uid, uint64_t flags)
{
    note_uids(t, m, uid, uid);
    if (m->flags_count == m->flags_cap) {
        size_t cap = m->flags_cap ? 2 * m->flags_cap : 16;
        struct txn_flags *more = arena_array(&t->arena, cap, sizeof *more);
        if (m->flags_count)
            memcpy(more, m->flags, m->flags_count * sizeof *more);
        m->flags = more;
        m->flags_cap = cap;
    }
    if (m->flags_count && m->flags[m->flags_count - 1].uid >= uid) /* a second change in this transaction */
        m->is_more_than_flags = true;
    m->flags[m->flags_count++] = (struct txn_flags){uid, flags, txn_modseq(t)};
}

enum status txn_flush(struct txn *t, struct err *err)
{
    for (struct txn_mailbox *m = t->mailboxes; m; m = m->next) {
        if (!m->is_dirty || m->is_gone)
            continue;
        TRY_WRITE(t, mailbox_row_store(t->db, &m->row, err));
        m->is_dirty = false;
    }
    return ST_OK;
}

/* ---- commit --------------------------------------------------------------------------------------------------------
 */

/* A mailbox's view before and after this commit, both referenced; next NULL: not in memory, or gone. */
struct succession {
    struct succession *after;
    struct view_set *set;
    mailbox_id mailbox;
    struct view *base, *next;
};

static enum status make_view(struct txn *t, const struct txn_mailbox *m, uint64_t reader, struct view_set *set,
                             struct succession **list, struct err *err)
{
    struct succession *s = arena_alloc(&t->arena, sizeof *s);
    *s = (struct succession){*list, set, m->row.id, view_cache_get(&t->account->store->views, set, m->row.id), NULL};
    *list = s;
    if (s->base && !m->is_gone)
        TRY(view_next(t, m, reader, s->base, &s->next, err));
    return ST_OK;
}

/* `readers`: whose views have been looked at; a reader that comes later has nothing yet that could be followed. */
static enum status make_views(struct txn *t, struct reader_views *readers, struct succession **list, struct err *err)
{
    for (struct txn_mailbox *m = t->mailboxes; m; m = m->next) {
        if (!m->is_changed && !m->is_gone)
            continue;
        TRY(make_view(t, m, 0, &t->account->views, list, err));
        for (struct reader_views *r = readers; r; r = r->next)
            TRY(make_view(t, m, r->reader, &r->views, list, err));
    }
    return ST_OK;
}

/* Readers that came since: what they have loaded or are loading may miss this commit. */
static void spoil_newcomers(struct txn *t, const struct reader_views *known)
{
    struct account *a = t->account;
    for (struct reader_views *r = atomic_load(&a->readers); r != known; r = r->next)
        for (struct txn_mailbox *m = t->mailboxes; m; m = m->next)
            if (m->is_changed || m->is_gone)
                view_cache_publish(&a->store->views, &r->views, m->row.id, NULL, NULL);
}

static void drop_views(struct succession *list)
{
    for (; list; list = list->after) {
        view_free(&list->base);
        view_free(&list->next);
    }
}

/* The writer's lock is held: publications come in the order of commits. */
static void publish(struct txn *t, const struct reader_views *readers, struct succession *list)
{
    struct account *a = t->account;
    if (t->keywords) { /* before the views that have their bits */
        pthread_mutex_lock(&a->keywords_lock);
        struct keywords *old = a->keywords;
        a->keywords = t->keywords;
        pthread_mutex_unlock(&a->keywords_lock);
        t->keywords = old;
    }
    for (struct succession *s = list; s; s = s->after) {
        view_cache_publish(&a->store->views, s->set, s->mailbox, s->base, s->next);
        s->next = NULL;
    }
    spoil_newcomers(t, readers);
    if (t->modseq)
        a->modseq = t->modseq;
    quota_settle(t);
}

static void poke(struct txn *t)
{
    struct hub *h = &t->account->hub;
    bool is_any = t->is_list_changed;
    for (struct txn_mailbox *m = t->mailboxes; m; m = m->next) {
        if (!m->is_changed && !m->is_gone && !m->is_noticed)
            continue;
        hub_poke(h, m->row.id);
        is_any = true;
    }
    if (is_any)
        hub_poke(h, 0);
    if (t->is_metadata_changed)
        hub_poke(h, HUB_METADATA);
}

static enum status commit_write(struct txn *t, struct err *err)
{
    if (t->is_broken)
        return err_set(err, ST_IO, "a part of the change failed; nothing was changed");
    struct succession *list = NULL;
    struct reader_views *readers = atomic_load(&t->account->readers);
    enum status st = quota_check(t, err);
    if (st == ST_OK)
        st = txn_flush(t, err);
    if (st == ST_OK)
        st = make_views(t, readers, &list, err);
    if (st == ST_OK)
        st = db_commit(t->db, err);
    if (st == ST_OK)
        publish(t, readers, list);
    drop_views(list);
    return st;
}

enum status store_commit(struct txn **tp, struct err *err)
{
    struct txn *t = *tp;
    *tp = NULL;
    enum status st = t->mode == TXN_READ ? db_commit(t->db, err) : commit_write(t, err);
    if (st != ST_OK) {
        txn_free(&t);
        return st;
    }
    release(t);
    poke(t);
    if (t->mode == TXN_WRITE)
        index_note(t->account, t->contents);
    destroy(t);
    return ST_OK;
}
