/*
 * cmd_unauthenticate.c - UNAUTHENTICATE (RFC 8437): the client goes back to the role gate, where it came from before it
 * logged in. All state of the session ends with it (struct imap is freed), so there is nothing that could be forgotten
 * to be reset: what a session enables, selects, saves or watches is in there, and gate never had it.
 */
#include "imap/commands.h"
#include "base/banned.h"

enum status cmd_unauthenticate(struct imap *im, struct imap_call *call, struct err *err)
{
    (void)im;
    TRY(args_end(&call->args, err));
    call->text = "Now in not authenticated state";
    call->next = NEXT_RETURN; /* so no news are told, EXPUNGE among them (§3) */
    return ST_OK;
}
