/*
 * client.h - the dialogue with one filter over one connection: options, events, answers (see packet.h).
 *
 * A connection belongs to one SMTP session and serves its messages one after the other. Events that the filter does not
 * want are not sent; what it does not answer is not waited for. Blocking, with a deadline on every answer; a filter
 * that says "progress" gets its time anew, but no more than MILTER_PROGRESS_MAX_MS altogether. After a bad status the
 * connection is of no use: ST_TEMPORARY, it was silent; ST_CLOSED, it is gone, or nobody may wait any more; else what
 * it said cannot be. One thread at a time.
 */
#pragma once
#include "milter/packet.h"
#include "sys/config_milter.h"

enum {
    MILTER_PROGRESS_MAX_MS = 10 * 60 * 1000,
    MILTER_PROGRESS_MAX = 10000 /* of one answer: it is said each second at most, not in a loop */
};

struct milter;

/* Connects through the channel to relay's door for filters, and settles the options. The config is borrowed. stop_fd:
 * once it is readable nothing is waited for; borrowed, -1: none. *has_connected: the filter took the connection. */
enum status milter_open(int channel, const struct config_milter *config, int stop_fd, bool *has_connected,
                        struct milter **out, struct err *err);
/* Over a connected stream socket, which it owns, also where it fails. */
enum status milter_over(int fd, const struct config_milter *config, int stop_fd, struct milter **out, struct err *err);
/* Says goodbye without waiting, and closes. */
void milter_free(struct milter **m);
AUTO_DEFINE(milter)

/* A field's value is told, and added, with the space behind its colon. */
bool milter_keeps_space(const struct milter *m);
/* Wants to see recipients that were refused. */
bool milter_wants_refused(const struct milter *m);
/* Whether this event is sent at all. */
bool milter_wants(const struct milter *m, enum milter_stage stage);

/* What a message becomes. */
struct milter_changes {
    struct arena *arena; /* of the spans */
    struct milter_change *list;
    size_t count, cap, bytes;
    struct strbuf body; /* where has_body; the owner frees it */
    bool has_body;
    uint64_t body_max;
};

/* One event with its macros. MILTER_STAGE_EOM is milter_end()'s. *answer is never PROGRESS or CHANGE. */
enum status milter_tell(struct milter *m, enum milter_stage stage, struct span data, const struct milter_macro *macros,
                        size_t macro_count, struct milter_answer *answer, struct err *err);
/* End of message: the answer, and what is to be changed before. */
enum status milter_end(struct milter *m, const struct milter_macro *macros, size_t macro_count,
                       struct milter_changes *changes, struct milter_answer *answer, struct err *err);
/* The message will not come to its end. */
enum status milter_abort(struct milter *m, struct err *err);
