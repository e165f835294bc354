/*
 * cmd_cancelupdate.c - CANCELUPDATE (RFC 5267 §4.3.5). A tag that no context has is passed over: the server may have
 * given that one up (NOUPDATE) while the command was on its way.
 */
#include "imap/commands.h"
#include "imap/context.h"
#include "base/banned.h"

enum status cmd_cancelupdate(struct imap *im, struct imap_call *call, struct err *err)
{
    struct imap_args before;
    struct span tag;
    TRY(args_sp(&call->args, err));
    before = call->args;
    do
        TRY(args_string(&call->args, &tag, err));
    while (args_take(&call->args, ' '));
    TRY(args_end(&call->args, err));
    do { /* all of them, now that all could be read */
        TRY(args_string(&before, &tag, err));
        imap_context_cancel(im, tag);
    } while (args_take(&before, ' '));
    return ST_OK;
}
