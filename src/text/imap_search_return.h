/*
 * imap_search_return.h - what a SEARCH, SORT or MULTISEARCH is to answer: "RETURN (MIN PARTIAL 1:500 SAVE)" (RFC 9051
 * §6.4.4, RFC 4731, 5182, 9394, 5267, 6203). Pure; one thread.
 */
#pragma once
#include "text/imap_lexer.h"

enum search_return_option { /* bits */
                            SEARCH_RETURN_MIN = 1,
                            SEARCH_RETURN_MAX = 2,
                            SEARCH_RETURN_ALL = 4,
                            SEARCH_RETURN_COUNT = 8,
                            SEARCH_RETURN_SAVE = 16,
                            SEARCH_RETURN_PARTIAL = 32,
                            SEARCH_RETURN_UPDATE = 64,     /* CONTEXT (RFC 5267) */
                            SEARCH_RETURN_CONTEXT = 128,   /* a hint only */
                            SEARCH_RETURN_RELEVANCY = 256, /* RFC 6203 */
};
/* Those that put something into the ESEARCH response. */
#define SEARCH_RETURN_DATA                                                                                             \
    (unsigned)(SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT |                       \
               SEARCH_RETURN_PARTIAL | SEARCH_RETURN_RELEVANCY)

struct fetch_args; /* text/imap_fetch_args.h */

struct search_return {
    bool is_given; /* RETURN stands there; without it the old responses are sent (unless IMAP4rev2 is enabled) */
    unsigned what; /* enum search_return_option; "()" is ALL */
    /* PARTIAL: first <= last, counted from 1; from the end where is_from_end (-1 is the last result). */
    bool is_from_end;
    uint32_t first, last;
    struct span partial; /* as sent, for the answer */
    struct fetch_args
        *update; /* UPDATE: what is told of new results that have just arrived (RFC 5465 §7); NULL: nothing */
};

/* There is an ESEARCH response: not for SAVE alone (RFC 5182 §2.1); the options of RFC 5267 ask for nothing in it. */
static inline bool search_return_is_answered(const struct search_return *r)
{
    return (r->what & SEARCH_RETURN_DATA) || !(r->what & SEARCH_RETURN_SAVE);
}

/* Reads "RETURN (…)" and the space behind it, if that is what comes next. An option that is not known or not in
 * `allowed`, one that is given twice, and ALL beside PARTIAL (RFC 9394 §3.1) are ST_SYNTAX. */
enum status search_return_parse(struct imap_args *args, unsigned allowed, struct search_return *out, struct err *err);

/* " -1:-100" behind the word PARTIAL, which UID FETCH has as well (RFC 9394 §3.3). */
enum status search_partial_parse(struct imap_args *args, struct search_return *out, struct err *err);

/* Which of `total` results PARTIAL is about: from *from up to (not including) *to, counted from 0; *from == *to: none.
 */
void search_return_range(const struct search_return *r, size_t total, size_t *from, size_t *to);
