/*
 * imap_lexer.h - the arguments of an IMAP command, read one typed value after the other (RFC 3501 §9, RFC 9051 §9).
 *
 * The bytes are a complete command: literals stand inline ("{5}\r\nhello", also "{5+}"), the command's own final CRLF
 * is cut off. Reading starts right behind the command's name, so a command with arguments begins with args_sp() and
 * every command ends with args_end():
 *
 *     TRY(args_sp(args, err));
 *     TRY(args_seqset(args, view_count(im->view), &set, err));
 *     TRY(args_sp(args, err));
 *     TRY(args_mailbox(args, &name, err));
 *     TRY(args_end(args, err));
 *
 * Every reader moves behind what it read, or answers ST_SYNTAX (ST_LIMIT) with a text for the client that says what was
 * expected and what was found. Values are spans into the command, or of the arena where they had to be unescaped.
 * Pure; one thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "text/date.h"
#include "text/seqset.h"

enum {
    IMAP_NESTING_MAX = 32,      /* parentheses in parentheses */
    IMAP_LIST_ITEMS_MAX = 10000 /* items read from one list */
};

struct imap_args {
    struct span rest;           /* not read yet */
    struct arena *arena;        /* for what is made while reading */
    unsigned depth;             /* parentheses open */
    struct span as_sent;        /* the mailbox name read last, in UTF-8, before INBOX was put in capitals */
    const struct seqset *saved; /* uids: what "$" is (RFC 5182); NULL: nothing */
    bool is_utf8;               /* UTF8=ACCEPT or IMAP4rev2 is enabled: mailbox names are UTF-8, not modified UTF-7 */
};

void args_init(struct imap_args *args, struct arena *arena, struct span bytes);

/* ---- looking and taking ------------------------------------------------------------------------------------ */

bool args_at_end(const struct imap_args *args);
bool args_next_is(const struct imap_args *args, char c);
bool args_take(struct imap_args *args, char c); /* reads c if it is next */
/* Reads `word` (any case) if it is next and no atom character follows it. */
bool args_take_word(struct imap_args *args, const char *word);
/* Sets *err to "expected …, found …"; for callers with a grammar of their own. */
enum status args_expected(const struct imap_args *args, const char *what, struct err *err);

/* ---- values ------------------------------------------------------------------------------------------------- */

enum status args_sp(struct imap_args *args, struct err *err); /* exactly one space */
enum status args_char(struct imap_args *args, char c, struct err *err);
enum status args_end(struct imap_args *args, struct err *err); /* nothing is left */

enum status args_tag(struct imap_args *args, struct span *out, struct err *err);
enum status args_atom(struct imap_args *args, struct span *out, struct err *err);
/* Quoted or literal. NUL is refused everywhere (RFC 3501 §4.3.1). 8-bit bytes in quoted strings are let through. */
enum status args_string(struct imap_args *args, struct span *out, struct err *err);
enum status args_astring(struct imap_args *args, struct span *out, struct err *err);
/* literal8 of RFC 3516 §5: "~{5}" and octets, NUL among them. */
enum status args_literal8(struct imap_args *args, struct span *out, struct err *err);
enum status args_nstring(struct imap_args *args, bool *has, struct span *out, struct err *err); /* NIL: *has false */

enum status args_number(struct imap_args *args, uint32_t *out, struct err *err);
enum status args_nz_number(struct imap_args *args, uint32_t *out, struct err *err);
enum status args_number64(struct imap_args *args, uint64_t *out, struct err *err); /* up to 2^63 - 1 (RFC 9051) */

/* mod-sequence-value of RFC 7162 §7: 1 to 2^63 - 1. */
enum status args_modseq(struct imap_args *args, uint64_t *out, struct err *err);

/* "*" is `last`: the number of messages, or the last uid; 0 where the mailbox is empty. "$" gives args->saved, which
 * are uids whatever was asked for: who reads message numbers looks for it first. */
enum status args_seqset(struct imap_args *args, uint32_t last, struct seqset **out, struct err *err);
/* The same where "*" is not allowed (known-uids of RFC 7162 §7). */
enum status args_known_seqset(struct imap_args *args, struct seqset **out, struct err *err);

/* An astring as the store names mailboxes: UTF-8, INBOX in capitals. */
enum status args_mailbox(struct imap_args *args, struct span *out, struct err *err);
/* list-mailbox of LIST and LSUB: as args_mailbox, with the wildcards % and * in it. */
enum status args_list_mailbox(struct imap_args *args, struct span *out, struct err *err);

/* "31-Jan-2026", quoted or not: days since 1970-01-01. */
enum status args_date(struct imap_args *args, int64_t *day, struct err *err);
/* "\"31-Jan-2026 12:00:00 +0100\"" */
enum status args_date_time(struct imap_args *args, struct mail_date *out, struct err *err);

/* ---- lists -------------------------------------------------------------------------------------------------- */

enum status args_list_open(struct imap_args *args, struct err *err);
enum status args_list_close(struct imap_args *args, struct err *err);
/*
 * Walks a list that was opened, spaces and the closing parenthesis included:
 *
 *     TRY(args_list_open(args, err));
 *     for (size_t n = 0;; n++) {
 *         bool is_more;
 *         TRY(args_list_next(args, n, &is_more, err));
 *         if (!is_more)
 *             break;
 *         TRY(args_atom(args, &item[n], err));
 *     }
 */
enum status args_list_next(struct imap_args *args, size_t n, bool *is_more, struct err *err);

/* ---- flags -------------------------------------------------------------------------------------------------- */

/* The system flags' bits are those of store.h. */
enum { IMAP_FLAG_SEEN = 1, IMAP_FLAG_ANSWERED = 2, IMAP_FLAG_FLAGGED = 4, IMAP_FLAG_DELETED = 8, IMAP_FLAG_DRAFT = 16 };

struct imap_flags {
    unsigned system;
    struct span *keywords; /* as written; not made unique */
    size_t count;
};
/* flag-list; if is_bare_allowed also "store-att-flags" without parentheses (flag *(SP flag), to the end). \Recent and
 * unknown \flags are ST_SYNTAX. */
enum status args_flags(struct imap_args *args, bool is_bare_allowed, struct imap_flags *out, struct err *err);
