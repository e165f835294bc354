/*
 * search_filter.c - see search_filter.h.
 */
#include "imap/search_filter.h"
#include "imap/search_run.h"
#include "store/metadata.h"
#include "base/banned.h"

static const struct span values = SPAN_INIT("/filters/values/");

/* What has been read stays for the command: a program that is read once more, for the next mailbox, is the same. */
struct known {
    struct known *next;
    struct span name, value;
};

struct session_filters {
    struct search_filters filters;
    const struct imap *im;
    struct arena *arena;
    struct known *known;
};

/* The entry's name has small letters (RFC 5464 §3.2: they are compared without case). */
static enum status read_value(const struct imap *im, struct arena *a, struct span name, struct span *value,
                              struct err *err)
{
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

static enum status find(void *context, struct span name, struct span *value, struct err *err)
{
    struct session_filters *f = context;
    struct known *k = f->known;
    while (k && !span_ieq(k->name, name))
        k = k->next;
    if (!k) {
        TRY(read_value(f->im, f->arena, name, value, err));
        k = arena_alloc(f->arena, sizeof *k);
        *k = (struct known){f->known, arena_copy(f->arena, name), *value};
        f->known = k;
    }
    *value = k->value;
    return ST_OK;
}

struct search_filters *search_filters_new(const struct imap *im, struct arena *a)
{
    struct session_filters *f = arena_alloc(a, sizeof *f);
    *f = (struct session_filters){.filters = {.find = find, .context = f}, .im = im, .arena = a};
    return &f->filters;
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
static enum status any(void *context, struct span name, struct span *value, struct err *err)
{
    (void)context, (void)name, (void)err;
    *value = SPAN("ALL");
    return ST_OK;
}

enum status search_filter_check(struct span path, struct span value, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct imap_args args;
    struct search_args program;
    struct search_filters filters = {.find = any};
    if (!span_starts(path, values))
        return ST_OK;
    args_init(&args, &a, value);
    args.is_utf8 = true;
    if (search_criteria_parse(&args, (struct search_last){1, 1, &filters, COMPARATOR_UNICODE_CASEMAP}, &program, err) ==
        ST_OK)
        return ST_OK;
    return err_set(err, ST_DENIED, "the value of a filter is a search program (RFC 5466)");
}
