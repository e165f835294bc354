/*
 * send_args.h - the command line of sendmail(8), as programs have called it for forty years. Pure; strings point into
 * argv; any thread.
 *
 * Options stand before addresses, several letters may share a word ("-ti"), a value is the rest of its word or the next
 * one. What only made sense for the original's queue or rewriting is taken and means nothing. An address that begins
 * with "-" is never taken for an option behind the first address or "--".
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "text/smtp_command.h"

enum send_mode {
    SEND_MESSAGE, /* -bm: a message from stdin */
    SEND_SMTP,    /* -bs: SMTP on stdin and stdout */
    SEND_QUEUE,   /* -bp: what waits */
    SEND_NOTHING, /* -bi, -q: asked for what is not needed here */
};

struct send_args {
    enum send_mode mode;
    bool is_from_header;   /* -t: recipients are in To, Cc, Bcc */
    bool is_dot_ordinary;  /* -i, -oi: a line with a lone dot does not end the message */
    bool is_verbose;       /* -v */
    const char *sender;    /* -f, -r; NULL: the caller's own */
    const char *full_name; /* -F; NULL: the caller's own */
    const char *config;    /* -C, -c, --config; NULL: the usual */
    unsigned notify;       /* -N: enum smtp_notify; 0: not said */
    enum smtp_ret ret;     /* -R */
    const char *envid;     /* -V; NULL: none */
    const char *const *recipients;
    size_t recipient_count;
};

/* argv[0] is passed over. ST_SYNTAX with what is wrong; ST_UNSUPPORTED for a mode that is not here (-bd). */
enum status send_args_parse(int argc, const char *const *argv, struct send_args *out, struct err *err);
