/*
 * metadata.h - annotations of mailboxes and of the account (RFC 5464): entries, which are a name and a value.
 *
 * Shared entries are one for all who may read the mailbox; private ones are everybody's own: those of who the
 * transaction is for (store_act_as). All stand in the file of the account that has the mailbox, follow the mailbox when
 * it is renamed and go with it. Mailbox 0 is the account itself, for entries of the server.
 *
 * Every change has a modseq of the account. What was removed leaves a row without a value for a day, so that who asks
 * for the changes since a modseq is told of it too.
 */
#pragma once
#include "store/store.h"

enum {
    METADATA_VALUE_MAX = 16 * 1024,    /* octets; RFC 5464 §4.1 wants at least 1024 */
    METADATA_ENTRIES_MAX = 100,        /* of a mailbox, shared ones and each user's own; at least 10 */
    METADATA_ACCOUNT_BYTES = 64 << 20, /* of all values in an account's file */
};

struct metadata_key {
    mailbox_id mailbox;
    bool is_private;
    struct span path; /* "/comment", in small letters */
};

/* *has false: it has no value. */
enum status metadata_get(struct txn *t, const struct metadata_key *key, struct arena *a, bool *has, struct span *value,
                         struct err *err);
/* The paths of this scope that have a value, sorted, at most METADATA_ENTRIES_MAX. key->path is not looked at. */
enum status metadata_list(struct txn *t, const struct metadata_key *key, struct arena *a, struct span **paths,
                          size_t *count, struct err *err);

/* Sets or (NULL) removes a value; TXN_WRITE. ST_LIMIT: there are too many entries, *is_too_many, or their values are
 * too much together. Who watches HUB_METADATA is poked after the commit. */
enum status metadata_set(struct txn *t, const struct metadata_key *key, const struct span *value, bool *is_too_many,
                         struct err *err);
/* Only notes that an entry whose value is kept elsewhere has changed. */
enum status metadata_touch(struct txn *t, const struct metadata_key *key, struct err *err);

/* ---- what has changed -------------------------------------------------------------------------------------------- */

struct metadata_change {
    struct metadata_key key;
    uint64_t modseq;
};
/* The modseq of the last change of an entry. */
enum status metadata_modseq(struct txn *t, uint64_t *out, struct err *err);
/* Changes after `since` of shared entries and of this user's own, by modseq and mailbox, up to the modseq *to. Where
 * there were many, that is not the last: about `max` are looked at, all of a transaction together. */
enum status metadata_changes(struct txn *t, uint64_t since, size_t max, struct arena *a, struct metadata_change **list,
                             size_t *count, uint64_t *to, struct err *err);
