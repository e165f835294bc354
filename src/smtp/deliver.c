/*
 * deliver.c - see deliver.h.
 *
 * The parsed forms of a message are made once. Copies for several accounts differ in the header fields put before them
 * (Delivered-To), so in nothing but a few octets at the front: the table of parts is shifted by the difference
 * (shift_content), the rest is the same.
 */
#include "smtp/deliver.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "policy/srs.h"
#include "smtp/onward.h"
#include "smtp/room.h"
#include "smtp/success.h"
#include "smtp/trace.h"
#include "text/mime_convert.h"
#include "base/banned.h"

/* One target of the message, whoever of the recipients led to it. */
struct job {
    struct span address;
    struct span queued_as;    /* for the queue: with its subaddress, which is looked for again when it comes back */
    struct span forwarded_by; /* outside targets of an alias: the alias, as the recipient wrote it */
    unsigned notify;          /* what is handed on of the recipients' (hand_on()) */
    struct span orcpt;
    bool is_local, is_done;
    bool is_for_queue; /* outside; held back by its sender (RFC 4865 §3); or its sender is to hear of success */
    bool is_queued;    /* done by the queue: it tells of what becomes of it */
    struct err err;    /* where not done */
    struct smtp_code code;
};

struct work {
    const struct delivery *d;
    const struct smtp_transaction *t;
    struct arena arena;
    struct message_facts facts;
    struct job *jobs;
    size_t count;
    struct map *by_address;
    struct content content; /* prepared with the first local target's fields */
    size_t content_prefix;  /* their length; 0: not prepared yet */
    bool is_held;           /* until a time to come */
    bool is_converted;      /* a BINARYMIME message has been made one of lines */
};

/* ---- targets ------------------------------------------------------------------------------------------------ */

/* RFC 3461 §5.2.7.2: what leads to one address takes the sender's wishes along. §5.2.7.3 (c): of what leads to several
 * the sender hears "expanded", and no more of success. */
static unsigned notify_of(const struct smtp_recipient *by)
{
    if (by->route.count == 1 || !(by->notify & SMTP_NOTIFY_SUCCESS))
        return by->notify;
    unsigned rest = by->notify & ~(unsigned)SMTP_NOTIFY_SUCCESS;
    return rest ? rest : SMTP_NOTIFY_NEVER;
}

/* Two recipients that lead to one target: whoever wants to hear of it does. */
static unsigned notify_both(unsigned a, unsigned b)
{
    enum { DEFAULT = SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY };
    if (a == b || b == SMTP_NOTIFY_NEVER)
        return a;
    if (a == SMTP_NOTIFY_NEVER)
        return b;
    return (a ? a : DEFAULT) | (b ? b : DEFAULT);
}

/* RFC 3461 §5.2.1 (d): for an address that the sender has never seen, the one that the sender wrote may be added. */
static struct span orcpt_of(struct work *w, const struct route_target *target, const struct smtp_recipient *by)
{
    bool is_ascii = true;
    for (size_t i = 0; i < by->text.len; i++)
        is_ascii = is_ascii && (unsigned char)by->text.p[i] < 0x80;
    if (by->orcpt.len || span_ieq(target->address, by->text) || by->address.domain.len == 0)
        return by->orcpt;
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_add_cstr(&text, is_ascii ? "rfc822;" : "utf-8;");
    if (is_ascii)
        xtext_encode(by->text, &text);
    else
        unitext_encode(by->text, &text);
    return text.len <= SMTP_ORCPT_MAX ? arena_strbuf(&w->arena, &text) : SPAN_NONE;
}

static struct span with_subaddress(struct work *w, const struct route_target *target)
{
    size_t at = span_rfind_byte(target->address, '@');
    if (!target->is_local || target->subaddress.len == 0 || at == SPAN_NPOS)
        return target->address;
    AUTO_STRBUF local = STRBUF_INIT, whole = STRBUF_INIT;
    strbuf_addf(&local, "%.*s%s%.*s", SPAN_ARG(span_take(target->address, at)), w->d->app->subaddress_separator,
                SPAN_ARG(target->subaddress));
    address_write(&(struct mailbox_address){strbuf_span(&local), span_skip(target->address, at + 1)}, &whole);
    return arena_strbuf(&w->arena, &whole);
}

/* RFC 3461 §5.2.3: the notification of a delivery must not get lost behind it. The queue settles a delivery and its
 * report in one transaction, so such a recipient goes by it, under the name that the sender wrote (§5.2.7.4: where an
 * alias leads is not his business). A report has no sender to tell; what a filter has quarantined is not queued. */
static void by_queue_if_told(const struct work *w, struct job *j, const struct smtp_recipient *by)
{
    bool is_told = j->is_local && w->t->from.len && !w->t->mail.is_quarantined;
    if (!is_told || !(notify_of(by) & SMTP_NOTIFY_SUCCESS))
        return;
    j->is_for_queue = true;
    j->orcpt = by->orcpt;
    if (by->address.domain.len) /* <postmaster> alone is written with its domain */
        j->queued_as = by->text;
}

static void job_for(struct work *w, const struct route_target *target, const struct smtp_recipient *by)
{
    struct job *known = map_get(w->by_address, target->address);
    if (known) {
        known->notify = notify_both(known->notify, notify_of(by));
        by_queue_if_told(w, known, by);
        return;
    }
    struct job *j = &w->jobs[w->count++];
    j->address = target->address;
    j->queued_as = with_subaddress(w, target);
    j->is_local = target->is_local;
    j->is_for_queue = !target->is_local || w->is_held;
    j->notify = notify_of(by);
    j->orcpt = orcpt_of(w, target, by);
    if (!target->is_local && !span_ieq(target->address, by->text))
        j->forwarded_by = by->text;
    by_queue_if_told(w, j, by);
    map_put(w->by_address, target->address, j);
}

static bool collect(struct work *w)
{
    size_t total = 0;
    for (size_t i = 0; i < w->t->count; i++)
        total += w->t->recipients[i].route.count;
    if (total > DELIVER_TARGETS_MAX)
        return false;
    w->jobs = arena_array(&w->arena, total, sizeof *w->jobs);
    for (size_t i = 0; i < w->t->count; i++)
        for (size_t k = 0; k < w->t->recipients[i].route.count; k++)
            job_for(w, &w->t->recipients[i].route.targets[k], &w->t->recipients[i]);
    return true;
}

static void job_failed(const struct work *w, struct job *j, const struct err *err)
{
    j->err = *err;
    j->code = smtp_code_of(err->status);
    if (err->status == ST_DENIED ||
        err->status == ST_STATE) /* of our files, not of the mail: the operator can mend it */
        j->code = smtp_code_of(ST_IO);
    else if (err->status == ST_QUOTA)
        j->code = room_code(w->d->app);
}

static bool is_loop(const struct work *w, struct span address)
{
    for (size_t i = 0; i < w->facts.delivered_to_count; i++)
        if (span_ieq(w->facts.delivered_to[i], address))
            return true;
    return w->facts.delivered_to_count >= DELIVERED_TO_MAX;
}

static void job_loops(struct job *j)
{
    err_set(&j->err, ST_DENIED, "Mail is going in circles: it was delivered here before");
    j->code = (struct smtp_code){554, "5.4.6"};
}

/* ---- the queue ---------------------------------------------------------------------------------------------- */

/* What we forward leaves with a sender of the forwarding domain (policy/srs.h); our own senders need it not, and a null
 * one stays null. */
static enum status rewrite_sender(struct work *w, struct span forwarded_by, struct span *from, struct err *err)
{
    const struct mailbox_address *sender = &w->t->mail.from;
    struct span ascii = sender->domain, local;
    struct err ignored;
    bool is_ours = true;
    if (sender->domain.len && domain_to_ascii(&w->arena, sender->domain, &ascii, &ignored) == ST_OK)
        TRY(directory_has_domain(w->d->app->directory, ascii, &is_ours, err));
    size_t at = span_rfind_byte(forwarded_by, '@');
    if (is_ours || at == SPAN_NPOS ||
        !srs_forward(&w->arena, w->d->app->srs_key, sender, clock_wall_ms() / 1000, &local))
        return ST_OK;
    AUTO_STRBUF text = STRBUF_INIT;
    address_write(&(struct mailbox_address){local, span_skip(forwarded_by, at + 1)}, &text);
    *from = arena_strbuf(&w->arena, &text);
    return ST_OK;
}

/* Gives the message to relay for these addresses: all or none. */
static enum status to_queue(struct work *w, const struct smtp_rcpt *to, size_t count, struct span forwarded_by,
                            struct err *err)
{
    AUTO_STRBUF fields = STRBUF_INIT;
    struct smtp_mail m = onward_mail(w->t);
    m.is_binary = m.is_binary && !w->is_converted;
    if (m.is_quarantined) /* it waits there for the operator */
        m.hold_until = w->t->mail_at + SMTP_HOLD_SECONDS_MAX;
    if (forwarded_by.len) {
        TRY(rewrite_sender(w, forwarded_by, &m.from, err));
        strbuf_addf(&fields, "Delivered-To: %.*s\r\n", SPAN_ARG(forwarded_by));
    }
    struct span pieces[3] = {strbuf_span(&fields), w->d->prefix, SPAN_NONE};
    TRY(body_span(*w->d->body, &pieces[2], err));
    m.size = 0; /* not known before it is sent, and the queue does not ask */
    return onward_to_queue(w->d->app, &m, to, count, pieces, 3, err);
}

/* Targets that are for the queue and came by this alias (empty: by none). */
static bool is_outside_by(const struct job *j, struct span by)
{
    return j->is_for_queue && !j->is_done && j->err.status == ST_OK && span_eq(j->forwarded_by, by);
}

static bool is_local_failed(const struct job *j, struct span by)
{
    (void)by;
    return j->is_local && !j->is_done;
}

/* Those jobs from `at` on that `is_wanted` says, in lots that the queue's own limit of recipients allows. */
static enum status jobs_to_queue(struct work *w, size_t at, bool (*is_wanted)(const struct job *, struct span by),
                                 struct span by, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct smtp_rcpt *to = arena_array(&a, w->count < SMTP_RECIPIENTS_MAX ? w->count : SMTP_RECIPIENTS_MAX, sizeof *to);
    while (at < w->count) {
        size_t n = 0, from = at;
        for (; at < w->count && n < SMTP_RECIPIENTS_MAX; at++)
            if (is_wanted(&w->jobs[at], by))
                to[n++] = (struct smtp_rcpt){w->jobs[at].queued_as, w->jobs[at].notify, w->jobs[at].orcpt};
        if (n)
            TRY(to_queue(w, to, n, by, err));
        for (size_t i = from; i < at; i++)
            if (is_wanted(&w->jobs[i], by))
                w->jobs[i].is_done = w->jobs[i].is_queued = true;
    }
    return ST_OK;
}

static bool has(const struct work *w, bool is_done)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->jobs[i].is_done == is_done)
            return true;
    return false;
}

/* The queue gets one copy of the message for all targets of an alias: forwarded mail says who forwarded it, so that it
 * is known again when it comes back. Where the queue fails after it has taken a copy, only what it has not taken has
 * failed. */
static enum status outside(struct work *w, struct err *err)
{
    for (size_t i = 0; i < w->count; i++) {
        struct job *j = &w->jobs[i];
        struct span by = j->forwarded_by;
        if (!is_outside_by(j, by))
            continue;
        if (by.len && is_loop(w, by)) {
            job_loops(j);
            continue;
        }
        enum status st = jobs_to_queue(w, i, is_outside_by, by, err);
        if (st != ST_OK && !has(w, true))
            return st;
        for (size_t k = i; st != ST_OK && k < w->count; k++)
            if (is_outside_by(&w->jobs[k], by))
                job_failed(w, &w->jobs[k], err);
    }
    return ST_OK;
}

/* ---- mailboxes ---------------------------------------------------------------------------------------------- */

/* RFC 3030 §3: a mailbox holds lines, as IMAP and POP3 want them; binary parts are encoded. */
static enum status convert(struct work *w, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF converted = STRBUF_INIT;
    struct span message;
    TRY(body_span(*w->d->body, &message, err));
    TRY(mime_convert(&a, message, MIME_FIT_8BIT, &converted, err));
    AUTO(body) b = body_new(converted.len);
    TRY(body_append(b, strbuf_span(&converted), err));
    body_free(w->d->body);
    *w->d->body = b;
    b = NULL;
    w->is_converted = true;
    return ST_OK;
}

/* The same content behind header fields that are `delta` octets longer. Only the table of parts knows positions. */
static enum status shift_content(const struct work *w, struct arena *a, struct span raw, int64_t delta,
                                 struct content *out, struct err *err)
{
    *out = w->content;
    out->raw = raw;
    if (delta == 0)
        return ST_OK;
    struct mime_message m;
    TRY(mime_unpack(a, w->content.parts, &m, err));
    for (size_t i = 0; i < m.count; i++) {
        if (i)
            m.parts[i].header_offset += (uint64_t)delta;
        else
            m.parts[i].header_size += (uint64_t)delta;
        m.parts[i].body_offset += (uint64_t)delta;
    }
    AUTO_STRBUF packed = STRBUF_INIT;
    mime_pack(&m, &packed);
    out->parts = arena_strbuf(a, &packed);
    out->header_size += (uint64_t)delta;
    return ST_OK;
}

static enum status content_for(struct work *w, const struct job *j, struct arena *a, struct content *out,
                               struct err *err)
{
    AUTO_STRBUF fields = STRBUF_INIT; /* RFC 5321 §4.4: final delivery adds Return-Path, at the very front */
    strbuf_addf(&fields, "Return-Path: <%.*s>\r\nDelivered-To: %.*s\r\n", SPAN_ARG(w->t->from), SPAN_ARG(j->address));
    strbuf_add(&fields, w->d->prefix);
    struct span raw;
    TRY(body_prefix(*w->d->body, strbuf_span(&fields), &raw, err));
    if (!w->content_prefix) {
        content_prepare(&w->arena, raw, &w->content);
        w->content_prefix = fields.len;
    }
    return shift_content(w, a, raw, (int64_t)fields.len - (int64_t)w->content_prefix, out, err);
}

static const char *mailbox_of(const struct work *w)
{
    return w->t->mail.is_quarantined ? "Junk" : "INBOX";
}

static enum status deliver_to(struct work *w, const struct job *j, uint32_t *uid, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT; /* a table of many parts, once for each of many accounts, would add up */
    struct content content;
    TRY(content_for(w, j, &a, &content, err));
    AUTO(account) account = NULL;
    TRY(account_open(w->d->app->store, j->address, &account, err));
    struct mail_date now = {.utc = clock_wall_ms() / 1000};
    enum status st = message_deliver(account, span_cstr(mailbox_of(w)), &content, now, uid, err);
    if (st == ST_NOTFOUND && w->t->mail.is_quarantined) /* the account has no Junk: not lost is better than not seen */
        st = message_deliver(account, SPAN("INBOX"), &content, now, uid, err);
    return st;
}

static void local(struct work *w, struct job *j)
{
    uint32_t uid;
    struct err err;
    struct log_line l;
    if (is_loop(w, j->address)) {
        job_loops(j);
        return;
    }
    if (deliver_to(w, j, &uid, &err) != ST_OK) {
        job_failed(w, j, &err);
        smtp_log_begin(w->d->session, &l, LOG_WARN, "not-delivered");
        log_span(&l, "to", j->address);
        log_err(&l, &err);
        log_end(&l);
        return;
    }
    j->is_done = true;
    smtp_log_begin(w->d->session, &l, LOG_INFO, "delivered");
    log_span(&l, "to", j->address);
    log_str(&l, "mailbox", mailbox_of(w));
    log_u64(&l, "uid", uid);
    log_end(&l);
}

/* ---- all together ------------------------------------------------------------------------------------------- */

/* RFC 3461 §5.2.3: nobody is told about a report. */
static bool wants_success(const struct work *w, const struct smtp_recipient *r)
{
    return w->t->from.len && (r->notify & SMTP_NOTIFY_SUCCESS);
}

/* Before anything is delivered: if the queue does not take this, the mail is refused for now, and nothing lost. */
static enum status tell_expanded(const struct work *w, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct success *list = arena_array(&a, w->t->count, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < w->t->count; i++)
        if (wants_success(w, &w->t->recipients[i]) && w->t->recipients[i].route.count > 1)
            list[count++] = (struct success){&w->t->recipients[i], DSN_EXPANDED};
    return success_tell(w->d, list, count, err);
}

static enum status run(struct work *w, struct err *err)
{
    struct span message;
    TRY(body_span(*w->d->body, &message, err));
    message_facts_of(&w->arena, message, &w->facts);
    if (w->facts.has_return_path) { /* RFC 5321 §4.4: there is one, ours */
        TRY(message_drop_fields(w->d->body, &SPAN("Return-Path"), 1, err));
        TRY(body_span(*w->d->body, &message, err));
        message_facts_of(&w->arena, message, &w->facts); /* the spans are of the new body */
    }
    w->is_held = onward_mail(w->t).hold_until > clock_wall_ms() / 1000;
    if (!collect(w))
        return err_set(err, ST_LIMIT, "too many recipients behind aliases");
    TRY(tell_expanded(w, err));
    TRY(outside(w, err));
    if (w->t->mail.is_binary && !w->is_held)
        TRY(convert(w, err));
    for (size_t i = 0; i < w->count; i++)
        if (!w->jobs[i].is_for_queue)
            local(w, &w->jobs[i]);
    if (has(w, true) && has(w, false)) {
        struct err failed;
        if (jobs_to_queue(w, 0, is_local_failed, SPAN_NONE, &failed) != ST_OK) {
            struct log_line l;
            smtp_log_begin(w->d->session, &l, LOG_ERROR, "mixed-result");
            log_err(&l, &failed);
            log_end(&l);
        }
    }
    return ST_OK;
}

/* A recipient is served when all its targets are; else the worst of them speaks: temporary before permanent. */
static void result_of(const struct work *w, const struct smtp_recipient *r, struct delivery_result *out)
{
    *out = (struct delivery_result){.code = {250, "2.0.0"}};
    for (size_t i = 0; i < r->route.count; i++) {
        const struct job *j = map_get(w->by_address, r->route.targets[i].address);
        if (j->is_done || (out->err.status != ST_OK && j->code.code >= 500))
            continue;
        out->err = j->err;
        out->code = j->code;
    }
}

/* What was quarantined has been put into Junk by now: there is no way to refuse it any more. */
static void tell_delivered(const struct work *w, const struct delivery_result *results)
{
    AUTO_ARENA a = ARENA_INIT;
    struct success *list = arena_array(&a, w->t->count, sizeof *list);
    size_t count = 0;
    struct err err;
    struct log_line l;
    for (size_t i = 0; i < w->t->count; i++) {
        const struct smtp_recipient *r = &w->t->recipients[i];
        const struct job *first = map_get(w->by_address, r->route.targets[0].address);
        if (wants_success(w, r) && r->route.count == 1 && results[i].err.status == ST_OK && first->is_local &&
            !first->is_queued)
            list[count++] = (struct success){r, DSN_DELIVERED};
    }
    if (success_tell(w->d, list, count, &err) == ST_OK)
        return;
    smtp_log_begin(w->d->session, &l, LOG_ERROR, "report-lost");
    log_span(&l, "to", w->t->from);
    log_err(&l, &err);
    log_end(&l);
}

void deliver(const struct delivery *d, struct delivery_result *results)
{
    struct work w = {.d = d, .t = d->session->transaction, .by_address = map_new()};
    struct err err;
    enum status st = run(&w, &err);
    for (size_t i = 0; i < w.t->count; i++) {
        if (st == ST_OK)
            result_of(&w, &w.t->recipients[i], &results[i]);
        else
            results[i] = (struct delivery_result){.err = err, .code = smtp_code_of(st)};
    }
    if (st == ST_OK)
        tell_delivered(&w, results);
    map_free(&w.by_address);
    arena_free(&w.arena);
}
