/*
 * smtp_command.h - the lines of an SMTP client: verb, arguments, paths and parameters (RFC 5321 §4.1, RFC 1870, 4954,
 * 6152, 6531). What a command means is not known here. Pure; any thread; memory is the arena's or the line's.
 */
#pragma once
#include "text/address.h"

enum {
    SMTP_COMMAND_MAX = 512,     /* octets with CRLF (RFC 5321 §4.5.3.1.4) */
    SMTP_LINE_MAX = 4096,       /* of commands that extensions make longer: MAIL, RCPT */
    SMTP_AUTH_LINE_MAX = 12288, /* of AUTH and its continuation lines (RFC 4954 §4); of BURL, too */
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

/* Extensions whose parameters a door takes; it takes SIZE, BODY=7BIT and 8BITMIME, SMTPUTF8 and AUTH always. */
enum smtp_param {
    SMTP_PARAM_XTRACE = 1,     /* XTRACE=, XQUARANTINE, XHELD=, between our own roles */
    SMTP_PARAM_DSN = 2,        /* RET=, ENVID=; NOTIFY=, ORCPT= (RFC 3461) */
    SMTP_PARAM_BINARYMIME = 4, /* BODY=BINARYMIME (RFC 3030) */
    SMTP_PARAM_REQUIRETLS = 8, /* RFC 8689 */
    SMTP_PARAM_HOLD = 16,      /* HOLDFOR=, HOLDUNTIL= (RFC 4865) */
    SMTP_PARAM_BY = 32,        /* BY= (RFC 2852) */
    SMTP_PARAM_PRIORITY = 64,  /* MT-PRIORITY= (RFC 6710) */
    SMTP_PARAMS_ALL = 127
};
enum smtp_ret { SMTP_RET_NONE, SMTP_RET_HDRS, SMTP_RET_FULL };
enum smtp_notify { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };
enum smtp_by { SMTP_BY_NONE, SMTP_BY_NOTIFY, SMTP_BY_RETURN };
enum {
    SMTP_ENVID_MAX = 100, /* octets as xtext (RFC 3461 §5.4) */
    SMTP_ORCPT_MAX = 500, /* likewise */
    SMTP_BY_SECONDS_MAX = 999999999
};

struct smtp_mail_args {
    struct mailbox_address from; /* both empty: the null reverse-path */
    bool has_size, is_8bit, is_smtputf8, is_tls_required, is_by_traced;
    bool is_binary;      /* BODY=BINARYMIME, RFC 3030 §3; is_8bit too */
    uint64_t size;       /* SIZE=, RFC 1870 */
    struct span trace;   /* XTRACE=; empty: none */
    bool is_quarantined; /* XQUARANTINE: not among good mail */
    enum smtp_ret ret;
    struct span envid;        /* as sent, in xtext; empty: none */
    int64_t hold_for;         /* HOLDFOR=: seconds; 0: none */
    int64_t hold_until;       /* HOLDUNTIL=: Unix seconds; 0: none */
    struct span hold_request; /* XHELD=: what the client asked for, "for;3600" or "until;" and a date; empty: nothing */
    enum smtp_by by;
    int64_t by_seconds; /* from now; negative: already over (RFC 2852 §4) */
    int priority;       /* -9 to 9 */
};
/* args of MAIL: "FROM:<…> SIZE=1000 BODY=8BITMIME". AUTH= is checked and dropped (RFC 4954 §5). params: enum
 * smtp_param. *err says what is wrong. */
enum smtp_fault smtp_mail_parse(struct arena *a, struct span args, unsigned params, struct smtp_mail_args *out,
                                struct err *err);

struct smtp_rcpt_args {
    struct mailbox_address to; /* "<postmaster>" has an empty domain */
    unsigned notify;           /* enum smtp_notify; 0: not said */
    struct span orcpt;         /* "rfc822;alice@example.test" as sent, in xtext; empty: none */
};
/* args of RCPT: "TO:<…>". */
enum smtp_fault smtp_rcpt_parse(struct arena *a, struct span args, unsigned params, bool is_smtputf8,
                                struct smtp_rcpt_args *out, struct err *err);

/* xtext (RFC 3461 §4): "+XX" for what may not stand there. False where malformed; decoded octets beyond printable ASCII
 * are refused. */
bool xtext_decode(struct arena *a, struct span text, struct span *out);
void xtext_encode(struct span text, struct strbuf *out);
/* The forms of a UTF-8 address in ORCPT (RFC 6533 §3): "\x{…}" for what may not stand there, UTF-8 as it is or
 * likewise. Decoding gives UTF-8 without control characters, or false. Encoding gives ASCII that is safe in every
 * ORCPT. */
bool unitext_decode(struct arena *a, struct span text, struct span *out);
void unitext_encode(struct span text, struct strbuf *out);

/* A trace id: 1 to SMTP_TRACE_MAX of [A-Za-z0-9]. */
bool smtp_trace_is_valid(struct span trace);

/* What may follow EHLO, HELO, LHLO: a domain, an address literal, or whatever single word clients really send, as long
 * as it can stand in a header field (printable ASCII or UTF-8, no space, no parentheses, brackets, quotes but a
 * literal's own). */
bool smtp_hello_is_valid(struct span name);
