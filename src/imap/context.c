/*
 * context.c - see context.h: contexts are made, kept and cancelled.
 */
#include "imap/context.h"
#include <stdlib.h>
#include "base/mem.h"
#include "imap/search_run.h"
#include "base/banned.h"

static struct imap_context **find(struct imap *im, struct span tag)
{
    struct imap_context **at = &im->contexts;
    while (*at && !span_eq(span_cstr((*at)->tag), tag))
        at = &(*at)->next;
    return at;
}

enum status imap_context_check_tag(const struct imap *im, struct span tag, struct err *err)
{
    for (const struct imap_context *c = im->contexts; c; c = c->next)
        if (span_eq(span_cstr(c->tag), tag))
            return err_set(err, ST_SYNTAX, "this tag is that of a search that is being updated");
    return ST_OK;
}

void imap_context_free(struct imap_context **cp)
{
    struct imap_context *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    arena_free(&c->arena);
    free(c->ranges);
    free(c->tag);
    free(c->mailbox);
    free(c);
}

void imap_context_cancel(struct imap *im, struct span tag)
{
    struct imap_context **at = find(im, tag), *c = *at;
    if (!c)
        return;
    *at = c->next;
    imap_context_free(&c);
}

void imap_contexts_free(struct imap *im)
{
    while (im->contexts) {
        struct imap_context *c = im->contexts;
        im->contexts = c->next;
        imap_context_free(&c);
    }
}

void imap_context_write_refused(struct span tag, const char *why, struct strbuf *out)
{
    strbuf_addf(out, "* NO [NOUPDATE \"%.*s\"] %s\r\n", SPAN_ARG(tag), why);
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

/* An upper end of "*" is whatever comes: the messages that arrive belong to "UID 7:*" as well. */
static void open_end(struct arena *a, struct seqset *set, uint32_t last_uid)
{
    if (set->count && set->ranges[set->count - 1].last >= last_uid)
        seqset_add(a, set, set->ranges[set->count - 1].last, UINT32_MAX);
}

static struct seqset *copy_set(struct arena *a, const struct seqset *from)
{
    struct seqset *set = seqset_new(a);
    for (size_t i = 0; i < from->count; i++)
        seqset_add(a, set, from->ranges[i].first, from->ranges[i].last);
    return set;
}

/* RFC 5267 §4.3: message numbers are evaluated now. False: what the program finds changes with nothing but time. */
static bool settle(const struct imap *im, struct arena *a, struct search_key *k)
{
    for (; k; k = k->next) {
        if (k->kind == SEARCH_OLDER || k->kind == SEARCH_YOUNGER || !settle(im, a, k->child))
            return false;
        if (k->kind == SEARCH_SEQ)
            k->set = view_resolve(a, im->view, k->set, false);
        else if (k->kind == SEARCH_UID)
            k->set = copy_set(a, k->set); /* which may be the session's "$" */
        if (k->kind == SEARCH_UID && k->is_open)
            open_end(a, k->set, view_last_uid(im->view));
        if (k->kind == SEARCH_SEQ)
            k->kind = SEARCH_UID;
    }
    return true;
}

static enum status read_program(const struct imap *im, const struct imap_call *call, struct span text,
                                struct imap_context *c, struct err *err)
{
    struct imap_args args;
    struct search_last last = search_last(im, &c->arena);
    if (!last.uid)
        last.uid = UINT32_MAX; /* an empty mailbox: "1:*" is what will come */
    args_init(&args, &c->arena, arena_copy(&c->arena, text));
    args.saved = call->args.saved;
    args.is_utf8 = call->args.is_utf8;
    if (!c->is_sorted)
        return search_args_parse(&args, last, ~0U, &c->program, err);
    TRY(search_return_parse(&args, ~0U, &c->program.returns, err));
    TRY(sort_args_parse(&args, &c->sort, err));
    c->sort.comparator = im->comparator;
    TRY(args_sp(&args, err));
    return search_program_parse(&args, last, &c->program, err);
}

struct imap_context *imap_context_new(struct imap *im, const struct imap_call *call, struct span text, bool is_sorted,
                                      const char **refused)
{
    struct err err;
    struct imap_context *c = mem_alloc(sizeof *c);
    *refused = NULL;
    c->is_uid = call->is_uid;
    c->is_sorted = is_sorted;
    c->tag = mem_cstr(call->tag.p, call->tag.len);
    if (text.len > IMAP_CONTEXT_PROGRAM_BYTES_MAX || read_program(im, call, text, c, &err) != ST_OK)
        *refused = "The search is too large to be kept up to date";
    else if (!settle(im, &c->arena, c->program.root))
        *refused = "Searches for messages of some age are not kept up to date";
    else if (c->arena.total > IMAP_CONTEXT_PROGRAM_BYTES_MAX)
        *refused = "The search is too large to be kept up to date";
    else if (c->is_sorted && sort_has_relevancy(&c->sort))
        *refused = "The order of relevancy is not kept up to date";
    if (*refused)
        imap_context_free(&c);
    return c;
}

/* ---- the results ------------------------------------------------------------------------------------------------- */

bool imap_context_set_results(struct imap_context *c, const uint32_t *uids, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += !i || uids[i - 1] + 1 != uids[i];
    free(c->ranges);
    c->ranges = NULL;
    c->count = 0;
    if (n > IMAP_CONTEXT_RANGES_MAX)
        return false;
    c->ranges = mem_array(n, sizeof *c->ranges);
    for (size_t i = 0; i < count; i++)
        if (i && uids[i - 1] + 1 == uids[i])
            c->ranges[c->count - 1].last = uids[i];
        else
            c->ranges[c->count++] = (struct seqrange){uids[i], uids[i]};
    return true;
}

void imap_context_keep(struct imap *im, struct imap_context **cp, struct search_hits hits, const char **refused)
{
    size_t contexts = 0;
    struct imap_context *c = *cp;
    for (const struct imap_context *other = im->contexts; other; other = other->next)
        contexts++;
    uint32_t *uids = mem_array(hits.count, sizeof *uids);
    for (size_t i = 0; i < hits.count; i++)
        uids[i] = view_message(im->view, hits.seqs[i])->uid;
    if (contexts == IMAP_CONTEXTS_MAX)
        *refused = "Too many contexts";
    else if (!imap_context_set_results(c, uids, hits.count))
        *refused = "Too many results to be kept up to date";
    free(uids);
    if (*refused) {
        imap_context_free(cp);
        return;
    }
    c->modseq = view_modseq(im->view);
    c->uidnext = view_uidnext(im->view);
    c->next = im->contexts;
    im->contexts = c;
    *cp = NULL;
}

void search_keep_context(struct imap *im, const struct imap_call *call, struct imap_context **c,
                         struct search_hits hits, const char *refused, struct strbuf *out)
{
    if (!refused && call->limit.len) /* RFC 9738 */
        refused = "Not all messages were looked at";
    if (!refused)
        imap_context_keep(im, c, hits, &refused);
    if (refused)
        imap_context_write_refused(call->tag, refused, out);
}
