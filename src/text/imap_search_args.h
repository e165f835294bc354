/*
 * imap_search_args.h - a SEARCH program (RFC 3501 §6.4.4), as a bounded tree of keys.
 *
 * Whoever evaluates the tree gets it ready: texts are already UTF-8 and folded (text_fold), names of headers as sent,
 * NOT stands as a bit of the key it negates, and of several keys the one that costs least comes first. Lives in the
 * arena of the arguments; spans may point into the command. Pure; one thread.
 */
#pragma once
#include "text/comparator.h"
#include "text/imap_lexer.h"
#include "text/imap_search_return.h"

enum {
    SEARCH_KEYS_MAX = 5000, /* of one command */
    SEARCH_TEXTS_MAX = 200, /* of these, keys that look for a text */
    SEARCH_FUZZY_MAX = 20,  /* of these, with FUZZY before them or around them */
    SEARCH_DEPTH_MAX = 200  /* parentheses, OR and NOT in each other */
};

enum search_kind {
    SEARCH_ALL,
    SEARCH_AND,
    SEARCH_OR,
    SEARCH_SEQ,     /* set: sequence numbers */
    SEARCH_UID,     /* set: uids */
    SEARCH_FLAGS,   /* number: IMAP_FLAG_ bits, all of which are set */
    SEARCH_KEYWORD, /* name */
    SEARCH_RECENT,
    SEARCH_LARGER, /* number */
    SEARCH_SMALLER,
    SEARCH_BEFORE, /* day, of the internal date */
    SEARCH_ON,
    SEARCH_SINCE,
    SEARCH_MODSEQ,      /* number: it or more (RFC 7162 §3.1.5) */
    SEARCH_SAVEDBEFORE, /* day, of coming into this mailbox (RFC 8514) */
    SEARCH_SAVEDON,
    SEARCH_SAVEDSINCE,
    SEARCH_EMAILID, /* text (RFC 8474 §6) */
    SEARCH_OLDER,   /* number of seconds before now, of the internal date (RFC 5032) */
    SEARCH_YOUNGER,
    SEARCH_SENTBEFORE, /* day, of the Date field */
    SEARCH_SENTON,
    SEARCH_SENTSINCE,
    SEARCH_THREADID, /* text */
    SEARCH_HEADER,   /* name, text */
    SEARCH_BODY,     /* text, in the bodies of the parts */
    SEARCH_TEXT      /* text, in header or bodies */
};

enum search_cost { SEARCH_COST_VIEW, SEARCH_COST_HEADER, SEARCH_COST_BODY }; /* what has to be read to know */

struct search_key {
    enum search_kind kind;
    bool is_negated;
    bool is_open;  /* of SEARCH_UID: the set had a "*" in it */
    bool is_fuzzy; /* FUZZY stands before it or around it (RFC 6203); of keys with a text */
    enum search_cost cost;
    struct span name;
    struct span text;   /* folded (text_fold) */
    struct span needle; /* the same as the program's comparator has it */
    uint64_t number;
    int64_t day;
    struct seqset *set;
    size_t question;          /* for who evaluates; 0 as read */
    struct search_key *child; /* of AND and OR: the first; cheapest first */
    struct search_key *next;
};

struct search_args {
    struct search_return returns;
    struct search_key *root;
    size_t keys;         /* in the tree */
    bool has_keywords;   /* KEYWORD or UNKEYWORD is among the keys */
    bool has_numbers;    /* sequence numbers are among the keys */
    bool has_modseq;     /* MODSEQ is: the answer has the greatest modseq of what is found */
    bool has_object_ids; /* EMAILID or THREADID is */
    bool has_fuzzy;      /* FUZZY is */
    enum comparator comparator;
};

/* Named programs, which the key FILTER stands for (RFC 5466 §3.1). Begin with find and context set, else zeroes. */
enum {
    SEARCH_FILTERS_DEEP = 10, /* filters in each other */
    SEARCH_FILTERS_MAX = 100, /* uses in one command */
};
struct search_filters {
    /* The program of this name, which stays as long as what is read; ST_NOTFOUND. */
    enum status (*find)(void *context, struct span name, struct span *value, struct err *err);
    void *context;
    struct span undefined;   /* the filter for which reading has failed with ST_NOTFOUND, in the arena */
    bool is_charset_refused; /* FILTER stands beside a CHARSET that is not UTF-8: ST_SYNTAX */
};

/* What "*" stands for in a set of sequence numbers and in one of uids, and where filters are found (NULL: there are
 * none). */
struct search_last {
    uint32_t seq, uid;
    struct search_filters *filters;
    enum comparator comparator; /* for texts (RFC 5255) */
};

/* Reads "[RETURN (…) SP] [CHARSET astring SP] key *(SP key)" to the end of the arguments; `allowed` are the return
 * options. "$" is args->saved. ST_NOTFOUND: a filter is not there, or is no program, or has itself in it.
 * ST_UNSUPPORTED: the charset is not known; out->returns is read even then. */
enum status search_args_parse(struct imap_args *args, struct search_last last, unsigned allowed,
                              struct search_args *out, struct err *err);
/* Only "key *(SP key)", what a filter may be; UTF-8. */
enum status search_criteria_parse(struct imap_args *args, struct search_last last, struct search_args *out,
                                  struct err *err);
/* Only "charset SP key *(SP key)", as SORT and THREAD have it (RFC 5256 §3); out->returns stays. */
enum status search_program_parse(struct imap_args *args, struct search_last last, struct search_args *out,
                                 struct err *err);
