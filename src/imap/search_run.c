/*
 * search_run.c - see search_run.h.
 */
#include "imap/search_run.h"
#include "imap/message_set.h"
#include "imap/search_filter.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/banned.h"

enum {
    SEARCH_STEP_MESSAGES = 500,     /* that are read */
    SEARCH_STEP_KEYS = 1000 * 1000, /* that are asked of the view */
    INDEX_WANTED = 64,              /* messages that the index should have known: it is asked to be made */
    SEARCH_STEP_BYTES = 8 * 1024 * 1024,
};

/* RFC 3501 §6.4.4: the charsets named are some of those that are known; clients try UTF-8 next. */
const char search_bad_charset[] = "BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252)";

struct search_last search_last(const struct imap *im, struct arena *a)
{
    return (struct search_last){view_count(im->view), view_last_uid(im->view), search_filters_new(im, a),
                                im->comparator};
}

void search_run_free(struct search_run *run)
{
    search_matcher_free(&run->matcher);
    free(run->found);
    free(run->scores);
    run->found = NULL;
    run->scores = NULL;
    run->count = run->cap = 0;
}

static void add_found(struct search_run *run, uint32_t seq)
{
    if (run->count == run->cap) {
        run->cap = run->cap ? 2 * run->cap : 64;
        run->found = mem_resize(run->found, run->cap * sizeof *run->found);
        if (run->program.has_fuzzy)
            run->scores = mem_resize(run->scores, run->cap);
    }
    if (run->scores)
        run->scores[run->count] = (uint8_t)(run->matcher.score ? run->matcher.score : 100); /* nothing but exact keys */
    run->found[run->count++] = seq;
}

static enum status look_keywords_up(struct search_run *run, struct err *err)
{
    AUTO(txn) txn = NULL;
    if (!run->program.has_keywords)
        return ST_OK;
    TRY(search_begin(&run->matcher.in, &txn, err));
    return search_prepare(txn, run->program.root, err);
}

/* The first message to be looked at: with a limit on messages per command, the last ones of those that the program's
 * outermost keys name (RFC 9738 §3.1, "the total number of searched messages"). */
static uint32_t first_message(const struct search_mailbox *in, struct imap_call *call, const struct search_key *root)
{
    struct imap *im = in->im;
    struct seqset *uids = seqset_new(&call->arena);
    if (!imap_mail_app(im)->messages_per_command)
        return 1;
    seqset_add(&call->arena, uids, 1, UINT32_MAX);
    for (const struct search_key *k = root->child; k; k = k->next)
        if ((k->kind == SEARCH_UID || k->kind == SEARCH_SEQ) && !k->is_negated)
            uids = seqset_both(&call->arena, uids, view_resolve(&call->arena, in->view, k->set, k->kind == SEARCH_UID));
    uids = imap_limit_messages(im, call, view_resolve(&call->arena, in->view, uids, true));
    return uids->count ? view_seq_at_or_after(in->view, uids->ranges[0].first) : 1;
}

enum status search_run_begin(struct search_mailbox in, struct imap_call *call, struct search_run *run, struct err *err)
{
    struct imap *im = in.im;
    if (run->program.has_numbers && imap_has(im, IMAP_UIDONLY)) {
        call->no_code = "UIDREQUIRED";
        return err_set(err, ST_STATE, "UIDONLY is enabled, message numbers are not known");
    }
    call->holds_expunge = run->program.has_numbers; /* UID forms, too (RFC 7162 §3.2.10.2, RFC 9051 §7.5.1) */
    if (run->program.has_modseq)
        imap_enable(im, IMAP_CONDSTORE);
    run->matcher.in = in;
    if (run->program.has_object_ids)
        TRY(account_object_name(in.owner, &run->matcher.object_name, err));
    run->matcher.program_arena = run->arena ? run->arena : &call->arena;
    run->matcher.root = run->program.root;
    run->matcher.comparator = run->program.comparator;
    run->matcher.is_scored = run->program.has_fuzzy;
    run->matcher.now = clock_wall_ms() / 1000;
    run->matcher.forms_wanted = run->program.root->cost == SEARCH_COST_BODY ? CONTENT_PARTS : 0;
    run->next = first_message(&in, call, run->program.root);
    run->call = call;
    run->is_view_enough = run->program.root->cost == SEARCH_COST_VIEW;
    return look_keywords_up(run, err);
}

/* A message that another session has expunged matches nothing (RFC 2180 §4.3). */
static enum status look_at(struct search_run *run, uint32_t seq, struct err *err)
{
    bool is_match;
    enum status st = search_match(&run->matcher, run->program.root, seq, &is_match, err);
    if (st == ST_NOTFOUND)
        return ST_OK;
    if (st == ST_OK && is_match)
        add_found(run, seq);
    return st;
}

static bool has_time(const struct search_matcher *m)
{
    return m->messages_read < SEARCH_STEP_MESSAGES && m->source.bytes_read < SEARCH_STEP_BYTES;
}

enum status search_run_step(struct search_run *run, bool *is_done, struct err *err)
{
    AUTO(txn) txn = NULL;
    const struct search_mailbox *in = &run->matcher.in;
    uint32_t last = view_count(in->view), most = (uint32_t)(SEARCH_STEP_KEYS / run->program.keys);
    *is_done = run->next > last;
    if (*is_done)
        return ST_OK;
    if (last - run->next >= most)
        last = run->next + most - 1;
    if (!run->is_view_enough)
        TRY(search_begin(in, &txn, err));
    run->matcher.txn = txn;
    run->matcher.messages_read = 0;
    run->matcher.source.bytes_read = 0;
    for (; run->next <= last && has_time(&run->matcher); run->next++)
        TRY(look_at(run, run->next, err));
    run->matcher.txn = NULL;
    *is_done = run->next > view_count(in->view);
    run->call->progress = (uint32_t)run->before + run->next - 1;
    run->call->goal = *is_done     ? 0
                      : run->total ? (uint32_t)run->total
                                   : view_count(in->view); /* what is written from then on are the answers */
    if (*is_done && run->matcher.unknown > INDEX_WANTED)
        index_want(in->owner);
    return ST_OK;
}
