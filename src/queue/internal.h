/*
 * internal.h - between the files of the queue: one connection that writes, one that reads, and the changes that share a
 * transaction (db.c).
 */
#pragma once
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include "queue/queue.h"

enum { QUEUE_STATEMENTS = 32 };

/* One change, on the stack of whoever waits for it. */
struct change {
    struct change *next;
    enum status (*run)(struct queue *q, void *ctx, struct err *err);
    void *ctx;
    struct err *err;
    enum status status;
    bool is_flushed; /* wants the flush */
    bool is_done;
    sem_t turn; /* posted once: it is done, or its owner is to lead */
};

struct statement {
    const char *sql; /* the literal's address is its name */
    sqlite3_stmt *st;
};
/* A connection and its prepared statements; one thread at a time. */
struct queue_db {
    sqlite3 *db;
    struct statement statements[QUEUE_STATEMENTS];
};

struct queue {
    struct queue_db writer, reader;
    pthread_mutex_t write_lock; /* the leader's, around the writer */
    pthread_mutex_t read_lock;  /* around the reader */
    pthread_mutex_t lock;       /* of the list of changes */
    struct change *first, **last;
    bool has_leader;
    bool is_flushing; /* how the writer's commits are set */
};

enum status queue_sql_error(struct queue_db *d, const char *what, struct err *err);
enum status queue_sql_run(struct queue_db *d, const char *sql, struct err *err);
/* A prepared statement, kept for the next time; reset and unbound. `sql` must be a literal. */
enum status queue_sql(struct queue_db *d, const char *sql, sqlite3_stmt **st, struct err *err);
/* Steps a statement that returns no rows, and resets it. */
enum status queue_sql_done(struct queue_db *d, sqlite3_stmt *st, const char *what, struct err *err);
void queue_bind_text(sqlite3_stmt *st, int at, struct span s);
struct span queue_column_text(sqlite3_stmt *st, int at, struct arena *a);

/* Runs the change in a transaction, together with those of other threads; returns when it is committed (and flushed, if
 * it asks). ST_TEMPORARY or ST_IO: nothing of it is in the file. */
enum status queue_change(struct queue *q, enum status (*run)(struct queue *, void *, struct err *), void *ctx,
                         bool is_flushed, struct err *err);

/* schema.c */
enum { QUEUE_SCHEMA_VERSION = 4 };
enum status queue_migrate(struct queue_db *d, struct err *err);

/* add.c: within a change */
enum status queue_insert(struct queue *q, const struct queue_envelope *e, struct span message, uint64_t *id,
                         struct err *err);
/* Something of the destination is due at `at`. is_now: whatever its host's state. */
enum status queue_destination_due(struct queue *q, struct span name, int64_t at, bool is_now, struct err *err);
/* The message goes if none of its recipients waits or is held (invariant 3). */
enum status queue_remove_done(struct queue *q, uint64_t message, struct err *err);

/* read.c */
#define QUEUE_MESSAGE_COLUMNS                                                                                          \
    "m.id, m.sender, m.trace, m.queued_at, m.deadline_at, m.size, m.body_type, m.ret, m.by_mode, m.smtputf8,"          \
    " m.tls_required, m.by_traced, m.priority, m.hold_until, m.deliver_by, m.envid, m.hold_request"
enum { QUEUE_MESSAGE_COLUMN_COUNT = 17 };
#define QUEUE_RECIPIENT_COLUMNS                                                                                        \
    "r.id, r.address, r.destination, r.orcpt, r.notify, r.state, r.delay_told, r.attempts, r.next_attempt_at,"         \
    " r.last_reply"
void queue_read_message(sqlite3_stmt *st, int at, struct arena *a, struct queue_message *m);
void queue_read_recipient(sqlite3_stmt *st, int at, struct arena *a, struct queue_recipient *r);
/* All of m's recipients; state negative: any. */
enum status queue_read_recipients(struct queue_db *d, struct arena *a, int state, struct queue_message *m,
                                  struct err *err);
