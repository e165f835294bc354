/*
 * dispatch.c - one command from its bytes to its tagged response:
 *
 *   begin (copy, tag, name) -> run (state checked, the command's function) -> produce* -> news of the mailbox -> tagged
 * response
 *
 * Everything between run and the tagged response may take several turns, one each time the output has drained. Nothing
 * else of the session runs meanwhile.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "imap/commands.h"
#include "imap/internal.h"
#include "imap/metadata.h"
#include "imap/notify.h"
#include "base/banned.h"

/* ---- making a call -------------------------------------------------------------------------------------------- */

static struct imap_call *call_new(struct imap *im)
{
    struct imap_call *call = mem_alloc(sizeof *call);
    call->next = NEXT_AGAIN;
    im->call = call;
    return call;
}

void imap_call_free(struct imap_call **cp)
{
    struct imap_call *call = *cp;
    *cp = NULL;
    if (!call)
        return;
    if (call->release)
        call->release(call);
    imap_news_free(&call->news);
    arena_free(&call->arena);
    free(call);
}

enum status imap_command_name(struct imap_args *args, struct span *name, struct err *err)
{
    const char *start = args->rest.p;
    TRY(args_atom(args, name, err));
    if (span_ieq(*name, SPAN("UID"))) {
        TRY(args_sp(args, err));
        TRY(args_atom(args, name, err));
        *name = span_of(start, (size_t)(name->p + name->len - start));
    }
    return ST_OK;
}

enum status imap_call_begin(struct imap *im, struct span bytes, struct err *err)
{
    struct imap_call *call = call_new(im);
    struct span tag, name;
    args_init(&call->args, &call->arena, arena_copy(&call->arena, bytes));
    call->args.saved = im->saved;
    call->args.is_utf8 = imap_has(im, IMAP_UTF8);
    TRY(args_tag(&call->args, &tag, err));
    if (tag.len > HANDOVER_TAG_MAX)
        return err_set(err, ST_SYNTAX, "the tag is too long");
    call->tag = tag;
    TRY(args_sp(&call->args, err));
    TRY(imap_command_name(&call->args, &name, err));
    call->command = imap_command_find(name);
    if (!call->command)
        return err_set(err, ST_SYNTAX, "unknown command");
    call->is_uid = call->command->flags & IMAP_IS_UID;
    return ST_OK;
}

void imap_call_resume(struct imap *im, struct span tag, const char *name)
{
    struct imap_call *call = call_new(im);
    call->tag = arena_copy(&call->arena, tag);
    call->command = name ? imap_command_find(span_cstr(name)) : NULL;
    call->is_answered = !name;
}

/* ---- running it ----------------------------------------------------------------------------------------------- */

static enum status check_state(const struct imap *im, const struct imap_command *c, struct err *err)
{
    if (c->states & im->state)
        return ST_OK;
    if (im->state == IMAP_NOT_AUTHENTICATED)
        return err_set(err, ST_STATE, "log in first");
    if (c->states == IMAP_NOT_AUTHENTICATED)
        return err_set(err, ST_STATE, "already logged in");
    return err_set(err, ST_STATE, "select a mailbox first");
}

static enum status run(struct imap *im, struct imap_call *call, struct err *err)
{
    const struct imap_command *c = call->command;
    TRY(check_state(im, c, err));
    if ((c->flags & IMAP_HAS_NUMBERS) && imap_has(im, IMAP_UIDONLY)) {
        call->no_code = "UIDREQUIRED";
        return err_set(err, ST_STATE, "UIDONLY is enabled, use the UID form");
    }
    if ((c->flags & IMAP_NEEDS_WRITE) && im->is_read_only)
        return err_set(err, ST_DENIED, "the mailbox is open for reading only");
    if (!(c->states & ~(unsigned)IMAP_SELECTED) && c->run != cmd_unselect && c->run != cmd_close)
        TRY(imap_refresh_rights(im, call, err));
    if (c->flags & IMAP_NEEDS_VIEW)
        TRY(imap_load_view(im, err));
    return c->run(im, call, err);
}

static void log_failure(const struct imap *im, const struct imap_call *call)
{
    enum status st = call->status;
    if (st != ST_IO && st != ST_BUG && st != ST_TEMPORARY && st != ST_CLOSED)
        return;
    struct log_line l;
    session_log_begin(im->session, &l, st == ST_TEMPORARY ? LOG_WARN : LOG_ERROR, "command-failed");
    log_str(&l, "command", call->command ? call->command->name : NULL);
    if (im->account)
        log_span(&l, "account", account_address(im->account));
    log_err(&l, &call->failure);
    log_end(&l);
}

void imap_call_answer(struct imap *im, struct imap_call **call)
{
    imap_tagged(im, *call, (*call)->status, &(*call)->failure);
    log_failure(im, *call);
    imap_call_free(call);
}

/* The tagged response, and what follows for the session. */
static enum next end(struct imap *im)
{
    struct imap_call *call = im->call;
    if (!call->is_answered)
        imap_tagged(im, call, call->status, &call->failure);
    log_failure(im, call);
    if (call->status == ST_OK)
        im->bad_in_a_row = 0;
    else if (call->status == ST_SYNTAX || call->status == ST_STATE)
        im->bad_in_a_row++;
    if (im->bad_in_a_row >= IMAP_BAD_MAX)
        call->bye = "Too many commands that make no sense";
    enum next next = call->next;
    if (call->bye) {
        imap_untagged(im, "BYE %s", call->bye);
        next = NEXT_CLOSE;
    }
    imap_call_free(&im->call);
    return next;
}

/* A mailbox that was deleted by another session ends this one (RFC 2180 §3.4). Other failures only put the news off. */
static void begin_news(struct imap *im, struct imap_call *call)
{
    struct err err;
    if (im->has_news && !call->no_code && imap_refresh_rights(im, call, &err) != ST_OK) {
        call->bye = "You may not read the selected mailbox any more";
        return;
    }
    enum status st = imap_news_begin(im, call, &err);
    if (st == ST_OK)
        return;
    if (st == ST_NOTFOUND)
        call->bye = "The selected mailbox was deleted";
    struct log_line l;
    session_log_begin(im->session, &l, st == ST_NOTFOUND ? LOG_INFO : LOG_ERROR, "news-failed");
    log_err(&l, &err);
    log_end(&l);
}

/* RFC 9585: who waits long is told now and then that it goes on. A tag needs no escaping in a quoted string. */
static void tell_progress(struct imap *im, struct imap_call *call)
{
    int64_t now = clock_mono_ms();
    if (call->progress_at_ms && now >= call->progress_at_ms && call->goal)
        imap_untagged(im, "OK [INPROGRESS (\"%.*s\" %u %u)] Still at it", SPAN_ARG(call->tag), call->progress,
                      call->goal);
    if (!call->progress_at_ms || now >= call->progress_at_ms)
        call->progress_at_ms = now + IMAP_PROGRESS_MS;
}

/* RFC 9738 §3.1: in the tagged OK, or ahead of a response that has another code. */
static void tell_limit(struct imap *im, struct imap_call *call)
{
    if (!call->limit.len)
        return;
    if (call->status == ST_OK && !call->code.len) {
        call->code = call->limit;
        call->text = "Done for the last messages only";
    } else {
        imap_untagged(im, "NO [%.*s] Done for the last messages only", SPAN_ARG(call->limit));
    }
}

static enum next go_on(struct imap *im)
{
    struct imap_call *call = im->call;
    if (call->produce) {
        bool is_done = false;
        uint32_t before = call->progress;
        enum status st = call->produce(im, call, &is_done, &call->failure);
        if (st == ST_OK && !is_done) {
            if (call->progress != before)
                session_got_on(im->session);
            tell_progress(im, call);
            return NEXT_PRODUCE;
        }
        call->produce = NULL;
        return imap_call_finish(im, st, &call->failure);
    }
    if (call->news && !imap_news_write(im, call))
        return NEXT_PRODUCE;
    if (call->next != NEXT_CLOSE && !imap_notify_write(im, call))
        return NEXT_PRODUCE;
    return end(im);
}

enum next imap_call_finish(struct imap *im, enum status st, const struct err *err)
{
    struct imap_call *call = im->call;
    imap_append_flush(im); /* what came first is answered first */
    call->status = st;
    if (st != ST_OK && err != &call->failure)
        call->failure = *err;
    tell_limit(im, call);
    if (call->next == NEXT_AGAIN) {
        imap_notify_begin(im, call);
        imap_metadata_tell(im);
        begin_news(im, call);
    }
    return go_on(im);
}

enum next imap_call_run(struct imap *im)
{
    struct imap_call *call = im->call;
    enum status st = run(im, call, &call->failure);
    if (st == ST_OK && call->produce)
        return go_on(im);
    call->produce = NULL;
    return imap_call_finish(im, st, &call->failure);
}

enum status imap_call_prepare(struct imap *im, struct err *err)
{
    return run(im, im->call, err);
}

enum next imap_produce(struct session *s)
{
    struct imap *im = session_state(s);
    return im->call ? go_on(im) : NEXT_INPUT;
}
