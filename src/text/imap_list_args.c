/*
 * imap_list_args.c - see imap_list_args.h.
 */
#include "text/imap_list_args.h"
#include "base/banned.h"

static const struct {
    const char *name;
    unsigned option;
    unsigned implied; /* return options */
} selections[] = {
    {"SUBSCRIBED", LIST_SELECT_SUBSCRIBED, LIST_RETURN_SUBSCRIBED},
    {"REMOTE", LIST_SELECT_REMOTE, 0},
    {"RECURSIVEMATCH", LIST_SELECT_RECURSIVEMATCH, 0},
    {"SPECIAL-USE", LIST_SELECT_SPECIAL_USE, LIST_RETURN_SPECIAL_USE},
};

static enum status status_value(struct imap_args *args, struct list_args *out, struct err *err);
static enum status metadata_value(struct imap_args *args, struct list_args *out, struct err *err);

static const struct {
    const char *name;
    unsigned option;
    enum status (*value)(struct imap_args *args, struct list_args *out, struct err *err); /* NULL: it has none */
} returns[] = {
    {"SUBSCRIBED", LIST_RETURN_SUBSCRIBED, NULL},   {"CHILDREN", LIST_RETURN_CHILDREN, NULL},
    {"SPECIAL-USE", LIST_RETURN_SPECIAL_USE, NULL}, {"STATUS", LIST_RETURN_STATUS, status_value},
    {"MYRIGHTS", LIST_RETURN_MYRIGHTS, NULL},       {"METADATA", LIST_RETURN_METADATA, metadata_value},
};

const char *list_select_name(unsigned select)
{
    for (size_t i = 0; i < sizeof selections / sizeof *selections; i++)
        if (select & selections[i].option)
            return selections[i].name;
    return NULL;
}

/* ---- selection options ---------------------------------------------------------------------------------------- */

static enum status selection(struct imap_args *args, struct list_args *out, struct err *err)
{
    for (size_t i = 0; i < sizeof selections / sizeof *selections; i++)
        if (args_take_word(args, selections[i].name)) {
            out->select |= selections[i].option;
            out->returns |= selections[i].implied;
            return ST_OK;
        }
    return args_expected(args, "a selection option", err);
}

static enum status read_selections(struct imap_args *args, struct list_args *out, struct err *err)
{
    out->is_extended = true;
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            break;
        TRY(selection(args, out, err));
    }
    /* RFC 5258 §3.1: there must be something for the children to match. */
    if ((out->select & LIST_SELECT_RECURSIVEMATCH) && !(out->select & LIST_SELECT_CRITERIA))
        return err_set(err, ST_SYNTAX, "RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE beside it");
    return args_sp(args, err);
}

/* ---- patterns --------------------------------------------------------------------------------------------------- */

/* RFC 5258 §3: in an extended LIST an empty pattern matches nothing. One that is longer than any name matches none. */
static enum status pattern(struct imap_args *args, struct span reference, struct list_args *out, struct err *err)
{
    struct span text = SPAN_NONE;
    struct imap_pattern *compiled;
    TRY(args_list_mailbox(args, &text, err));
    if (out->pattern_count == LIST_PATTERNS_MAX)
        return err_set(err, ST_LIMIT, "a LIST has at most %d patterns", LIST_PATTERNS_MAX);
    out->is_root = text.len == 0;
    if (!text.len)
        return ST_OK;
    struct span canonical = arena_printf(args->arena, "%.*s%.*s", SPAN_ARG(reference), SPAN_ARG(text));
    enum status st = imap_pattern_compile(args->arena, canonical, &compiled, err);
    if (st == ST_OK)
        out->patterns[out->pattern_count++] = compiled;
    return st == ST_LIMIT ? ST_OK : st;
}

static enum status read_patterns(struct imap_args *args, struct span reference, struct list_args *out, struct err *err)
{
    out->patterns = arena_array(args->arena, LIST_PATTERNS_MAX, sizeof(struct imap_pattern *));
    if (!args_next_is(args, '('))
        return pattern(args, reference, out, err);
    out->is_extended = true;
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return n ? ST_OK : err_set(err, ST_SYNTAX, "expected a mailbox name or pattern");
        TRY(pattern(args, reference, out, err));
    }
}

/* ---- return options --------------------------------------------------------------------------------------------- */

static enum status status_value(struct imap_args *args, struct list_args *out, struct err *err)
{
    TRY(args_sp(args, err));
    struct span start = args->rest, word;
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            break;
        if (n == LIST_OPTION_WORDS_MAX)
            return err_set(err, ST_LIMIT, "a return option has at most %d words", LIST_OPTION_WORDS_MAX);
        TRY(args_atom(args, &word, err));
    }
    out->status_items = span_take(start, start.len - args->rest.len);
    return ST_OK;
}

static enum status metadata_value(struct imap_args *args, struct list_args *out, struct err *err)
{
    TRY(args_sp(args, err));
    return metadata_entries_parse(args, &out->metadata, err);
}

static enum status return_option(struct imap_args *args, struct list_args *out, struct err *err)
{
    for (size_t i = 0; i < sizeof returns / sizeof *returns; i++)
        if (args_take_word(args, returns[i].name)) {
            out->returns |= returns[i].option;
            return returns[i].value ? returns[i].value(args, out, err) : ST_OK;
        }
    return args_expected(args, "a return option", err);
}

static enum status read_returns(struct imap_args *args, struct list_args *out, struct err *err)
{
    if (args_at_end(args))
        return ST_OK;
    out->is_extended = true;
    TRY(args_sp(args, err));
    if (!args_take_word(args, "RETURN"))
        return args_expected(args, "RETURN", err);
    TRY(args_sp(args, err));
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return ST_OK;
        TRY(return_option(args, out, err));
    }
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

enum status list_args_parse(struct imap_args *args, struct list_args *out, struct err *err)
{
    struct span reference;
    *out = (struct list_args){0};
    TRY(args_sp(args, err));
    if (args_next_is(args, '('))
        TRY(read_selections(args, out, err));
    TRY(args_mailbox(args, &reference, err));
    TRY(args_sp(args, err));
    TRY(read_patterns(args, reference, out, err));
    TRY(read_returns(args, out, err));
    TRY(args_end(args, err));
    out->is_root = out->is_root && !out->is_extended;
    return ST_OK;
}

bool list_args_match(const struct list_args *l, struct span name)
{
    for (size_t i = 0; i < l->pattern_count; i++)
        if (imap_pattern_match(l->patterns[i], name))
            return true;
    return false;
}

bool list_args_may_match_below(const struct list_args *l, struct span beginning)
{
    for (size_t i = 0; i < l->pattern_count; i++)
        if (imap_pattern_may_match_below(l->patterns[i], beginning))
            return true;
    return false;
}
