/*
 * store_bench.c - how fast the account store is without any protocol: deliveries a second by threads, and loading the
 * view of a large mailbox. Every delivery is a committed, flushed transaction of its own.
 *
 *   store-bench FOLDER     the folder must be empty or missing; put it on the disk that is to be measured
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include "store/directory.h"
#include "store/store.h"
#include "store/view.h"

enum { ACCOUNTS = 64, MESSAGE_BYTES = 10240, SECONDS = 4, LARGE = 100000, REPEATS = 5 };

#define MUST(expr)                                                                                                     \
    do {                                                                                                               \
        struct err err = {0};                                                                                          \
        if ((expr) != ST_OK) {                                                                                         \
            fprintf(stderr, "%s: %s\n", #expr, err.operator_text);                                                     \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char body[MESSAGE_BYTES];
static struct content prepared;
static struct store *store;

/* ---- deliveries
 * ------------------------------------------------------------------------------------------------------ */

struct deliverer {
    pthread_t thread;
    unsigned number;
    uint64_t delivered;
    double until;
};

static void deliver(unsigned account, mailbox_id *inbox)
{
    char address[64];
    snprintf(address, sizeof address, "user%u@example.test", account);
    struct account *a = NULL;
    struct txn *t = NULL;
    struct mailbox m;
    uint32_t uid;
    struct arena arena = ARENA_INIT;
    MUST(account_open(store, span_cstr(address), &a, &err));
    MUST(store_begin(a, TXN_WRITE, &t, &err));
    MUST(mailbox_find(t, SPAN("INBOX"), &arena, &m, &err));
    MUST(message_add(t, m.id, &prepared, 0, (struct mail_date){1700000000, 0}, &uid, &err));
    MUST(store_commit(&t, &err));
    *inbox = m.id;
    arena_free(&arena);
    account_free(&a);
}

static void *deliver_until(void *argument)
{
    struct deliverer *d = argument;
    unsigned random = d->number * 2654435761u + 1;
    mailbox_id inbox;
    while (now() < d->until) {
        random = random * 1664525u + 1013904223u;
        deliver((random >> 16) % ACCOUNTS, &inbox);
        d->delivered++;
    }
    return NULL;
}

static void run_threads(unsigned count)
{
    struct deliverer list[64];
    double start = now();
    for (unsigned i = 0; i < count; i++) {
        list[i] = (struct deliverer){.number = i + 1, .until = start + SECONDS};
        pthread_create(&list[i].thread, NULL, deliver_until, &list[i]);
    }
    uint64_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        pthread_join(list[i].thread, NULL);
        total += list[i].delivered;
    }
    printf("%2u threads: %8.0f deliveries/s\n", count, (double)total / (now() - start));
    fflush(stdout);
}

/* ---- a large mailbox
 * --------------------------------------------------------------------------------------------------- */

static void fill(struct account *a, mailbox_id to)
{
    struct content small = {.raw = span_of(body, 200), .header_size = 100};
    struct txn *t = NULL;
    uint32_t uid;
    MUST(store_begin(a, TXN_WRITE, &t, &err));
    for (int i = 0; i < LARGE; i++)
        MUST(message_add(t, to, &small, 0, (struct mail_date){1700000000, 0}, &uid, &err));
    MUST(store_commit(&t, &err));
}

static void report(const char *what, double start)
{
    printf("%-44s %8.2f ms\n", what, (now() - start) * 1e3);
}

/* A step of the large mailbox's life: one transaction, timed with its commit and the view that follows it. */
enum step { STEP_FLAGS, STEP_COPY, STEP_MOVE, STEP_EXPUNGE };

static void change(struct account *a, mailbox_id box, enum step step, const struct seqset *set, struct arena *arena,
                   struct uid_pairs *pairs, const char *what)
{
    struct txn *t = NULL;
    double start = now();
    MUST(store_begin(a, step == STEP_FLAGS ? TXN_FLAGS : TXN_WRITE, &t, &err));
    if (step == STEP_FLAGS)
        MUST(message_change_flags(t, box, set, FLAGS_ADD, FLAG_SEEN, &err));
    else if (step == STEP_COPY)
        MUST(message_copy(t, box, set, box, arena, pairs, &err));
    else if (step == STEP_MOVE)
        MUST(message_move(t, box, set, box, arena, pairs, &err));
    else
        MUST(message_expunge(t, box, set, false, arena, NULL, &err));
    MUST(store_commit(&t, &err));
    report(what, start);
}

static void change_all(struct account *a, mailbox_id box, uint32_t first, struct arena *arena)
{
    struct uid_pairs pairs;
    struct seqset *set = seqset_new(arena), *others = seqset_new(arena);
    seqset_add(arena, set, first, first + 9999);
    seqset_add(arena, others, first + 20000, first + 29999);
    change(a, box, STEP_FLAGS, set, arena, NULL, "flags of 10,000");
    change(a, box, STEP_COPY, set, arena, &pairs, "copy 10,000");
    change(a, box, STEP_MOVE, set, arena, &pairs, "move 10,000");
    change(a, box, STEP_EXPUNGE, pairs.to, arena, NULL, "expunge 10,000 whose bodies stay");
    change(a, box, STEP_EXPUNGE, others, arena, NULL, "expunge 10,000 with their bodies");
}

static void read_all(struct account *a, const struct view *v)
{
    struct strbuf out = STRBUF_INIT;
    struct txn *t = NULL;
    double start = now();
    MUST(store_begin(a, TXN_READ, &t, &err));
    for (uint32_t i = 1; i <= 10000; i++) {
        strbuf_clear(&out);
        MUST(content_read(t, view_message(v, 40000 + i)->content, 0, UINT64_MAX, &out, &err));
    }
    report("read 10,000 bodies", start);
    start = now();
    for (uint32_t i = 1; i <= view_count(v); i++) {
        struct arena one = ARENA_INIT;
        struct content_forms forms;
        MUST(content_load(t, view_message(v, i)->content, CONTENT_ENVELOPE, &one, &forms, &err));
        arena_free(&one);
    }
    txn_free(&t);
    report("load all envelopes", start);
    strbuf_free(&out);
}

static void large_mailbox(const struct store_options *options)
{
    mailbox_id inbox;
    struct account *a = NULL;
    struct view *before = NULL, *after = NULL;
    struct arena arena = ARENA_INIT;
    deliver(0, &inbox);
    MUST(account_open(store, SPAN("user0@example.test"), &a, &err));
    fill(a, inbox);
    for (int i = 0; i < REPEATS; i++) {
        account_free(&a);
        store_free(&store);
        MUST(store_open(options, &store, &err));
        MUST(account_open(store, SPAN("user0@example.test"), &a, &err));
        double start = now();
        MUST(view_get(a, inbox, &after, &err));
        report("load the view of 100,000", start);
        view_free(&after);
    }
    MUST(view_get(a, inbox, &before, &err));
    change_all(a, inbox, view_message(before, 1000)->uid, &arena);
    MUST(view_get(a, inbox, &after, &err));
    struct view_diff diff;
    double start = now();
    view_diff(&arena, before, after, &diff);
    report("view_diff over all of it", start);
    read_all(a, after);
    view_free(&before);
    view_free(&after);
    arena_free(&arena);
    account_free(&a);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: store-bench FOLDER\n");
        return 2;
    }
    mkdir(argv[1], 0700);
    memset(body, 'x', sizeof body);
    static char form[400];
    memset(form, 'y', sizeof form);
    prepared = (struct content){.raw = span_of(body, sizeof body),
                                .envelope = span_of(form, 400),
                                .body = span_of(form, 150),
                                .bodystructure = span_of(form, 300),
                                .parts = span_of(form, 100),
                                .preview = span_of(form, 200),
                                .header_size = 600};
    struct store_options options = {.data_dir = argv[1]};
    struct err ignored;
    MUST(store_open(&options, &store, &err));
    (void)directory_domain_add(store_directory(store), SPAN("example.test"), &ignored); /* may be there */
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char address[64];
        snprintf(address, sizeof address, "user%u@example.test", i);
        (void)directory_account_add(store_directory(store), span_cstr(address), &ignored);
    }
    mailbox_id inbox;
    for (unsigned i = 0; i < ACCOUNTS; i++)
        deliver(i, &inbox); /* makes the files: not what is measured */
    static const unsigned counts[] = {1, 8, 32};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        run_threads(counts[i]);
    large_mailbox(&options);
    store_free(&store);
    return 0;
}
