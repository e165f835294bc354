/*
 * framing.h - where an IMAP command ends: behind its line and all literals of it (RFC 3501 §2.2.1, §4.3, RFC 7888).
 *
 * Looks at each byte once, however it comes in. A line that ends in "{n}" or "{n+}" is followed by n octets that are
 * not looked at, and by one more line. Pure; one thread.
 */
#pragma once
#include "base/span.h"

/* Zeroed before each command. Offsets are into the command's bytes. */
struct framing {
    size_t segment;  /* where the line that is being looked at begins: 0, or behind a literal */
    size_t searched; /* no line end begins before this offset */
};

enum framing_result {
    FRAMING_MORE,    /* no line end yet */
    FRAMING_LITERAL, /* a line ends in a literal; go on with framing_accept() or give up */
    FRAMING_COMMAND  /* complete */
};

struct framing_found {
    size_t length;         /* FRAMING_COMMAND: of all, with the last CRLF */
    size_t brace;          /* FRAMING_LITERAL: where its "{" is */
    size_t octets;         /* where its octets begin */
    uint64_t size;         /* how many there are; UINT64_MAX where the number is larger than any */
    bool is_synchronizing; /* the client waits for "+" */
    bool is_binary;        /* a literal8: "~{" (RFC 3516 §7) */
};

enum framing_result framing_step(struct framing *f, struct span input, struct framing_found *found);
/* The literal's octets belong to the command: goes on behind them, whether they have come yet or not. */
void framing_accept(struct framing *f, const struct framing_found *found);
