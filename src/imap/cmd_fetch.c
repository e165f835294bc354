/*
 * cmd_fetch.c - FETCH and UID FETCH (RFC 3501 §6.4.5, §6.4.8).
 *
 * Everything is parsed first; then the messages are answered one after the other by fetch_produce(), which stops when
 * the output is full and goes on when it has drained. Each batch has its own read transaction, gone before the output
 * is sent.
 *
 * What another session expunges meanwhile: a message whose content is gone before its answer has begun is left out, and
 * the command ends with NO [EXPUNGEISSUED] (RFC 2180 §4.1.2, RFC 5530; the UID form passes over it, RFC 3501 §6.4.8).
 * A content that takes more than one batch to send is pinned before; of others, sections not announced yet become NIL.
 * A literal that is announced cannot be taken back: where the disk fails in the middle of it the connection is closed.
 */
#include "imap/commands.h"
#include "imap/fetch.h"
#include "imap/message_set.h"
#include "imap/resync.h"
#include "base/banned.h"

/* ---- the walk ------------------------------------------------------------------------------------------------ */

uint32_t fetch_cursor_seq(struct fetch_cursor *c)
{
    for (; c->range < c->uids->count; c->range++, c->seq = 0) {
        const struct seqrange *r = &c->uids->ranges[c->range];
        if (!c->seq)
            c->seq = view_seq_at_or_after(c->view, r->first);
        if (c->seq <= view_count(c->view) && view_message(c->view, c->seq)->uid <= r->last)
            return c->seq;
    }
    return 0;
}

void fetch_cursor_advance(struct fetch_cursor *c)
{
    c->seq++;
}

/* ---- \Seen --------------------------------------------------------------------------------------------------- */

/* The uids of the messages that come next and have no \Seen yet. */
static struct seqset *unseen_ahead(const struct imap *im, struct fetch_job *job, struct arena *a)
{
    struct seqset *uids = seqset_new(a);
    struct fetch_cursor ahead = job->at;
    uint64_t bytes = 0;
    uint32_t seq;
    for (size_t n = 0; n < FETCH_SEEN_MESSAGES && bytes < FETCH_SEEN_BYTES && (seq = fetch_cursor_seq(&ahead)); n++) {
        const struct view_message *m = imap_told_message(im, seq);
        fetch_cursor_advance(&ahead);
        bytes += m->size;
        job->seen_uid = m->uid;
        if (!(m->flags & FLAG_SEEN))
            seqset_add(a, uids, m->uid, m->uid);
    }
    return uids;
}

static enum status add_seen(struct imap *im, const struct seqset *uids, uint64_t *modseq, struct err *err)
{
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_FLAGS, &txn, err));
    TRY(message_change_flags(txn, im->mailbox, uids, FLAGS_ADD, FLAG_SEEN, err));
    *modseq = store_modseq(txn);
    return store_commit(&txn, err);
}

/*
 * Sets \Seen on a run of messages before they are sent, so that their answers can say so. Mail stays readable where
 * flags cannot be written (a full disk): that is logged, and the answers show no \Seen.
 */
static void set_seen_ahead(struct imap *im, struct imap_call *call, struct fetch_job *job)
{
    struct err err;
    struct seqset *uids = unseen_ahead(im, job, &call->arena);
    if (uids->count == 0)
        return;
    if (add_seen(im, uids, &job->seen_modseq, &err) != ST_OK) {
        struct log_line l;
        session_log_begin(im->session, &l, LOG_WARN, "seen-not-set");
        log_err(&l, &err);
        log_end(&l);
        job->sets_seen = false;
        return;
    }
    for (size_t i = 0; i < uids->count; i++)
        seqset_add(&call->arena, job->seen, uids->ranges[i].first, uids->ranges[i].last);
    call->own =
        (struct imap_own_change){.uids = job->seen, .how = FLAGS_ADD, .flags = FLAG_SEEN, .is_modseq_told = true};
}

/* ---- one message --------------------------------------------------------------------------------------------- */

/* RFC 3501 §6.4.5: flags that change by this FETCH are told in its answer; RFC 7162 §3.2.4: with UID and MODSEQ. */
static enum status write_change(struct imap *im, struct imap_call *call, struct fetch_job *job,
                                const struct fetch_source *src, struct err *err)
{
    static const struct fetch_item told[] = {{.kind = FETCH_UID, .label = SPAN_INIT("UID")},
                                             {.kind = FETCH_FLAGS, .label = SPAN_INIT("FLAGS")},
                                             {.kind = FETCH_MODSEQ, .label = SPAN_INIT("MODSEQ")}};
    if (fetch_flags(job, src->message) == src->message->flags)
        return ST_OK;
    bool is_first = !job->ready_count;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        bool is_wanted = told[i].kind == FETCH_FLAGS || imap_has(im, IMAP_CONDSTORE);
        is_wanted &= told[i].kind != FETCH_UID || !imap_has(im, IMAP_UIDONLY);
        if (!is_wanted || fetch_args_has(&job->what, told[i].kind))
            continue;
        if (!is_first)
            strbuf_add_char(imap_out(im), ' ');
        is_first = false;
        TRY(fetch_write_item(im, call, src, &told[i], err));
    }
    if (!job->ready_count && !is_first)
        strbuf_add_char(imap_out(im), ' ');
    return ST_OK;
}

static enum status write_ready(struct imap *im, struct imap_call *call, struct fetch_job *job,
                               const struct fetch_source *src, struct err *err)
{
    struct strbuf *out = imap_out(im);
    size_t start = out->len;
    for (size_t i = 0; i < job->ready_count; i++) {
        if (i)
            strbuf_add_char(out, ' ');
        TRY(fetch_write_item(im, call, src, &job->what.items[i], err));
        if (out->len - start > FETCH_READY_BYTES_MAX)
            return err_set(err, ST_LIMIT, "the answer for one message is too large; ask for less at once");
    }
    return write_change(im, call, job, src, err);
}

/* All that can be said at once; sections to stream are left in the job. ST_NOTFOUND: the content is gone. */
static enum status begin_message(struct imap *im, struct imap_call *call, struct fetch_job *job, struct txn *txn,
                                 uint32_t seq, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct fetch_source src = {
        .job = job, .txn = txn, .message = view_message(im->view, seq), .arena = &a, .object_name = job->object_name};
    struct strbuf *out = imap_out(im);
    if (!job->is_view_enough)
        TRY(fetch_source_load(&src, job->forms, err));
    for (size_t i = job->ready_count; i < job->what.count; i++)
        TRY(fetch_locate(&src, &job->what.items[i], &job->octets[i - job->ready_count], err));
    imap_begin_fetch(im, seq, src.message->uid, out);
    TRY(write_ready(im, call, job, &src, err));
    if (job->ready_count < job->what.count) {
        job->message = src.message;
        job->item = job->ready_count;
    } else {
        strbuf_add_cstr(out, ")\r\n");
    }
    return ST_OK;
}

/*
 * A literal of more than one read goes over several batches: the content is pinned, then looked for in a transaction
 * that is newer than the pin.
 */
static void unpin(struct fetch_job *job)
{
    if (job->pinned_in)
        content_unpin(job->pinned_in, job->pinned);
    job->pinned_in = NULL;
}

static void pin(struct imap *im, struct fetch_job *job, const struct view_message *m, struct txn **txn)
{
    if (job->ready_count == job->what.count || m->size <= SECTION_PIECE_BYTES)
        return;
    if (*txn)
        txn_free(txn);
    job->pinned_in = im->owner;
    job->pinned = m->content;
    content_pin(job->pinned_in, job->pinned);
}

void fetch_job_release(struct fetch_job *job)
{
    if (job)
        unpin(job);
}

static void release(struct imap_call *call)
{
    unpin(call->work);
}

/* The next message, or none of it. */
static enum status next_message(struct imap *im, struct imap_call *call, struct fetch_job *job, struct txn *txn,
                                uint32_t seq, struct err *err)
{
    size_t mark = imap_out(im)->len;
    enum status st = begin_message(im, call, job, txn, seq, err);
    fetch_cursor_advance(&job->at);
    if (st == ST_OK)
        return ST_OK;
    strbuf_truncate(imap_out(im), mark);
    job->message = NULL;
    if (st == ST_UNSUPPORTED) /* RFC 3516 §4.3 */
        call->no_code = "UNKNOWN-CTE";
    if (st != ST_NOTFOUND)
        return st;
    job->is_missing = true;
    return ST_OK;
}

/* ---- streaming, over several batches --------------------------------------------------------------------------- */

/* A batch begins between two sections: where the content has gone meanwhile, the rest of them is NIL. */
static void forget_missing(struct fetch_job *job, struct txn *txn)
{
    struct content_forms forms;
    struct err err;
    AUTO_ARENA a = ARENA_INIT;
    if (job->left || content_load(txn, job->message->content, 0, &a, &forms, &err) != ST_NOTFOUND)
        return;
    job->is_missing = true;
    for (size_t i = job->item; i < job->what.count; i++)
        job->octets[i - job->ready_count].exists = false;
}

/* An answer was begun and cannot be finished: the only honest thing left is to hang up. */
void fetch_hang_up(struct imap *im, struct imap_call *call, const struct err *err)
{
    struct log_line l;
    session_log_begin(im->session, &l, LOG_WARN, "fetch-cut-off");
    log_err(&l, err);
    log_end(&l);
    call->is_answered = true;
    call->next = NEXT_CLOSE;
}

static enum status finish(struct imap_call *call, const struct fetch_job *job, struct err *err)
{
    if (!job->is_missing || call->is_uid)
        return ST_OK;
    call->no_code = "EXPUNGEISSUED";
    return err_set(err, ST_NOTFOUND, "some of the messages have been expunged by another session");
}

/* Goes on with the message whose sections are being sent. */
static enum status stream_message(struct imap *im, struct fetch_job *job, struct txn **txn, struct err *err)
{
    if (!*txn) {
        TRY(imap_begin(im, TXN_READ, txn, err));
        forget_missing(job, *txn);
    }
    return fetch_stream(job, *txn, imap_out(im), err);
}

enum status fetch_job_step(struct imap *im, struct imap_call *call, struct fetch_job *job, bool *is_done,
                           struct err *err)
{
    AUTO(txn) txn = NULL;
    *is_done = false;
    if (job->vanished && !imap_write_vanished(im, job->vanished, true, &job->vanished_at))
        return ST_OK;
    while (imap_out(im)->len < SESSION_OUT_HIGH) {
        if (!job->message && job->pinned_in) {
            if (txn)
                txn_free(&txn);
            unpin(job);
        }
        if (job->message) {
            if (stream_message(im, job, &txn, err) == ST_OK)
                continue;
            fetch_hang_up(im, call, err);
            *is_done = true;
            return ST_OK;
        }
        uint32_t seq = fetch_cursor_seq(&job->at);
        if (!seq) {
            *is_done = true;
            return ST_OK;
        }
        if (job->sets_seen && view_message(im->view, seq)->uid > job->seen_uid) {
            if (txn)
                txn_free(&txn); /* one transaction at a time */
            set_seen_ahead(im, call, job);
        }
        pin(im, job, view_message(im->view, seq), &txn);
        if (!txn && !job->is_view_enough)
            TRY(imap_begin(im, TXN_READ, &txn, err));
        TRY(next_message(im, call, job, txn, seq, err));
    }
    return ST_OK;
}

static enum status fetch_produce(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct fetch_job *job = call->work;
    TRY(fetch_job_step(im, call, job, is_done, err));
    return *is_done && !call->is_answered ? finish(call, job, err) : ST_OK;
}

/* ---- the command --------------------------------------------------------------------------------------------- */

/* What can be written at once goes first, each group in the client's order; the UID form always has the UID. */
static void order_items(const struct imap *im, struct imap_call *call, struct fetch_job *job)
{
    struct fetch_args asked = job->what;
    struct fetch_item *items = arena_array(&call->arena, asked.count + 1, sizeof *items);
    size_t n = 0;
    if (call->is_uid && !imap_has(im, IMAP_UIDONLY) && !fetch_args_has(&asked, FETCH_UID))
        items[n++] = (struct fetch_item){.kind = FETCH_UID, .label = SPAN("UID")};
    for (int is_streamed = 0; is_streamed < 2; is_streamed++) {
        if (is_streamed)
            job->ready_count = n;
        for (size_t i = 0; i < asked.count; i++)
            if (fetch_is_streamed(&asked.items[i]) == is_streamed)
                items[n++] = asked.items[i];
    }
    job->what.items = items;
    job->what.count = n;
    job->octets = arena_array(&call->arena, n - job->ready_count + 1, sizeof *job->octets);
}

static void plan(struct imap *im, struct imap_call *call, struct fetch_job *job)
{
    order_items(im, call, job);
    job->is_view_enough = true;
    for (size_t i = 0; i < job->what.count; i++) {
        job->forms |= fetch_forms_of(&job->what.items[i]);
        job->is_view_enough &= job->what.items[i].kind <= FETCH_SIZE;
    }
    job->has_flags = fetch_args_has(&job->what, FETCH_FLAGS);
    job->sets_seen = job->what.sets_seen && !im->is_read_only && (im->rights & ACL_SEEN); /* RFC 4314 §4 */
    job->seen = seqset_new(&call->arena);
}

static enum status prepare(struct imap *im, struct imap_call *call, struct fetch_job *job, const struct seqset *uids,
                           struct err *err)
{
    plan(im, call, job);
    job->end = ")\r\n";
    job->at = (struct fetch_cursor){.view = im->view, .uids = uids};
    if (job->has_flags || job->sets_seen)
        TRY(imap_need_keywords(im, call, err));
    if (fetch_args_has(&job->what, FETCH_EMAILID) || fetch_args_has(&job->what, FETCH_THREADID))
        TRY(account_object_name(im->owner, &job->object_name, err));
    return ST_OK;
}

enum status fetch_job_begin(struct imap *im, struct imap_call *call, const struct fetch_args *what,
                            const struct seqset *uids, struct fetch_job **out, struct err *err)
{
    struct fetch_job *job = arena_alloc(&call->arena, sizeof *job);
    job->what = *what;
    job->what.sets_seen = false;
    TRY(prepare(im, call, job, uids, err));
    *out = job;
    return ST_OK;
}

static enum status start(struct imap *im, struct imap_call *call, struct fetch_job *job, const struct seqset *uids,
                         struct err *err)
{
    TRY(prepare(im, call, job, uids, err));
    call->work = job;
    call->release = release;
    call->produce = fetch_produce;
    return ST_OK;
}

enum status fetch_changes(struct imap *im, struct imap_call *call, const struct seqset *uids,
                          const struct seqset *vanished, struct err *err)
{
    struct fetch_job *job = arena_alloc(&call->arena, sizeof *job);
    if (!imap_has(im, IMAP_UIDONLY))
        fetch_args_add(&call->arena, &job->what, FETCH_UID);
    fetch_args_add(&call->arena, &job->what, FETCH_FLAGS);
    fetch_args_add(&call->arena, &job->what, FETCH_MODSEQ);
    job->vanished = vanished;
    return start(im, call, job, uids, err);
}

/* RFC 9394 §3.3: which of the messages named, counted from the first or from the last. One that asks for too many is
 * refused (RFC 9738 §3.1). */
static enum status take_part(struct imap *im, struct imap_call *call, const struct search_return *partial,
                             struct seqset **uids, struct err *err)
{
    size_t from, to;
    uint32_t most = imap_mail_app(im)->messages_per_command;
    if (!call->is_uid)
        return err_set(err, ST_SYNTAX, "PARTIAL is for UID FETCH");
    search_return_range(partial, (size_t)seqset_count(*uids), &from, &to);
    if (most && to - from > most) {
        call->no_code = arena_cstr(&call->arena, arena_printf(&call->arena, "MESSAGELIMIT %u", most));
        return err_set(err, ST_LIMIT, "PARTIAL asks for too many messages");
    }
    *uids = seqset_part(&call->arena, *uids, from, to);
    return ST_OK;
}

/* Of what is gone "*" is the last uid that there ever was: who asks for 1:* wants to know of the last messages, too. */
static enum status named_ever(struct imap *im, struct imap_call *call, const struct seqset **out, struct err *err)
{
    struct seqset *set;
    *out = call->set;
    if (!call->set_text.len)
        return ST_OK;
    TRY(seqset_parse(&call->arena, call->set_text, view_uidnext(im->view) - 1, &set, err));
    *out = set;
    return ST_OK;
}

/* Leaves of the messages named those that the modifiers leave, and has told what they want told. */
static enum status modify(struct imap *im, struct imap_call *call, struct fetch_job *job,
                          const struct fetch_modifiers *modifiers, struct seqset **uids, struct err *err)
{
    const struct seqset *named;
    struct seqset *vanished;
    if (modifiers->is_vanished_wanted && !(call->is_uid && imap_has(im, IMAP_QRESYNC)))
        return err_set(err, ST_SYNTAX, "VANISHED is for UID FETCH, after ENABLE QRESYNC");
    if (modifiers->has_changed_since || fetch_args_has(&job->what, FETCH_MODSEQ))
        imap_enable(im, IMAP_CONDSTORE);
    if (modifiers->has_partial)
        TRY(take_part(im, call, &modifiers->partial, uids, err));
    *uids = imap_limit_messages(im, call, *uids);
    if (!modifiers->has_changed_since)
        return ST_OK;
    fetch_args_add(&call->arena, &job->what, FETCH_MODSEQ);
    *uids = imap_changed_since(im, &call->arena, *uids, modifiers->changed_since);
    if (modifiers->is_vanished_wanted) {
        TRY(named_ever(im, call, &named, err));
        TRY(imap_vanished_since(im, &call->arena, named, modifiers->changed_since, 0, &vanished, err));
        job->vanished = vanished;
    }
    return ST_OK;
}

enum status cmd_fetch(struct imap *im, struct imap_call *call, struct err *err)
{
    struct seqset *uids;
    struct fetch_modifiers modifiers;
    struct fetch_job *job = arena_alloc(&call->arena, sizeof *job);
    TRY(args_sp(&call->args, err));
    TRY(imap_args_messages(im, call, &uids, err));
    TRY(args_sp(&call->args, err));
    TRY(fetch_args_parse(&call->args, &job->what, err));
    TRY(fetch_modifiers_parse(&call->args, &modifiers, err));
    TRY(args_end(&call->args, err));
    TRY(modify(im, call, job, &modifiers, &uids, err));
    return start(im, call, job, uids, err);
}
