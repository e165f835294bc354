/*
 * cmd_search.c - SEARCH and UID SEARCH (RFC 3501 §6.4.4, §6.4.8).
 *
 * The program is evaluated message by message over the client's view. What the view alone can answer is answered in one
 * go; where messages must be read, a batch is bounded in messages and octets and has its own transaction, so that a
 * long search neither holds a snapshot of the account for long nor keeps a worker from others.
 */
#include <inttypes.h>
#include "imap/commands.h"
#include "imap/search.h"
#include "base/banned.h"

enum {
    SEARCH_BATCH_MESSAGES = 500,     /* that are read */
    SEARCH_BATCH_KEYS = 1000 * 1000, /* that are asked of the view */
    SEARCH_BATCH_BYTES = 8 * 1024 * 1024,
};

/* RFC 3501 §6.4.4: the charsets named are some of those that are known; clients try UTF-8 next. */
static const char bad_charset[] = "BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252)";

struct search_job {
    struct search_args program;
    struct search_matcher matcher;
    uint32_t seq; /* the next to be looked at */
    bool is_view_enough;
    struct strbuf found; /* " 2 3 5" */
    size_t sent;         /* of it */
    bool is_announced;   /* "* SEARCH" has been written */
    uint64_t modseq;     /* the greatest of those found */
};

static void release(struct imap_call *call)
{
    struct search_job *job = call->work;
    search_matcher_free(&job->matcher);
    strbuf_free(&job->found);
}

static void add_found(const struct imap_call *call, struct search_job *job, uint32_t seq)
{
    strbuf_add_char(&job->found, ' ');
    strbuf_add_u64(&job->found, call->is_uid ? job->matcher.message->uid : seq);
    if (job->matcher.message->modseq > job->modseq)
        job->modseq = job->matcher.message->modseq;
}

/* A message that another session has expunged matches nothing (RFC 2180 §4.3). */
static enum status look_at(struct imap_call *call, struct search_job *job, struct err *err)
{
    bool is_match;
    enum status st = search_match(&job->matcher, job->program.root, job->seq, &is_match, err);
    if (st == ST_NOTFOUND)
        return ST_OK;
    if (st == ST_OK && is_match)
        add_found(call, job, job->seq);
    return st;
}

/* How many messages a batch looks at. */
static uint32_t batch_of(const struct search_job *job)
{
    if (!job->is_view_enough)
        return SEARCH_BATCH_MESSAGES;
    return (uint32_t)(SEARCH_BATCH_KEYS / job->program.keys);
}

static enum status search_batch(struct imap *im, struct imap_call *call, struct search_job *job, struct err *err)
{
    AUTO(txn) txn = NULL;
    uint32_t last = view_count(im->view), batch = batch_of(job);
    if (last - job->seq >= batch)
        last = job->seq + batch - 1;
    if (!job->is_view_enough)
        TRY(imap_begin(im, TXN_READ, &txn, err));
    job->matcher.txn = txn;
    job->matcher.bytes_read = 0;
    for (; job->seq <= last && job->matcher.bytes_read < SEARCH_BATCH_BYTES; job->seq++)
        TRY(look_at(call, job, err));
    job->matcher.txn = NULL;
    return ST_OK;
}

static bool write_found(struct imap *im, struct search_job *job)
{
    struct strbuf *out = imap_out(im);
    if (!job->is_announced)
        strbuf_add_cstr(out, "* SEARCH");
    job->is_announced = true;
    struct span piece = span_take(span_skip(strbuf_span(&job->found), job->sent), SESSION_OUT_HIGH);
    strbuf_add(out, piece);
    job->sent += piece.len;
    if (job->sent < job->found.len)
        return false;
    if (job->program.has_modseq && job->modseq) /* RFC 7162 §3.1.6 */
        strbuf_addf(out, " (MODSEQ %" PRIu64 ")", job->modseq);
    strbuf_add_cstr(out, "\r\n");
    return true;
}

static enum status search_produce(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct search_job *job = call->work;
    if (job->seq <= view_count(im->view))
        TRY(search_batch(im, call, job, err));
    *is_done = job->seq > view_count(im->view) && write_found(im, job);
    return ST_OK;
}

static enum status look_keywords_up(struct imap *im, struct search_job *job, struct err *err)
{
    AUTO(txn) txn = NULL;
    if (!job->program.has_keywords)
        return ST_OK;
    TRY(imap_begin(im, TXN_READ, &txn, err));
    return search_prepare(txn, job->program.root, err);
}

enum status cmd_search(struct imap *im, struct imap_call *call, struct err *err)
{
    struct search_job *job = arena_alloc(&call->arena, sizeof *job);
    struct search_last last = {view_count(im->view), view_last_uid(im->view)};
    TRY(args_sp(&call->args, err));
    enum status st = search_args_parse(&call->args, last, &job->program, err);
    if (st == ST_UNSUPPORTED)
        call->no_code = bad_charset;
    TRY(st);

    if (job->program.has_numbers && imap_has(im, IMAP_UIDONLY)) {
        call->no_code = "UIDREQUIRED";
        return err_set(err, ST_STATE, "UIDONLY is enabled, message numbers are not known");
    }
    call->holds_expunge = job->program.has_numbers; /* UID SEARCH, too (RFC 7162 §3.2.10.2, RFC 9051 §7.5.1) */
    if (job->program.has_modseq)
        imap_enable(im, IMAP_CONDSTORE);
    job->matcher.im = im;
    job->matcher.forms_wanted = job->program.root->cost == SEARCH_COST_BODY ? CONTENT_PARTS : 0;
    job->seq = 1;
    job->is_view_enough = job->program.root->cost == SEARCH_COST_VIEW;
    call->work = job;
    call->release = release;
    call->produce = search_produce;
    return look_keywords_up(im, job, err);
}
