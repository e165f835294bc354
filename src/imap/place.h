/*
 * place.h - where a mailbox name leads: to which account, under which name there, and with which rights (RFC 4314).
 * Every command that names a mailbox asks here first. Only for src/imap.
 *
 *   "Other Users/bob@example.test/Work"   bob's mailbox Work      (RFC 2342: other users' namespace)
 *   "Shared/sales@example.test/INBOX"     the group sales' INBOX  (shared namespace)
 *   anything else                         the user's own
 *
 * In the owner's level '/', '%', '*' and '=' are written as "=2F" and so on, so that it is one level and no wildcard.
 *
 * A place is found by its name alone; whether there is a mailbox is for the command's own transaction to see. What this
 * user may not see is ST_NOTFOUND, in the words of a mailbox that does not exist (RFC 4314 §6); what may be seen and
 * not done is ST_DENIED with the response code NOPERM.
 */
#pragma once
#include "imap/session.h"
#include "store/acl.h"

struct imap_place {
    struct account *account; /* a reference; imap_place_free() */
    struct span name;        /* in that account; in the call's arena */
    struct span path;        /* as this user calls it */
    acl_rights rights;       /* of this user; in the account's own hands: all */
};
void imap_place_free(struct imap_place *p);
#define AUTO_PLACE __attribute__((cleanup(imap_place_free))) struct imap_place

/* needed: all of these rights. ACL_CREATE is asked of the nearest parent that exists, as is everything of a mailbox
 * that does not exist. The call's no_code is set where one is missing. */
enum status imap_place_find(struct imap *im, struct imap_call *call, struct span name, acl_rights needed,
                            struct imap_place *out, struct err *err);
/* A transaction in that account for this user, as imap_begin(). */
enum status imap_place_begin(const struct imap *im, const struct imap_place *p, enum txn_mode mode, struct txn **out,
                             struct err *err);
static inline bool imap_place_is_own(const struct imap *im, const struct imap_place *p)
{
    return p->account == im->account;
}

/* Who has logged in, with his groups; in the arena. */
enum status imap_principal(const struct imap *im, struct arena *a, struct principal *out, struct err *err);
/* "Other Users/bob@example.test/", "Shared/sales@example.test/". */
struct span imap_owner_prefix(struct arena *a, const struct sharing_owner *owner);
/* The account's own view or the reader's: what store_act_as() and view_get_for() are told. */
uint64_t imap_reader(const struct imap *im, const struct account *owner);
/* The MYRIGHTS response (cmd_acl.c). */
void imap_write_myrights(struct imap *im, struct span path, acl_rights rights);
