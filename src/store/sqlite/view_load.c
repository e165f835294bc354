/*
 * view_load.c - views from rows: loading, following a commit, and rebuilding a past state.
 *
 * A load runs in a read transaction of its own. Where commits keep coming between its snapshot and its end (see
 * view_cache.c), the third try takes the writer's lock, so that a busy mailbox cannot keep its view from ever being
 * kept.
 */
#include "base/mem.h"
#include "store/sqlite/internal.h"
#include "base/banned.h"

enum { LOADS_WITHOUT_LOCK = 2 };

#define MESSAGE_COLUMNS "uid, size, flags, modseq, content, received_utc, received_zone, saved_utc"

static struct view_message message_of(sqlite3_stmt *s)
{
    return (struct view_message){
        .uid = column_u32(s, 0),
        .size = column_u32(s, 1),
        .flags = column_u64(s, 2),
        .modseq = column_u64(s, 3),
        .content = column_u64(s, 4),
        .received_utc = column_i64(s, 5),
        .received_zone = (int16_t)column_i64(s, 6),
        .saved_utc = column_i64(s, 7),
    };
}

/* With the owner's \Seen for the owner, with the reader's own (seen.c) for anybody else. */
static enum status rows(struct db *db, uint64_t reader, mailbox_id mailbox, uint32_t first, uint32_t last,
                        sqlite3_stmt **s, struct err *err)
{
    if (reader == 0)
        return db_query(db, s, err,
                        "SELECT " MESSAGE_COLUMNS
                        " FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid",
                        INT(mailbox), INT(first), INT(last));
    return db_query(
        db, s, err,
        "SELECT m.uid, m.size, (m.flags & ~1) | coalesce(s.is_seen, 0), max(m.modseq, coalesce(s.modseq, 0)),"
        " m.content, m.received_utc, m.received_zone, m.saved_utc FROM message m LEFT JOIN seen s"
        " ON s.mailbox = m.mailbox AND s.uid = m.uid AND s.reader = ?4"
        " WHERE m.mailbox = ?1 AND m.uid BETWEEN ?2 AND ?3 ORDER BY m.uid",
        INT(mailbox), INT(first), INT(last), INT(reader));
}
_Static_assert(FLAG_SEEN == 1, "as in the statement");

static enum status add_rows(struct db *db, uint64_t reader, struct view_build *b, mailbox_id mailbox, uint32_t first,
                            uint32_t last, struct err *err)
{
    sqlite3_stmt *s;
    TRY(rows(db, reader, mailbox, first, last, &s, err));
    enum status st;
    while (db_row(db, s, &st, err)) {
        struct view_message m = message_of(s);
        view_build_add(b, &m);
    }
    return st;
}

/* ---- following a commit
 * ------------------------------------------------------------------------------------------------ */

/* The next view where only flags have changed. */
static struct view *with_flags(const struct txn_mailbox *m, const struct view *base)
{
    struct view_build b = {0};
    uint32_t seq = 1;
    for (const struct txn_flags *f = m->flags; f < m->flags + m->flags_count; f++) {
        view_build_copy(&b, base, &seq, f->uid);
        if (seq > base->count || view_message(base, seq)->uid != f->uid)
            panic("a message's flags have changed that the view does not have");
        struct view_message changed = *view_message(base, seq++);
        changed.flags = f->flags;
        changed.modseq = f->modseq;
        view_build_add(&b, &changed);
    }
    view_build_copy(&b, base, &seq, UINT32_MAX);
    return view_build_finish(&b, m->row.uidnext, m->row.highest_modseq);
}

enum status view_next(struct txn *t, const struct txn_mailbox *m, uint64_t reader, const struct view *base,
                      struct view **out, struct err *err)
{
    if (reader == 0 && m->flags_count && !m->is_more_than_flags) {
        *out = with_flags(m, base);
        return ST_OK;
    }
    struct view_build b = {0};
    uint32_t seq = 1;
    enum status st = ST_OK;
    for (size_t i = 0; i < m->uids->count && st == ST_OK; i++) {
        struct seqrange r = m->uids->ranges[i];
        view_build_copy(&b, base, &seq, r.first);
        st = add_rows(t->db, reader, &b, m->row.id, r.first, r.last, err);
        seq = r.last == UINT32_MAX ? base->count + 1 : view_seq_at_or_after(base, r.last + 1);
    }
    if (st != ST_OK) {
        view_build_drop(&b);
        return st;
    }
    view_build_copy(&b, base, &seq, UINT32_MAX);
    *out = view_build_finish(&b, m->row.uidnext, m->row.highest_modseq);
    return ST_OK;
}

/* ---- loading
 * ----------------------------------------------------------------------------------------------------------- */

static enum status read_view(struct account *a, uint64_t reader, mailbox_id id, struct view **out, struct err *err)
{
    AUTO(txn) t = NULL;
    struct mailbox_row row;
    TRY(store_begin(a, TXN_READ, &t, err));
    TRY(mailbox_row_load(t->db, id, &row, err));
    struct view_build b = {0};
    enum status st = add_rows(t->db, reader, &b, id, 1, UINT32_MAX, err);
    if (st != ST_OK) {
        view_build_drop(&b);
        return st;
    }
    *out = view_build_finish(&b, row.uidnext, row.highest_modseq);
    return ST_OK;
}

/* One try; *is_current false: a commit came between, the view is right but was not kept. */
static enum status load_once(struct account *a, uint64_t reader, mailbox_id id, struct view **out, bool *is_current,
                             struct err *err)
{
    struct view_cache *c = &a->store->views;
    struct view_set *set = account_views(a, reader);
    *is_current = true;
    *out = view_cache_claim(c, set, id);
    if (*out)
        return ST_OK;
    enum status st = read_view(a, reader, id, out, err);
    *is_current = view_cache_fill(c, set, id, st == ST_OK ? *out : NULL);
    return st;
}

static enum status load_locked(struct account *a, uint64_t reader, mailbox_id id, struct view **out, struct err *err)
{
    bool ignored;
    bool is_ours = atomic_load(&a->writer_thread) == (uintptr_t)pthread_self();
    if (!is_ours)
        pthread_mutex_lock(&a->writer);
    enum status st = load_once(a, reader, id, out, &ignored, err);
    if (!is_ours)
        pthread_mutex_unlock(&a->writer);
    return st;
}

enum status view_get_for(struct account *a, uint64_t reader, mailbox_id id, struct view **out, struct err *err)
{
    *out = NULL;
    if (a->store->is_reader) /* another process commits: nothing kept could be trusted */
        return read_view(a, reader, id, out, err);
    for (int i = 0; i < LOADS_WITHOUT_LOCK; i++) {
        bool is_current;
        TRY(load_once(a, reader, id, out, &is_current, err));
        if (is_current)
            return ST_OK;
        view_free(out);
    }
    return load_locked(a, reader, id, out, err);
}

enum status view_get(struct account *a, mailbox_id id, struct view **out, struct err *err)
{
    return view_get_for(a, 0, id, out, err);
}

struct view *view_peek_for(struct account *a, uint64_t reader, mailbox_id id)
{
    return view_cache_get(&a->store->views, account_views(a, reader), id);
}

struct view *view_peek(struct account *a, mailbox_id id)
{
    return view_peek_for(a, 0, id);
}

/* ---- a past state
 * ------------------------------------------------------------------------------------------------------ */

/* Uids that were there at `modseq` and are not any more. */
static enum status buried_since(struct account *a, mailbox_id id, uint64_t modseq, uint32_t uidnext,
                                struct arena *arena, struct seqset *out, struct err *err)
{
    AUTO(txn) t = NULL;
    bool is_known;
    TRY(store_begin(a, TXN_READ, &t, err));
    TRY(message_vanished(t, id, modseq, uidnext, arena, out, &is_known, err));
    return is_known ? ST_OK : err_set(err, ST_STATE, "the mailbox has changed too much since");
}

/* A message of the past: gone or changed since. Which modseq it had is not known; it gets the greatest that it can have
 * had, which is none that it may have now. */
static void add_past(struct view_build *b, const struct view_message *now, uint32_t uid, uint64_t modseq)
{
    struct view_message m = now ? *now : (struct view_message){.uid = uid};
    m.modseq = modseq;
    view_build_add(b, &m);
}

/* Adds what `now` holds in front of uid `until`; messages changed since have the modseq of then. */
static void add_present(struct view_build *b, const struct view *now, uint32_t *seq, uint32_t until, uint64_t modseq)
{
    while (*seq <= now->count) {
        const struct view_message *m = view_message(now, *seq);
        if (m->uid >= until)
            return;
        if (m->modseq > modseq)
            add_past(b, m, m->uid, modseq);
        else
            view_build_add(b, m);
        ++*seq;
    }
}

/* As add_present; chunks without a change since are shared. */
static void add_chunks(struct view_build *b, const struct view *now, uint32_t *seq, uint32_t until, uint64_t modseq)
{
    for (uint32_t i = *seq <= now->count ? view_chunk_of_seq(now, *seq) : 0; i < now->chunk_count && *seq <= now->count;
         i++) {
        struct view_chunk *c = now->chunks[i];
        uint32_t end = now->starts[i] + c->count; /* the chunk's last sequence number */
        uint32_t last_uid = c->messages[c->count - 1].uid;
        if (*seq == now->starts[i] + 1 && last_uid < until && c->modseq <= modseq) {
            view_build_share(b, c);
            *seq = end + 1;
            continue;
        }
        add_present(b, now, seq, last_uid < until ? last_uid + 1 : until, modseq);
        if (last_uid >= until)
            return;
    }
}

static struct view *rebuild(const struct view *now, const struct seqset *buried, uint64_t modseq, uint32_t uidnext)
{
    struct view_build b = {0};
    uint32_t seq = 1;
    for (size_t i = 0; i < buried->count; i++) {
        for (uint32_t uid = buried->ranges[i].first; uid <= buried->ranges[i].last; uid++) {
            if (seq <= now->count && view_message(now, seq)->uid < uid)
                add_chunks(&b, now, &seq, uid, modseq);
            const struct view_message *m = seq <= now->count ? view_message(now, seq) : NULL;
            if (m && m->uid == uid) /* buried after `now` was made */
                seq++;
            else
                m = NULL;
            add_past(&b, m, uid, modseq);
        }
    }
    add_chunks(&b, now, &seq, uidnext, modseq);
    return view_build_finish(&b, uidnext, modseq);
}

/* A view that is not older than this modseq: a commit is visible to readers a moment before its view is published. */
static enum status view_at_least(struct account *a, uint64_t reader, mailbox_id id, uint64_t modseq, struct view **out,
                                 struct err *err)
{
    TRY(view_get_for(a, reader, id, out, err));
    if ((*out)->modseq >= modseq)
        return ST_OK;
    view_free(out);
    if (atomic_load(&a->writer_thread) == (uintptr_t)pthread_self())
        return read_view(a, reader, id, out, err);
    return load_locked(a, reader, id, out, err);
}

enum status view_get_as_of_for(struct account *a, uint64_t reader, mailbox_id id, uint64_t modseq, uint32_t uidnext,
                               struct view **out, struct err *err)
{
    AUTO(view) now = NULL;
    *out = NULL;
    TRY(view_at_least(a, reader, id, modseq, &now, err));
    if (now->modseq == modseq && now->uidnext == uidnext) {
        *out = view_ref(now);
        return ST_OK;
    }
    AUTO_ARENA arena = ARENA_INIT;
    struct seqset *buried = seqset_new(&arena);
    TRY(buried_since(a, id, modseq, uidnext, &arena, buried, err));
    *out = rebuild(now, buried, modseq, uidnext);
    return ST_OK;
}

enum status view_get_as_of(struct account *a, mailbox_id id, uint64_t modseq, uint32_t uidnext, struct view **out,
                           struct err *err)
{
    return view_get_as_of_for(a, 0, id, modseq, uidnext, out, err);
}
