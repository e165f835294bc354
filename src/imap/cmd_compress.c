/* cmd_compress.c - COMPRESS DEFLATE (RFC 4978). The work is a layer of the session's stream (net/deflate.h). */
#include "imap/commands.h"
#include "base/banned.h"

enum status cmd_compress(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span algorithm;
    TRY(args_sp(&call->args, err));
    TRY(args_atom(&call->args, &algorithm, err));
    TRY(args_end(&call->args, err));
    if (!span_ieq(algorithm, SPAN("DEFLATE")))
        return err_set(err, ST_SYNTAX, "unknown compression algorithm");
    if (session_is_compressed(im->session)) {
        call->no_code = "COMPRESSIONACTIVE";
        return err_set(err, ST_STATE, "COMPRESS is active already");
    }
    /* §3: the client waits for the answer; so what is here already is meant to be plain, and could not be told from
     * what is not. */
    if (session_input(im->session).len)
        return err_set(err, ST_STATE, "nothing may follow COMPRESS before the answer");
    call->text = "DEFLATE active";
    call->next = NEXT_COMPRESS;
    return ST_OK;
}
