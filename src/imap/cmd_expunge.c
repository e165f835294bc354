/*
 * cmd_expunge.c - EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1). The responses are the session's news.
 */
#include "imap/commands.h"
#include "imap/message_set.h"
#include "base/banned.h"

/* RFC 9738 §3.1: the limit counts those that would go. EXPUNGE has none. */
static struct seqset *limit(struct imap *im, struct imap_call *call, const struct seqset *uids)
{
    struct seqset *deleted = seqset_new(&call->arena);
    for (size_t i = 0; i < uids->count; i++) {
        uint32_t seq = view_seq_at_or_after(im->view, uids->ranges[i].first);
        for (; seq <= view_count(im->view); seq++) {
            const struct view_message *m = imap_told_message(im, seq);
            if (m->uid > uids->ranges[i].last)
                break;
            if (m->flags & FLAG_DELETED)
                seqset_add(&call->arena, deleted, m->uid, m->uid);
        }
    }
    return imap_limit_messages(im, call, deleted);
}

enum status cmd_expunge(struct imap *im, struct imap_call *call, struct err *err)
{
    struct seqset *uids = NULL;
    if (call->is_uid) {
        TRY(args_sp(&call->args, err));
        TRY(args_seqset(&call->args, view_last_uid(im->view), &uids, err));
        uids = view_resolve(&call->arena, im->view, uids, true);
        if (imap_mail_app(im)->messages_per_command)
            uids = limit(im, call, uids);
    }
    TRY(args_end(&call->args, err));

    TRY(imap_need_rights(im, call, ACL_EXPUNGE, err));
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_WRITE, &txn, err));
    TRY(message_expunge(txn, im->mailbox, uids, true, &call->arena, NULL, err));
    return store_commit(&txn, err);
}
