/*
 * directory.h - which domains, accounts and aliases there are (directory.db). No secrets: passwords are in the vault.
 *
 * Used by the role mail (lookups, each answered from memory while the file has not changed) and by the command line
 * (changes), at the same time, from several processes. Thread-safe.
 *
 * Addresses here are canonical: domain in lower-case A-label form, local part in lower case, no subaddress.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "store/quota.h"

struct directory;

/* Makes the file where it is missing (may_create), runs migrations. */
enum status directory_open(const char *path, bool may_create, struct directory **out, struct err *err);
void directory_free(struct directory **d);
AUTO_DEFINE(directory)

enum { ALIAS_TARGETS_MAX = 1000 };

enum address_kind {
    ADDRESS_NO_DOMAIN, /* the domain is not ours */
    ADDRESS_NONE,      /* the domain is ours, the address does not exist */
    ADDRESS_ACCOUNT,
    ADDRESS_ALIAS /* targets: addresses, local or outside */
};
struct address_entry {
    enum address_kind kind;
    bool is_group;       /* ADDRESS_ACCOUNT: nobody can log in to it (store/sharing.h) */
    uint64_t account_id; /* ADDRESS_ACCOUNT: never reused, so that an account made anew is not taken for the old one */
    struct quota quota;      /* ADDRESS_ACCOUNT: as set for it, QUOTA_DEFAULT where nothing is set */
    struct span *targets;
    size_t target_count;
};
/* Exact look-up of local_part@domain. The catch-all of a domain is the alias with the empty local part
 * ("@example.test"). No subaddress or catch-all logic here: that is policy/route.h. */
enum status directory_lookup(struct directory *d, struct arena *a, struct span local_part, struct span domain,
                             struct address_entry *out, struct err *err);
enum status directory_has_domain(struct directory *d, struct span domain, bool *out, struct err *err);

enum status directory_domain_add(struct directory *d, struct span domain, struct err *err);
/* ST_STATE while it has accounts or aliases. */
enum status directory_domain_remove(struct directory *d, struct span domain, struct err *err);
enum status directory_domain_list(struct directory *d, struct arena *a, struct span **list, size_t *count,
                                  struct err *err);

enum status directory_account_add(struct directory *d, struct span address, struct err *err);
/* Adds those that are not there yet, all of them or none. *added counts them; after an error *at is the index of the
 * address that could not be added. */
enum status directory_account_add_all(struct directory *d, const struct span *addresses, size_t count, size_t *added,
                                      size_t *at, struct err *err);
enum status directory_account_remove(struct directory *d, struct span address, struct err *err);
/* A removed account leaves a grave: its address, until its files are gone too. remove() is called for the grave of
 * `address` (empty: for all) and the grave is closed when it returned ST_OK; meanwhile no other process changes the
 * directory. Used by store_sweep(). */
enum status directory_close_graves(struct directory *d, struct span address,
                                   enum status (*remove)(void *context, struct span address, struct err *err),
                                   void *context, struct err *err);
/* What the account may hold: each is a number, QUOTA_NONE or QUOTA_DEFAULT. ST_NOTFOUND. */
enum status directory_quota_set(struct directory *d, struct span address, const struct quota *q, struct err *err);
struct directory_account {
    struct span address;
    uint64_t id;
    int64_t created_at; /* Unix seconds */
};
/* Without groups. domain empty: all. Sorted by address. */
enum status directory_account_list(struct directory *d, struct arena *a, struct span domain,
                                   struct directory_account **list, size_t *count, struct err *err);
/* The first of a domain's accounts by address; *out is left as it is where there is none. Costs the same however many
 * there are. */
enum status directory_first_account(struct directory *d, struct arena *a, struct span domain,
                                    struct directory_account *out, struct err *err);

enum status directory_alias_add(struct directory *d, struct span from, struct span to, struct err *err);
/* to empty: all targets of `from`. */
enum status directory_alias_remove(struct directory *d, struct span from, struct span to, struct err *err);
struct directory_alias {
    struct span from, to;
};
enum status directory_alias_list(struct directory *d, struct arena *a, struct directory_alias **list, size_t *count,
                                 struct err *err);
/* Aliases whose targets contain this address: who may an account send as. */
enum status directory_aliases_of(struct directory *d, struct arena *a, struct span address, struct span **list,
                                 size_t *count, struct err *err);
