/*
 * acl.h - access control lists of mailboxes (RFC 4314), kept in the owner's account.
 *
 * Entries name whom they are for by an identifier: an account's address, "group:" and a group's address, or "anyone";
 * each may have a positive and a negative entry. An entry also keeps the id of that account, and only counts for the
 * account of this id: an address that is removed and made anew has none of the rights of the old one.
 *
 * The owner has all rights always, and needs no entry. The members of the group whose account it is have all rights
 * unless there is an entry for the group; "l" and "a" are theirs in any case.
 *
 * A mailbox that is made takes its parent's list over; the list goes with the mailbox.
 */
#pragma once
#include "store/sharing.h"
#include "store/store.h"
#include "text/acl_rights.h"

enum {
    ACL_ENTRIES_MAX = 500,    /* of a mailbox */
    ACL_IDENTIFIER_MAX = 330, /* octets: "group:" and an address */
};

struct acl_entry {
    struct span identifier; /* without the "-" of a negative entry */
    bool is_negative;
    uint64_t grantee; /* 0: anyone */
    acl_rights rights;
};

/* By identifier, the positive before the negative. */
enum status acl_list(struct txn *t, mailbox_id mailbox, struct arena *a, struct acl_entry **list, size_t *count,
                     struct err *err);
/* Changes one entry (TXN_WRITE); e->rights are put in by `how`. An entry without rights is taken out, except that of
 * the group whose account it is. Who watches the mailbox is poked. ST_LIMIT. */
enum status acl_change(struct txn *t, mailbox_id mailbox, const struct acl_entry *e, enum acl_change how,
                       struct err *err);
/* Takes the entry out; fine where there is none. */
enum status acl_remove(struct txn *t, mailbox_id mailbox, struct span identifier, bool is_negative, struct err *err);
/* Everybody who has an entry somewhere in the account. */
enum status acl_grantees(struct txn *t, struct arena *a, uint64_t **list, size_t *count, struct err *err);

/* What this user may do with a mailbox. */
enum status acl_rights_of(struct txn *t, mailbox_id mailbox, const struct principal *who, acl_rights *out,
                          struct err *err);
/* The same for the account's root, where mailboxes of the first level are made. */
acl_rights acl_root_rights(const struct txn *t, const struct principal *who);
/* All mailboxes as mailbox_list() gives them, with this user's rights on each. */
enum status acl_mailboxes(struct txn *t, const struct principal *who, struct arena *a, struct mailbox **list,
                          acl_rights **rights, size_t *count, struct err *err);
