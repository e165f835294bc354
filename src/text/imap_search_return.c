/*
 * imap_search_return.c - see imap_search_return.h.
 */
#include "text/imap_search_return.h"
#include "text/imap_fetch_args.h"
#include "base/banned.h"

static const struct {
    const char *name;
    unsigned option;
} options[] = {
    {"MIN", SEARCH_RETURN_MIN},       {"MAX", SEARCH_RETURN_MAX},         {"ALL", SEARCH_RETURN_ALL},
    {"COUNT", SEARCH_RETURN_COUNT},   {"SAVE", SEARCH_RETURN_SAVE},       {"PARTIAL", SEARCH_RETURN_PARTIAL},
    {"UPDATE", SEARCH_RETURN_UPDATE}, {"CONTEXT", SEARCH_RETURN_CONTEXT}, {"RELEVANCY", SEARCH_RETURN_RELEVANCY},
};

/* nz-number, or "-" nz-number, the same of both ends (RFC 9394 §4, partial-range). */
static enum status range_end(struct imap_args *args, bool is_negative, uint32_t *out, struct err *err)
{
    if (is_negative)
        TRY(args_char(args, '-', err));
    return args_nz_number(args, out, err);
}

enum status search_partial_parse(struct imap_args *args, struct search_return *out, struct err *err)
{
    TRY(args_sp(args, err));
    const char *start = args->rest.p;
    out->is_from_end = args_next_is(args, '-');
    TRY(range_end(args, out->is_from_end, &out->first, err));
    TRY(args_char(args, ':', err));
    TRY(range_end(args, out->is_from_end, &out->last, err));
    out->partial = span_of(start, (size_t)(args->rest.p - start));
    if (out->first > out->last) {
        uint32_t first = out->first;
        out->first = out->last;
        out->last = first;
    }
    return ST_OK;
}

/* "UPDATE (UID FLAGS)" (RFC 5465 §7) */
static enum status update_items(struct imap_args *args, struct search_return *out, struct err *err)
{
    if (!span_starts(args->rest, SPAN(" (")))
        return ST_OK;
    out->update = arena_alloc(args->arena, sizeof *out->update);
    TRY(args_sp(args, err));
    return fetch_args_parse(args, out->update, err);
}

static enum status option(struct imap_args *args, unsigned allowed, struct search_return *out, struct err *err)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        unsigned bit = options[i].option;
        if (!(bit & allowed) || !args_take_word(args, options[i].name))
            continue;
        if (out->what & bit)
            return err_set(err, ST_SYNTAX, "%s is there twice", options[i].name);
        out->what |= bit;
        if (bit == SEARCH_RETURN_UPDATE)
            return update_items(args, out, err);
        return bit == SEARCH_RETURN_PARTIAL ? search_partial_parse(args, out, err) : ST_OK;
    }
    return args_expected(args, "a return option", err);
}

enum status search_return_parse(struct imap_args *args, unsigned allowed, struct search_return *out, struct err *err)
{
    *out = (struct search_return){.is_given = args_take_word(args, "RETURN")};
    if (!out->is_given)
        return ST_OK;
    TRY(args_sp(args, err));
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            break;
        TRY(option(args, allowed, out, err));
    }
    if ((out->what & SEARCH_RETURN_PARTIAL) && (out->what & SEARCH_RETURN_ALL))
        return err_set(err, ST_SYNTAX, "ALL and PARTIAL exclude each other");
    if (!out->what)
        out->what = SEARCH_RETURN_ALL;
    return args_sp(args, err);
}

void search_return_range(const struct search_return *r, size_t total, size_t *from, size_t *to)
{
    size_t first = r->first - 1, end = r->last < total ? r->last : total;
    if (first > total)
        first = total;
    *from = r->is_from_end ? total - end : first;
    *to = r->is_from_end ? total - first : end;
    if (*from > *to)
        *from = *to;
}
