/*
 * search_source.h - the mailboxes that an ESEARCH looks into (RFC 7377 §2.2). Only for src/imap.
 */
#pragma once
#include "imap/session.h"
#include "text/imap_notify_args.h"

enum { SEARCH_SOURCES_MAX = 2000 }; /* mailboxes of one ESEARCH; more is NO [LIMIT] (RFC 7377 §2.4) */

struct search_source {
    struct account *owner; /* a reference */
    acl_rights rights;     /* of who has logged in */
    mailbox_id id;
    struct span path; /* as this user calls it; in the call's arena */
    uint32_t uidvalidity, messages;
    bool is_selected; /* in this session */
};

struct search_sources {
    struct search_source *items; /* in the call's arena */
    size_t count, cap;
    uint64_t messages; /* in all of them, about */
};

/* Each mailbox once. Those that do not exist, cannot be selected, or may not be read are left out without a word, as
 * are those that are found by their place (and not by their name) and may not be seen. ST_SYNTAX: "selected", and no
 * mailbox is. Free *out in any case. */
enum status search_sources_find(struct imap *im, struct imap_call *call, const struct notify_args *wanted,
                                struct search_sources *out, struct err *err);
void search_sources_free(struct search_sources *s);
