/*
 * cmd_sort.c - SORT and THREAD with their UID forms (RFC 5256, 5957, and 5267's ESORT and CONTEXT=SORT): a search, then
 * what is found is read once more for what it is ordered by, in steps as the search's, then put in order.
 *
 * A message whose content another session has expunged meanwhile is left out (RFC 2180 §4.3).
 */
#include <stdlib.h>
#include "base/mem.h"
#include "imap/commands.h"
#include "imap/context.h"
#include "imap/search_filter.h"
#include "imap/search_run.h"
#include "imap/sort.h"
#include "base/banned.h"

enum {
    SORT_ALLOWED = SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT |
                   SEARCH_RETURN_SAVE | SEARCH_RETURN_PARTIAL | SEARCH_RETURN_UPDATE | SEARCH_RETURN_CONTEXT |
                   SEARCH_RETURN_RELEVANCY,
    SORT_STEP_MESSAGES = 2000, /* read in one transaction */
};

enum job_kind { JOB_SORT, JOB_BY_SUBJECT, JOB_BY_REFERENCES };

struct sort_entry {
    uint32_t seq;
    uint8_t score;
    struct sort_value *values;
};

struct sort_job {
    struct search_run run;
    struct search_reply reply;
    enum job_kind kind;
    struct sort_args args;
    struct imap_context *context; /* for UPDATE; NULL where there is no such wish, or it is refused */
    const char *refused;
    struct span text; /* the arguments */
    bool is_found, is_ordered;
    size_t next;  /* of what was found: to be read */
    size_t count; /* that have been read and are there */
    struct sort_entry *entries;
    struct thread_message *messages;
    struct arena arena;
};

static void release(struct imap_call *call)
{
    struct sort_job *job = call->work;
    search_run_free(&job->run);
    imap_context_free(&job->context);
    strbuf_free(&job->reply.text);
    arena_free(&job->arena);
    free(job->entries);
    free(job->messages);
}

/* ---- reading ------------------------------------------------------------------------------------------------------
 */

static enum status read_one(struct imap *im, struct imap_call *call, struct sort_job *job, struct txn *txn, size_t at,
                            struct err *err)
{
    uint32_t seq = job->run.found[at];
    const struct view_message *m = imap_told_message(im, seq);
    if (job->kind == JOB_SORT) {
        struct sort_entry *e = &job->entries[job->count];
        e->seq = seq;
        e->score = job->run.scores ? job->run.scores[at] : 0;
        e->values = arena_array(&job->arena, job->args.count, sizeof *e->values);
        return sort_values(txn, m, &job->args, e->score, &job->arena, e->values, err);
    }
    struct thread_message *t = &job->messages[job->count];
    t->number = call->is_uid ? m->uid : seq;
    return thread_read(txn, m, job->kind == JOB_BY_REFERENCES, im->comparator, &job->arena, t, err);
}

static enum status read_some(struct imap *im, struct imap_call *call, struct sort_job *job, struct err *err)
{
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_READ, &txn, err));
    for (size_t n = 0; n < SORT_STEP_MESSAGES && job->next < job->run.count; n++) {
        enum status st = read_one(im, call, job, txn, job->next++, err);
        if (st == ST_OK)
            job->count++;
        else if (st != ST_NOTFOUND)
            return st;
    }
    return ST_OK;
}

/* ---- order --------------------------------------------------------------------------------------------------------
 */

static int compare_entries(const void *a, const void *b, void *args)
{
    const struct sort_entry *x = a, *y = b;
    int c = sort_compare(args, x->values, y->values);
    if (c)
        return c;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static void answer_sort(struct imap *im, struct imap_call *call, struct sort_job *job)
{
    const struct search_return *returns = &job->run.program.returns;
    bool has_modseq = job->run.program.has_modseq;
    if (job->count > 1)
        qsort_r(job->entries, job->count, sizeof *job->entries, compare_entries, &job->args);
    for (size_t i = 0; i < job->count; i++)
        job->run.found[i] = job->entries[i].seq;
    for (size_t i = 0; job->run.scores && i < job->count; i++)
        job->run.scores[i] = job->entries[i].score;
    struct search_hits hits = {job->run.found, job->count, job->run.scores};
    if (returns->what & SEARCH_RETURN_SAVE)
        search_save(&job->run.matcher.in, &call->arena, returns, hits);
    if (!returns->is_given)
        search_write_numbers(&job->run.matcher.in, "SORT", call->is_uid, hits, has_modseq, &job->reply.text);
    else if (search_return_is_answered(returns))
        search_write_esearch(&job->run.matcher.in, call->tag, call->is_uid, returns, hits, has_modseq,
                             &job->reply.text);
    if (returns->what & SEARCH_RETURN_UPDATE)
        search_keep_context(im, call, &job->context, hits, job->refused, &job->reply.text);
}

static void answer_thread(struct sort_job *job)
{
    struct strbuf *out = &job->reply.text;
    strbuf_add_cstr(out, job->count ? "* THREAD " : "* THREAD");
    if (job->kind == JOB_BY_SUBJECT)
        thread_by_subject(&job->arena, job->messages, job->count, out);
    else
        thread_by_references(&job->arena, job->messages, job->count, out);
    strbuf_add_cstr(out, "\r\n");
}

static void make_room(struct sort_job *job)
{
    if (job->kind == JOB_SORT)
        job->entries = mem_array(job->run.count + 1, sizeof *job->entries);
    else
        job->messages = mem_array(job->run.count + 1, sizeof *job->messages);
}

static enum status sort_produce(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct sort_job *job = call->work;
    if (!job->is_found) {
        TRY(search_run_step(&job->run, &job->is_found, err));
        if (job->is_found)
            make_room(job);
    } else if (job->next < job->run.count) {
        TRY(read_some(im, call, job, err));
    }
    if (job->is_found && !job->is_ordered && job->next == job->run.count) {
        job->is_ordered = true;
        if (job->kind == JOB_SORT)
            answer_sort(im, call, job);
        else
            answer_thread(job);
    }
    *is_done = job->is_ordered && search_reply_write(im, &job->reply);
    return ST_OK;
}

/* ---- commands ------------------------------------------------------------------------------------------------------
 */

static enum status begin(struct imap *im, struct imap_call *call, struct sort_job *job, struct err *err)
{
    struct search_args *program = &job->run.program;
    TRY(args_sp(&call->args, err));
    struct search_last last = search_last(im, &call->arena);
    enum status st = search_program_parse(&call->args, last, program, err);
    search_explain(call, st, last.filters);
    if (st == ST_OK && (program->returns.what & SEARCH_RETURN_UPDATE)) {
        TRY(imap_context_check_tag(im, call->tag, err));
        job->context = imap_context_new(im, call, job->text, true, &job->refused);
        call->work = job;
        call->release = release;
    }
    if ((program->returns.what & SEARCH_RETURN_SAVE) && st != ST_SYNTAX)
        imap_save_result(im, NULL);
    TRY(st);
    if (sort_has_relevancy(&job->args) && !program->has_fuzzy) /* RFC 6203 §6 */
        return err_set(err, ST_SYNTAX, "RELEVANCY is of searches that are FUZZY");
    call->work = job;
    call->release = release;
    call->produce = sort_produce;
    return search_run_begin(search_selected(im), call, &job->run, err);
}

enum status cmd_sort(struct imap *im, struct imap_call *call, struct err *err)
{
    struct sort_job *job = arena_alloc(&call->arena, sizeof *job);
    TRY(args_sp(&call->args, err));
    job->text = call->args.rest;
    TRY(search_return_parse(&call->args, SORT_ALLOWED, &job->run.program.returns, err));
    TRY(sort_args_parse(&call->args, &job->args, err));
    job->args.comparator = im->comparator;
    return begin(im, call, job, err);
}

enum status cmd_thread(struct imap *im, struct imap_call *call, struct err *err)
{
    struct sort_job *job = arena_alloc(&call->arena, sizeof *job);
    TRY(args_sp(&call->args, err));
    if (args_take_word(&call->args, "ORDEREDSUBJECT"))
        job->kind = JOB_BY_SUBJECT;
    else if (args_take_word(&call->args, "REFERENCES"))
        job->kind = JOB_BY_REFERENCES;
    else
        return args_expected(&call->args, "ORDEREDSUBJECT or REFERENCES", err);
    return begin(im, call, job, err);
}
