/*
 * cmd_copy.c - COPY and MOVE with their UID forms (RFC 3501 §6.4.7, RFC 6851, RFC 4315 §3). Rows are added, no octets
 * are copied; all messages arrive or none (RFC 3501 §6.4.7: the state before is kept on failure).
 */
#include "imap/commands.h"
#include "imap/copy_across.h"
#include "imap/message_set.h"
#include "imap/place.h"
#include "base/banned.h"

typedef enum status transfer_fn(struct txn *t, mailbox_id from, const struct seqset *uids, mailbox_id to,
                                struct arena *a, struct uid_pairs *out, struct err *err);

/* RFC 9738 §3.1: MOVE does what it may of it, COPY all or nothing. */
static enum status limit(struct imap *im, struct imap_call *call, bool is_copy, struct seqset **uids, struct err *err)
{
    if (!is_copy) {
        *uids = imap_limit_messages(im, call, *uids);
        return ST_OK;
    }
    uint32_t most = imap_save_limit(im);
    uint64_t count = seqset_count(*uids);
    if (!most || count <= most)
        return ST_OK;
    const struct seqset *could = seqset_part(&call->arena, *uids, count - most, count);
    call->no_code =
        arena_cstr(&call->arena, arena_printf(&call->arena, "MESSAGELIMIT %u %u", most, could->ranges[0].first));
    return err_set(err, ST_LIMIT, "too many messages to copy at once");
}

static enum status transfer(struct imap *im, struct imap_call *call, transfer_fn *copy_or_move, struct uid_pairs *pairs,
                            struct err *err)
{
    struct seqset *uids;
    struct span name;
    TRY(args_sp(&call->args, err));
    TRY(imap_args_messages(im, call, &uids, err));
    TRY(args_sp(&call->args, err));
    TRY(args_mailbox(&call->args, &name, err));
    TRY(args_end(&call->args, err));
    TRY(limit(im, call, copy_or_move == message_copy, &uids, err));

    bool is_move = copy_or_move == message_move;
    if (is_move) /* RFC 6851 §3.1: as COPY, STORE \Deleted and EXPUNGE */
        TRY(imap_need_rights(im, call, ACL_DELETED | ACL_EXPUNGE, err));
    struct mailbox to;
    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    TRY(imap_place_find(im, call, name, ACL_INSERT, &place, err));
    if (place.account != im->owner)
        return imap_copy_across(im, call, uids, &place, is_move, pairs, err);
    TRY(imap_place_begin(im, &place, TXN_WRITE, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &to, err)); /* ST_NOTFOUND answers NO [TRYCREATE] */
    if (to.is_noselect)
        return err_set(err, ST_DENIED, "this mailbox cannot hold messages");
    TRY(copy_or_move(txn, im->mailbox, uids, to.id, &call->arena, pairs, err));
    /* RFC 2180 §4.4.1: who names messages by number means all of them; another session has expunged some meanwhile. */
    if (!call->is_uid && seqset_count(pairs->from) != seqset_count(uids)) {
        call->no_code = "EXPUNGEISSUED";
        return err_set(err, ST_NOTFOUND, "some of the messages have been expunged by another session");
    }
    return store_commit(&txn, err);
}

enum status cmd_copy(struct imap *im, struct imap_call *call, struct err *err)
{
    struct uid_pairs pairs;
    TRY(transfer(im, call, message_copy, &pairs, err));
    imap_set_copyuid(call, &pairs);
    return ST_OK;
}

/* RFC 6851 §4.3: COPYUID goes ahead in an untagged OK, because the EXPUNGEs follow before the tagged one. */
enum status cmd_move(struct imap *im, struct imap_call *call, struct err *err)
{
    struct uid_pairs pairs;
    TRY(transfer(im, call, message_move, &pairs, err));
    imap_set_copyuid(call, &pairs);
    if (!call->code.len)
        return ST_OK;
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* OK [");
    strbuf_add(out, call->code);
    strbuf_add_cstr(out, "] Moved\r\n");
    call->code = SPAN_NONE;
    return ST_OK;
}
