/* SEARCH programs: the tree is bounded, and children never cost less than those before them, nor more than their
 * parent. */
#include "fuzz.h"
#include "text/imap_search_args.h"

static size_t check_tree(const struct search_key *k, size_t depth)
{
    size_t keys = 1;
    enum search_cost least = SEARCH_COST_VIEW;
    CHECK(depth <= SEARCH_DEPTH_MAX + 1);
    CHECK((k->kind == SEARCH_AND || k->kind == SEARCH_OR) == (k->child != NULL));
    CHECK((k->kind == SEARCH_SEQ || k->kind == SEARCH_UID) == (k->set != NULL));
    for (const struct search_key *c = k->child; c; c = c->next) {
        CHECK(c->cost >= least && c->cost <= k->cost);
        least = c->cost;
        keys += check_tree(c, depth + 1);
    }
    return keys;
}

/* Filters that are there, refer to others and to themselves, and are no programs. */
static enum status find(void *context, struct span name, struct span *value, struct err *err)
{
    static const char *const values[] = {"SEEN FLAGGED", "OR FILTER a FILTER c", "NOT (FROM x TEXT \"y\")", "FILTER d",
                                         "OR SEEN"};
    (void)context;
    if (name.len != 1 || name.p[0] < 'a' || name.p[0] >= 'a' + (int)(sizeof values / sizeof *values))
        return err_set(err, ST_NOTFOUND, "none");
    *value = span_cstr(values[name.p[0] - 'a']);
    return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    struct imap_args args;
    struct search_args s;
    struct err err;
    struct search_filters filters = {.find = find};
    args_init(&args, &a, span_of(data, size));
    if (search_args_parse(&args, (struct search_last){10, 1000, &filters, size % COMPARATORS}, ~0u, &s, &err) == ST_OK)
        CHECK(check_tree(s.root, 0) <= SEARCH_KEYS_MAX);
    return 0;
}
