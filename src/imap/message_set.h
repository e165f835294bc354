/*
 * message_set.h - which messages a command is about. Only for src/imap.
 */
#pragma once
#include "imap/session.h"

/* Reads the command's sequence set (numbers, or uids in the UID form) and resolves it to uids that the client's view
 * has. A number beyond the mailbox's last message is ST_SYNTAX (RFC 9051 §9, seq-number); uids that are not there are
 * passed over (RFC 3501 §6.4.8). */
enum status imap_args_messages(struct imap *im, struct imap_call *call, struct seqset **uids, struct err *err);

/* Those of `uids` in the client's view whose modseq, as the client has been told, is greater. */
struct seqset *imap_changed_since(const struct imap *im, struct arena *a, const struct seqset *uids, uint64_t modseq);
