/*
 * imap_sort_args.h - the sort criteria of SORT (RFC 5256 §3, RFC 5957): "(SUBJECT REVERSE DATE)". Pure; one thread.
 */
#pragma once
#include "text/comparator.h"
#include "text/imap_lexer.h"

enum sort_by {
    SORT_ARRIVAL,
    SORT_CC,
    SORT_DATE,
    SORT_DISPLAYFROM,
    SORT_DISPLAYTO,
    SORT_FROM,
    SORT_RELEVANCY, /* RFC 6203 §6; only beside FUZZY */
    SORT_SIZE,
    SORT_SUBJECT,
    SORT_TO,
};
enum { SORT_KEYS_MAX = 16 };

struct sort_key {
    enum sort_by by;
    bool is_reverse;
};
struct sort_args {
    struct sort_key keys[SORT_KEYS_MAX];
    size_t count;               /* >= 1 */
    enum comparator comparator; /* for texts; not read here */
};
bool sort_has_relevancy(const struct sort_args *args);
enum status sort_args_parse(struct imap_args *args, struct sort_args *out, struct err *err);
