/*
 * local_text.h - a message as local programs write it made one of lines that end with CRLF (RFC 5321 §2.3.8).
 *
 * LF and CRLF are line ends; any other CR stays what it is, for the server to refuse. Fed piece by piece; the result
 * does not depend on where it is cut. Pure.
 */
#pragma once
#include <stdbool.h>
#include "base/strbuf.h"

struct local_text {
    bool is_dot_end;                  /* set by the caller: a line with a lone dot ends the message */
    bool is_ended;                    /* it did; what follows is passed over */
    bool is_in_line, has_dot, has_cr; /* has_dot: the line is "." so far; has_cr: a CR waits for what follows it */
};

void local_text_feed(struct local_text *t, struct span in, struct strbuf *out);
/* The last line gets its end where it has none. */
void local_text_finish(struct local_text *t, struct strbuf *out);
