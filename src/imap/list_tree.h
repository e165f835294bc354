/*
 * list_tree.h - the names that LIST speaks of, as one tree (RFC 5258, RFC 9051 §6.3.9): the user's mailboxes, what
 * others share with him, what is subscribed and does not exist, and the levels above them. Only for src/imap.
 *
 * All names of the tree are judged, also those that no pattern matches: RECURSIVEMATCH asks for what lies below them.
 */
#pragma once
#include "imap/session.h"
#include "store/acl.h"
#include "text/imap_list_args.h"

struct list_name {
    struct span name;              /* as this user calls it */
    size_t parent;                 /* index; LIST_NO_PARENT */
    const struct mailbox *mailbox; /* NULL: nothing of this name exists (\NonExistent) */
    struct account *owner;         /* whose it is, NULL with mailbox; the tree has the reference */
    acl_rights rights;             /* of this user on it */
    bool is_subscribed;            /* only looked up where LIST_RETURN_SUBSCRIBED is wanted */
    bool has_children;             /* that exist and that this user may see */
    bool is_matching;              /* one of the patterns */
    bool is_selected;              /* meets the selection criteria */
    bool has_selected_below;       /* something below it does (CHILDINFO) */
    bool has_hidden_below;         /* something below it does, and matches no pattern */
};
#define LIST_NO_PARENT SIZE_MAX

struct list_tree {
    struct list_name *names; /* a parent before its children; in the arena */
    size_t count, cap;
    struct account **owners; /* references; in the arena */
    size_t owner_count;
};

/* An account of somebody else that cannot be read is logged and left out. Free the tree in any case. */
enum status list_tree_read(struct imap *im, struct arena *a, const struct list_args *wanted, struct list_tree *out,
                           struct err *err);
void list_tree_free(struct list_tree *t); /* its references */
/* Whether LIST answers with this name (RFC 5258 §3.3). */
bool list_is_told(const struct list_name *n, const struct list_args *wanted);
