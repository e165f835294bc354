/*
 * cmd_idle.c - IDLE (RFC 2177): between its two lines the session is parked as any other, but the hub's pokes wake it.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "imap/commands.h"
#include "imap/internal.h"
#include "imap/notify.h"
#include "base/banned.h"

enum status cmd_idle(struct imap *im, struct imap_call *call, struct err *err)
{
    TRY(args_end(&call->args, err));
    im->tag = mem_cstr(call->tag.p, call->tag.len);
    im->mode = IMAP_MODE_IDLE;
    im->is_idling = true; /* before the news are looked at: what comes later pokes */
    strbuf_add_cstr(imap_out(im), "+ idling\r\n");
    call->is_answered = true;
    return ST_OK;
}

enum next imap_idle_line(struct imap *im, struct span line)
{
    struct err err;
    im->is_idling = imap_notify_is_hearing(im);
    imap_call_resume(im, span_cstr(im->tag), "IDLE");
    free(im->tag);
    im->tag = NULL;
    enum status st = span_ieq(line, SPAN("DONE")) ? ST_OK : err_set(&err, ST_SYNTAX, "expected DONE");
    return imap_call_finish(im, st, &err);
}
