/*
 * cmd_notify.c - NOTIFY (RFC 5465 §3.1). What was asked for before stays where the command fails.
 */
#include "imap/commands.h"
#include "imap/notify.h"
#include "base/banned.h"

enum status cmd_notify(struct imap *im, struct imap_call *call, struct err *err)
{
    struct imap_notify *n;
    enum status st = imap_notify_new(im, call, call->args.rest, &n, err);
    if (st == ST_UNSUPPORTED)
        call->no_code = arena_cstr(&call->arena, arena_printf(&call->arena, "BADEVENT (%s)", notify_events_known));
    if (st == ST_LIMIT)
        call->no_code = "NOTIFICATIONOVERFLOW";
    TRY(st);
    imap_notify_replace(im, n);
    im->has_news |= im->state == IMAP_SELECTED; /* as NOOP: what has accumulated is told now */
    imap_notify_tell_all(im, call);
    return ST_OK;
}
