/*
 * cmd_search.c - SEARCH and UID SEARCH (RFC 3501 §6.4.4, §6.4.8, RFC 9051 §6.4.4, RFC 4731, 5182, 5267, 9394).
 */
#include "imap/commands.h"
#include "imap/context.h"
#include "imap/search_filter.h"
#include "imap/search_run.h"
#include "base/banned.h"

enum {
    SEARCH_ALLOWED = SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT |
                     SEARCH_RETURN_SAVE | SEARCH_RETURN_PARTIAL | SEARCH_RETURN_UPDATE | SEARCH_RETURN_CONTEXT |
                     SEARCH_RETURN_RELEVANCY,
};

struct search_job {
    struct search_run run;
    struct search_reply reply;
    struct imap_context *context; /* for UPDATE; NULL where there is no such wish, or it is refused */
    const char *refused;
    bool is_found; /* the run is over, the reply is there */
};

static void release(struct imap_call *call)
{
    struct search_job *job = call->work;
    search_run_free(&job->run);
    imap_context_free(&job->context);
    strbuf_free(&job->reply.text);
}

static void answer(struct imap *im, struct imap_call *call, struct search_job *job)
{
    struct search_return *returns = &job->run.program.returns;
    struct search_hits hits = {job->run.found, job->run.count, job->run.scores};
    bool has_modseq = job->run.program.has_modseq;
    if (returns->what & SEARCH_RETURN_SAVE)
        search_save(&job->run.matcher.in, &call->arena, returns, hits);
    if (!returns->is_given && !imap_has(im, IMAP_REV2)) {
        search_write_numbers(&job->run.matcher.in, "SEARCH", call->is_uid, hits, has_modseq, &job->reply.text);
        return;
    }
    if (!returns->is_given)
        returns->what = SEARCH_RETURN_ALL;
    if (search_return_is_answered(returns))
        search_write_esearch(&job->run.matcher.in, call->tag, call->is_uid, returns, hits, has_modseq,
                             &job->reply.text);
    if (returns->what & SEARCH_RETURN_UPDATE)
        search_keep_context(im, call, &job->context, hits, job->refused, &job->reply.text);
}

static enum status search_produce(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct search_job *job = call->work;
    if (!job->is_found) {
        TRY(search_run_step(&job->run, &job->is_found, err));
        if (job->is_found)
            answer(im, call, job);
    }
    *is_done = job->is_found && search_reply_write(im, &job->reply);
    return ST_OK;
}

enum status cmd_search(struct imap *im, struct imap_call *call, struct err *err)
{
    struct search_job *job = arena_alloc(&call->arena, sizeof *job);
    struct search_args *program = &job->run.program;
    TRY(args_sp(&call->args, err));
    struct span text = call->args.rest;
    struct search_last last = search_last(im, &call->arena);
    enum status st = search_args_parse(&call->args, last, SEARCH_ALLOWED, program, err);
    search_explain(call, st, last.filters);
    if (st == ST_OK && (program->returns.what & SEARCH_RETURN_UPDATE)) {
        TRY(imap_context_check_tag(im, call->tag, err));
        job->context = imap_context_new(im, call, text, false, &job->refused);
        call->work = job;
        call->release = release;
    }
    /* RFC 5182 §2.1: a SAVE that ends with NO leaves nothing saved; one that ends with BAD leaves what was. */
    if ((program->returns.what & SEARCH_RETURN_SAVE) && st != ST_SYNTAX)
        imap_save_result(im, NULL);
    TRY(st);

    call->work = job;
    call->release = release;
    call->produce = search_produce;
    return search_run_begin(search_selected(im), call, &job->run, err);
}
