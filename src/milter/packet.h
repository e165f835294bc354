/*
 * packet.h - the octets of the milter protocol, version 6, as libmilter of Sendmail 8.14 and later speaks it
 * (include/libmilter/mfdef.h is the only specification): packets of a big-endian length, a letter and data.
 *
 * We are the mail server's side: commands are written, answers are read. What the filter sends is a stranger's: every
 * length is compared with a limit before it is used. Pure; any thread; memory is the caller's.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

enum {
    MILTER_VERSION = 6,
    MILTER_VERSION_LEAST = 2,
    MILTER_CHUNK_MAX = 65535,           /* octets of one body packet (MILTER_CHUNK_SIZE) */
    MILTER_PACKET_MAX = 2 * 65536,      /* octets of one answer, letter included */
    MILTER_REPLY_TEXT_MAX = 2000,       /* octets of a refusal's text, all lines */
    MILTER_REPLY_LINES_MAX = 32,        /* as smtp_setmlreply(3) allows */
    MILTER_CHANGES_MAX = 1000,          /* of one message by one filter */
    MILTER_CHANGES_BYTES_MAX = 4 << 20, /* of them, without a new body */
};

/* What may be done to a message (SMFIF_*). */
enum milter_action {
    MILTER_ADD_HEADERS = 0x1,
    MILTER_CHANGE_BODY = 0x2,
    MILTER_ADD_RCPT = 0x4,
    MILTER_DELETE_RCPT = 0x8,
    MILTER_CHANGE_HEADERS = 0x10,
    MILTER_QUARANTINE = 0x20,
    MILTER_CHANGE_FROM = 0x40,
    MILTER_ADD_RCPT_ARGS = 0x80,
    MILTER_SET_MACROS = 0x100
};

/* What is left out, and what is not answered (SMFIP_*). */
enum milter_step {
    MILTER_NO_CONNECT = 0x1,
    MILTER_NO_HELO = 0x2,
    MILTER_NO_MAIL = 0x4,
    MILTER_NO_RCPT = 0x8,
    MILTER_NO_BODY = 0x10,
    MILTER_NO_HEADERS = 0x20,
    MILTER_NO_EOH = 0x40,
    MILTER_NR_HEADER = 0x80,
    MILTER_NO_UNKNOWN = 0x100,
    MILTER_NO_DATA = 0x200,
    MILTER_SKIP = 0x400,
    MILTER_RCPT_REJECTED = 0x800, /* wants to see refused recipients, too */
    MILTER_NR_CONNECT = 0x1000,
    MILTER_NR_HELO = 0x2000,
    MILTER_NR_MAIL = 0x4000,
    MILTER_NR_RCPT = 0x8000,
    MILTER_NR_DATA = 0x10000,
    MILTER_NR_UNKNOWN = 0x20000,
    MILTER_NR_EOH = 0x40000,
    MILTER_NR_BODY = 0x80000,
    MILTER_HEADER_SPACE = 0x100000 /* a field's value begins behind the colon, its space included */
};

/* Events, in the order in which their macros are numbered by SMFIR_SETSYMLIST; those behind have none of their own. */
enum milter_stage {
    MILTER_STAGE_CONNECT,
    MILTER_STAGE_HELO,
    MILTER_STAGE_MAIL,
    MILTER_STAGE_RCPT,
    MILTER_STAGE_DATA,
    MILTER_STAGE_EOM,
    MILTER_STAGE_EOH,
    MILTER_STAGES_WITH_MACROS,
    MILTER_STAGE_HEADER = MILTER_STAGES_WITH_MACROS,
    MILTER_STAGE_BODY,
    MILTER_STAGE_UNKNOWN,
    MILTER_STAGE_COUNT
};

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* One packet; `data` is the letter's. */
void milter_put(struct strbuf *out, char letter, struct span data);
/* A NUL-terminated string within a packet's data: what is behind a NUL of its own is left out. */
void milter_put_string(struct strbuf *data, struct span text);
/* SMFIC_OPTNEG: all that we can. */
void milter_put_options(struct strbuf *out);
/* SMFIC_CONNECT's data. address: textual IPv4 or IPv6; empty: not known. */
void milter_put_connect(struct strbuf *data, struct span hostname, struct span address, uint16_t port);
/* SMFIC_HEADER's data: line ends of a folded value become LF, as filters know them; without is_space_kept the space
 * behind the colon is left out. */
void milter_put_header(struct strbuf *data, struct span name, struct span value, bool is_space_kept);

struct milter_macro {
    const char *name; /* "j", "{mail_addr}" */
    struct span value;
};
/* SMFIC_MACRO for the stage's command: those of `macros` that have a value and stand in the blank-separated list. */
void milter_put_macros(struct strbuf *out, char command, struct span wanted, const struct milter_macro *macros,
                       size_t count);

/* ---- reading ---------------------------------------------------------------------------------------------------- */

enum milter_frame { MILTER_FRAME_PARTIAL, MILTER_FRAME_WHOLE, MILTER_FRAME_BAD };
/* The first packet of the input. WHOLE: *letter, *data (into the input) and *size, what to consume. BAD as soon as the
 * length is one that no packet may have. */
enum milter_frame milter_frame_next(struct span input, char *letter, struct span *data, size_t *size);

struct milter_options {
    uint32_t version, actions, steps;
    bool has_macros[MILTER_STAGES_WITH_MACROS]; /* SMFIR_SETSYMLIST: macros[i] is what stage i shall have */
    struct span macros[MILTER_STAGES_WITH_MACROS];
};
/* The filter's SMFIC_OPTNEG; lists point into data. ST_SYNTAX, or ST_UNSUPPORTED where it wants what we did not offer.
 */
enum status milter_options_read(struct span data, struct milter_options *out, struct err *err);

enum milter_change_kind {
    MILTER_CHANGE_ADD_HEADER,
    MILTER_CHANGE_INSERT_HEADER,
    MILTER_CHANGE_HEADER, /* value empty: the field goes */
    MILTER_CHANGE_SENDER,
    MILTER_CHANGE_ADD_RCPT,
    MILTER_CHANGE_DELETE_RCPT,
    MILTER_CHANGE_REPLACE_BODY, /* one piece of the new body */
    MILTER_CHANGE_TO_QUARANTINE,
    MILTER_CHANGE_COUNT
};
struct milter_change {
    enum milter_change_kind kind;
    uint32_t index;    /* of insert: the position, of change: the occurrence, from 1 */
    struct span name;  /* field, or address as sent */
    struct span value; /* field's value, ESMTP arguments, the quarantine's reason, the body */
};

enum milter_answer_kind {
    MILTER_ANSWER_CONTINUE,
    MILTER_ANSWER_ACCEPT,
    MILTER_ANSWER_DISCARD,
    MILTER_ANSWER_REFUSE,
    MILTER_ANSWER_SKIP,
    MILTER_ANSWER_PROGRESS,
    MILTER_ANSWER_CHANGE
};
struct milter_answer {
    enum milter_answer_kind kind;
    unsigned code;                        /* of REFUSE: 4xx or 5xx; 421 closes the connection */
    char enhanced[12];                    /* of the same class, never empty */
    char text[MILTER_REPLY_TEXT_MAX + 1]; /* lines separated by \n, printable ASCII or UTF-8 */
    struct milter_change change;          /* of CHANGE; spans into data */
};
/* ST_SYNTAX where it is no answer, or a malformed one. */
enum status milter_answer_read(char letter, struct span data, struct milter_answer *out, struct err *err);
/* Which action a change needs. */
uint32_t milter_action_of(enum milter_change_kind kind);
