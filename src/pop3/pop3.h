/*
 * pop3.h - POP3 (RFC 1939, 2449, 2595, 3206, 5034): the protocol objects of both roles.
 *
 * `gate` runs the AUTHORIZATION state, `mail` the TRANSACTION and UPDATE states; the command table in session.c says
 * which command belongs where.
 */
#pragma once
#include "auth/handover.h"
#include "net/session.h"

extern const struct protocol pop3_gate_protocol; /* app: struct gate_app */

/* In `mail`, after the hand-over: opens the maildrop and answers the client's login. app: struct mail_app. */
enum next pop3_accept(struct session *s, const struct handover *h);
void pop3_refuse(struct session *s, const struct handover *h, const struct err *err);
