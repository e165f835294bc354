/*
 * message_set.c - see message_set.h.
 */
#include "imap/message_set.h"
#include "base/banned.h"

enum status imap_args_messages(struct imap *im, struct imap_call *call, struct seqset **uids, struct err *err)
{
    struct seqset *set;
    uint32_t messages = view_count(im->view);
    TRY(args_seqset(&call->args, call->is_uid ? view_last_uid(im->view) : messages, &set, err));
    if (!call->is_uid && (set->count == 0 || set->ranges[set->count - 1].last > messages))
        return err_set(err, ST_SYNTAX, "there is no such message; the mailbox has %u", messages);
    *uids = view_resolve(&call->arena, im->view, set, call->is_uid);
    return ST_OK;
}
