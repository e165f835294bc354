/*
 * cmd_append.c - APPEND (RFC 3501 §6.3.11) of one message or of many at once (MULTIAPPEND, RFC 3502), with UTF-8 in
 * headers (RFC 6855 §4) and NULs in bodies (RFC 3516 §4.4), APPENDUID (RFC 4315 §3), and REPLACE (RFC 8508).
 *
 * Comes in steps, because messages are not kept with the command: imap_append_read() reads what stands before each
 * message and says whether it is welcome, so that a client learns of a missing mailbox or a message too large before it
 * has sent it (append_read.c); imap_append_finish() stores them all in one transaction once the last is here. "OK"
 * means that they are on the disk.
 *
 * A client that does not wait for answers shares flushes: where the whole next APPEND into the same mailbox is in the
 * buffer already, an APPEND waits for it (im->waiting), and one transaction stores the run. None of them is answered
 * before that, and nothing waits for the client: the run ends with the buffer.
 */
#include "imap/append.h"
#include "imap/commands.h"
#include "imap/message_set.h"
#include "imap/place.h"
#include "text/mime_convert.h"
#include "base/banned.h"

enum { APPEND_RUN_MAX = 64 /* commands that share a transaction */ };

enum status append_find_mailbox(struct txn *t, struct imap_call *call, struct span name, struct mailbox *m,
                                struct err *err)
{
    TRY(mailbox_find(t, name, &call->arena, m, err));
    if (!m->is_noselect)
        return ST_OK;
    call->no_code = "CANNOT";
    return err_set(err, ST_DENIED, "this name only holds other mailboxes");
}

/* ---- the commands ---------------------------------------------------------------------------------------------- */

/* What stands before the first message's literal, or the whole command where there is none: all parts are URLs. */
static enum status begin(struct imap *im, struct imap_call *call, const struct seqset *replaced, struct err *err)
{
    bool is_whole = !im->is_message_next;
    enum status st = append_read_first(im, call, replaced, err);
    if (!is_whole)
        return st;
    if (st == ST_OK)
        st = imap_append_finish(im, call, false, err);
    imap_append_free(&im->append);
    return st;
}

enum status cmd_append(struct imap *im, struct imap_call *call, struct err *err)
{
    return begin(im, call, NULL, err);
}

/* RFC 8508 §3.1: one message, by its number or its uid. */
enum status cmd_replace(struct imap *im, struct imap_call *call, struct err *err)
{
    struct seqset *uids;
    TRY(args_sp(&call->args, err));
    TRY(imap_args_messages(im, call, &uids, err));
    if (seqset_count(call->set) != 1)
        return err_set(err, ST_SYNTAX, "REPLACE is about one message");
    if (seqset_count(uids) != 1) {
        call->no_code = "NONEXISTENT";
        return err_set(err, ST_NOTFOUND, "there is no such message");
    }
    TRY(imap_need_rights(im, call, ACL_DELETED | ACL_EXPUNGE, err));
    return begin(im, call, uids, err);
}

/* ---- storing -------------------------------------------------------------------------------------------------- */

/* RFC 3516 §4.4: what came in binary is kept in base64 or quoted-printable, since it must be readable by everybody. */
static enum status encode_binary(struct imap_call *call, struct span *raw, struct err *err)
{
    if (span_find_byte(*raw, '\0', 0) == SPAN_NPOS)
        return ST_OK;
    AUTO_STRBUF encoded = STRBUF_INIT;
    enum status st = mime_convert(&call->arena, *raw, MIME_FIT_8BIT, &encoded, err);
    if (st == ST_UNSUPPORTED)
        call->no_code = "UNKNOWN-CTE";
    TRY(st);
    *raw = arena_strbuf(&call->arena, &encoded);
    return ST_OK;
}

/* 8-bit header fields are taken from everybody, though RFC 6855 §4 wants them refused where UTF8=ACCEPT is not enabled:
 * old mail is full of them, it comes in by SMTP all the same, and a client that moves a mailbox here would lose it. */
static enum status prepare(struct imap_call *call, struct append_message *m, struct err *err)
{
    struct span raw;
    TRY(body_span(m->body, &raw, err));
    if (m->is_binary)
        TRY(encode_binary(call, &raw, err));
    content_prepare(&call->arena, raw, &m->content);
    return ST_OK;
}

static enum status add(struct txn *txn, struct imap_append *append, struct imap_call *call, const struct mailbox *to,
                       struct err *err)
{
    append->uidvalidity = to->uidvalidity;
    append->uids = seqset_new(&call->arena);
    for (struct append_message *m = append->first; m; m = m->next) {
        uint64_t flags;
        uint32_t uid;
        TRY(imap_flag_bits(txn, &m->flags, true, &flags, err));
        TRY(message_add(txn, to->id, &m->content, flags, m->received, &uid, err));
        seqset_add(&call->arena, append->uids, uid, uid);
    }
    return ST_OK;
}

/* The message that goes must still be there (RFC 8508 §3.1). */
static enum status expunge_replaced(struct imap *im, struct imap_call *call, struct txn *txn,
                                    const struct seqset *replaced, struct err *err)
{
    struct seqset *removed;
    TRY(message_expunge(txn, im->mailbox, replaced, false, &call->arena, &removed, err));
    if (seqset_count(removed))
        return ST_OK;
    call->no_code = "EXPUNGEISSUED";
    return err_set(err, ST_NOTFOUND, "the message has been expunged by another session");
}

/* All of a run that ends with `call`'s, or nothing. */
static enum status store(struct imap *im, struct imap_call *call, struct imap_append *run, struct err *err)
{
    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    const struct seqset *replaced = run->replaced;
    TRY(imap_place_find(im, call, run->mailbox, ACL_INSERT, &place, err));
    TRY(imap_place_begin(im, &place, TXN_WRITE, &txn, err));
    TRY(append_find_mailbox(txn, call, place.name, &m, err));
    for (struct imap_append *append = run; append; append = append->next)
        TRY(add(txn, append, append->call ? append->call : call, &m, err));
    if (replaced && place.account == im->owner)
        TRY(expunge_replaced(im, call, txn, replaced, err));
    TRY(store_commit(&txn, err));
    if (!replaced || place.account == im->owner)
        return ST_OK;
    /* Two accounts are two files: the new one is safe before the old one goes. */
    TRY(imap_begin(im, TXN_WRITE, &txn, err));
    TRY(expunge_replaced(im, call, txn, replaced, err));
    return store_commit(&txn, err);
}

static void set_appenduid(struct imap *im, struct imap_call *call, const struct imap_append *append)
{
    AUTO_STRBUF uids = STRBUF_INIT;
    seqset_write(append->uids, &uids);
    imap_set_code(call, "APPENDUID %u %.*s", append->uidvalidity, SPAN_ARG(strbuf_span(&uids)));
    if (!append->replaced)
        return;
    /* RFC 8508 §4.3: ahead of the EXPUNGE. */
    imap_untagged(im, "OK [%.*s] Replacement message ready", SPAN_ARG(call->code));
    call->code = SPAN_NONE;
}

/* ---- runs ----------------------------------------------------------------------------------------------------- */

/* Where one of a run cannot be stored, each is tried for itself. */
void imap_append_flush(struct imap *im)
{
    struct imap_append *run = im->waiting;
    struct err err;
    im->waiting = NULL;
    if (!run)
        return;
    bool is_stored = store(im, run->call, run, &err) == ST_OK;
    for (struct imap_append *append = run, *next; append; append = next) {
        struct imap_call *call = append->call;
        next = append->next;
        append->next = NULL;
        if (!is_stored)
            call->status = store(im, call, append, &call->failure);
        if (call->status == ST_OK)
            set_appenduid(im, call, append);
        append->call = NULL;
        imap_call_answer(im, &call);
        imap_append_free(&append);
    }
}

/* Puts the command at the run's end. */
static void wait_in_run(struct imap *im, struct imap_call *call)
{
    struct imap_append **end = &im->waiting;
    while (*end)
        end = &(*end)->next;
    *end = im->append;
    im->append->call = call;
    im->append = NULL;
    im->call = NULL;
}

static bool may_share(const struct imap *im)
{
    const struct imap_append *append = im->append;
    unsigned count = 1;
    for (const struct imap_append *w = im->waiting; w; w = w->next)
        count++;
    return !append->replaced && append->count == 1 && count < APPEND_RUN_MAX;
}

enum status imap_append_finish(struct imap *im, struct imap_call *call, bool is_append_next, struct err *err)
{
    struct imap_append *append = im->append;
    if (im->waiting && (append->replaced || !span_eq(im->waiting->mailbox, append->mailbox)))
        imap_append_flush(im);
    for (struct append_message *m = append->first; m; m = m->next)
        TRY(prepare(call, m, err));
    bool is_one_of_run = im->waiting || is_append_next;
    if (is_one_of_run && may_share(im)) {
        wait_in_run(im, call);
        if (!is_append_next)
            imap_append_flush(im);
        return ST_OK;
    }
    imap_append_flush(im);
    TRY(store(im, call, append, err));
    set_appenduid(im, call, append);
    return ST_OK;
}
