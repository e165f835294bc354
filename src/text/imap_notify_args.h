/*
 * imap_notify_args.h - what NOTIFY asks for (RFC 5465 §8): groups of mailboxes, each with the events that are wanted of
 * them. Lives in the arena of the arguments; spans may point into the command. Pure; one thread.
 */
#pragma once
#include "text/imap_fetch_args.h"

enum {
    NOTIFY_GROUPS_MAX = 32,  /* of one command */
    NOTIFY_NAMES_MAX = 1000, /* mailbox names in them */
};

enum notify_event { /* bits */
                    NOTIFY_MESSAGE_NEW = 1,
                    NOTIFY_MESSAGE_EXPUNGE = 2,
                    NOTIFY_FLAG_CHANGE = 4,
                    NOTIFY_MAILBOX_NAME = 8,
                    NOTIFY_SUBSCRIPTION_CHANGE = 16,
                    NOTIFY_MAILBOX_METADATA_CHANGE = 32,
                    NOTIFY_SERVER_METADATA_CHANGE = 64
};
#define NOTIFY_MESSAGE_EVENTS (unsigned)(NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE | NOTIFY_FLAG_CHANGE)

/* All events there are, for the response code BADEVENT: "MessageNew MessageExpunge …". */
extern const char notify_events_known[];

enum notify_which {
    NOTIFY_SELECTED,
    NOTIFY_SELECTED_DELAYED,
    NOTIFY_INBOXES,
    NOTIFY_PERSONAL,
    NOTIFY_SUBSCRIBED,
    NOTIFY_SUBTREE,     /* of names */
    NOTIFY_MAILBOXES,   /* names */
    NOTIFY_SUBTREE_ONE, /* of names, one level; only where mailboxes are searched (RFC 7377 §2.2) */
};

struct notify_group {
    enum notify_which which;
    unsigned events;         /* 0: NONE */
    struct span *names;      /* as the store has them */
    size_t name_count;       /* of NOTIFY_SUBTREE and NOTIFY_MAILBOXES at least one */
    struct fetch_args fetch; /* what MessageNew is to tell of messages in the selected mailbox; none: nothing */
};

struct notify_args {
    bool is_set; /* else NONE, and nothing follows */
    bool is_status_wanted;
    struct notify_group *groups;
    size_t count;
};

/* "filter-mailboxes *(SP filter-mailboxes)", as ESEARCH has it between its parentheses (RFC 7377 §4): groups without
 * events. The closing parenthesis is read, too. */
enum status notify_sources_parse(struct imap_args *args, struct notify_args *out, struct err *err);
/* " SET (…) (…)" or " NONE", to the end. ST_UNSUPPORTED: an event that is not known (NO [BADEVENT]); ST_SYNTAX also
 * where the events of a group cannot go together (§5). */
enum status notify_args_parse(struct imap_args *args, struct notify_args *out, struct err *err);
