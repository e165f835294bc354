/*
 * smtp_command.h - the lines of an SMTP client: verb, arguments, paths and parameters (RFC 5321 §4.1, RFC 1870, 4954,
 * 6152, 6531). What a command means is not known here. Pure; any thread; memory is the arena's or the line's.
 */
#pragma once
#include "text/address.h"

enum {
    SMTP_COMMAND_MAX = 512,     /* octets with CRLF (RFC 5321 §4.5.3.1.4) */
    SMTP_LINE_MAX = 4096,       /* of commands that extensions make longer: MAIL, RCPT */
    SMTP_AUTH_LINE_MAX = 12288, /* of AUTH and its continuation lines (RFC 4954 §4) */
    SMTP_PARAMS_MAX = 16,
    SMTP_TRACE_MAX = 32 /* octets of a trace id */
};

/* verb: as sent. args: what follows it, without the spaces around. False where the line (without its CRLF) has a CR, LF
 * or NUL, or where it does not begin with letters. */
bool smtp_command_split(struct span line, struct span *verb, struct span *args);

/* What is wrong with arguments; decides the reply. */
enum smtp_fault {
    SMTP_FINE,
    SMTP_BAD_SYNTAX,        /* 501 5.5.4 */
    SMTP_BAD_ADDRESS,       /* 501 5.1.7 or 5.1.3 */
    SMTP_UNKNOWN_PARAMETER, /* 555 5.5.4 */
    SMTP_NEEDS_SMTPUTF8     /* 553 5.6.7 (RFC 6531 §3.5) */
};

struct smtp_mail_args {
    struct mailbox_address from; /* both empty: the null reverse-path */
    bool has_size, is_8bit, is_smtputf8;
    bool is_binary; /* BODY=BINARYMIME, RFC 3030 §3; is_8bit too */
    uint64_t size;     /* SIZE=, RFC 1870 */
    struct span trace; /* XTRACE=, only where is_internal; empty: none */
};
/* args of MAIL: "FROM:<…> SIZE=1000 BODY=8BITMIME". AUTH= is checked and dropped (RFC 4954 §5). *err says what is
 * wrong. */
enum smtp_fault smtp_mail_parse(struct arena *a, struct span args, bool is_internal, struct smtp_mail_args *out,
                                struct err *err);

/* args of RCPT: "TO:<…>". "<postmaster>" has an empty domain. */
enum smtp_fault smtp_rcpt_parse(struct arena *a, struct span args, bool is_smtputf8, struct mailbox_address *out,
                                struct err *err);

/* A trace id: 1 to SMTP_TRACE_MAX of [A-Za-z0-9]. */
bool smtp_trace_is_valid(struct span trace);

/* What may follow EHLO, HELO, LHLO: a domain, an address literal, or whatever single word clients really send, as long
 * as it can stand in a header field (printable ASCII or UTF-8, no space, no parentheses, brackets, quotes but a
 * literal's own). */
bool smtp_hello_is_valid(struct span name);
