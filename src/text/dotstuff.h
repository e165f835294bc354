/*
 * dotstuff.h - the dots of SMTP's DATA and POP3's RETR: taken away on the way in, put in on the way out (RFC 5321
 * §4.5.2).
 *
 * The decoder is fed pieces as they come. Only CRLF is a line end, so only CRLF "." CRLF ends the text; a bare CR or LF
 * and a NUL are marked, never taken for something else: what two servers read differently is how mail is smuggled.
 * Pure; the struct is the caller's; one thread.
 */
#pragma once
#include "base/span.h"

enum dotstuff_place { DOTSTUFF_LINE_START, DOTSTUFF_MIDDLE, DOTSTUFF_CR, DOTSTUFF_DOT, DOTSTUFF_DOT_CR, DOTSTUFF_END };

struct dotstuff {
    enum dotstuff_place place;
    bool has_bare_cr, has_bare_lf, has_nul;
};
#define DOTSTUFF_INIT                                                                                                  \
    {                                                                                                                  \
        DOTSTUFF_LINE_START, false, false, false                                                                       \
    }

/* Takes decoded text from *in: *text gets the next piece that can be used as it stands (maybe empty) and *in moves
 * behind what was read. To be called until *in is empty or dotstuff_is_end(); what is left then is not of this text. */
void dotstuff_decode(struct dotstuff *d, struct span *in, struct span *text);
/* For text that is not dot-stuffed because its length is told (BDAT): marks what is bare, piece by piece. */
void dotstuff_check(struct dotstuff *d, struct span text);
/* The text is over: a CR that was its last octet is bare. */
void dotstuff_check_end(struct dotstuff *d);
static inline bool dotstuff_is_end(const struct dotstuff *d)
{
    return d->place == DOTSTUFF_END;
}

/* The way out. *text is what is still to send; returns the piece that can be sent as it stands, after which a "." must
 * be sent if *needs_dot. Start with *at_line_start true; call until *text is empty. */
struct span dotstuff_encode(struct span *text, bool *at_line_start, bool *needs_dot);
