/*
 * relay.c - see relay.h: the feeder, and the list of destinations that workers take from.
 *
 * The lock guards the map of destinations, their windows and the list; nothing that blocks is done under it. Order: the
 * relay's lock may be held when the queue's are taken by nobody.
 *
 * A destination is in the map while it has a window, workers or idle connections. It is in the ready list once, while a
 * worker may take a message of it. The feeder alone adds to and removes from the map.
 */
#include "relay/internal.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "queue/outbound.h"
#include "base/banned.h"

enum {
    DESTINATIONS_AT_ONCE = 64, /* looked at beside those that are active */
    EXPIRING_AT_ONCE = 50,
    LONGEST_SLEEP_MS = 60 * 1000,
    SWEEP_MS = 1000,        /* idle connections are looked at this often */
    ROUND_MS = 2,           /* what comes within this is looked for together */
    BUSY_RETRY_SECONDS = 1, /* a deadline whose message is being sent: no later than the next attempt could begin */
    SHRINK_PAGES = 2000
};

static void log_queue_error(const struct err *err)
{
    struct log_line l;
    log_begin(&l, LOG_ERROR, "queue-failed");
    log_err(&l, err);
    log_end(&l);
}

/* ---- the ready list
 * --------------------------------------------------------------------------------------------------- */

static size_t level_of(const struct destination *d)
{
    return (size_t)(QUEUE_PRIORITY_MOST - d->first->message->wishes.priority);
}

static void take_out(struct relay *r, struct destination *d)
{
    struct ready *l = &r->ready[d->ready_level];
    struct destination **at = &l->first;
    while (*at != d)
        at = &(*at)->next_ready;
    *at = d->next_ready;
    if (!*at)
        l->last = at;
    r->ready_count--;
    d->is_ready = false;
}

void relay_make_ready(struct relay *r, struct destination *d)
{
    if (d->is_ready && d->first && level_of(d) < d->ready_level)
        take_out(r, d); /* something more urgent came */
    if (d->is_ready || d->is_resting || !d->first || d->busy >= d->limit)
        return;
    struct ready *l = &r->ready[level_of(d)];
    d->is_ready = true;
    d->ready_level = level_of(d);
    d->next_ready = NULL;
    *l->last = d;
    l->last = &d->next_ready;
    r->ready_count++;
    if (r->idle_workers)
        pthread_cond_signal(&r->work);
    else if (r->worker_count < r->parts.maker.settings->connections)
        relay_add_worker(r);
}

struct destination *relay_take_ready(struct relay *r)
{
    for (size_t i = 0; r->ready_count && i < READY_LEVELS; i++) {
        struct destination *d = r->ready[i].first;
        if (d) {
            take_out(r, d);
            return d;
        }
    }
    return NULL;
}

bool relay_has_more_urgent(const struct relay *r, const struct destination *d)
{
    for (size_t i = 0; r->ready_count && i < level_of(d); i++)
        if (r->ready[i].first)
            return true;
    return false;
}

/* ---- feeding
 * ------------------------------------------------------------------------------------------------------------ */

static bool is_in_hand(void *ctx, uint64_t recipient_id)
{
    return destination_has(ctx, recipient_id);
}

static struct destination *destination_for(struct relay *r, const struct queue_destination *due)
{
    struct destination *d = map_get(r->destinations, due->name);
    if (!d && map_count(r->destinations) < DESTINATION_ACTIVE_MAX) {
        d = destination_new(due->name, due->failures);
        map_put(r->destinations, due->name, d);
    }
    if (d)
        d->pushes = due->pushes;
    return d;
}

/* Reads a window where the one before is nearly used up; else what is more urgent than the last of it, so that it need
 * not wait behind all of it. *has_none: nothing is due that is not in hand. */
static enum status feed(struct relay *r, struct destination *d, int64_t now, bool *has_none, struct err *err)
{
    /* in_hand is changed by workers: it is copied for the time of the reading. */
    struct destination copy = {0};
    *has_none = false;
    pthread_mutex_lock(&r->lock);
    bool is_low = d->waiting < DESTINATION_WINDOW / 2;
    int least = is_low ? QUEUE_PRIORITY_LEAST : d->least + 1;
    bool is_wanted = !d->is_resting && least <= QUEUE_PRIORITY_MOST && d->waiting < 2 * DESTINATION_WINDOW;
    if (is_wanted) {
        copy.in_hand_count = d->in_hand_count;
        copy.in_hand = mem_copy(d->in_hand, d->in_hand_count * sizeof *d->in_hand);
    }
    pthread_mutex_unlock(&r->lock);
    if (!is_wanted)
        return ST_OK;
    struct window *w = mem_alloc(sizeof *w);
    struct queue_message *list = NULL;
    size_t count = 0;
    enum status st = queue_due(r->parts.queue, &w->arena, span_cstr(d->name), now, DESTINATION_WINDOW, least,
                               is_in_hand, &copy, &list, &count, err);
    free(copy.in_hand);
    *has_none = is_low && st == ST_OK && count == 0;
    pthread_mutex_lock(&r->lock);
    destination_fill(d, w, list, count);
    relay_make_ready(r, d);
    pthread_mutex_unlock(&r->lock);
    return st;
}

/* Nothing is due and nobody works on it: the queue learns when there will be. True: it has. */
static bool rest_if_idle(struct relay *r, struct destination *d)
{
    struct err err;
    pthread_mutex_lock(&r->lock);
    bool is_idle = !d->busy && !d->first && !d->is_resting;
    uint32_t failures = d->failures;
    int64_t pushes = d->pushes;
    pthread_mutex_unlock(&r->lock);
    if (!is_idle)
        return false;
    if (queue_rest(r->parts.queue, span_cstr(d->name), 0, failures, pushes, &err) == ST_OK)
        return true;
    log_queue_error(&err);
    return false;
}

static void feed_all(struct relay *r, int64_t now, int64_t *next_at)
{
    AUTO_ARENA a = ARENA_INIT;
    struct queue_destination *list;
    size_t count;
    struct err err;
    enum status st = queue_destinations(r->parts.queue, &a, now, DESTINATIONS_AT_ONCE + map_count(r->destinations),
                                        &list, &count, next_at, &err);
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        pthread_mutex_lock(&r->lock);
        struct destination *d = destination_for(r, &list[i]);
        pthread_mutex_unlock(&r->lock);
        bool has_none = false;
        if (d)
            st = feed(r, d, now, &has_none, &err);
        if (d && has_none && rest_if_idle(r, d))
            *next_at = now; /* the queue is asked again: it knows better now */
    }
    if (st != ST_OK) {
        log_queue_error(&err);
        *next_at = now + 1;
    }
}

/* ---- resting
 * ------------------------------------------------------------------------------------------------------------ */

static int64_t rest_time(const struct relay *r, uint32_t failures, int64_t now)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = 0;
    struct schedule s = outbound_schedule(r->parts.maker.settings);
    return schedule_host(&s, now, failures, random);
}

/* One destination that can be forgotten: its hosts do not answer, or there was nothing for it for a while. */
static struct destination *take_finished(struct relay *r, int64_t now_ms)
{
    struct span key;
    void *value;
    pthread_mutex_lock(&r->lock);
    for (size_t at = 0; map_next(r->destinations, &at, &key, &value);) {
        struct destination *d = value;
        while (d->idle_count && now_ms - d->idle[0]->idle_since_ms > DESTINATION_IDLE_MS) {
            r->closing[r->closing_count++] = d->idle[0];
            for (size_t i = 1; i < d->idle_count; i++)
                d->idle[i - 1] = d->idle[i];
            d->idle_count--;
            if (r->closing_count == CLOSING_MAX)
                break;
        }
        bool is_over = !d->busy && !d->is_ready && (d->is_resting || (!d->first && !d->idle_count));
        if (is_over) {
            map_remove(r->destinations, key);
            pthread_mutex_unlock(&r->lock);
            return d;
        }
        if (r->closing_count == CLOSING_MAX)
            break;
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void sweep(struct relay *r)
{
    struct destination *d;
    struct err err;
    int64_t now = clock_wall_ms() / 1000;
    while ((d = take_finished(r, clock_mono_ms())) != NULL) {
        int64_t until = d->is_resting ? rest_time(r, d->failures, now) : 0;
        int64_t pushes = d->is_resting ? d->rest_pushes : d->pushes;
        if (queue_rest(r->parts.queue, span_cstr(d->name), until, d->failures, pushes, &err) != ST_OK)
            log_queue_error(&err);
        if (d->is_resting)
            log_text(LOG_INFO, "resting", "%s does not answer (%u times in a row); the next try is in %lld s", d->name,
                     d->failures, (long long)(until - now));
        destination_free(&d);
        while (r->closing_count)
            link_close(&r->closing[--r->closing_count], true);
    }
    while (r->closing_count)
        link_close(&r->closing[--r->closing_count], true);
}

/* ---- deadlines
 * ---------------------------------------------------------------------------------------------------------- */

static bool is_being_sent(struct relay *r, const struct queue_message *m)
{
    bool found = false;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; !found && i < m->recipient_count; i++) {
        const struct destination *d = map_get(r->destinations, m->recipients[i].destination);
        found = d && destination_has(d, m->recipients[i].id);
    }
    pthread_mutex_unlock(&r->lock);
    return found;
}

static void expire(struct relay *r, int64_t now, int64_t *next_at)
{
    AUTO_ARENA a = ARENA_INIT;
    struct queue_message *list;
    size_t count;
    struct err err;
    struct outcome_maker maker = relay_outcome_maker(r);
    enum status st = queue_expiring(r->parts.queue, &a, now, EXPIRING_AT_ONCE, &list, &count, next_at, &err);
    for (size_t i = 0; st == ST_OK && i < count; i++)
        st = is_being_sent(r, &list[i]) ? queue_postpone(r->parts.queue, list[i].id, now + BUSY_RETRY_SECONDS, &err)
                                        : outcome_expire(&maker, &list[i], now, &err);
    if (st != ST_OK) {
        log_queue_error(&err);
        *next_at = now + 1;
    }
}

/* ---- the feeder's loop
 * --------------------------------------------------------------------------------------------------- */

static void drain(int fd)
{
    char buffer[256];
    while (read(fd, buffer, sizeof buffer) > 0)
        ;
}

static void sleep_until(struct relay *r, int64_t next_at, bool is_sweeping)
{
    int64_t ms = next_at == INT64_MAX ? LONGEST_SLEEP_MS : next_at * 1000 - clock_wall_ms();
    if (ms > LONGEST_SLEEP_MS)
        ms = LONGEST_SLEEP_MS;
    if (is_sweeping && ms > SWEEP_MS)
        ms = SWEEP_MS;
    struct pollfd fds[2] = {{.fd = r->event_fd, .events = POLLIN}, {.fd = r->parts.wake_fd, .events = POLLIN}};
    if (ms > 0 && poll(fds, r->parts.wake_fd >= 0 ? 2 : 1, (int)ms) < 0 && errno != EINTR)
        panic("poll");
    drain(r->event_fd);
    if (r->parts.wake_fd >= 0)
        drain(r->parts.wake_fd);
}

/* A message that comes wakes the feeder; while many come, one round of questions to the queue serves several. */
static void wait_for_round(int64_t begun_ms)
{
    int64_t ms = begun_ms + ROUND_MS - clock_mono_ms();
    if (ms > 0)
        nanosleep(&(struct timespec){.tv_nsec = ms * 1000 * 1000}, NULL);
}

static bool is_stopping(struct relay *r)
{
    pthread_mutex_lock(&r->lock);
    bool stopping = r->is_stopping;
    pthread_mutex_unlock(&r->lock);
    return stopping;
}

static void *feeder(void *ctx)
{
    struct relay *r = ctx;
    struct err err;
    int64_t swept_ms = 0, expired_at = 0, next_deadline = 0;
    bool was_busy = true;
    while (!is_stopping(r)) {
        int64_t begun_ms = clock_mono_ms(), now = clock_wall_ms() / 1000, next_due;
        if (clock_mono_ms() - swept_ms >= SWEEP_MS) { /* before the queue is asked: it hears who rests */
            sweep(r);
            swept_ms = clock_mono_ms();
        }
        /* Before what is due is given out: what is being sent must wait. */
        if (now != expired_at || next_deadline <= now)
            expire(r, now, &next_deadline);
        else if (next_deadline > now + 1) /* deadlines are in seconds; one may have come since they were looked at */
            next_deadline = now + 1;
        expired_at = now;
        feed_all(r, now, &next_due);
        bool is_busy = map_count(r->destinations) > 0;
        if (!is_busy && was_busy && queue_shrink(r->parts.queue, SHRINK_PAGES, &err) != ST_OK)
            log_queue_error(&err);
        was_busy = is_busy;
        wait_for_round(begun_ms);
        sleep_until(r, next_due < next_deadline ? next_due : next_deadline, is_busy);
    }
    return NULL;
}

/* ---- from outside
 * ---------------------------------------------------------------------------------------------------------- */

struct outcome_maker relay_outcome_maker(const struct relay *r)
{
    return (struct outcome_maker){r->parts.queue, r->parts.maker.hostname, r->parts.maker.settings};
}

struct relay *relay_start(const struct relay_parts *p)
{
    struct relay *r = mem_alloc(sizeof *r);
    r->parts = *p;
    r->destinations = map_new();
    for (size_t i = 0; i < READY_LEVELS; i++)
        r->ready[i].last = &r->ready[i].first;
    r->local = local_new(p->mail);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, NULL);
    pthread_cond_init(&r->gone, NULL);
    r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->event_fd < 0 || pthread_create(&r->feeder, NULL, feeder, r) != 0)
        panic("no thread for the queue");
    return r;
}

void relay_wake(struct relay *r)
{
    uint64_t one = 1;
    if (write(r->event_fd, &one, sizeof one) < 0 && errno != EAGAIN) /* EAGAIN: it is awake as it is */
        panic("an eventfd that cannot be written");
}

void relay_set_settings(struct relay *r, const struct config_relay *settings)
{
    pthread_mutex_lock(&r->lock);
    r->parts.maker.settings = settings;
    pthread_mutex_unlock(&r->lock);
    relay_wake(r);
}

bool relay_stop(struct relay **rp)
{
    struct relay *r = *rp;
    *rp = NULL;
    if (!r)
        return true;
    pthread_mutex_lock(&r->lock);
    r->is_stopping = true;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
    relay_wake(r);
    pthread_join(r->feeder, NULL);
    if (!relay_join_workers(r))
        return false;
    struct span key;
    void *value;
    for (size_t at = 0; map_next(r->destinations, &at, &key, &value);) {
        struct destination *d = value;
        destination_free(&d);
    }
    map_free(&r->destinations);
    local_free(&r->local);
    close(r->event_fd);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->work);
    pthread_cond_destroy(&r->gone);
    free(r);
    return true;
}
