/*
 * cmd_expunge.c - EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1). The responses are the session's news.
 */
#include "imap/commands.h"
#include "base/banned.h"

enum status cmd_expunge(struct imap *im, struct imap_call *call, struct err *err)
{
    struct seqset *uids = NULL;
    if (call->is_uid) {
        TRY(args_sp(&call->args, err));
        TRY(args_seqset(&call->args, view_last_uid(im->view), &uids, err));
        uids = view_resolve(&call->arena, im->view, uids, true);
    }
    TRY(args_end(&call->args, err));

    TRY(imap_need_rights(im, call, ACL_EXPUNGE, err));
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_WRITE, &txn, err));
    TRY(message_expunge(txn, im->mailbox, uids, true, &call->arena, NULL, err));
    return store_commit(&txn, err);
}
