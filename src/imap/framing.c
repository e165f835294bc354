/*
 * framing.c - see framing.h. Only CRLF ends a line. Whether "{n}" is a literal is decided without reading the command:
 * no argument but a literal can end in "}" at the end of a line (in an unfinished quoted string it is an error anyway).
 */
#include "imap/framing.h"
#include "base/banned.h"

/* Finds CRLF; what has been searched is never searched again. */
static bool find_line_end(struct framing *f, struct span input, size_t *at)
{
    size_t from = f->searched > f->segment ? f->searched : f->segment;
    for (;;) {
        size_t lf = span_find_byte(input, '\n', from);
        if (lf == SPAN_NPOS) {
            f->searched = input.len > f->segment ? input.len : f->segment;
            return false;
        }
        if (lf > f->segment && input.p[lf - 1] == '\r') {
            *at = lf - 1;
            return true;
        }
        from = lf + 1;
    }
}

/* ["~"] "{" number ["+"] "}" at the end of a line. */
static bool find_literal(struct span line, struct framing_found *found)
{
    if (line.len < 3 || line.p[line.len - 1] != '}')
        return false;
    size_t end = line.len - 1;
    found->is_synchronizing = line.p[end - 1] != '+';
    if (!found->is_synchronizing)
        end--;
    size_t start = end;
    while (start > 0 && ascii_is_digit(line.p[start - 1]))
        start--;
    if (start == end || start == 0 || line.p[start - 1] != '{')
        return false;
    if (!span_to_u64(span_slice(line, start, end), UINT64_MAX - 1, &found->size))
        found->size = UINT64_MAX;
    found->is_binary = start > 1 && line.p[start - 2] == '~';
    found->brace = start - 1 - found->is_binary;
    return true;
}

enum framing_result framing_step(struct framing *f, struct span input, struct framing_found *found)
{
    size_t cr;
    *found = (struct framing_found){0};
    if (input.len <= f->segment || !find_line_end(f, input, &cr))
        return FRAMING_MORE;
    if (find_literal(span_slice(input, f->segment, cr), found)) {
        found->brace += f->segment;
        found->octets = cr + 2;
        return FRAMING_LITERAL;
    }
    found->length = cr + 2;
    return FRAMING_COMMAND;
}

void framing_accept(struct framing *f, const struct framing_found *found)
{
    f->segment = found->octets + (size_t)found->size;
    f->searched = f->segment;
}
