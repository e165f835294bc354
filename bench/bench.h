/*
 * bench.h - what all works of the load generator share: the options, the end on any error, the count of what was done,
 * and the line of JSON at the end.
 *
 * A work is a function that starts its fibers (fiber.h), lets them run to their ends, and has counted what they did.
 * The generator has one thread. Whatever is not as it must be ends the program with exit code 1 and one line on stderr:
 * a bench that goes on after a failure measures nothing, and one that does not look lets a server cheat.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/span.h"
#include "base/strbuf.h"
#include "histogram.h"

struct options {
    /* whom to talk to */
    const char *host;      /* numeric */
    uint16_t port;         /* 0: not given */
    const char *unix_path; /* instead of host and port */
    uint16_t smtp_port;    /* where `notify` delivers; 0: by APPEND */
    bool is_lmtp;          /* smtp_port speaks LMTP */
    uint16_t listen;       /* of `sink` */
    bool is_tls, is_starttls;
    /* who we are */
    const char *domain, *user, *password; /* %u in user is the account's number */
    const char *to, *rcpt;                /* one local part for all; or a template as user */
    const char *mailbox, *target;
    /* how much */
    size_t connections, accounts, size, messages, per_connection, repeat, pipeline, sessions, watchers, sample, changes,
        files;
    uint64_t count; /* 0: by time */
    double seconds; /* 0: by count */
    uint64_t expect;
    bool has_expect, has_size;
    double timeout_s; /* how long a server may be silent */
    /* what exactly */
    const char *what, *keys, *dir, *from;
    bool is_qresync, is_resumed;
    size_t wrap;
};
extern struct options opt;
/* Fills opt from --name value pairs and switches. */
void options_parse(int argc, char **argv);
void options_usage(void);
/* "user7@example.test" for account 7, by a template with at most one %u. */
void account_name(struct strbuf *out, const char *pattern, uint64_t number);
/* The recipient of message `number`: --to, --rcpt, or the account whose turn it is. */
void recipient_name(struct strbuf *out, uint64_t number);

_Noreturn void bench_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int64_t bench_now_us(void); /* CLOCK_MONOTONIC */

/* ---- what was done */

/* Ends the set-up: the caller is one of `all` fibers and goes on when all of them are here; the clock starts then. */
void tally_line_up(size_t all);
/* For works that do not line up: the clock starts now. */
void tally_start(void);
/* Takes on one more piece of work and gives its number (from 0); false when --count or --seconds is reached. */
bool tally_take(uint64_t *number);
/* One piece of work is done: begun at begun_us, that many octets of mail. */
void tally_done(int64_t begun_us, uint64_t bytes);
/* The same with a latency that the caller knows. */
void tally_add(int64_t latency_us, uint64_t bytes);
/* The clock stops (if not stopped before). */
void tally_stop(void);
uint64_t tally_count(void);

/* Further fields of the line of JSON. */
void result_number(const char *name, double value);
void result_u64(const char *name, uint64_t value);
void result_text(const char *name, const char *value);
/* Percentiles of another histogram than the tally's: name_p50_ms … */
void result_histogram(const char *name, const struct histogram *h);
/* Prints the line. */
void result_print(const char *work);

/* ---- the works */

struct work {
    const char *name;
    const char *what;
    void (*run)(void);
};
