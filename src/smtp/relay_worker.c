/*
 * relay_worker.c - see relay_worker.h.
 *
 * Order of what is written, and what a crash between costs:
 *   1. `mail` says 250 (it has the message on disk), then the recipient is settled. A crash between delivers twice;
 * never less than once.
 *   2. The bounce is put into the queue, then the recipient is settled as failed. A crash between bounces twice.
 */
#include "smtp/relay_worker.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include "base/clock.h"
#include "base/mem.h"
#include "queue/schedule.h"
#include "smtp/bounce.h"
#include "smtp/pool.h"
#include "base/banned.h"

enum {
    DUE_AT_ONCE = 100, /* recipients looked at in one round; the next round follows at once */
    POLL_SECONDS = 5,  /* the command line may have changed the queue: look at least this often */
    OUTSIDE_WAIT_SECONDS = 3600,
};

struct relay_worker {
    struct queue *queue;
    struct smtp_pool *mail;
    const char *hostname;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool is_woken, is_stopping;
};

/* What an attempt led to. */
struct outcome {
    enum queue_state state;
    bool is_outside;   /* not of our domains */
    struct span reply; /* in the arena */
};

static struct span reply_text(struct arena *a, const struct smtp_reply *r)
{
    return arena_printf(a, "%u %s%s%s", r->code, r->enhanced, r->enhanced[0] ? " " : "", r->text);
}

static void judge(struct arena *a, const struct smtp_reply *r, struct outcome *o)
{
    o->reply = reply_text(a, r);
    if (smtp_reply_is_good(r))
        o->state = QUEUE_DELIVERED;
    else
        o->state = smtp_reply_is_permanent(r) ? QUEUE_FAILED : QUEUE_WAITING;
}

static enum status send_body(struct smtp_lease *l, struct span body, struct smtp_reply *reply, struct err *err)
{
    smtp_client_command(l->client, "DATA");
    TRY(smtp_client_reply(l->client, POOL_REPLY_MS, reply, err));
    if (reply->code != 354)
        return ST_OK;
    TRY(smtp_client_text(l->client, &body, 1, err));
    TRY(smtp_client_reply(l->client, POOL_REPLY_MS, reply, err));
    l->is_open = false;
    return ST_OK;
}

/* Hands the message to `mail` for one recipient. */
static void hand_over(struct smtp_pool *mail, struct arena *a, const struct queue_message *m,
                      const struct queue_recipient *to, struct span body, struct outcome *o)
{
    struct smtp_mail envelope = {
        .from = m->sender, .size = m->size, .is_8bit = m->is_8bit, .is_smtputf8 = m->is_smtputf8, .trace = m->trace};
    struct smtp_lease *lease = NULL;
    struct smtp_reply mail_reply, reply;
    struct err err;
    *o = (struct outcome){.state = QUEUE_WAITING};
    enum status st = smtp_pool_begin(mail, &envelope, to->address, &lease, &mail_reply, &reply, &err);
    if (st == ST_OK && !smtp_reply_is_good(&mail_reply)) {
        judge(a, &mail_reply, o);
    } else if (st == ST_OK && !smtp_reply_is_good(&reply)) {
        judge(a, &reply, o);
        o->is_outside = strcmp(reply.enhanced, "5.7.1") == 0;
    } else if (st == ST_OK) {
        st = send_body(lease, body, &reply, &err);
        if (st == ST_OK)
            judge(a, &reply, o);
    }
    if (st != ST_OK) {
        o->reply = arena_printf(a, "%s", err.client);
        if (lease)
            smtp_pool_drop(mail, &lease);
        return;
    }
    smtp_pool_return(mail, &lease);
}

static void log_outcome(const struct queue_message *m, const struct queue_recipient *to, const struct outcome *o,
                        int64_t next_at)
{
    static const char *const events[] = {
        [QUEUE_WAITING] = "deferred", [QUEUE_DELIVERED] = "handed-over", [QUEUE_FAILED] = "failed"};
    struct log_line l;
    log_begin(&l, o->state == QUEUE_FAILED ? LOG_WARN : LOG_INFO, events[o->state]);
    log_span(&l, "trace", m->trace);
    log_u64(&l, "queue", m->id);
    log_span(&l, "from", m->sender);
    log_span(&l, "to", to->address);
    log_u64(&l, "attempt", to->attempts + 1);
    log_span(&l, "reply", o->reply);
    if (o->state == QUEUE_WAITING)
        log_i64(&l, "next", next_at);
    log_end(&l);
}

static void log_queue_error(const char *event, const struct err *err)
{
    struct log_line l;
    log_begin(&l, LOG_ERROR, event);
    log_err(&l, err);
    log_end(&l);
}

/* Where the outcome says wait: until when, by the schedule; a message too old fails now. */
static int64_t next_attempt(const struct queue_message *m, const struct queue_recipient *to, struct outcome *o,
                            int64_t now)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = 0;
    int64_t at = schedule_next(m->queued_at, now, to->attempts + 1, random);
    if (at == 0) {
        o->state = QUEUE_FAILED;
        return 0;
    }
    return o->is_outside && at < now + OUTSIDE_WAIT_SECONDS ? now + OUTSIDE_WAIT_SECONDS : at;
}

/* RFC 5321 §6.1: a message with a null reverse-path is never bounced. */
static enum status add_bounce(struct queue *q, const char *hostname, const struct queue_message *m, struct span body,
                              const struct bounce_failure *failure, int64_t now, struct err *err)
{
    if (m->sender.len == 0)
        return ST_OK;
    AUTO_STRBUF text = STRBUF_INIT;
    struct bounce b = {.hostname = hostname,
                       .sender = m->sender,
                       .trace = m->trace,
                       .queued_at = m->queued_at,
                       .now = now,
                       .message = body,
                       .is_smtputf8 = m->is_smtputf8,
                       .failures = failure,
                       .failure_count = 1};
    bounce_write(&b, &text);
    struct queue_envelope e = {.sender = SPAN(""),
                               .recipients = &m->sender,
                               .recipient_count = 1,
                               .trace = m->trace,
                               .is_smtputf8 = m->is_smtputf8,
                               .is_8bit = true};
    uint64_t id;
    return queue_add(q, &e, strbuf_span(&text), &id, err);
}

static void settle(struct queue *q, const char *hostname, struct arena *a, const struct queue_message *m,
                   const struct queue_recipient *to, struct span body, struct outcome *o)
{
    struct err err;
    int64_t now = clock_wall_ms() / 1000, next_at = 0;
    if (o->is_outside) {
        o->state = QUEUE_WAITING;
        o->reply = SPAN("waiting: this server does not send to other domains yet");
    }
    if (o->state == QUEUE_WAITING)
        next_at = next_attempt(m, to, o, now);
    log_outcome(m, to, o, next_at);
    if (o->state == QUEUE_FAILED) {
        struct span reply = o->reply.len ? o->reply : arena_printf(a, "gave up after %u attempts", to->attempts + 1);
        struct bounce_failure f = {.recipient = to->address, .reply = reply, .attempts = to->attempts + 1};
        if (add_bounce(q, hostname, m, body, &f, now, &err) != ST_OK) {
            log_queue_error("bounce-failed", &err); /* not settled: the next round tries again */
            return;
        }
    }
    if (queue_settle(q, to->id, o->state, next_at, o->reply, &err) != ST_OK)
        log_queue_error("queue-failed", &err);
}

size_t relay_worker_round(struct queue *q, struct smtp_pool *mail, const char *hostname)
{
    AUTO_ARENA a = ARENA_INIT;
    struct queue_message *due;
    size_t count, tried = 0;
    struct err err;
    if (queue_due(q, &a, clock_wall_ms() / 1000, DUE_AT_ONCE, &due, &count, &err) != ST_OK) {
        log_queue_error("queue-failed", &err);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        AUTO_STRBUF body = STRBUF_INIT;
        if (queue_body(q, due[i].id, &body, &err) != ST_OK) {
            if (err.status != ST_NOTFOUND) /* dropped from the command line meanwhile */
                log_queue_error("queue-failed", &err);
            continue;
        }
        for (size_t k = 0; k < due[i].recipient_count; k++, tried++) {
            struct outcome o;
            hand_over(mail, &a, &due[i], &due[i].recipients[k], strbuf_span(&body), &o);
            settle(q, hostname, &a, &due[i], &due[i].recipients[k], strbuf_span(&body), &o);
        }
    }
    return tried;
}

/* Waits until woken, until the next recipient is due, or for POLL_SECONDS. */
static void wait_for_work(struct relay_worker *w)
{
    struct err err;
    int64_t next = INT64_MAX, now = clock_wall_ms() / 1000;
    if (queue_next_due(w->queue, &next, &err) != ST_OK)
        log_queue_error("queue-failed", &err);
    int64_t seconds = next <= now ? 1 : next - now; /* what is due and could not be settled is not tried in a circle */
    if (seconds > POLL_SECONDS)
        seconds = POLL_SECONDS;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&w->lock);
    while (!w->is_woken && !w->is_stopping)
        if (pthread_cond_timedwait(&w->change, &w->lock, &until) == ETIMEDOUT)
            break;
    w->is_woken = false;
    pthread_mutex_unlock(&w->lock);
}

static bool is_stopping(struct relay_worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool stopping = w->is_stopping;
    pthread_mutex_unlock(&w->lock);
    return stopping;
}

static void *work(void *ctx)
{
    struct relay_worker *w = ctx;
    while (!is_stopping(w))
        if (relay_worker_round(w->queue, w->mail, w->hostname) < DUE_AT_ONCE)
            wait_for_work(w);
    return NULL;
}

struct relay_worker *relay_worker_start(struct queue *q, struct smtp_pool *mail, const char *hostname)
{
    struct relay_worker *w = mem_alloc(sizeof *w);
    w->queue = q;
    w->mail = mail;
    w->hostname = hostname;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->change, NULL);
    if (pthread_create(&w->thread, NULL, work, w) != 0)
        panic("no thread for the queue");
    return w;
}

void relay_worker_wake(struct relay_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_woken = true;
    pthread_cond_signal(&w->change);
    pthread_mutex_unlock(&w->lock);
}

void relay_worker_stop(struct relay_worker **wp)
{
    struct relay_worker *w = *wp;
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    pthread_cond_signal(&w->change);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->change);
    free(w);
    *wp = NULL;
}
