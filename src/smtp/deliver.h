/*
 * deliver.h - from a message and its recipients to mailboxes, and to relay's queue for what is not ours. Role mail;
 * blocks; any thread.
 *
 * The promise to whoever gave us the message: when a recipient's result is ST_OK, all its targets have the message on
 * disk, in their mailbox or in the queue. What is delivered to some targets and fails for others is put into the queue
 * for those others, so that the answer is the same for all, and nobody who repeats the whole makes second copies.
 *
 * Order, and why: outside targets go to the queue first; if the queue takes none of them, nothing has been delivered
 * yet and the whole may be tried again. Then each local target, in one transaction of its account. Then the queue takes
 * those that failed.
 */
#pragma once
#include "smtp/session.h"
#include "store/mail_app.h"

enum { DELIVER_TARGETS_MAX = 10000 }; /* of one message, after aliases are resolved */

struct delivery {
    struct mail_app *app;
    const struct smtp *session; /* for log lines and the envelope of its transaction */
    struct body **body;         /* may be replaced by one without Return-Path */
    struct span prefix;         /* whole header fields to put before the message; may be empty */
};

/* results[i] belongs to recipient i of the session's transaction; its route must be set. status ST_OK: taken. code is
 * filled for the others. */
struct delivery_result {
    struct err err;
    struct smtp_code code;
};
void deliver(const struct delivery *d, struct delivery_result *results);
