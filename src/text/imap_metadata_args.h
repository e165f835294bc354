/*
 * imap_metadata_args.h - entries of METADATA (RFC 5464 §3.2), and the arguments of GETMETADATA, SETMETADATA and LIST's
 * METADATA return option (RFC 9590).
 *
 * An entry's name is a scope and a path: "/private/comment" is the path "/comment" in the private scope. Names have no
 * case; a path is kept in small letters, a name as it was sent is what the answer repeats. A name that cannot be one is
 * ST_SYNTAX (§3.2). Pure; one thread.
 */
#pragma once
#include "text/imap_lexer.h"

enum {
    METADATA_NAME_MAX = 512,            /* octets of a name */
    METADATA_COMMAND_ENTRIES_MAX = 100, /* in one command */
    METADATA_DEPTH_ALL = 2,             /* "infinity" */
};

struct metadata_entry {
    struct span name; /* as sent */
    bool is_private;
    struct span path; /* "/comment"; empty: the scope itself, whose entries are asked for by DEPTH */
    /* SETMETADATA */
    bool has_value; /* not NIL */
    struct span value;
};

struct metadata_entries {
    struct metadata_entry *items; /* in the arena */
    size_t count;
};

struct metadata_query {
    struct span mailbox; /* empty: the server */
    struct metadata_entries entries;
    unsigned depth; /* 0, 1, METADATA_DEPTH_ALL */
    bool has_max;
    uint32_t max_size; /* octets of a value */
};

/* "GETMETADATA" [SP "(" options ")"] SP mailbox [SP "(" options ")"] SP entries, from the space behind the name on. The
 * RFC's grammar has the options before the mailbox and its examples have them behind it: both are read. */
enum status metadata_query_parse(struct imap_args *args, struct metadata_query *out, struct err *err);
/* "SETMETADATA" SP mailbox SP "(" entry SP value … ")" */
enum status metadata_change_parse(struct imap_args *args, struct span *mailbox, struct metadata_entries *out,
                                  struct err *err);
/* "(" entry *(SP entry) ")" */
enum status metadata_entries_parse(struct imap_args *args, struct metadata_entries *out, struct err *err);
/* Whether `path` is `base`, or lies below it by at most `depth` levels. */
bool metadata_is_within(struct span path, struct span base, unsigned depth);
