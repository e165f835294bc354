/*
 * copy_across.h - COPY and MOVE where the two mailboxes are of different accounts. Only for src/imap.
 *
 * Two files, so two transactions: the copies are flushed in the one before anything is removed from the other. A crash
 * in between leaves a message in both, never in none.
 */
#pragma once
#include "imap/place.h"

/* Copies (or moves) messages of the selected mailbox; all arrive or none. */
enum status imap_copy_across(struct imap *im, struct imap_call *call, const struct seqset *uids,
                             const struct imap_place *place, bool is_move, struct uid_pairs *pairs, struct err *err);
