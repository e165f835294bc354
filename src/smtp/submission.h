/*
 * submission.h - what the doors for new mail share: submission after login, and local programs. Role mail;
 * session_app() is struct mail_app.
 */
#pragma once
#include "smtp/session.h"

const char *submission_hostname(const struct session *s);
uint64_t submission_size_max(const struct session *s);
/* Any recipient: ours, or the outside. */
bool submission_recipient(struct smtp *sm, struct smtp_recipient *r);
/* Mends (RFC 6409 §8), delivers and queues, answers once for all. */
void submission_message(struct smtp *sm);
/* The answer to whether the sender may be used; a message is counted then ([rates]). */
bool submission_sender_answer(struct smtp *sm, enum status st, bool may, const struct err *err);
