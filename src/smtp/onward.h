/*
 * onward.h - a transaction's envelope on its way to the next of our own roles, with all that the client asked for:
 * `mx` to `mail`, `mail` to relay's queue.
 */
#pragma once
#include "smtp/client.h"
#include "smtp/session.h"
#include "store/mail_app.h"

/* Times are counted from the client's MAIL: what is left of BY=, when HOLDFOR= ends. Spans are the transaction's. */
struct smtp_mail onward_mail(const struct smtp_transaction *t);
struct smtp_rcpt onward_rcpt(const struct smtp_recipient *r);

/* Gives a message to relay's queue, for all of these or for none; ST_OK: it is on disk there. The message is the
 * pieces, one behind the other; whether it has 8-bit octets is looked at here, since clients do not always say. Role
 * mail; blocks. */
enum status onward_to_queue(const struct mail_app *app, const struct smtp_mail *mail, const struct smtp_rcpt *to,
                            size_t count, const struct span *pieces, size_t piece_count, struct err *err);
