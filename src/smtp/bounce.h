/*
 * bounce.h - the notice that a message could not be delivered: multipart/report with a human part, a delivery-status
 * part (RFC 3464) and the original's header (RFC 6522). Pure; any thread.
 */
#pragma once
#include "base/strbuf.h"

struct bounce_failure {
    struct span recipient;
    struct span reply;      /* "550 5.1.1 No such recipient here", or our own words; may be empty */
    uint32_t attempts;
};
struct bounce {
    const char *hostname;   /* of this server: reports, and names itself in From */
    struct span sender;     /* to whom it goes; never empty: a bounce is not bounced (RFC 5321 §6.1) */
    struct span trace;      /* of the original */
    int64_t queued_at, now; /* Unix seconds */
    struct span message;    /* the original, or its beginning */
    bool is_smtputf8;
    const struct bounce_failure *failures;
    size_t failure_count;
};
enum { BOUNCE_HEADER_MAX = 64 * 1024 }; /* octets of the original's header that go back */
void bounce_write(const struct bounce *b, struct strbuf *out);
