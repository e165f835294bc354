/*
 * trace_store.h - what happened to messages: the log's lines about them, kept in one SQLite file for some time, and
 * found again by a message's id or by an address.
 *
 * A row is a batch of lines as they came, beside a sorted list of hashes of what one may look for in them. So writing
 * is one insert at the file's end for hundreds of messages and touches no index, pruning removes rows from the front,
 * and looking goes through the lists (some octets for each line) and reads only batches that may have it. Commits are
 * not flushed one by one: losing the last moments before a power failure costs no mail.
 *
 * One thread at a time uses a trace_store; others may have the file open beside it.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "text/log_fields.h"

struct trace_store;
enum status trace_store_open(const char *path, bool may_create, struct trace_store **out, struct err *err);
void trace_store_free(struct trace_store **t);
AUTO_DEFINE(trace_store)

/* lines: each with its LF; what is no line of the log is left out. */
enum status trace_store_add(struct trace_store *t, struct span lines, struct err *err);

/* Removes batches whose last line is older than before_ms, then the oldest while the file's used pages are more than
 * max_bytes; a bounded number at once. *is_done: nothing is left to remove now. */
enum status trace_store_prune(struct trace_store *t, int64_t before_ms, uint64_t max_bytes, bool *is_done,
                              struct err *err);

struct trace_line {
    struct log_record record; /* spans are in the arena */
    struct span trace;        /* the message's id; empty: none */
};
struct trace_query {
    struct span word; /* an id of a message or of the queue, an address, a Message-ID; as given */
    int64_t since_ms; /* nothing older */
    size_t limit;     /* messages, the newest */
};
struct trace_answer {
    struct trace_line *lines; /* by message, the oldest first, and within one by time */
    size_t count;
    size_t messages;
    bool is_cut;      /* there are more messages than the limit */
    uint64_t dropped; /* lines that were dropped since, of any message */
};
enum { TRACE_LIMIT_MAX = 10000 };
enum status trace_store_find(struct trace_store *t, struct arena *a, const struct trace_query *q,
                             struct trace_answer *out, struct err *err);
