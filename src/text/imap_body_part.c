/* imap_body_part.c - see imap_body_part.h. */
#include "text/imap_body_part.h"
#include "base/banned.h"

/* Places in the list of a leaf (RFC 3501 §9, body-type-1part). */
enum { FIELD_TYPE, FIELD_SUBTYPE, FIELD_ENCODING = 5, FIELD_OCTETS, FIELD_LINES, FIELD_NESTED_BODY };

/* Length of the string, literal or atom that s begins with. */
static size_t word_length(struct span s)
{
    size_t n = 1;
    uint64_t octets;
    if (s.p[0] == '"') {
        while (n < s.len && s.p[n] != '"')
            n += s.p[n] == '\\' ? 2 : 1;
        return n < s.len ? n + 1 : 0;
    }
    if (s.p[0] == '{') {
        size_t end = span_find_byte(s, '}', 0);
        if (end == SPAN_NPOS || !span_to_u64(span_slice(s, 1, end), s.len, &octets))
            return 0;
        n = end + 3 + (size_t)octets; /* "}" CRLF */
        return n <= s.len ? n : 0;
    }
    while (n < s.len && s.p[n] != ' ' && s.p[n] != ')' && s.p[n] != '(')
        n++;
    return n;
}

/* Length of the value that s begins with, a list with all that is in it; 0: it has no end. */
static size_t value_length(struct span s)
{
    size_t depth = 0, n = 0;
    while (n < s.len) {
        if (s.p[n] == '(') {
            depth++;
            n++;
        } else if (s.p[n] == ')') {
            if (depth == 0)
                return 0;
            depth--;
            n++;
        } else if (s.p[n] == ' ') {
            n++;
            continue;
        } else {
            size_t word = word_length(span_skip(s, n));
            if (!word)
                return 0;
            n += word;
        }
        if (depth == 0)
            return n;
    }
    return 0;
}

/* The value at this place of a list, counted from 0. */
static bool value_at(struct span list, size_t index, struct span *out)
{
    struct span rest = span_skip(list, 1);
    for (;; index--) {
        while (rest.len && rest.p[0] == ' ')
            rest = span_skip(rest, 1);
        size_t n = rest.len && rest.p[0] != ')' ? value_length(rest) : 0;
        if (!n)
            return false;
        *out = span_take(rest, n);
        if (index == 0)
            return true;
        rest = span_skip(rest, n);
    }
}

static bool is_list(struct span s)
{
    return s.len > 1 && s.p[0] == '(';
}

static bool is_multipart(struct span body)
{
    return is_list(body) && body.p[1] == '(';
}

static bool has_type(struct span body, const char *type)
{
    struct span s;
    return is_list(body) && value_at(body, FIELD_TYPE, &s) && s.len > 2 &&
           span_ieq(span_slice(s, 1, s.len - 1), span_cstr(type));
}

/* The BODY of the message inside a message/rfc822 part. */
static bool nested_body(struct span part, struct span *out)
{
    return has_type(part, "message") && value_at(part, FIELD_NESTED_BODY, out) && is_list(*out);
}

bool imap_body_part(struct span body, const uint32_t *numbers, size_t depth, struct span *part)
{
    bool is_message = true; /* its first part is itself, where it is no multipart */
    *part = span_take(body, value_length(body));
    for (size_t i = 0; i < depth; i++) {
        struct span child;
        if (!is_message && nested_body(*part, &child)) {
            *part = child;
            is_message = true;
        }
        if (is_multipart(*part)) {
            if (!value_at(*part, numbers[i] - 1, &child) || !is_list(child))
                return false;
            *part = child;
        } else if (!is_message || numbers[i] != 1) {
            return false;
        }
        is_message = false;
    }
    return is_list(*part);
}

void imap_body_write_decoded(struct span part, uint64_t octets, uint64_t lines, struct strbuf *out)
{
    struct span value;
    if (is_multipart(part) || has_type(part, "message")) {
        strbuf_add(out, part);
        return;
    }
    for (size_t i = 0; value_at(part, i, &value); i++) {
        strbuf_add_char(out, i ? ' ' : '(');
        if (i == FIELD_ENCODING)
            strbuf_add_cstr(out, "\"BINARY\"");
        else if (i == FIELD_OCTETS)
            strbuf_add_u64(out, octets);
        else if (i == FIELD_LINES && has_type(part, "text"))
            strbuf_add_u64(out, lines);
        else
            strbuf_add(out, value);
    }
    strbuf_add_char(out, ')');
}
