/*
 * context_update.c - what has come into the results of the session's contexts and what has left them (RFC 5267 §4.3).
 *
 * Where a new result of a sorted context belongs is found by bisection; the values of the results are read from their
 * messages then, and not kept.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "imap/context.h"
#include "imap/fetch.h"
#include "imap/search.h"
#include "imap/sort.h"
#include "base/banned.h"

enum {
    UPDATE_STEP_MESSAGES = 500, /* that are looked at in one transaction */
};

struct candidate {
    uint32_t seq; /* of im->view */
    uint32_t uid;
    bool was, is; /* a result */
};

struct context_update {
    struct imap_context *context; /* that is being looked at */
    struct search_matcher matcher;
    struct candidate *candidates; /* messages that are new or have changed, ascending */
    size_t count, next;
    struct fetch_job *fetch; /* of new results */
    bool is_begun, is_fetched;
};

void imap_context_update_free(struct context_update **up)
{
    if (!*up)
        return;
    search_matcher_free(&(*up)->matcher);
    fetch_job_release((*up)->fetch);
    free((*up)->candidates);
    free(*up);
    *up = NULL;
}

/* ---- what has changed ----------------------------------------------------------------------------------------------
 */

static struct candidate *candidate_at_or_after(struct context_update *u, uint32_t uid)
{
    size_t low = 0, high = u->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (u->candidates[middle].uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return u->candidates + low;
}

static void collect(const struct imap *im, struct context_update *u)
{
    const struct imap_context *c = u->context;
    size_t cap = 0;
    for (uint32_t seq = 1; (seq = view_seq_changed(im->view, seq, c->modseq)) <= view_count(im->view); seq++) {
        if (u->count == cap) {
            cap = cap ? 2 * cap : 16;
            u->candidates = mem_resize(u->candidates, cap * sizeof *u->candidates);
        }
        u->candidates[u->count++] = (struct candidate){.seq = seq, .uid = view_message(im->view, seq)->uid};
    }
    for (size_t i = 0; i < c->count && u->count; i++)
        for (struct candidate *k = candidate_at_or_after(u, c->ranges[i].first);
             k < u->candidates + u->count && k->uid <= c->ranges[i].last; k++)
            k->was = true;
}

static enum status begin_context(struct imap *im, struct imap_call *call, struct context_update *u, struct err *err)
{
    struct search_matcher *m = &u->matcher;
    const struct search_args *program = &u->context->program;
    collect(im, u);
    m->in = search_selected(im);
    m->program_arena = &call->arena;
    m->root = program->root;
    m->comparator = program->comparator;
    m->now = clock_wall_ms() / 1000;
    m->forms_wanted = program->root->cost == SEARCH_COST_BODY ? CONTENT_PARTS : 0;
    u->is_begun = true;
    if (program->has_object_ids && u->count)
        TRY(account_object_name(im->owner, &m->object_name, err));
    return ST_OK;
}

/* A message that has been expunged meanwhile stays what it was until its expunge is told. */
static enum status look_at(struct context_update *u, struct candidate *k, struct err *err)
{
    enum status st = search_match(&u->matcher, u->context->program.root, k->seq, &k->is, err);
    if (st != ST_NOTFOUND)
        return st;
    k->is = k->was;
    return ST_OK;
}

static enum status look_at_some(struct imap *im, struct context_update *u, struct err *err)
{
    AUTO(txn) txn = NULL;
    const struct search_args *program = &u->context->program;
    if (u->next == u->count)
        return ST_OK;
    if (program->root->cost != SEARCH_COST_VIEW || program->has_keywords)
        TRY(imap_begin(im, TXN_READ, &txn, err));
    if (program->has_keywords) /* a keyword may have become one since */
        TRY(search_prepare(txn, program->root, err));
    u->matcher.txn = txn;
    for (size_t n = 0; n < UPDATE_STEP_MESSAGES && u->next < u->count; n++)
        TRY(look_at(u, &u->candidates[u->next++], err));
    u->matcher.txn = NULL;
    session_got_on(im->session);
    return ST_OK;
}

/* RFC 5465 §7: of results that have just arrived, ahead of ADDTO. */
static enum status tell_new(struct imap *im, struct imap_call *call, struct context_update *u, struct err *err)
{
    const struct fetch_args *what = u->context->program.returns.update;
    struct seqset *uids = seqset_new(&call->arena);
    u->is_fetched = true;
    if (!what)
        return ST_OK;
    for (size_t i = 0; !u->fetch && i < u->count; i++)
        if (u->candidates[i].is && u->candidates[i].uid >= u->context->uidnext)
            seqset_add(&call->arena, uids, u->candidates[i].uid, u->candidates[i].uid);
    if (!u->fetch && !uids->count)
        return ST_OK;
    if (!u->fetch)
        TRY(fetch_job_begin(im, call, what, uids, &u->fetch, err));
    return fetch_job_step(im, call, u->fetch, &u->is_fetched, err);
}

/* ---- additions
 * ------------------------------------------------------------------------------------------------------- */

struct placing {
    struct imap *im;
    const struct imap_context *context;
    struct txn *txn;
    struct arena arena;
};

static enum status values_of(struct placing *p, struct arena *a, uint32_t uid, struct sort_value **out, struct err *err)
{
    const struct view *v = p->im->view;
    *out = arena_array(a, p->context->sort.count, sizeof **out);
    return sort_values(p->txn, view_message(v, view_seq_of(v, uid)), &p->context->sort, 0, a, *out, err);
}

/* Where the message of this uid belongs among `count` results: in front of the first that comes behind it. */
static enum status place_of(struct placing *p, const uint32_t *uids, size_t count, uint32_t uid, size_t *at,
                            struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct sort_value *mine, *other;
    size_t low = 0, high = count;
    TRY(values_of(p, &a, uid, &mine, err));
    while (low < high) {
        AUTO_ARENA scratch = ARENA_INIT;
        size_t middle = low + (high - low) / 2;
        TRY(values_of(p, &scratch, uids[middle], &other, err));
        int c = sort_compare(&p->context->sort, mine, other);
        if (c < 0 || (c == 0 && uid < uids[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    *at = low;
    return ST_OK;
}

static void insert(uint32_t *uids, bool *marks, size_t count, size_t at, uint32_t uid)
{
    memmove(uids + at + 1, uids + at, (count - at) * sizeof *uids);
    memmove(marks + at + 1, marks + at, (count - at) * sizeof *marks);
    uids[at] = uid;
    marks[at] = true;
}

/* Puts the new results in. `uids` and `marks` have room for them; what is put in is marked. */
static enum status put_in(struct imap *im, const struct context_update *u, uint32_t *uids, bool *marks, size_t *count,
                          struct err *err)
{
    AUTO(txn) txn = NULL;
    const struct imap_context *c = u->context;
    struct placing p = {.im = im, .context = c};
    if (c->is_sorted && !sort_is_view_enough(&c->sort))
        TRY(imap_begin(im, TXN_READ, &txn, err));
    p.txn = txn;
    size_t at = 0;
    for (const struct candidate *k = u->candidates; k < u->candidates + u->count; k++) {
        if (k->was || !k->is)
            continue;
        if (c->is_sorted)
            TRY(place_of(&p, uids, *count, k->uid, &at, err));
        else
            while (at < *count && uids[at] < k->uid)
                at++;
        insert(uids, marks, (*count)++, at, k->uid);
    }
    return ST_OK;
}

/* ---- one context after the other -----------------------------------------------------------------------------------
 */

struct counts {
    size_t removed, added;
};

static struct counts count_changes(const struct context_update *u)
{
    struct counts n = {0};
    for (size_t i = 0; i < u->count; i++) {
        n.removed += u->candidates[i].was && !u->candidates[i].is;
        n.added += !u->candidates[i].was && u->candidates[i].is;
    }
    return n;
}

static void mark_left(struct context_update *u, const uint32_t *uids, bool *marks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct candidate *k = candidate_at_or_after(u, uids[i]);
        marks[i] = k < u->candidates + u->count && k->uid == uids[i] && !k->is;
    }
}

/* Makes the new results and what is to be told of them, then keeps and tells both: or neither, where reading fails. */
static enum status apply(struct imap *im, struct context_update *u, struct counts n, struct strbuf *text, bool *is_kept,
                         struct err *err)
{
    struct imap_context *c = u->context;
    size_t count, left = 0;
    uint32_t *old = imap_context_results(c, &count), *uids = mem_array(count + n.added, sizeof *uids);
    bool *marks = mem_array(count + n.added, sizeof *marks);
    enum status st = ST_OK;
    mark_left(u, old, marks, count);
    if (n.removed)
        imap_context_tell(im, c, true, old, marks, count, text);
    for (size_t i = 0; i < count; i++)
        if (!marks[i])
            uids[left++] = old[i];
    memset(marks, 0, count * sizeof *marks);
    if (n.added)
        st = put_in(im, u, uids, marks, &left, err);
    if (st == ST_OK && n.added)
        imap_context_tell(im, c, false, uids, marks, left, text);
    if (st == ST_OK)
        *is_kept = imap_context_set_results(c, uids, left);
    free(old);
    free(uids);
    free(marks);
    return st;
}

static enum status finish_context(struct imap *im, struct context_update *u, struct err *err)
{
    AUTO_STRBUF text = STRBUF_INIT;
    struct imap_context *c = u->context;
    struct counts n = count_changes(u);
    bool is_kept = !(c->is_sorted && n.added > IMAP_CONTEXT_SORTED_AT_ONCE);
    if (is_kept && (n.removed || n.added))
        TRY(apply(im, u, n, &text, &is_kept, err));
    c->modseq = view_modseq(im->view);
    c->uidnext = view_uidnext(im->view);
    if (is_kept)
        strbuf_add(imap_out(im), strbuf_span(&text));
    else
        imap_context_give_up(im, c);
    return ST_OK;
}

/* The context stays as the client knows it, and looks again with the next news. */
static void put_off(struct imap *im, const struct err *err)
{
    struct log_line l;
    session_log_begin(im->session, &l, LOG_WARN, "context-not-updated");
    log_err(&l, err);
    log_end(&l);
    im->has_news = true;
}

static enum status step(struct imap *im, struct imap_call *call, struct context_update *u, bool *is_done,
                        struct err *err)
{
    *is_done = false;
    if (!u->is_begun)
        TRY(begin_context(im, call, u, err));
    TRY(look_at_some(im, u, err));
    if (u->next < u->count)
        return ST_OK;
    if (!u->is_fetched)
        TRY(tell_new(im, call, u, err));
    if (!u->is_fetched)
        return ST_OK;
    *is_done = true;
    return call->next == NEXT_CLOSE ? ST_OK : finish_context(im, u, err); /* a literal was cut off */
}

bool imap_contexts_tell_changed(struct imap *im, struct imap_call *call, struct context_update **up)
{
    if (!*up) {
        *up = mem_alloc(sizeof **up);
        (*up)->context = im->contexts;
    }
    while ((*up)->context) {
        struct err err;
        bool is_done;
        struct imap_context *next = (*up)->context->next; /* the context may be given up */
        if (imap_out(im)->len >= SESSION_OUT_HIGH)
            return false;
        if (call->next == NEXT_CLOSE)
            return true;
        enum status st = step(im, call, *up, &is_done, &err);
        if (st != ST_OK)
            put_off(im, &err);
        else if (!is_done)
            return false;
        imap_context_update_free(up);
        *up = mem_alloc(sizeof **up);
        (*up)->context = next;
    }
    return true;
}
