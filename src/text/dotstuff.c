/*
 * dotstuff.c - see dotstuff.h. The decoder is a small machine over the last one or two octets; within a line it jumps
 * from line end to line end by memchr, so that a large body costs little more than reading it.
 */
#include "text/dotstuff.h"
#include "base/banned.h"

/* The rest of a line in the middle of which we are, with its CRLF if it is whole. Returns the octets that are read. */
static size_t middle(struct dotstuff *d, struct span in)
{
    size_t lf = span_find_byte(in, '\n', 0);
    bool has_lf = lf != SPAN_NPOS;
    struct span line = has_lf ? span_take(in, lf + 1) : in;
    size_t tail = has_lf ? 2 : 1; /* where the one good CR may stand, counted from the end */
    bool has_good_cr = line.len >= tail && line.p[line.len - tail] == '\r';
    size_t cr = span_find_byte(line, '\r', 0);

    if (cr != SPAN_NPOS && !(has_good_cr && cr + tail == line.len))
        d->has_bare_cr = true;
    if (has_lf && !has_good_cr)
        d->has_bare_lf = true;
    if (span_find_byte(line, '\0', 0) != SPAN_NPOS)
        d->has_nul = true;
    if (has_good_cr)
        d->place = has_lf ? DOTSTUFF_LINE_START : DOTSTUFF_CR;
    else
        d->place = DOTSTUFF_MIDDLE;
    return line.len;
}

/* The octet that is_special() found. Returns whether it is text. */
static bool step(struct dotstuff *d)
{
    switch (d->place) {
    case DOTSTUFF_LINE_START: /* a dot: RFC 5321 §4.5.2, it is not text whatever follows */
        d->place = DOTSTUFF_DOT;
        return false;
    case DOTSTUFF_CR: /* the LF */
        d->place = DOTSTUFF_LINE_START;
        return true;
    case DOTSTUFF_DOT: /* a CR */
        d->place = DOTSTUFF_DOT_CR;
        return false;
    default: /* DOTSTUFF_DOT_CR, the LF */
        d->place = DOTSTUFF_END;
        return false;
    }
}

static bool is_special(const struct dotstuff *d, char c)
{
    switch (d->place) {
    case DOTSTUFF_LINE_START:
        return c == '.';
    case DOTSTUFF_CR:
    case DOTSTUFF_DOT_CR:
        return c == '\n';
    case DOTSTUFF_DOT:
        return c == '\r';
    default:
        return false;
    }
}

void dotstuff_decode(struct dotstuff *d, struct span *in, struct span *text)
{
    size_t start = 0, at = 0;
    while (at < in->len && d->place != DOTSTUFF_END) {
        if (is_special(d, in->p[at])) {
            bool is_text = step(d);
            at++;
            if (is_text)
                continue;
            if (at - 1 > start) { /* the piece ends before what is no text */
                *text = span_slice(*in, start, at - 1);
                *in = span_skip(*in, at);
                return;
            }
            start = at;
        } else {
            if (d->place == DOTSTUFF_CR || d->place == DOTSTUFF_DOT_CR)
                d->has_bare_cr = true; /* it came with an earlier piece, and no LF followed */
            at += middle(d, span_skip(*in, at));
        }
    }
    *text = span_slice(*in, start, at);
    *in = span_skip(*in, at);
}

void dotstuff_check(struct dotstuff *d, struct span text)
{
    if (text.len && d->place == DOTSTUFF_CR && text.p[0] == '\n') {
        text = span_skip(text, 1);
        d->place = DOTSTUFF_LINE_START;
    } else if (text.len) {
        dotstuff_check_end(d);
    }
    while (text.len)
        text = span_skip(text, middle(d, text));
}

void dotstuff_check_end(struct dotstuff *d)
{
    if (d->place == DOTSTUFF_CR)
        d->has_bare_cr = true;
}

/* The first dot that begins a line. Dots are rarer than line ends, and memchr() is several times as fast as memmem().
 */
static size_t find_first_dot(struct span text)
{
    for (size_t at = 2; (at = span_find_byte(text, '.', at)) != SPAN_NPOS; at++)
        if (text.p[at - 1] == '\n' && text.p[at - 2] == '\r')
            return at;
    return SPAN_NPOS;
}

struct span dotstuff_encode(struct span *text, bool *at_line_start, bool *needs_dot)
{
    *needs_dot = false;
    if (*at_line_start && text->len && text->p[0] == '.') {
        *at_line_start = false;
        *needs_dot = true;
        return SPAN_NONE;
    }
    struct span piece = span_take(*text, find_first_dot(*text));
    *text = span_skip(*text, piece.len);
    *at_line_start = piece.len ? span_ends(piece, SPAN("\r\n")) : *at_line_start;
    return piece;
}
