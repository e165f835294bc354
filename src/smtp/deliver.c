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
#include "smtp/pool.h"
#include "smtp/trace.h"
#include "text/mime_convert.h"
#include "base/banned.h"

/* One target of the message, whoever of the recipients led to it. */
struct job {
    struct span address;
    struct span forwarded_by; /* outside targets of an alias: the alias, as the recipient wrote it */
    unsigned notify; /* RFC 3461 §5.2.7.1: an alias hands on what its recipient was given */
    struct span orcpt;
    bool is_local, is_done;
    struct err err; /* where not done */
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
    bool is_converted;      /* a BINARYMIME message has been made one of lines */
};

/* ---- targets ------------------------------------------------------------------------------------------------ */

static struct job *job_for(struct work *w, const struct route_target *target, const struct smtp_recipient *by)
{
    struct job *known = map_get(w->by_address, target->address);
    if (known)
        return known;
    struct job *j = &w->jobs[w->count++];
    j->address = target->address;
    j->is_local = target->is_local;
    j->notify = by->notify;
    j->orcpt = by->orcpt;
    if (!target->is_local && !span_ieq(target->address, by->text))
        j->forwarded_by = by->text;
    map_put(w->by_address, target->address, j);
    return j;
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

static void job_failed(struct job *j, const struct err *err)
{
    j->err = *err;
    j->code = smtp_code_of(err->status);
    if (err->status == ST_DENIED ||
        err->status == ST_STATE) /* of our files, not of the mail: the operator can mend it */
        j->code = smtp_code_of(ST_IO);
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

static enum status talk(struct smtp_lease *l, const struct span *pieces, size_t count, size_t recipients,
                        struct err *err)
{
    struct smtp_reply r;
    for (size_t i = 1; i < recipients; i++) { /* the first has its reply already */
        TRY(smtp_client_reply(l->client, POOL_REPLY_MS, &r, err));
        if (!smtp_reply_is_good(&r))
            return err_set(err, ST_TEMPORARY, "the queue refuses a recipient: %u", r.code);
    }
    TRY(smtp_client_chunk(l->client, pieces, count, err));
    TRY(smtp_client_reply(l->client, POOL_REPLY_MS, &r, err));
    if (!smtp_reply_is_good(&r))
        return err_set_operator(err, ST_TEMPORARY, "try again later", "the queue says %u %s", r.code, r.text);
    return ST_OK;
}

static bool has_8bit(struct span s)
{
    unsigned char all = 0;
    for (size_t i = 0; i < s.len; i++)
        all |= (unsigned char)s.p[i];
    return all >= 0x80;
}

/* The envelope for relay: what the client asked for goes with it. */
static struct smtp_mail mail_of(const struct work *w)
{
    const struct smtp_mail_args *args = &w->t->mail;
    int64_t hold_until = args->hold_for ? clock_wall_ms() / 1000 + args->hold_for : args->hold_until;
    return (struct smtp_mail){.from = w->t->from,
                              .is_8bit = args->is_8bit,
                              .is_binary = args->is_binary && !w->is_converted,
                              .is_smtputf8 = args->is_smtputf8,
                              .is_tls_required = args->is_tls_required,
                              .is_by_traced = args->is_by_traced,
                              .trace = span_cstr(w->t->trace),
                              .ret = args->ret,
                              .envid = args->envid,
                              .hold_until = hold_until,
                              .by = args->by,
                              .by_seconds = args->by_seconds,
                              .priority = args->priority};
}

/* What we forward leaves with a sender of the forwarding domain (policy/srs.h); our own senders need it not, and a null one
 * stays null. */
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

/* Gives the message to relay for these addresses: all or none. Clients do not always say BODY=8BITMIME, relay must
 * know. */
static enum status to_queue(struct work *w, const struct smtp_rcpt *to, size_t count, struct span forwarded_by,
                            struct err *err)
{
    if (w->d->app->relay_channel < 0)
        return err_set(err, ST_TEMPORARY, "no mail can be sent out now");
    AUTO_STRBUF fields = STRBUF_INIT;
    struct smtp_mail m = mail_of(w);
    if (forwarded_by.len) {
        TRY(rewrite_sender(w, forwarded_by, &m.from, err));
        strbuf_addf(&fields, "Delivered-To: %.*s\r\n", SPAN_ARG(forwarded_by));
    }
    struct span pieces[3] = {strbuf_span(&fields), w->d->prefix, SPAN_NONE};
    TRY(body_span(*w->d->body, &pieces[2], err));
    m.is_8bit = m.is_8bit || has_8bit(pieces[2]);

    struct smtp_pool *pool = smtp_pool_new(w->d->app->relay_channel, w->d->app->hostname, false);
    struct smtp_lease *lease;
    struct smtp_reply mail, rcpt;
    enum status st = smtp_pool_begin(pool, &m, &to[0], &lease, &mail, &rcpt, err);
    if (st == ST_OK) {
        for (size_t i = 1; i < count; i++)
            smtp_client_rcpt(lease->client, &to[i]);
        st = smtp_reply_is_good(&mail) && smtp_reply_is_good(&rcpt)
                 ? talk(lease, pieces, 3, count, err)
                 : err_set(err, ST_TEMPORARY, "the queue refuses: %u %u", mail.code, rcpt.code);
        smtp_pool_drop(pool, &lease);
    }
    smtp_pool_free(&pool);
    return st;
}

/* Outside targets that came by this alias (empty: by none). */
static bool is_outside_by(const struct job *j, struct span by)
{
    return !j->is_local && !j->is_done && j->err.status == ST_OK && span_eq(j->forwarded_by, by);
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
                to[n++] = (struct smtp_rcpt){w->jobs[at].address, w->jobs[at].notify, w->jobs[at].orcpt};
        if (n)
            TRY(to_queue(w, to, n, by, err));
        for (size_t i = from; i < at; i++)
            if (is_wanted(&w->jobs[i], by))
                w->jobs[i].is_done = true;
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
                job_failed(&w->jobs[k], err);
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

static enum status deliver_to(struct work *w, const struct job *j, uint32_t *uid, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT; /* a table of many parts, once for each of many accounts, would add up */
    struct content content;
    TRY(content_for(w, j, &a, &content, err));
    AUTO(account) account = NULL;
    TRY(account_open(w->d->app->store, j->address, &account, err));
    struct mail_date now = {.utc = clock_wall_ms() / 1000};
    return message_deliver(account, SPAN("INBOX"), &content, now, uid, err);
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
        job_failed(j, &err);
        smtp_log_begin(w->d->session, &l, LOG_WARN, "not-delivered");
        log_span(&l, "to", j->address);
        log_err(&l, &err);
        log_end(&l);
        return;
    }
    j->is_done = true;
    smtp_log_begin(w->d->session, &l, LOG_INFO, "delivered");
    log_span(&l, "to", j->address);
    log_str(&l, "mailbox", "INBOX");
    log_u64(&l, "uid", uid);
    log_end(&l);
}

/* ---- all together ------------------------------------------------------------------------------------------- */

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
    if (!collect(w))
        return err_set(err, ST_LIMIT, "too many recipients behind aliases");
    TRY(outside(w, err));
    if (w->t->mail.is_binary)
        TRY(convert(w, err));
    for (size_t i = 0; i < w->count; i++)
        if (w->jobs[i].is_local)
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
    map_free(&w.by_address);
    arena_free(&w.arena);
}
