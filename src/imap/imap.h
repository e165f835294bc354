/*
 * imap.h - IMAP4rev1 (RFC 3501 and the extensions that CAPABILITY names), for both of its roles.
 *
 * `gate` speaks it up to the login (imap_gate_protocol, session_app() is a struct gate_app); `mail` goes on from the
 * answer to the login command (imap_accept, session_app() is a struct mail_app). One table of commands serves both: the
 * state of the session says which of them may run.
 */
#pragma once
#include "auth/handover.h"
#include "net/session.h"

extern const struct protocol imap_gate_protocol;

/* For handover_app in `mail`: the session becomes an IMAP session of h->account and h->tag is answered. */
enum next imap_accept(struct session *s, const struct handover *h);
/* Answers h->tag with NO; the session closes after. */
void imap_refuse(struct session *s, const struct handover *h, const struct err *err);
