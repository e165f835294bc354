/*
 * sharing.h - who a user is besides himself (groups), and who has given rights to whom; kept in directory.db.
 *
 * A group is an account with members in place of a password: it has an address and mailboxes, nobody logs in to it, and
 * its members have all rights on its mailboxes unless its access control lists say otherwise (store/acl.h). Its name is
 * its address.
 *
 * Rights themselves stand in the owner's own file. So that nobody has to open all accounts to list what he is given,
 * the directory keeps an index of pairs (who was given something, by whom). The two are in different files, so the
 * index is kept a superset: a pair is added before the right is (directory_share_add), and taken out after the last
 * right has gone, in both cases while the owner's writer is held. A crash in between leaves a pair too many, which
 * costs a look into an account that has nothing to show.
 *
 * Thread-safe, as the directory is.
 */
#pragma once
#include "store/directory.h"

struct principal_group {
    uint64_t id;
    struct span address;
};
struct principal {
    uint64_t account_id;
    struct span address;
    struct principal_group *groups;
    size_t group_count;
};
/* ST_NOTFOUND: there is no such account. */
enum status directory_principal(struct directory *d, struct arena *a, struct span address, struct principal *out,
                                struct err *err);
bool principal_has_group(const struct principal *who, uint64_t group_id);

/* Who may have something to show to this user: owners of shares, and the user's groups. Not the user. By address. */
struct sharing_owner {
    struct span address;
    uint64_t id;
    bool is_group;
};
enum status directory_owners_for(struct directory *d, struct arena *a, const struct principal *who,
                                 struct sharing_owner **list, size_t *count, struct err *err);
/* grantee 0: anyone. */
enum status directory_share_add(struct directory *d, uint64_t owner, uint64_t grantee, struct err *err);
/* Takes out all pairs of this owner but these. */
enum status directory_share_keep(struct directory *d, uint64_t owner, const uint64_t *grantees, size_t count,
                                 struct err *err);

/* ---- groups, for the command line ---------------------------------------------------------------------------- */

enum { GROUP_MEMBERS_MAX = 10000 };
/* Removed by directory_account_remove(). */
enum status directory_group_add(struct directory *d, struct span address, struct err *err);
enum status directory_group_list(struct directory *d, struct arena *a, struct span **list, size_t *count,
                                 struct err *err);
/* ST_NOTFOUND where there is no such group or account; groups are no members of groups. */
enum status directory_member_add(struct directory *d, struct span group, struct span address, struct err *err);
enum status directory_member_remove(struct directory *d, struct span group, struct span address, struct err *err);
enum status directory_member_list(struct directory *d, struct arena *a, struct span group, struct span **list,
                                  size_t *count, struct err *err);
