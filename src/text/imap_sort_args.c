/*
 * imap_sort_args.c - see imap_sort_args.h.
 */
#include "text/imap_sort_args.h"
#include "base/banned.h"

static const struct {
    const char *name;
    enum sort_by by;
} names[] = {
    {"ARRIVAL", SORT_ARRIVAL},     {"CC", SORT_CC},
    {"DATE", SORT_DATE},           {"DISPLAYFROM", SORT_DISPLAYFROM},
    {"DISPLAYTO", SORT_DISPLAYTO}, {"FROM", SORT_FROM},
    {"RELEVANCY", SORT_RELEVANCY}, {"SIZE", SORT_SIZE},
    {"SUBJECT", SORT_SUBJECT},     {"TO", SORT_TO},
};

bool sort_has_relevancy(const struct sort_args *args)
{
    for (size_t i = 0; i < args->count; i++)
        if (args->keys[i].by == SORT_RELEVANCY)
            return true;
    return false;
}

static enum status sort_key(struct imap_args *args, struct sort_key *out, struct err *err)
{
    out->is_reverse = args_take_word(args, "REVERSE");
    if (out->is_reverse)
        TRY(args_sp(args, err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (args_take_word(args, names[i].name)) {
            out->by = names[i].by;
            return ST_OK;
        }
    return args_expected(args, "a sort criterion", err);
}

enum status sort_args_parse(struct imap_args *args, struct sort_args *out, struct err *err)
{
    TRY(args_list_open(args, err));
    out->count = 0;
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            break;
        if (out->count == SORT_KEYS_MAX)
            return err_set(err, ST_LIMIT, "more than %d sort criteria", (int)SORT_KEYS_MAX);
        TRY(sort_key(args, &out->keys[out->count++], err));
    }
    return out->count ? ST_OK : args_expected(args, "a sort criterion", err);
}
