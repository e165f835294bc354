/*
 * cmd_any.c - commands that need no mailbox: CAPABILITY, NOOP (and CHECK), LOGOUT, ID.
 */
#include "imap/commands.h"
#include "imap/internal.h"
#include "base/banned.h"

enum { ID_FIELDS_MAX = 30 }; /* RFC 2971 §3.3 */

enum status cmd_capability(struct imap *im, struct imap_call *call, struct err *err)
{
    TRY(args_end(&call->args, err));
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* CAPABILITY ");
    imap_write_capabilities(im, out);
    strbuf_add_cstr(out, "\r\n");
    return ST_OK;
}

/* What NOOP is for comes after every command: the news. CHECK has nothing to check, commits are durable. */
enum status cmd_noop(struct imap *im, struct imap_call *call, struct err *err)
{
    (void)im;
    return args_end(&call->args, err);
}

enum status cmd_logout(struct imap *im, struct imap_call *call, struct err *err)
{
    TRY(args_end(&call->args, err));
    imap_untagged(im, "BYE Logging out");
    call->next = NEXT_CLOSE;
    return ST_OK;
}

/* RFC 2971: the client's answer is read for its grammar only; nobody may act on it. */
enum status cmd_id(struct imap *im, struct imap_call *call, struct err *err)
{
    struct imap_args *args = &call->args;
    TRY(args_sp(args, err));
    if (!args_take_word(args, "NIL")) {
        TRY(args_list_open(args, err));
        for (size_t n = 0;; n++) {
            bool is_more, has;
            struct span field, value;
            TRY(args_list_next(args, n, &is_more, err));
            if (!is_more)
                break;
            if (n == ID_FIELDS_MAX)
                return err_set(err, ST_SYNTAX, "more than %d fields", (int)ID_FIELDS_MAX);
            TRY(args_string(args, &field, err));
            TRY(args_sp(args, err));
            TRY(args_nstring(args, &has, &value, err));
        }
    }
    TRY(args_end(args, err));
    imap_untagged(im, "ID (\"name\" \"Tassis\" \"version\" \"%s\")", TASSIS_VERSION);
    return ST_OK;
}
