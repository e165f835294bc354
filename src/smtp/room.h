/*
 * room.h - mail for accounts that are full (store/quota.h). Role mail.
 *
 * Asked twice: at RCPT, with what is known then, so that nobody sends what cannot be kept, and by the account's own
 * transaction when the message is there, which alone decides.
 */
#pragma once
#include "smtp/session.h"
#include "store/mail_app.h"

/* RFC 3463 X.2.2: 452, the sender tries again for some days, or 552 ([quota] when_full). */
struct smtp_code room_code(const struct mail_app *app);
/* False where the recipient, whose route is set, leads to nothing but full accounts; RCPT has been refused then. */
bool room_for(struct smtp *sm, struct mail_app *app, const struct smtp_recipient *r);
