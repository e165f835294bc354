/*
 * filter.h - milters in an SMTP session: which are asked at which stage, and what becomes of their answers.
 *
 * A session has a connection to each filter of its door, made when the client has said EHLO (a client that only
 * connects costs the filters nothing) and kept to its end. At each stage they are asked in the config's order, after
 * the mode has said yes; the first that refuses answers the client. At the end of a message each one sees what those
 * before it have made of it.
 *
 * Asking blocks the session's worker, as asking another role does (net/session.h); how that is bounded is in
 * smtp/milters.h. A session that is one too many hears 451, and so do those that wait when the role stops, whatever
 * `fail` says: else an attacker's flood would be a way past the filter.
 */
#pragma once
#include "smtp/session.h"

/* All answer the client themselves where they return false; where the session has no filters they return true. */
bool filter_hello(struct smtp *sm, struct span name);
/* args: as the client sent them. */
bool filter_mail(struct smtp *sm, struct span args);
bool filter_rcpt(struct smtp *sm, const struct smtp_recipient *r, struct span args);
/* The mode has refused this recipient, with this reply: filters that want to know are told, and have no say. */
void filter_rcpt_refused(struct smtp *sm, const struct smtp_recipient *r, struct span args, struct span reply);
/* A command that is not known. */
bool filter_unknown(struct smtp *sm, struct span line);
bool filter_data(struct smtp *sm);
/* The body is whole: it, the sender and the recipients may change. False: the message has had its answer. */
bool filter_message(struct smtp *sm);
/* The transaction ends, in whatever way. */
void filter_end(struct smtp *sm);
/* The session ends, or is for another client from now on. */
void filter_close(struct smtp *sm);
