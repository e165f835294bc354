/*
 * dsn.h - delivery status notifications (RFC 3461, 3464, 6522, 6533): multipart/report with a text for people, the
 * status of each recipient, and the message or its header. Pure, but for dsn_log(); any thread.
 */
#pragma once
#include "base/strbuf.h"
#include "queue/queue.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED }; /* RFC 3464 §2.3.3 */

struct dsn_recipient {
    enum dsn_action action;
    struct span address, orcpt; /* orcpt in xtext, as the envelope had it */
    struct span reply;          /* "550 5.1.1 No such recipient here", or our own words in that form; may be empty */
    struct span remote;         /* the host that said so; empty: nobody did */
    int64_t will_retry_until;   /* DELAYED */
};
struct dsn {
    const char *hostname; /* of this server: reports, and names itself in From */
    const struct queue_message *about;
    int64_t now;
    struct span message; /* the original, or its beginning */
    const struct dsn_recipient *recipients;
    size_t count;
};
enum { DSN_HEADER_MAX = 64 * 1024, DSN_FULL_MAX = 1 << 20 }; /* octets of the original that go back */

/* To whom: about->sender, which must not be empty (RFC 3461 §6.1). *is_utf8: the report holds addresses or a header
 * beyond ASCII and so needs SMTPUTF8 itself. */
void dsn_write(const struct dsn *d, struct strbuf *out, bool *is_utf8);

/* One line "reported" for each recipient that is told of. */
void dsn_log(const struct dsn *d);

/* Whether RFC 3461 §4.1 wants one of this kind for a recipient with this NOTIFY. */
bool dsn_is_wanted(unsigned notify, enum dsn_action action);
