/*
 * quota.h - how much an account may hold (RFC 9208): octets, messages and mailboxes. One quota root for each account.
 *
 * What it may hold is said in the directory, resource by resource, so that it can be changed while the server runs;
 * where nothing is said there, the store's default applies. What it does hold is the sum of its mailboxes' counters. A
 * transaction that adds more than may be held fails as a whole, at its commit, with ST_QUOTA; one that adds nothing, or
 * takes more away than it adds, never does, also where the account holds more than it may.
 *
 * A message counts with its octets in every mailbox it is in, copies too: the sums are those of STATUS SIZE.
 *
 * Thread-safe.
 */
#pragma once
#include <stdint.h>
#include "base/err.h"
#include "base/span.h"

enum quota_resource { QUOTA_STORAGE, QUOTA_MESSAGES, QUOTA_MAILBOXES, QUOTA_RESOURCES };

/* An amount of each: held, or the most that may be held. Storage in octets. */
struct quota {
    uint64_t of[QUOTA_RESOURCES];
};
#define QUOTA_NONE      UINT64_MAX       /* as a limit: any amount */
#define QUOTA_DEFAULT   (UINT64_MAX - 1) /* in the directory: what the store's default says */
#define QUOTA_LIMIT_MAX ((uint64_t)1 << 62)

/* STORAGE is told in units of 1024 octets (§5.1). */
static inline uint64_t quota_storage_units(uint64_t octets)
{
    return octets / 1024 + (octets % 1024 != 0);
}

struct store;
struct account;
/* The default, from now on; at first QUOTA_NONE of all. */
void store_set_quota(struct store *s, const struct quota *limits);
/* What the account with this canonical address may hold. ST_NOTFOUND. */
enum status account_limits(struct store *s, struct span address, struct quota *out, struct err *err);
/* What the account holds after the last commit, and what it may hold: numbers or QUOTA_NONE. */
enum status account_quota(struct account *a, struct quota *held, struct quota *limits, struct err *err);
/* What is known before a message comes: ST_QUOTA where the account cannot take one of so many octets (0: of any). */
enum status account_has_room(struct account *a, uint64_t octets, struct err *err);
/* The same of the account with this canonical address, whose file is only opened where it has a limit. */
enum status store_has_room(struct store *s, struct span address, uint64_t octets, struct err *err);
