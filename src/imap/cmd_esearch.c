/*
 * cmd_esearch.c - ESEARCH: a search in several mailboxes, one after the other, without selecting them (RFC 7377).
 *
 * The program is read anew for each mailbox, since "*" is another number and a keyword another bit in each. "$" are
 * messages of the selected mailbox, so in others it is nothing.
 */
#include "base/mem.h"
#include "imap/commands.h"
#include "imap/context.h"
#include "imap/place.h"
#include "imap/search_filter.h"
#include "imap/search_index.h"
#include "imap/search_run.h"
#include "imap/search_source.h"
#include "base/banned.h"

enum {
    ESEARCH_ALLOWED = SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT |
                      SEARCH_RETURN_SAVE | SEARCH_RETURN_PARTIAL | SEARCH_RETURN_UPDATE | SEARCH_RETURN_CONTEXT |
                      SEARCH_RETURN_RELEVANCY,
};

struct esearch_job {
    struct search_sources sources;
    size_t next; /* the mailbox to be searched */
    bool is_searching;
    struct view *view; /* of the mailbox, where it is not the selected one */
    struct search_run run;
    struct arena arena; /* of the program for this mailbox */
    uint64_t before;    /* messages in the mailboxes that are done */
    struct search_index_memory index;
    struct search_reply reply;
    struct search_filters *filters;
    struct span text; /* the arguments behind the mailboxes */
    struct imap_context *context;
    const char *refused;
};

static void end_mailbox(struct esearch_job *job)
{
    if (job->is_searching)
        search_index_remember(&job->run.matcher, &job->index);
    search_run_free(&job->run);
    job->run = (struct search_run){0};
    view_free(&job->view);
    arena_free(&job->arena);
    job->is_searching = false;
}

static void release(struct imap_call *call)
{
    struct esearch_job *job = call->work;
    end_mailbox(job);
    search_index_memory_free(&job->index);
    search_sources_free(&job->sources);
    imap_context_free(&job->context);
    strbuf_free(&job->reply.text);
}

/* ---- one mailbox ------------------------------------------------------------------------------------------------- */

static enum status parse(const struct imap_call *call, struct span text, struct arena *a, const struct seqset *saved,
                         struct search_last last, struct search_args *out, struct err *err)
{
    struct imap_args args;
    args_init(&args, a, text);
    args.saved = saved;
    args.is_utf8 = call->args.is_utf8;
    return search_args_parse(&args, last, ESEARCH_ALLOWED, out, err);
}

static enum status begin_mailbox(struct imap *im, struct imap_call *call, struct esearch_job *job, struct err *err)
{
    const struct search_source *s = &job->sources.items[job->next];
    struct search_mailbox in = {
        .im = im,
        .owner = s->owner,
        .rights = s->rights,
        .is_selected = s->is_selected,
        .name = s->path,
        .uidvalidity = s->uidvalidity,
    };
    if (s->is_selected)
        TRY(imap_load_view(im, err));
    else
        TRY(view_get_for(s->owner, imap_reader(im, s->owner), s->id, &job->view, err));
    in.view = s->is_selected ? im->view : job->view;
    struct search_last last = {view_count(in.view), view_last_uid(in.view), job->filters, im->comparator};
    TRY(parse(call, job->text, &job->arena, s->is_selected ? call->args.saved : NULL, last, &job->run.program, err));
    job->run.arena = &job->arena;
    job->run.before = job->before;
    job->run.total = job->sources.messages;
    job->is_searching = true;
    TRY(search_run_begin(in, call, &job->run, err));
    search_index_recall(&job->run.matcher, &job->index);
    return ST_OK;
}

/* RFC 7377 §2.1: of a mailbox in which nothing is found nothing is told, whatever was asked for. */
static void answer(struct imap *im, struct imap_call *call, struct esearch_job *job)
{
    struct search_return *returns = &job->run.program.returns;
    const struct search_mailbox *in = &job->run.matcher.in;
    struct search_hits hits = {job->run.found, job->run.count, job->run.scores};
    if (!returns->is_given)
        returns->what = SEARCH_RETURN_ALL;
    if (returns->what & SEARCH_RETURN_SAVE)
        search_save(in, &call->arena, returns, hits);
    if (hits.count && search_return_is_answered(returns))
        search_write_esearch(in, call->tag, true, returns, hits, job->run.program.has_modseq, &job->reply.text);
    if (in->is_selected && job->context) {
        AUTO_STRBUF mailbox = STRBUF_INIT;
        search_write_mailbox(in, &mailbox);
        job->context->mailbox = mem_cstr(mailbox.p, mailbox.len);
        search_keep_context(im, call, &job->context, hits, job->refused, &job->reply.text);
    }
}

/* ---- all of them --------------------------------------------------------------------------------------------------
 */

static enum status search_some(struct imap *im, struct imap_call *call, struct esearch_job *job, struct err *err)
{
    bool is_found = false;
    enum status st = job->is_searching ? ST_OK : begin_mailbox(im, call, job, err);
    if (st == ST_OK)
        st = search_run_step(&job->run, &is_found, err);
    if (st == ST_OK && is_found)
        answer(im, call, job);
    if (st == ST_OK && !is_found)
        return ST_OK;
    job->before += job->sources.items[job->next++].messages;
    end_mailbox(job);
    return st == ST_NOTFOUND ? ST_OK : st; /* the mailbox is gone meanwhile */
}

/* UPDATE is for the selected mailbox (RFC 7377 §2.2): where that is not among those searched, there is none. */
static void end(struct imap_call *call, struct esearch_job *job)
{
    if (job->context && !job->refused)
        job->refused = "Only the selected mailbox is kept up to date";
    if (job->refused)
        imap_context_write_refused(call->tag, job->refused, &job->reply.text);
    imap_context_free(&job->context);
    job->refused = NULL;
}

static enum status esearch_produce(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct esearch_job *job = call->work;
    bool is_written = search_reply_write(im, &job->reply);
    if (is_written && job->next < job->sources.count) {
        strbuf_clear(&job->reply.text);
        job->reply.sent = 0;
        TRY(search_some(im, call, job, err));
        if (job->next == job->sources.count)
            end(call, job);
        is_written = search_reply_write(im, &job->reply);
    }
    *is_done = is_written && job->next == job->sources.count;
    return ST_OK;
}

/* ---- the command --------------------------------------------------------------------------------------------------
 */

/* ["IN" SP "(" source-mbox ")" SP]; without it the selected mailbox. No scope options are defined. */
static enum status read_sources(struct imap_call *call, struct notify_args *out, struct err *err)
{
    if (!args_take_word(&call->args, "IN")) {
        *out = (struct notify_args){.groups = arena_array(&call->arena, 1, sizeof *out->groups), .count = 1};
        out->groups[0].which = NOTIFY_SELECTED;
        return ST_OK;
    }
    TRY(args_sp(&call->args, err));
    TRY(args_list_open(&call->args, err));
    TRY(notify_sources_parse(&call->args, out, err));
    return args_sp(&call->args, err);
}

/* RFC 7377 §2.2 */
static enum status check_returns(struct imap *im, struct imap_call *call, const struct search_return *returns,
                                 const struct notify_args *wanted, struct err *err)
{
    if ((returns->what & SEARCH_RETURN_SAVE) && (wanted->count > 1 || wanted->groups[0].which != NOTIFY_SELECTED))
        return err_set(err, ST_SYNTAX, "SAVE is for a search in the selected mailbox alone");
    if (!(returns->what & SEARCH_RETURN_UPDATE))
        return ST_OK;
    if (im->state != IMAP_SELECTED)
        return err_set(err, ST_SYNTAX, "UPDATE is for the selected mailbox, and none is selected");
    return imap_context_check_tag(im, call->tag, err);
}

enum status cmd_esearch(struct imap *im, struct imap_call *call, struct err *err)
{
    struct esearch_job *job = arena_alloc(&call->arena, sizeof *job);
    struct notify_args wanted;
    struct search_args program;
    TRY(args_sp(&call->args, err));
    TRY(read_sources(call, &wanted, err));
    job->text = call->args.rest;
    job->filters = search_filters_new(im, &call->arena);
    struct search_last last = {0, 0, job->filters, im->comparator};
    enum status st = parse(call, job->text, &call->arena, call->args.saved, last, &program, err);
    search_explain(call, st, last.filters);
    if (st != ST_SYNTAX)
        TRY(check_returns(im, call, &program.returns, &wanted, err));
    call->work = job;
    call->release = release;
    if (st == ST_OK && (program.returns.what & SEARCH_RETURN_UPDATE)) {
        TRY(imap_load_view(im, err));
        job->context = imap_context_new(im, call, job->text, false, &job->refused);
    }
    if ((program.returns.what & SEARCH_RETURN_SAVE) && st != ST_SYNTAX) /* as SEARCH does (RFC 5182 §2.1) */
        imap_save_result(im, NULL);
    TRY(st);
    TRY(search_sources_find(im, call, &wanted, &job->sources, err));
    if (!job->sources.count)
        end(call, job);
    call->produce = esearch_produce;
    return ST_OK;
}
