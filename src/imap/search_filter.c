/*
 * search_filter.c - see search_filter.h.
 */
#include "imap/search_filter.h"
#include "imap/search_run.h"
#include "store/metadata.h"
#include "base/banned.h"

static const struct span values = SPAN_INIT("/filters/values/");

/* The entry's name has small letters (RFC 5464 §3.2: they are compared without case). */
static enum status find(const void *context, struct arena *a, struct span name, struct span *value, struct err *err)
{
    const struct imap *im = context;
    bool has;
    AUTO_STRBUF path = STRBUF_INIT;
    AUTO(txn) txn = NULL;
    strbuf_add(&path, values);
    for (size_t i = 0; i < name.len; i++)
        strbuf_add_char(&path, ascii_lower(name.p[i]));
    const struct metadata_key key = {.is_private = true, .path = strbuf_span(&path)};
    TRY(store_begin(im->account, TXN_READ, &txn, err));
    TRY(metadata_get(txn, &key, a, &has, value, err));
    return has ? ST_OK : err_set(err, ST_NOTFOUND, "there is no such filter");
}

struct search_filters *search_filters_new(const struct imap *im, struct arena *a)
{
    struct search_filters *f = arena_alloc(a, sizeof *f);
    *f = (struct search_filters){.find = find, .context = im};
    return f;
}

void search_explain(struct imap_call *call, enum status st, const struct search_filters *filters)
{
    if (st == ST_UNSUPPORTED || filters->is_charset_refused)
        call->no_code = search_bad_charset;
    else if (filters->undefined.len)
        call->no_code =
            arena_cstr(&call->arena, arena_printf(&call->arena, "UNDEFINED-FILTER %.*s", SPAN_ARG(filters->undefined)));
}

/* Filters within it may come later, so that they are looked for when it is used. */
static enum status any(const void *context, struct arena *a, struct span name, struct span *value, struct err *err)
{
    (void)context, (void)a, (void)name, (void)err;
    *value = SPAN("ALL");
    return ST_OK;
}

enum status search_filter_check(const struct imap *im, struct span path, struct span value, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct imap_args args;
    struct search_args program;
    struct search_filters filters = {.find = any, .context = im};
    if (!span_starts(path, values))
        return ST_OK;
    args_init(&args, &a, value);
    args.is_utf8 = true;
    if (search_criteria_parse(&args, (struct search_last){1, 1, &filters, COMPARATOR_UNICODE_CASEMAP}, &program, err) ==
        ST_OK)
        return ST_OK;
    return err_set(err, ST_DENIED, "the value of a filter is a search program (RFC 5466)");
}
