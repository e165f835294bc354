/*
 * cmd_comparator.c - COMPARATOR: how SEARCH, SORT and THREAD compare texts in this session (RFC 5255 §4.7, §4.8).
 */
#include "imap/commands.h"
#include "base/banned.h"

enum { COMPARATOR_ARGUMENTS_MAX = 100 };

/* The second argument, all that were matched, only where these are several. */
static void tell(struct imap *im, const bool *matched)
{
    struct strbuf *out = imap_out(im);
    unsigned count = 0;
    strbuf_addf(out, "* COMPARATOR %s", comparator_name(im->comparator));
    for (unsigned c = 0; c < COMPARATORS; c++)
        count += matched[c];
    for (unsigned c = 0, n = 0; count > 1 && c < COMPARATORS; c++)
        if (matched[c])
            strbuf_addf(out, "%s%s", n++ ? " " : " (", comparator_name((enum comparator)c));
    strbuf_add_cstr(out, count > 1 ? ")\r\n" : "\r\n");
}

/* Of an argument that matches several the first of ours; of several arguments the first that matches. */
static void match(struct span order, bool *matched, enum comparator *chosen, bool *is_chosen)
{
    for (unsigned c = 0; c < COMPARATORS; c++) {
        if (!comparator_is_meant((enum comparator)c, order))
            continue;
        matched[c] = true;
        if (!*is_chosen)
            *chosen = (enum comparator)c;
        *is_chosen = true;
    }
}

enum status cmd_comparator(struct imap *im, struct imap_call *call, struct err *err)
{
    bool matched[COMPARATORS] = {false}, is_chosen = false;
    enum comparator chosen = im->comparator;
    size_t count = 0;
    for (; !args_at_end(&call->args); count++) {
        struct span order;
        TRY(args_sp(&call->args, err));
        TRY(args_astring(&call->args, &order, err));
        if (!comparator_order_is_valid(order) || count == COMPARATOR_ARGUMENTS_MAX)
            return err_set(err, ST_SYNTAX, "this is not a comparator's name or pattern (RFC 4790)");
        match(order, matched, &chosen, &is_chosen);
    }
    if (count && !is_chosen) {
        call->no_code = "BADCOMPARATOR";
        return err_set(err, ST_UNSUPPORTED, "there is no such comparator");
    }
    im->comparator = chosen;
    tell(im, matched);
    return ST_OK;
}
