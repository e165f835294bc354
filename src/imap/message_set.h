/*
 * message_set.h - which messages a command is about. Only for src/imap.
 */
#pragma once
#include "imap/session.h"

/* Reads the command's sequence set (numbers, or uids in the UID form) and resolves it to uids that the client's view
 * has. A number beyond the mailbox's last message is ST_SYNTAX (RFC 9051 §9, seq-number); uids that are not there are
 * passed over (RFC 3501 §6.4.8). */
enum status imap_args_messages(struct imap *im, struct imap_call *call, struct seqset **uids, struct err *err);

/* RFC 9738: leaves of `uids` those that one command may be about, the highest, and notes it for the answer. */
struct seqset *imap_limit_messages(struct imap *im, struct imap_call *call, struct seqset *uids);
/* How many messages one command may add to a mailbox, 0: any (SAVELIMIT, and COPY's and APPEND's part of MESSAGELIMIT).
 */
uint32_t imap_save_limit(const struct imap *im);

/* Those of `uids` in the client's view whose modseq, as the client has been told, is greater. */
struct seqset *imap_changed_since(const struct imap *im, struct arena *a, const struct seqset *uids, uint64_t modseq);
