/*
 * sync.c - the news of the selected mailbox: EXPUNGE, EXISTS, RECENT and FETCH FLAGS that no command asked for.
 *
 * The session keeps the snapshot its client knows (im->view) and compares it with the current one. That is all there is
 * to it: whoever made a change, and however many, the difference is what must be told. It is told at the end of a
 * command or during IDLE, never elsewhere (RFC 3501 §5.5, §7.4.1).
 *
 * Where messages are gone but may not be reported yet (FETCH, STORE, SEARCH), the client keeps its snapshot, and with
 * it its message numbers, until a command comes that lets them go. Flags are told meanwhile, from a newer snapshot
 * (im->told_flags).
 *
 * What a command did to flags itself (call->own) is not told again, unless it wants all its messages told.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include "imap/context.h"
#include "imap/fetch.h"
#include "imap/internal.h"
#include "imap/notify.h"
#include "imap/resync.h"
#include "base/banned.h"

enum news_stage { NEWS_GONE, NEWS_EXPUNGED, NEWS_ARRIVED, NEWS_FLAGS, NEWS_CONTEXTS, NEWS_FETCH, NEWS_DONE };

struct imap_news {
    struct view *to;
    struct view_diff diff;       /* from im->view */
    struct seqset *changed_uids; /* whose flags the client does not know */
    enum news_stage stage;
    bool is_held;       /* only flags are told; im->view stays */
    size_t ranges;      /* NEWS_EXPUNGED: of expunged_seqs still to be told, from the end */
    size_t vanished_at; /* or of expunged_uids those that have been told */
    uint32_t seq;       /* the next in that range; 0: its last */
    size_t changed_at;  /* NEWS_FLAGS: ranges of changed_uids and of own.uids that lie behind us */
    size_t own_at;
    uint32_t uid; /* everything below has been told */
    struct context_update *contexts;
    struct fetch_job *fetch; /* of messages that are new (RFC 5465 §5.2) */
};

void imap_news_free(struct imap_news **news)
{
    if (*news) {
        view_free(&(*news)->to);
        imap_context_update_free(&(*news)->contexts);
        fetch_job_release((*news)->fetch);
    }
    *news = NULL;
}

/* The first uid >= from in the set, 0 where there is none. *at only goes forward. */
static uint32_t next_in(const struct seqset *s, size_t *at, uint32_t from)
{
    while (s && *at < s->count && s->ranges[*at].last < from)
        ++*at;
    if (!s || *at == s->count)
        return 0;
    return s->ranges[*at].first > from ? s->ranges[*at].first : from;
}

/* ---- finding out ---------------------------------------------------------------------------------------------- */

/* A mailbox whose view was never needed is asked for its modseq before anything is loaded. */
static enum status is_unchanged(struct imap *im, struct arena *a, bool *out, struct err *err)
{
    struct mailbox m;
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_READ, &txn, err));
    TRY(mailbox_get(txn, im->mailbox, a, &m, err));
    *out = m.highest_modseq == im->known_modseq && m.uidnext == im->known_uidnext;
    return ST_OK;
}

static enum status current_view(struct imap *im, struct view **to, struct err *err)
{
    TRY(imap_current_view(im, to, err));
    if (view_uidnext(*to) <= view_uidnext(im->view))
        return ST_OK;
    /* Something came in: first take what is recent, then look, so that what we tell of has been claimed. */
    view_free(to);
    TRY(imap_claim_recent(im, err));
    return imap_current_view(im, to, err);
}

/* The snapshot whose flags the client knows. */
static const struct view *known_flags(const struct imap *im)
{
    return im->told_flags ? im->told_flags : im->view;
}

static void compare(const struct imap *im, struct imap_call *call, const struct view *to, struct imap_news *news)
{
    bool may_hold = call->holds_expunge || (call->command && (call->command->flags & IMAP_HOLDS_EXPUNGE));
    view_diff(&call->arena, im->view, to, &news->diff);
    news->changed_uids = news->diff.changed_uids;
    if (im->told_flags) {
        struct view_diff flags;
        view_diff(&call->arena, im->told_flags, to, &flags);
        news->changed_uids = flags.changed_uids;
    }
    news->is_held = may_hold && news->diff.expunged_uids->count;
    news->stage = news->is_held ? NEWS_FLAGS : NEWS_GONE;
    news->ranges = news->diff.expunged_seqs->count;
    news->uid = 1;
}

static enum status look(struct imap *im, struct imap_call *call, unsigned events, struct err *err)
{
    if (!im->view) {
        bool is_same;
        TRY(is_unchanged(im, &call->arena, &is_same, err));
        if (is_same)
            return ST_OK;
        TRY(imap_load_view(im, err));
    }
    AUTO(view) to = NULL;
    TRY(current_view(im, &to, err));
    if (to == im->view && !call->own.is_wanted && !call->own.is_modseq_wanted)
        return ST_OK;
    struct imap_news *news = arena_alloc(&call->arena, sizeof *news);
    compare(im, call, to, news);
    if (!(events & NOTIFY_FLAG_CHANGE))
        news->changed_uids = seqset_new(&call->arena);
    if (news->is_held)
        im->has_news = true; /* for the next command */
    if (call->own.is_wanted || news->changed_uids->count)
        TRY(imap_need_keywords(im, call, err));
    news->to = to;
    to = NULL;
    call->news = news;
    return ST_OK;
}

enum status imap_news_begin(struct imap *im, struct imap_call *call, struct err *err)
{
    if (im->state != IMAP_SELECTED)
        return ST_OK;
    unsigned events = imap_notify_of_selected(im, call);
    if (!events) /* RFC 5465 §3.1: the client wants to hear nothing */
        return ST_OK;
    bool has_news = atomic_exchange(&im->has_news, false);
    if (!has_news && !call->own.is_wanted && !call->own.is_modseq_wanted)
        return ST_OK;
    enum status st = look(im, call, events, err);
    if (st != ST_OK)
        im->has_news = true;
    return st;
}

/* ---- telling -------------------------------------------------------------------------------------------------- */

static bool has_room(struct imap *im)
{
    return imap_out(im)->len < SESSION_OUT_HIGH;
}

static void write_numbered(struct strbuf *out, uint32_t n, const char *what)
{
    strbuf_add_cstr(out, "* ");
    strbuf_add_u64(out, n);
    strbuf_add_cstr(out, what);
}

/* RFC 7162 §3.2.10.2: by uids. Of messages the client was told of, as all those of its view. */
static bool write_vanished(struct imap *im, struct imap_news *news)
{
    return imap_write_vanished(im, news->diff.expunged_uids, false, &news->vanished_at);
}

/* From the last to the first, so that no number shifts before it is told (RFC 3501 §7.4.1). */
static bool write_expunged(struct imap *im, struct imap_news *news)
{
    while (news->ranges) {
        const struct seqrange *r = &news->diff.expunged_seqs->ranges[news->ranges - 1];
        if (!news->seq)
            news->seq = r->last;
        for (; news->seq >= r->first; news->seq--) {
            if (!has_room(im))
                return false;
            write_numbered(imap_out(im), news->seq, " EXPUNGE\r\n");
        }
        news->seq = 0;
        news->ranges--;
    }
    return true;
}

static void write_arrived(struct imap *im, struct imap_news *news)
{
    if (news->diff.added_uids->count == 0)
        return;
    write_numbered(imap_out(im), view_count(news->to), " EXISTS\r\n");
    if (!imap_has(im, IMAP_REV2))
        write_numbered(imap_out(im), imap_recent_count(im, news->to), " RECENT\r\n");
}

static uint64_t flags_after(const struct imap_own_change *own, uint64_t flags)
{
    switch (own->how) {
    case FLAGS_SET:
        return own->flags;
    case FLAGS_ADD:
        return flags | own->flags;
    case FLAGS_REMOVE:
        break;
    }
    return flags & ~own->flags;
}

/* Whether the client can work the new flags out from its own command. */
static bool is_expected(const struct imap *im, const struct imap_call *call, const struct view_message *m, bool is_own)
{
    if (!is_own || call->own.is_wanted)
        return false;
    const struct view *known = known_flags(im);
    uint32_t seq = view_seq_of(known, m->uid);
    return seq && flags_after(&call->own, view_message(known, seq)->flags) == m->flags;
}

static void write_flags_of(struct imap *im, const struct imap_call *call, uint32_t uid, bool is_own)
{
    const struct imap_news *news = call->news;
    uint32_t at = view_seq_of(news->to, uid);
    uint32_t seq = news->is_held ? view_seq_of(im->view, uid) : at;
    if (!at || !seq)
        return;
    const struct view_message *m = view_message(news->to, at);
    bool is_known = is_expected(im, call, m, is_own);
    if (is_known && (call->own.is_modseq_told || !imap_has(im, IMAP_CONDSTORE)))
        return;
    struct strbuf *out = imap_out(im);
    bool has_modseq = imap_has(im, IMAP_CONDSTORE), has_flags = !is_known;
    imap_begin_fetch(im, seq, uid, out);
    /* RFC 9051 Appendix E.21, RFC 7162 §3.2.4 */
    bool has_uid = call->is_uid || has_modseq || imap_has(im, IMAP_REV2);
    if (has_uid && !imap_has(im, IMAP_UIDONLY)) {
        strbuf_add_cstr(out, "UID ");
        strbuf_add_u64(out, uid);
        strbuf_add_char(out, ' ');
    }
    if (has_flags) {
        strbuf_add_cstr(out, "FLAGS ");
        imap_write_flag_list(im, call, uid, m->flags, out);
    }
    if (has_modseq) {
        strbuf_add_cstr(out, has_flags ? " MODSEQ (" : "MODSEQ (");
        strbuf_add_u64(out, m->modseq);
        strbuf_add_char(out, ')');
    }
    strbuf_add_cstr(out, ")\r\n");
}

/* What changed, and what the command wants told, in the order of uids. */
static bool write_flags(struct imap *im, const struct imap_call *call, struct imap_news *news)
{
    for (;;) {
        if (!has_room(im))
            return false;
        uint32_t changed = next_in(news->changed_uids, &news->changed_at, news->uid);
        uint32_t own = next_in(call->own.uids, &news->own_at, news->uid);
        bool is_own_wanted = call->own.is_wanted || call->own.is_modseq_wanted;
        uint32_t uid = is_own_wanted && own && (!changed || own < changed) ? own : changed;
        if (!uid)
            return true;
        write_flags_of(im, call, uid, next_in(call->own.uids, &news->own_at, uid) == uid);
        if (uid == UINT32_MAX)
            return true;
        news->uid = uid + 1;
    }
}

/*
 * The modseq up to which the client now knows all (RFC 7162 §3.2.7, §6). Where expunges are held back while modseqs of
 * flags behind them have been told, it is the old one (§3.2). In the tagged OK where there is room for it.
 */
static void tell_modseq(struct imap *im, struct imap_call *call, const struct imap_news *news)
{
    bool has_flags = news->changed_uids->count || call->own.is_wanted || call->own.is_modseq_wanted;
    bool is_held = news->is_held && has_flags && imap_has(im, IMAP_CONDSTORE);
    if (!is_held && !(imap_has(im, IMAP_QRESYNC) && news->diff.expunged_uids->count))
        return;
    uint64_t modseq = imap_known_modseq(im);
    if (!is_held && call->status == ST_OK && call->tag.len && !call->code.len)
        imap_set_code(call, "HIGHESTMODSEQ %" PRIu64, modseq);
    else
        imap_untagged(im, "OK [HIGHESTMODSEQ %" PRIu64 "] %s", modseq,
                      is_held ? "Expunges are held back" : "Up to here");
}

/* What has been told is what the client knows. */
static void keep(struct imap *im, struct imap_news *news)
{
    view_free(&im->told_flags);
    if (news->is_held) {
        im->told_flags = news->to;
    } else {
        view_free(&im->view);
        im->view = news->to;
    }
    news->to = NULL;
}

/* RFC 5465 §5.2: behind ADDTO. Who cannot be answered now is told by EXISTS all the same. */
static bool write_fetch(struct imap *im, struct imap_call *call, struct imap_news *news)
{
    struct err err;
    bool is_done = true;
    const struct fetch_args *wanted = imap_notify_fetch(im);
    enum status st = ST_OK;
    if (!news->fetch && wanted && news->diff.added_uids->count)
        st = fetch_job_begin(im, call, wanted, news->diff.added_uids, &news->fetch, &err);
    if (st == ST_OK && news->fetch)
        st = fetch_job_step(im, call, news->fetch, &is_done, &err);
    if (st == ST_OK)
        return is_done;
    struct log_line l;
    session_log_begin(im->session, &l, LOG_WARN, "notify-failed");
    log_err(&l, &err);
    log_end(&l);
    return true;
}

bool imap_news_write(struct imap *im, struct imap_call *call)
{
    struct imap_news *news = call->news;
    if (news->stage == NEWS_GONE) {
        imap_contexts_tell_gone(im, news->diff.expunged_uids);
        news->stage = NEWS_EXPUNGED;
    }
    if (news->stage == NEWS_EXPUNGED) {
        if (!(imap_has(im, IMAP_QRESYNC | IMAP_UIDONLY) ? write_vanished(im, news) : write_expunged(im, news)))
            return false;
        news->stage = NEWS_ARRIVED;
    }
    if (news->stage == NEWS_ARRIVED) {
        write_arrived(im, news);
        news->stage = NEWS_FLAGS;
    }
    if (news->stage == NEWS_FLAGS) {
        if (!write_flags(im, call, news))
            return false;
        news->stage = news->is_held ? NEWS_DONE : NEWS_CONTEXTS;
        keep(im, news);
        tell_modseq(im, call, news);
    }
    if (news->stage == NEWS_CONTEXTS) {
        if (!imap_contexts_tell_changed(im, call, &news->contexts))
            return false;
        news->stage = NEWS_FETCH;
    }
    if (news->stage == NEWS_FETCH) {
        if (!write_fetch(im, call, news))
            return false;
        news->stage = NEWS_DONE;
    }
    return true;
}
