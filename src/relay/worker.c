/*
 * worker.c - the threads that send (see relay.h). A worker takes a destination from the ready list and sends messages
 * of it over one connection, until there are none, or others wait for a worker too and it has had its turn or they are
 * more urgent.
 *
 * What came of an attempt is written before the next is begun. Where it cannot be written (the disk is full), the
 * worker keeps it and tries again each second: its recipients stay in its hand, so nobody sends to them again, and as
 * more workers come into this state less new work is begun.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "base/mem.h"
#include "queue/outbound.h"
#include "relay/internal.h"
#include "relay/prepare.h"
#include "base/banned.h"

enum { WORKER_STACK = 512 * 1024, WORKER_IDLE_SECONDS = 10, TURN_MESSAGES = 50, SETTLE_RETRY_SECONDS = 1 };

struct errand {
    struct relay *r;
    struct destination *d;
    struct parcel *parcel;
    struct link *link;
    struct span domain;
    const struct config_route *route;
    const struct config_relay *settings;
    int64_t pushes; /* of the destination, when the message was taken up */
};

static bool is_stopping(struct relay *r)
{
    pthread_mutex_lock(&r->lock);
    bool stopping = r->is_stopping;
    pthread_mutex_unlock(&r->lock);
    return stopping;
}

/* ---- what came of it
 * ---------------------------------------------------------------------------------------------------- */

/* False: the role stops, and it could not be written. */
static bool settle(struct errand *e, const struct queue_message *m, const struct verdict *v, struct span remote,
                   struct span body)
{
    struct outcome_maker maker = relay_outcome_maker(e->r);
    struct err err;
    bool is_said = false;
    while (outcome_settle(&maker, m, v, remote, body, &err) != ST_OK) {
        struct log_line l;
        if (!is_said) {
            log_begin(&l, LOG_ERROR, "queue-failed");
            log_u64(&l, "queue", m->id);
            log_err(&l, &err);
            log_end(&l);
        }
        is_said = true;
        if (is_stopping(e->r))
            return false;
        struct timespec pause = {.tv_sec = SETTLE_RETRY_SECONDS};
        nanosleep(&pause, NULL);
    }
    return true;
}

static void all_verdicts(struct verdict *v, size_t count, enum queue_state state, const char *reply)
{
    for (size_t i = 0; i < count; i++)
        verdict_set(&v[i], state, "%s", reply);
}

/* ---- a message
 * ------------------------------------------------------------------------------------------------------------ */

static struct span domain_of(struct span address)
{
    size_t at = span_rfind_byte(address, '@');
    return at == SPAN_NPOS ? SPAN_NONE : span_skip(address, at + 1);
}

/* Takes those recipients out of m that are ours; they are handed over. False: cannot be known now. */
static bool deliver_ours(struct errand *e, struct arena *a, struct queue_message *m, struct span body)
{
    struct queue_message ours = *m;
    struct err err;
    ours.recipients = arena_array(a, m->recipient_count, sizeof *ours.recipients);
    ours.recipient_count = 0;
    struct queue_message others = ours;
    others.recipients = arena_array(a, m->recipient_count, sizeof *others.recipients);
    for (size_t i = 0; i < m->recipient_count; i++) {
        struct span domain = domain_of(m->recipients[i].address), ascii = domain;
        bool is_ours = true; /* <postmaster> without domain */
        if (domain.len && domain_to_ascii(a, domain, &ascii, &err) != ST_OK)
            ascii = domain;
        if (domain.len && local_has(e->r->local, ascii, &is_ours, &err) != ST_OK) {
            AUTO_ARENA scratch = ARENA_INIT;
            struct verdict *v = arena_array(&scratch, m->recipient_count, sizeof *v);
            all_verdicts(v, m->recipient_count, QUEUE_WAITING, "451 4.3.0 this server's accounts cannot be asked now");
            outcome_log(m, v, NULL);
            (void)settle(e, m, v, SPAN_NONE, body);
            return false;
        }
        struct queue_message *to = is_ours ? &ours : &others;
        to->recipients[to->recipient_count++] = m->recipients[i];
    }
    if (ours.recipient_count) {
        struct verdict *v = arena_array(a, ours.recipient_count, sizeof *v);
        local_deliver(e->r->local, &ours, body, v);
        outcome_log(&ours, v, NULL);
        (void)settle(e, &ours, v, SPAN_NONE, body);
    }
    *m = others;
    return m->recipient_count > 0;
}

static struct link *take_idle(struct errand *e)
{
    pthread_mutex_lock(&e->r->lock);
    struct link *l = e->d->idle_count ? e->d->idle[--e->d->idle_count] : NULL;
    pthread_mutex_unlock(&e->r->lock);
    return l;
}

static void set_linked(struct errand *e, bool is_linked)
{
    pthread_mutex_lock(&e->r->lock);
    if (is_linked)
        e->d->linked++;
    else
        e->d->linked--;
    pthread_mutex_unlock(&e->r->lock);
}

static void drop_link(struct errand *e, bool is_good)
{
    if (!e->link)
        return;
    link_close(&e->link, is_good);
    set_linked(e, false);
}

/* A connection for this message, or verdicts. */
static bool get_link(struct errand *e, const struct queue_message *m, enum tls_wish wish, bool is_fresh,
                     struct verdict *v, struct link_failure *why)
{
    if (is_fresh)
        drop_link(e, false);
    if (!e->link && !is_fresh) {
        e->link = take_idle(e);
        if (e->link)
            set_linked(e, true);
    }
    bool is_strict =
        e->link && e->link->is_authentic && (smtp_client_extensions(e->link->client) & SMTP_EXT_REQUIRETLS) != 0;
    bool is_worse =
        e->link && ((wish == TLS_WISH_REQUIRED && !is_strict) || (wish != TLS_WISH_WAIVED && e->link->is_waived));
    if (is_worse) /* RFC 8689: the message wants a better one than others may do with */
        drop_link(e, true);
    if (e->link)
        return true;
    struct link_maker maker = e->r->parts.maker;
    maker.settings = e->settings;
    if (link_open(&maker, e->domain, e->route, wish, &e->link, why) == ST_OK) {
        set_linked(e, true);
        return true;
    }
    all_verdicts(v, m->recipient_count, why->is_permanent ? QUEUE_FAILED : QUEUE_WAITING, why->reply);
    return false;
}

static void report_success(struct errand *e)
{
    pthread_mutex_lock(&e->r->lock);
    destination_succeeded(e->d, e->settings->per_destination);
    pthread_mutex_unlock(&e->r->lock);
}

/* The hosts did not answer: fewer connections; none at all for a while where no other works. */
static void report_failure(struct errand *e)
{
    pthread_mutex_lock(&e->r->lock);
    destination_failed(e->d);
    if (e->d->linked == 0 && e->d->idle_count == 0) {
        e->d->is_resting = true;
        e->d->rest_pushes = e->pushes;
        destination_clear(e->d);
    }
    pthread_mutex_unlock(&e->r->lock);
}

/* RFC 9422: as many of the recipients as the peer takes in one transaction come to the front of the list. */
static size_t choose(struct link *l, struct queue_message *m)
{
    size_t max = link_recipients_max(l), chosen = 0;
    for (size_t i = 0; i < m->recipient_count && (max == 0 || chosen < max); i++) {
        if (!link_takes_domain(l, domain_of(m->recipients[i].address)))
            continue;
        struct queue_recipient taken = m->recipients[i];
        m->recipients[i] = m->recipients[chosen];
        m->recipients[chosen++] = taken;
    }
    return chosen;
}

/* One transaction, for all recipients or as many as the peer takes. Those that are settled are taken off the front of
 * m. False: the link broke, or there is none. */
static bool send_some(struct errand *e, struct queue_message *m, struct span body, struct verdict *v)
{
    struct link_failure why = {0};
    enum attempt_end end = ATTEMPT_STALE;
    enum tls_wish wish = prepare_tls_wish(m, body);
    bool has_link = false;
    struct queue_message part = *m;
    for (bool is_fresh = false; end == ATTEMPT_STALE; is_fresh = true) {
        has_link = get_link(e, m, wish, is_fresh, v, &why);
        if (!has_link)
            break;
        part.recipient_count = choose(e->link, m);
        if (part.recipient_count) /* else this link has had as many domains as it may */
            end = attempt_run(e->link, e->settings, &part, body, v);
    }
    outcome_log(&part, v, e->link);
    AUTO_STRBUF remote = STRBUF_INIT;
    strbuf_add_cstr(&remote, has_link ? e->link->host : why.host);
    bool is_broken = has_link && end == ATTEMPT_OVER && e->link->messages < link_messages_max(e->link);
    (void)settle(e, &part, v, strbuf_span(&remote), body);
    m->recipients += part.recipient_count;
    m->recipient_count -= part.recipient_count;
    if (end != ATTEMPT_GOOD)
        drop_link(e, end == ATTEMPT_OVER && !is_broken);
    if (has_link && !is_broken)
        report_success(e);
    else if (is_broken || why.is_host)
        report_failure(e);
    return has_link && !is_broken;
}

/* What is left when a link breaks is due still, and comes again. */
static void send_out(struct errand *e, struct arena *a, struct queue_message *m, struct span body)
{
    struct verdict *v = arena_array(a, m->recipient_count, sizeof *v);
    while (m->recipient_count && send_some(e, m, body, v))
        ;
}

/* The config may have changed since the message came: recipients that would now stand in another destination's queue go
 * there. False: none is left here. */
static bool keep_ours(struct errand *e, struct arena *a, struct queue_message *m)
{
    struct span name = span_cstr(e->d->name);
    if (e->settings->route_count == 0 && span_find_byte(name, '#', 0) == SPAN_NPOS)
        return true;
    struct queue_outcome *moved = arena_array(a, m->recipient_count, sizeof *moved);
    struct queue_recipient *kept = arena_array(a, m->recipient_count, sizeof *kept);
    size_t moved_count = 0, kept_count = 0;
    struct err err;
    for (size_t i = 0; i < m->recipient_count; i++) {
        const struct queue_recipient *r = &m->recipients[i];
        struct span wanted = outbound_destination(e->settings, a, domain_of(m->sender), domain_of(r->address));
        if (span_eq(wanted, name))
            kept[kept_count++] = *r;
        else
            moved[moved_count++] = (struct queue_outcome){.recipient_id = r->id,
                                                          .state = QUEUE_WAITING,
                                                          .next_attempt_at = clock_wall_ms() / 1000,
                                                          .began_at = r->next_attempt_at,
                                                          .destination = wanted};
    }
    if (moved_count && queue_settle(e->r->parts.queue, moved, moved_count, NULL, 0, 0, &err) == ST_OK)
        relay_wake(e->r);
    m->recipients = kept;
    m->recipient_count = kept_count;
    return kept_count > 0;
}

static void send_parcel(struct errand *e)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF body = STRBUF_INIT;
    struct err err;
    struct queue_message m = *e->parcel->message;
    if (queue_body(e->r->parts.queue, m.id, &body, &err) != ST_OK) {
        if (err.status == ST_NOTFOUND) /* dropped from the command line meanwhile */
            return;
        struct log_line l;
        log_begin(&l, LOG_ERROR, "queue-failed");
        log_err(&l, &err);
        log_end(&l);
        struct timespec pause = {.tv_sec = SETTLE_RETRY_SECONDS};
        nanosleep(&pause, NULL);
        return;
    }
    if (keep_ours(e, &a, &m) && deliver_ours(e, &a, &m, strbuf_span(&body)))
        send_out(e, &a, &m, strbuf_span(&body));
}

/* ---- a destination
 * ---------------------------------------------------------------------------------------------------------- */

/* With the lock held. */
static bool goes_on(const struct relay *r, const struct destination *d, unsigned sent)
{
    return !r->is_stopping && d->first && !d->is_resting && d->busy <= d->limit &&
           (sent < TURN_MESSAGES || r->ready_count == 0) && (r->idle_workers || !relay_has_more_urgent(r, d));
}

/* With the lock held, which is given up while it sends. */
static void serve(struct relay *r, struct destination *d)
{
    struct errand e = {.r = r, .d = d, .settings = r->parts.maker.settings};
    d->busy++;
    (void)outbound_parse(e.settings, span_cstr(d->name), &e.domain,
                         &e.route); /* an old route's: keep_ours() sees to it */
    for (unsigned sent = 0; goes_on(r, d, sent); sent++) {
        e.parcel = destination_take(d);
        e.pushes = d->pushes;
        relay_make_ready(r, d); /* there may be room for another worker */
        bool is_low = d->waiting + 1 == DESTINATION_WINDOW / 2;
        pthread_mutex_unlock(&r->lock);
        if (is_low) /* the next window comes while there is work still: connections are not given up between them */
            relay_wake(r);
        send_parcel(&e);
        pthread_mutex_lock(&r->lock);
        destination_done(d, &e.parcel);
    }
    struct link *leftover = e.link;
    if (e.link) {
        d->linked--;
        e.link->idle_since_ms = clock_mono_ms();
        if (d->idle_count < DESTINATION_IDLE_MAX && !d->is_resting && !e.link->is_waived) {
            d->idle[d->idle_count++] = e.link;
            leftover = NULL;
        }
    }
    if (leftover) {
        pthread_mutex_unlock(&r->lock);
        link_close(&leftover, true);
        pthread_mutex_lock(&r->lock);
    }
    d->busy--;
    relay_make_ready(r, d);
    if (!d->first || d->is_resting) {
        pthread_mutex_unlock(&r->lock);
        relay_wake(r); /* the feeder may have more for it, or forgets it */
        pthread_mutex_lock(&r->lock);
    }
}

static bool wait_for_work(struct relay *r)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WORKER_IDLE_SECONDS;
    r->idle_workers++;
    int rc = 0;
    while (r->ready_count == 0 && !r->is_stopping && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&r->work, &r->lock, &until);
    r->idle_workers--;
    return r->ready_count > 0 && !r->is_stopping;
}

static void *work(void *ctx)
{
    struct relay *r = ctx;
    pthread_mutex_lock(&r->lock);
    do {
        struct destination *d;
        while (!r->is_stopping && (d = relay_take_ready(r)) != NULL)
            serve(r, d);
    } while (wait_for_work(r));
    r->worker_count--;
    pthread_cond_signal(&r->gone);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

void relay_add_worker(struct relay *r)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, WORKER_STACK);
    if (pthread_create(&thread, &attributes, work, r) == 0)
        r->worker_count++;
    else if (r->worker_count == 0)
        panic("no thread for the relay");
    pthread_attr_destroy(&attributes);
}

bool relay_join_workers(struct relay *r)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RELAY_GRACE_MS / 1000;
    int rc = 0;
    pthread_mutex_lock(&r->lock);
    while (r->worker_count && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&r->gone, &r->lock, &until);
    bool all = r->worker_count == 0;
    pthread_mutex_unlock(&r->lock);
    return all;
}
