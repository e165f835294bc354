/* outcome.c - see outcome.h. */
#include "relay/outcome.h"
#include <sys/random.h>
#include "base/clock.h"
#include "base/log.h"
#include "queue/outbound.h"
#include "smtp/dsn.h"
#include "base/banned.h"

struct making {
    const struct outcome_maker *o;
    const struct queue_message *m;
    struct arena arena;
    struct schedule schedule;
    int64_t now;
    struct queue_outcome *outcomes;
    struct dsn_recipient *told;
    size_t told_count;
};

static void begin(struct making *w, const struct outcome_maker *o, const struct queue_message *m, int64_t now)
{
    *w = (struct making){.o = o, .m = m, .now = now, .schedule = outbound_schedule(o->settings)};
    w->outcomes = arena_array(&w->arena, m->recipient_count, sizeof *w->outcomes);
    w->told = arena_array(&w->arena, m->recipient_count, sizeof *w->told);
}

static void tell(struct making *w, const struct queue_recipient *r, enum dsn_action action, struct span reply,
                 struct span remote, int64_t until)
{
    if (w->m->sender.len && dsn_is_wanted(r->notify, action)) /* RFC 5321 §4.5.5: never about a notification */
        w->told[w->told_count++] = (struct dsn_recipient){action, r->address, r->orcpt, reply, remote, until};
}

/* RFC 2852 §4: what DELIVERBY itself asks for is told to everybody who has not said that he wants to hear nothing. */
static void tell_of_time(struct making *w, const struct queue_recipient *r, enum dsn_action action, struct span reply,
                         struct span remote, int64_t until)
{
    if (w->m->sender.len && !(r->notify & QUEUE_NOTIFY_NEVER))
        w->told[w->told_count++] = (struct dsn_recipient){action, r->address, r->orcpt, reply, remote, until};
}

/* Outcomes and the report that tells of them, together. */
static enum status settle(struct making *w, struct span body, int64_t deadline_at, struct err *err)
{
    AUTO_STRBUF text = STRBUF_INIT, original = STRBUF_INIT;
    struct queue_report report;
    struct queue_to to = {.address = w->m->sender};
    struct dsn d = {w->o->hostname, w->m, w->now, body, w->told, w->told_count};
    size_t reports = w->told_count ? 1 : 0;
    if (reports) {
        if (body.len == 0) {
            TRY(queue_body(w->o->queue, w->m->id, &original, err));
            body = strbuf_span(&original);
        }
        d.message = body;
        bool is_utf8, is_8bit = false;
        dsn_write(&d, &text, &is_utf8);
        for (size_t i = 0; !is_8bit && i < text.len; i++)
            is_8bit = (unsigned char)text.p[i] >= 0x80;
        size_t at = span_rfind_byte(w->m->sender, '@');
        struct span domain = at == SPAN_NPOS ? SPAN_NONE : span_skip(w->m->sender, at + 1);
        to.destination = outbound_destination(w->o->settings, &w->arena, SPAN_NONE, domain);
        report = (struct queue_report){
            .envelope = {.sender = SPAN(""),
                         .trace = w->m->trace,
                         .wishes = {.body = is_8bit ? QUEUE_8BITMIME : QUEUE_7BIT,
                                    .is_smtputf8 = is_utf8,
                                    .is_tls_required = w->m->wishes.is_tls_required, /* RFC 8689 §5 */
                                    .priority = w->m->wishes.priority},              /* RFC 6710 §4.6 */
                         .to = &to,
                         .to_count = 1},
            .message = strbuf_span(&text)};
        report.envelope.first_deadline_at = outbound_first_deadline(w->o->settings, w->now, &report.envelope.wishes);
    }
    TRY(queue_settle(w->o->queue, w->outcomes, w->m->recipient_count, &report, reports, deadline_at, err));
    dsn_log(&d);
    return ST_OK;
}

static int64_t next_attempt(const struct making *w, const struct queue_recipient *r)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = 0;
    return schedule_next(&w->schedule, w->now, r->attempts + 1, random);
}

/* ---- after an attempt
 * ------------------------------------------------------------------------------------------------- */

static void judge(struct making *w, size_t i, const struct verdict *v, struct span remote)
{
    const struct queue_recipient *r = &w->m->recipients[i];
    struct span reply = span_cstr(v->reply);
    struct queue_outcome *o = &w->outcomes[i];
    *o = (struct queue_outcome){
        .recipient_id = r->id, .state = v->state, .is_attempt = true, .began_at = r->next_attempt_at, .reply = reply};
    switch (v->state) {
    case QUEUE_WAITING:
        o->next_attempt_at = next_attempt(w, r);
        break;
    case QUEUE_FAILED:
        tell(w, r, DSN_FAILED, reply, remote, 0);
        break;
    default: /* RFC 3461 §5.2.2: who knows DSN will tell; for others we say as much as we know */
        if (!v->is_final && (w->m->wishes.is_by_traced || (w->m->wishes.by == QUEUE_BY_NOTIFY && !v->is_by_done)))
            tell_of_time(w, r, DSN_RELAYED, reply, remote, 0);
        else if (!v->is_dsn_done)
            tell(w, r, v->is_final ? DSN_DELIVERED : DSN_RELAYED, reply, remote, 0);
        break;
    }
}

enum status outcome_settle(const struct outcome_maker *o, const struct queue_message *m, const struct verdict *v,
                           struct span remote, struct span body, struct err *err)
{
    struct making w;
    begin(&w, o, m, clock_wall_ms() / 1000);
    for (size_t i = 0; i < m->recipient_count; i++)
        judge(&w, i, &v[i], remote);
    enum status st = settle(&w, body, 0, err);
    arena_free(&w.arena);
    return st;
}

void outcome_log(const struct queue_message *m, const struct verdict *v, const struct link *l)
{
    static const char *const events[] = {
        [QUEUE_WAITING] = "deferred", [QUEUE_DELIVERED] = "sent", [QUEUE_FAILED] = "failed"};
    for (size_t i = 0; i < m->recipient_count; i++) {
        struct log_line line;
        const char *event = v[i].state == QUEUE_DELIVERED && !l ? "handed-over" : events[v[i].state];
        log_begin(&line, v[i].state == QUEUE_FAILED ? LOG_WARN : LOG_INFO, event);
        log_span(&line, "trace", m->trace);
        log_u64(&line, "queue", m->id);
        log_span(&line, "from", m->sender);
        log_span(&line, "to", m->recipients[i].address);
        log_u64(&line, "attempt", m->recipients[i].attempts + 1);
        if (l) {
            log_str(&line, "host", l->host);
            log_str(&line, "address", l->address);
            log_str(&line, "tls", l->is_tls ? dial_facts(l->dial)->version : "none");
            log_str(&line, "trust", l->is_authentic ? "verified" : NULL);
        }
        log_str(&line, "reply", v[i].reply);
        log_end(&line);
    }
}

/* ---- deadlines
 * ---------------------------------------------------------------------------------------------------------- */

static void expire_one(struct making *w, size_t i, int64_t start, bool is_expired, bool is_by_over)
{
    const struct queue_recipient *r = &w->m->recipients[i];
    struct queue_outcome *o = &w->outcomes[i];
    *o = (struct queue_outcome){.recipient_id = r->id,
                                .state = QUEUE_WAITING,
                                .next_attempt_at = r->next_attempt_at,
                                .began_at = r->next_attempt_at};
    bool is_returned = is_by_over && w->m->wishes.by == QUEUE_BY_RETURN;
    if (is_expired || is_returned) {
        struct span why =
            is_expired ? SPAN("delivery was tried for too long") : SPAN("it could not be delivered in time");
        o->state = QUEUE_FAILED;
        /* RFC 3463 §3.5: X.4.7, delivery time expired; RFC 2852 §4: for good where the sender wanted it so */
        o->reply = arena_printf(&w->arena, "%s %.*s%s%.*s", is_returned ? "554 5.4.7" : "450 4.4.7", SPAN_ARG(why),
                                r->last_reply.len ? "; last: " : "", SPAN_ARG(r->last_reply));
        tell(w, r, DSN_FAILED, o->reply, SPAN_NONE, 0);
        return;
    }
    if (r->is_delay_told)
        return;
    o->is_delay_told = true;
    struct span reply =
        r->last_reply.len ? r->last_reply : SPAN("450 4.4.1 it has not been possible to deliver it yet");
    (is_by_over ? tell_of_time : tell)(w, r, DSN_DELAYED, reply, SPAN_NONE, start + w->schedule.expiry_seconds);
}

static void log_expiry(const struct queue_message *m, size_t i, const struct queue_outcome *o)
{
    struct log_line line;
    log_begin(&line, LOG_WARN, o->state == QUEUE_FAILED ? "failed" : "delayed");
    log_span(&line, "trace", m->trace);
    log_u64(&line, "queue", m->id);
    log_span(&line, "from", m->sender);
    log_span(&line, "to", m->recipients[i].address);
    log_u64(&line, "attempt", m->recipients[i].attempts);
    log_span(&line, "reply", o->state == QUEUE_FAILED ? o->reply : m->recipients[i].last_reply);
    log_end(&line);
}

enum status outcome_expire(const struct outcome_maker *o, const struct queue_message *m, int64_t now, struct err *err)
{
    struct making w;
    begin(&w, o, m, now);
    int64_t start = m->wishes.hold_until > m->queued_at ? m->wishes.hold_until : m->queued_at;
    bool is_expired = now >= start + w.schedule.expiry_seconds;
    bool is_by_over = m->wishes.by && now >= m->wishes.deliver_by;
    for (size_t i = 0; i < m->recipient_count; i++) {
        expire_one(&w, i, start, is_expired, is_by_over);
        if (w.outcomes[i].state == QUEUE_FAILED || w.outcomes[i].is_delay_told)
            log_expiry(m, i, &w.outcomes[i]);
    }
    /* With DELIVERBY's time over, only expiry is left; held messages have no waiting recipient and come again later. */
    int64_t next = schedule_deadline(&w.schedule, start, is_by_over ? 0 : m->wishes.deliver_by, true);
    if (next <= now)
        next = now + 3600;
    enum status st = m->recipient_count ? settle(&w, SPAN_NONE, next, err) : queue_postpone(o->queue, m->id, next, err);
    arena_free(&w.arena);
    return st;
}
