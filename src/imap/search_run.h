/*
 * search_run.h - the walk of a SEARCH program over the client's view, for all commands that search: SEARCH, SORT,
 * THREAD. Only for src/imap.
 *
 * What the view alone can answer is answered in one go; where messages must be read, a step is bounded in messages and
 * octets and has its own transaction, so that a long search neither holds a snapshot of the account for long nor keeps
 * a worker from others.
 */
#pragma once
#include "imap/search.h"

struct search_run {
    struct search_args program; /* filled in by who owns the run, before search_run_begin(), as is: */
    struct arena *arena;        /* that the program lives in; NULL: the call's */
    struct search_matcher matcher;
    struct imap_call *call;
    uint32_t next; /* the message to be looked at */
    /* Of a search in several mailboxes, for the progress: messages in those before this one, and in all; else 0. */
    uint64_t before, total;
    bool is_view_enough;
    uint32_t *found; /* message numbers, ascending */
    uint8_t *scores; /* of these, 1 to 100, where the program has FUZZY in it; else NULL */
    size_t count, cap;
};

/* The response code of a NO for a charset that is not known (RFC 3501 §6.4.4). */
extern const char search_bad_charset[];

/* What "*" is in a program for the client's view, and the session's filters, in the arena. */
struct search_last search_last(const struct imap *im, struct arena *a);
/* `in` must stay as it is until the run is freed. */
enum status search_run_begin(struct search_mailbox in, struct imap_call *call, struct search_run *run, struct err *err);
enum status search_run_step(struct search_run *run, bool *is_done, struct err *err);
void search_run_free(struct search_run *run);
