/*
 * object_id.h - the names of messages and conversations that outlive uids (RFC 8474 §5). Only for src/imap.
 *
 * A message's EMAILID is its content's id, which COPY and MOVE keep; a THREADID is the number of the conversation
 * (text/preview.h). What is known in one account only has the account's word in it.
 */
#pragma once
#include "imap/session.h"

/* `account` is account_object_name() of the mailbox's owner. */
void imap_write_email_id(struct span account, content_id content, struct strbuf *out);
/* thread 0: the message is a conversation of its own. */
void imap_write_thread_id(struct span account, uint64_t thread, content_id content, struct strbuf *out);
/* The thread number of a message, also of one stored before it was kept. `forms` were loaded in txn. */
enum status imap_thread_of(struct txn *txn, content_id content, const struct content_forms *forms, uint64_t *thread,
                           struct err *err);
