/*
 * deliver.c - final delivery: those that wait for the same account are committed together.
 *
 * A commit with its flush takes a millisecond, and an account has one writer. What comes meanwhile stands in a queue;
 * its first becomes the leader when the one before it is done, and puts all that wait into one transaction: one flush,
 * and each of the mailbox's pages written once. Nobody waits for others to come: a delivery to an account where no
 * other is under way goes at once, alone.
 *
 *   1. A delivery returns ST_OK only after the transaction that has its message was committed with a flush.
 *   2. Where anything fails the whole transaction is rolled back and each of its messages is tried alone, so that one
 *      that cannot be stored takes no other with it, and everybody gets the error that is its own.
 *   3. Only the leader touches the others' structs until it has set is_done; their threads sleep in message_deliver().
 */
#include "store/sqlite/internal.h"
#include "base/banned.h"

enum {
    TOGETHER_MAX = 64,                    /* messages in one transaction */
    TOGETHER_BYTES_MAX = 2 * 1024 * 1024, /* a larger message goes alone: others do not wait for its bytes */
};

static enum status add(struct txn *t, struct waiting_delivery *w, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct mailbox m;
    TRY(mailbox_find(t, w->mailbox, &a, &m, err));
    return message_add(t, m.id, w->content, 0, w->received, &w->uid, err);
}

/* All in one transaction, or none. */
static enum status commit_all(struct account *account, struct waiting_delivery **group, size_t count, struct err *err)
{
    AUTO(txn) t = NULL;
    TRY(store_begin(account, TXN_WRITE, &t, err));
    for (size_t i = 0; i < count; i++)
        TRY(add(t, group[i], err));
    return store_commit(&t, err);
}

static void run(struct account *account, struct waiting_delivery **group, size_t count)
{
    struct err err;
    if (count > 1 && commit_all(account, group, count, &err) == ST_OK)
        return; /* .status is ST_OK from the beginning */
    for (size_t i = 0; i < count; i++)
        group[i]->status = commit_all(account, &group[i], 1, &group[i]->err);
}

/* Takes the first in the queue and who may go with it. The lock is held. */
static size_t take(struct deliveries *d, struct waiting_delivery *group[TOGETHER_MAX])
{
    size_t count = 0, bytes = 0;
    while (d->first && count < TOGETHER_MAX) {
        bytes += d->first->content->raw.len;
        if (count && bytes > TOGETHER_BYTES_MAX)
            break;
        group[count++] = d->first;
        d->first = d->first->next;
    }
    if (!d->first)
        d->last = NULL;
    return count;
}

/* The lock is held and comes back held. */
static void lead(struct account *account)
{
    struct deliveries *d = &account->deliveries;
    struct waiting_delivery *group[TOGETHER_MAX];
    size_t count = take(d, group);
    pthread_mutex_unlock(&d->lock);
    run(account, group, count);
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < count; i++) {
        group[i]->is_done = true;
        pthread_cond_signal(&group[i]->changed);
    }
    d->is_led = d->first != NULL;
    if (d->first) {
        d->first->is_leader = true;
        pthread_cond_signal(&d->first->changed);
    }
}

enum status message_deliver(struct account *account, struct span mailbox, const struct content *c,
                            struct mail_date received, uint32_t *uid, struct err *err)
{
    struct deliveries *d = &account->deliveries;
    struct waiting_delivery w = {
        .mailbox = mailbox, .content = c, .received = received, .changed = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&d->lock);
    *(d->last ? &d->last->next : &d->first) = &w;
    d->last = &w;
    w.is_leader = !d->is_led; /* then nobody else is in the queue */
    d->is_led = true;
    while (!w.is_done && !w.is_leader)
        pthread_cond_wait(&w.changed, &d->lock);
    if (!w.is_done)
        lead(account);
    pthread_mutex_unlock(&d->lock);
    pthread_cond_destroy(&w.changed);
    *uid = w.uid;
    if (w.status != ST_OK)
        *err = w.err;
    return w.status;
}
