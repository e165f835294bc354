/*
 * session.h - the inside of an IMAP session: its state, the command being carried out, the rows of the command table,
 * and what a command's function may use. Only for src/imap.
 *
 * How a command runs (dispatch.c)
 *   input.c finds a complete command (its line and all its literals); dispatch.c copies it into a struct imap_call,
 *   looks its row up, checks the state, and calls run(). run() reads all its arguments, acts, and answers with untagged
 *   responses. Where the answer may be long it sets call->produce, which is called again and again, each time once the
 *   output has drained below SESSION_OUT_HIGH. Then come the news of the mailbox (sync.c), then the tagged response,
 *   made from the status: ST_OK is "OK", ST_SYNTAX "BAD", anything else "NO" with the response code of RFC 5530 that
 *   fits.
 *
 * Memory: a call and all in its arena live until the tagged response; spans of the arguments stay valid as long. The
 * session itself owns a few hundred bytes, so that an idle one costs nothing to speak of.
 */
#pragma once
#include "imap/framing.h"
#include "imap/imap.h"
#include "store/hub.h"
#include "store/mail_app.h"
#include "store/view.h"
#include "text/acl_rights.h"
#include "text/comparator.h"
#include "text/imap_lexer.h"

struct imap;
struct imap_call;
struct imap_context;
struct imap_notify;
struct notify_news;

/* Bits, so that a row can name several. A session is in exactly one (RFC 3501 §3). */
enum imap_state { IMAP_NOT_AUTHENTICATED = 1, IMAP_AUTHENTICATED = 2, IMAP_SELECTED = 4 };
enum { IMAP_LOGGED_IN = IMAP_AUTHENTICATED | IMAP_SELECTED, IMAP_ANY_STATE = IMAP_NOT_AUTHENTICATED | IMAP_LOGGED_IN };

enum imap_command_flags {
    IMAP_NEEDS_VIEW = 1,    /* im->view is loaded before run() */
    IMAP_HOLDS_EXPUNGE = 2, /* no EXPUNGE during it (RFC 3501 §7.4.1) */
    IMAP_IS_UID = 4,        /* the UID form; call->is_uid */
    IMAP_NEEDS_WRITE = 8,   /* NO in a mailbox opened by EXAMINE */
    IMAP_TRYCREATE = 16,    /* ST_NOTFOUND answers NO [TRYCREATE] */
    IMAP_HAS_NUMBERS = 64,  /* names messages by their numbers, or tells them: not with UIDONLY */
    IMAP_HAS_BODY = 32,     /* its literals are messages and no part of the command's bytes (APPEND) */
};

struct imap_command {
    const char *name; /* "FETCH", "UID FETCH" */
    unsigned states;
    unsigned flags;
    const char *capability; /* NULL: in every IMAP4rev1 */
    const char *rfc;
    enum status (*run)(struct imap *im, struct imap_call *call, struct err *err);
};

/*
 * What a command itself has done to flags, so that the news do not repeat it: STORE sets it after its commit. The
 * client knows that messages `uids` of its view have flags changed so; only what differs from that is reported. With
 * is_wanted every one of them is reported, changed or not (STORE without .SILENT).
 */
struct imap_own_change {
    const struct seqset *uids; /* NULL: nothing */
    enum flag_change how;
    uint64_t flags;
    bool is_wanted;
    bool is_modseq_wanted; /* as is_wanted, but the modseq alone will do (STORE UNCHANGEDSINCE with .SILENT) */
    bool is_modseq_told;   /* the command has said the new modseqs itself (FETCH that sets \Seen) */
};

struct imap_news; /* sync.c */

/* One command being carried out. */
struct imap_call {
    struct arena arena;
    struct span tag; /* empty: there is no command, IDLE has news to tell */
    const struct imap_command *command;
    struct imap_args args; /* behind the command's name */
    bool is_uid;
    const struct seqset *set; /* the messages it names, as the client wrote them (imap_args_messages) */
    struct span set_text;     /* the same, not read; empty for "$" */

    /* What run() may set. */
    struct span code;    /* response code of the OK, without brackets: "COPYUID 38505 304 3956" (in the arena) */
    const char *text;    /* of the OK; default: "<NAME> completed" */
    const char *no_code; /* response code of a NO, in place of the status's own: "BADCHARSET (UTF-8)" */
    bool holds_expunge;  /* as the flag IMAP_HOLDS_EXPUNGE, which rows have where it is always so */
    struct span limit;   /* "MESSAGELIMIT 1000 23221" where not all messages were looked at (imap_limit_messages) */
    /* How far a long command is: told now and then while `goal` is not 0, which says that the output is between two
     * responses (RFC 9585). */
    uint32_t progress, goal;
    bool is_answered; /* run() has written the tagged response, or there will be none */
    enum next next;   /* default NEXT_AGAIN */
    struct imap_own_change own;
    struct span own_names[2]; /* of mailboxes that it has made, removed, renamed or subscribed itself */
    /* Writes more to imap_out() until that passes SESSION_OUT_HIGH or all is written (*is_done). A bad status ends the
     * command. No transaction may be open on return. `work` is its state, in the arena. */
    enum status (*produce)(struct imap *im, struct imap_call *call, bool *is_done, struct err *err);
    void *work;
    void (*release)(struct imap_call *call); /* called at the call's end, for what is not in the arena */

    /* Private to dispatch.c, sync.c and flags.c. */
    struct span *keywords;
    size_t keyword_count;
    bool has_keywords;
    struct imap_news *news;
    struct notify_news *notify; /* notify_news.c */
    int64_t progress_at_ms;     /* when the progress is told next */
    enum status status;         /* how the command ended */
    struct err failure;         /* where it did not end well */
    const char *bye;            /* said after the tagged response; the session closes then */
};

/* What the client has switched on (cmd_enable.c); bits of im->enabled. A session of IMAP4rev1 that enables nothing sees
 * nothing of them. */
enum imap_feature {
    IMAP_REV2 = 1,      /* IMAP4rev2: RFC 9051 Appendix E says what differs */
    IMAP_UTF8 = 2,      /* UTF-8 in quoted strings, mailbox names are UTF-8; with IMAP4rev2 or UTF8=ACCEPT */
    IMAP_CONDSTORE = 4, /* RFC 7162 §3.1: FETCH responses that nobody asked for have UID and MODSEQ */
    IMAP_QRESYNC = 8,   /* RFC 7162 §3.2: VANISHED in place of EXPUNGE; never without IMAP_CONDSTORE */
    IMAP_UIDONLY = 16,  /* RFC 9586: no message numbers; UIDFETCH in place of FETCH, VANISHED in place of EXPUNGE */
    IMAP_METADATA = 32, /* RFC 5464 §4.4: changes of metadata are told */
};

/* What the bytes that come in are. */
enum imap_mode {
    IMAP_MODE_COMMAND,
    IMAP_MODE_RESPONSE, /* the next line answers AUTHENTICATE's challenge */
    IMAP_MODE_IDLE,     /* the next line is DONE */
    IMAP_MODE_BODY,     /* octets of APPEND's message */
    IMAP_MODE_DISCARD   /* the rest of a command that was refused */
};

struct imap {
    struct session *session;
    enum imap_state state;
    enum imap_mode mode;
    unsigned enabled;       /* enum imap_feature */
    struct imap_call *call; /* only while a command runs or receives its body */
    char *tag;              /* of IDLE or AUTHENTICATE between lines */

    struct framing framing;     /* of the command in session_input() */
    uint64_t literal_left;      /* octets of a literal still to come, in IMAP_MODE_BODY and IMAP_MODE_DISCARD */
    struct imap_append *append; /* while a message comes in */
    struct imap_append
        *waiting;         /* APPENDs that share the next one's transaction; never while the client is waited for */
    bool is_message_next; /* run(): a message's literal follows, of literal_left octets */
    bool is_binary_next;  /* it is a literal8 */

    struct account *account; /* of who has logged in */
    /* the selected mailbox */
    struct account *owner; /* whose it is; a reference of its own */
    acl_rights rights;     /* of who has logged in, on it (imap_begin) */
    mailbox_id mailbox;
    struct view *view;       /* as the client knows it; NULL until first needed (imap_load_view) */
    struct view *told_flags; /* newer: flags are told from it while its expunges may not be told; else NULL */
    uint64_t known_modseq;   /* the state at SELECT, for loading the view later; while view is NULL */
    uint32_t known_uidnext;
    uint32_t keywords_told;  /* 1 + how many keywords the last FLAGS response named; 0: there was none */
    struct seqrange *recent; /* uids that are \Recent in this session, ascending */
    uint32_t recent_count;
    struct seqset *saved;          /* uids of the last SEARCH RETURN (SAVE), "$" (search_saved.c); NULL: none */
    struct imap_context *contexts; /* searches that are kept up to date (context.h) */
    enum comparator comparator;    /* COMPARATOR has chosen it (RFC 5255) */
    bool is_english;               /* LANGUAGE has chosen it; else it is i-default (RFC 5255) */
    bool is_read_only;             /* EXAMINE */
    struct watcher watcher;
    bool is_watching;
    _Atomic bool has_news;  /* set by the hub: the mailbox has changed */
    _Atomic bool is_idling; /* news are to be told at once: IDLE, or NOTIFY with the selected mailbox */

    struct metadata_watch *metadata; /* metadata.h; NULL: not enabled */

    unsigned bad_in_a_row;      /* commands answered with BAD */
    struct imap_notify *notify; /* NULL: there was no NOTIFY (notify.h) */
    /* before login */
    struct imap_login *login; /* during AUTHENTICATE */
    unsigned failures;
};

/* ---- what commands use ---------------------------------------------------------------------------------------- */

static inline struct strbuf *imap_out(struct imap *im)
{
    return session_output(im->session);
}
/* One of these features is enabled. */
static inline bool imap_has(const struct imap *im, unsigned features)
{
    return im->enabled & features;
}
static inline const struct mail_app *imap_mail_app(const struct imap *im)
{
    return session_app(im->session);
}
/* "* " text CRLF. */
void imap_untagged(struct imap *im, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets call->code. */
void imap_set_code(struct imap_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets call->code to "COPYUID …" (RFC 4315 §3); nothing where no message was copied. */
void imap_set_copyuid(struct imap_call *call, const struct uid_pairs *pairs);

/* Switches features on, cmd_enable.c. The first command that enables CONDSTORE while a mailbox is selected has its
 * HIGHESTMODSEQ told (RFC 7162 §3.1). */
void imap_enable(struct imap *im, unsigned features);
/* The modseq up to which the client knows the selected mailbox. */
uint64_t imap_known_modseq(const struct imap *im);
/* "* 7 FETCH (", or by its uid "* 23 UIDFETCH (" (RFC 9586 §3.3) */
void imap_begin_fetch(const struct imap *im, uint32_t seq, uint32_t uid, struct strbuf *out);

/* May see and change every account's limits (cmd_quota.c). */
bool imap_is_quota_administrator(const struct imap *im);

/* flags.c: bits and names. A name that is no keyword yet is made if may_create (in a write transaction). */
enum status imap_flag_bits(struct txn *t, const struct imap_flags *flags, bool may_create, uint64_t *bits,
                           struct err *err);
/* "(\Seen \Recent $Forwarded)" for a message of im->view, with \Recent where it is so in this session. `flags` are the
 * view's, and what the command itself has added. imap_need_keywords() first, once a call. */
enum status imap_need_keywords(struct imap *im, struct imap_call *call, struct err *err);
void imap_write_flags(struct imap *im, const struct imap_call *call, uint32_t uid, uint64_t flags, struct strbuf *out);
bool imap_is_recent(const struct imap *im, uint32_t uid);
/* Message seq of im->view with the flags that the client has been told, which may be newer than the view's
 * (im->told_flags). */
const struct view_message *imap_told_message(const struct imap *im, uint32_t seq);

/* A transaction on the selected mailbox, in its owner's account, for who has logged in: flags that the rights do not
 * cover stay as they are, and \Seen is the user's own. */
enum status imap_begin(struct imap *im, enum txn_mode mode, struct txn **out, struct err *err);
/* The current view of the selected mailbox as this user sees it. The caller owns the reference. */
enum status imap_current_view(struct imap *im, struct view **out, struct err *err);
/* The flags that this user may change in the selected mailbox. */
uint64_t imap_may_flags(const struct imap *im);
/* Another's mailbox: looks its list up again. ST_DENIED where it may not be read any more. */
enum status imap_refresh_rights(struct imap *im, struct imap_call *call, struct err *err);
/* ST_DENIED with NOPERM (RFC 5530) where one of these rights on the selected mailbox is missing (RFC 4314 §4). */
enum status imap_need_rights(const struct imap *im, struct imap_call *call, acl_rights needed, struct err *err);

/* What "$" stands for from now on (search_saved.c): these uids, copied; NULL: nothing. */
void imap_save_result(struct imap *im, const struct seqset *uids);

/* The client's view of the selected mailbox; already there for rows with IMAP_NEEDS_VIEW. */
enum status imap_load_view(struct imap *im, struct err *err);
