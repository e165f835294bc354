/*
 * imap_list_args.h - the arguments of LIST (RFC 5258 §6, RFC 9051 §9 "list"):
 *
 *     LIST (SUBSCRIBED RECURSIVEMATCH) "" ("INBOX" "work/%") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))
 *
 * Options of later RFCs have a row in the tables of the .c file. An option that is not known is ST_SYNTAX (RFC 5258
 * §3); one that is there twice counts once. Pure; one thread.
 */
#pragma once
#include "text/imap_lexer.h"
#include "text/imap_metadata_args.h"
#include "text/imap_pattern.h"

enum {
    LIST_PATTERNS_MAX = 100,    /* in one command */
    LIST_OPTION_WORDS_MAX = 64, /* in the value of a return option */
};

enum list_select { /* bits */
                   LIST_SELECT_SUBSCRIBED = 1,
                   LIST_SELECT_REMOTE = 2, /* nothing here is remote: it changes nothing */
                   LIST_SELECT_RECURSIVEMATCH = 4,
                   LIST_SELECT_SPECIAL_USE = 8, /* RFC 6154 */
};
/* Those that a name can meet or not. */
#define LIST_SELECT_CRITERIA (unsigned)(LIST_SELECT_SUBSCRIBED | LIST_SELECT_SPECIAL_USE)

enum list_return { /* bits */
                   LIST_RETURN_SUBSCRIBED = 1,
                   LIST_RETURN_CHILDREN = 2,
                   LIST_RETURN_SPECIAL_USE = 4,
                   LIST_RETURN_STATUS = 8,    /* RFC 5819 */
                   LIST_RETURN_MYRIGHTS = 16, /* RFC 8440 */
                   LIST_RETURN_METADATA = 32, /* RFC 9590 */
};

struct list_args {
    bool is_extended;               /* in one of the three ways of RFC 5258 §1; else as in RFC 3501 */
    bool is_root;                   /* LIST "" "": what separates levels is asked for, not a list */
    unsigned select;                /* enum list_select */
    unsigned returns;               /* enum list_return; with those that selection options imply */
    struct imap_pattern **patterns; /* each with the reference in front; in the arena */
    size_t pattern_count;
    struct span status_items;         /* of RETURN (STATUS (…)), with its parentheses, not looked at yet */
    struct metadata_entries metadata; /* of RETURN (METADATA (…)) */
};

/* From the space behind LIST to the command's end. */
enum status list_args_parse(struct imap_args *args, struct list_args *out, struct err *err);
/* Whether one of the patterns matches the name, or could match one that begins so. */
bool list_args_match(const struct list_args *l, struct span name);
bool list_args_may_match_below(const struct list_args *l, struct span beginning);
/* What a selection option is called: of the lowest bit in `select`. */
const char *list_select_name(unsigned select);
