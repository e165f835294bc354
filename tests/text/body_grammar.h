/*
 * body_grammar.h - recognises envelope and body of RFC 3501 §9 (and RFC 9051 §9, which is the same but for the word
 * "GLOBAL"), octet for octet. For unit tests and the fuzz target; written from the grammar, knows nothing of the
 * writer. Each function moves *s behind what it takes; false: not of the grammar.
 */
#pragma once
#include "base/span.h"

enum { GRAMMAR_DEPTH_MAX = 300 };

static inline bool grammar_char(struct span *s, char c)
{
    if (s->len == 0 || s->p[0] != c)
        return false;
    *s = span_skip(*s, 1);
    return true;
}

static inline bool grammar_nil(struct span *s)
{
    if (!span_starts(*s, SPAN("NIL")))
        return false;
    *s = span_skip(*s, 3);
    return true;
}

static inline bool grammar_number(struct span *s, uint64_t *n)
{
    size_t digits = 0;
    while (digits < s->len && ascii_is_digit(s->p[digits]))
        digits++;
    bool is_number = span_to_u64(span_take(*s, digits), UINT64_MAX / 2, n);
    *s = span_skip(*s, digits);
    return is_number;
}

/* string = quoted / literal; *content: what stands in it, backslashes and all. */
static inline bool grammar_string(struct span *s, struct span *content)
{
    if (grammar_char(s, '"')) {
        for (size_t i = 0; i < s->len; i++) {
            unsigned char c = (unsigned char)s->p[i];
            if (c == '"') {
                *content = span_take(*s, i);
                *s = span_skip(*s, i + 1);
                return true;
            }
            if (c == '\\' && (++i == s->len || (s->p[i] != '"' && s->p[i] != '\\')))
                return false;
            if (c == '\0' || c == '\r' || c == '\n' || c >= 0x80)
                return false;
        }
        return false;
    }
    uint64_t n;
    if (!grammar_char(s, '{') || !grammar_number(s, &n) || !grammar_char(s, '}') || !grammar_char(s, '\r') ||
        !grammar_char(s, '\n') || n > s->len)
        return false;
    *content = span_take(*s, (size_t)n);
    *s = span_skip(*s, (size_t)n);
    return span_find_byte(*content, '\0', 0) == SPAN_NPOS;
}

static inline bool grammar_nstring(struct span *s)
{
    struct span content;
    return grammar_nil(s) || grammar_string(s, &content);
}

static inline bool grammar_sp_nstring(struct span *s)
{
    return grammar_char(s, ' ') && grammar_nstring(s);
}

/* "(" 1*address ")" / nil */
static inline bool grammar_addresses(struct span *s)
{
    if (grammar_nil(s))
        return true;
    if (!grammar_char(s, '('))
        return false;
    do {
        if (!grammar_char(s, '(') || !grammar_nstring(s) || !grammar_sp_nstring(s) || !grammar_sp_nstring(s) ||
            !grammar_sp_nstring(s) || !grammar_char(s, ')'))
            return false;
    } while (!grammar_char(s, ')'));
    return true;
}

static inline bool grammar_envelope(struct span *s)
{
    if (!grammar_char(s, '(') || !grammar_nstring(s) || !grammar_sp_nstring(s))
        return false;
    for (int i = 0; i < 6; i++)
        if (!grammar_char(s, ' ') || !grammar_addresses(s))
            return false;
    return grammar_sp_nstring(s) && grammar_sp_nstring(s) && grammar_char(s, ')');
}

/* body-fld-param = "(" string SP string *(SP string SP string) ")" / nil */
static inline bool grammar_params(struct span *s)
{
    struct span content;
    if (grammar_nil(s))
        return true;
    if (!grammar_char(s, '('))
        return false;
    do {
        if (!grammar_string(s, &content) || !grammar_char(s, ' ') || !grammar_string(s, &content))
            return false;
    } while (grammar_char(s, ' '));
    return grammar_char(s, ')');
}

/* body-fld-dsp SP body-fld-lang SP body-fld-loc */
static inline bool grammar_extension(struct span *s)
{
    struct span content;
    if (!grammar_nil(s) && !(grammar_char(s, '(') && grammar_string(s, &content) && grammar_char(s, ' ') &&
                             grammar_params(s) && grammar_char(s, ')')))
        return false;
    if (!grammar_char(s, ' '))
        return false;
    if (grammar_char(s, '(')) {
        do {
            if (!grammar_string(s, &content))
                return false;
        } while (grammar_char(s, ' '));
        if (!grammar_char(s, ')'))
            return false;
    } else if (!grammar_nstring(s)) {
        return false;
    }
    return grammar_sp_nstring(s);
}

static inline bool grammar_body(struct span *s, bool is_extended, int depth);

/* body-type-mpart, behind the "(" */
static inline bool grammar_multipart(struct span *s, bool is_extended, int depth)
{
    struct span subtype;
    do {
        if (!grammar_body(s, is_extended, depth + 1))
            return false;
    } while (s->len > 0 && s->p[0] == '(');
    if (!grammar_char(s, ' ') || !grammar_string(s, &subtype))
        return false;
    return !is_extended || (grammar_char(s, ' ') && grammar_params(s) && grammar_char(s, ' ') && grammar_extension(s));
}

/* body-type-1part, behind the "(" */
static inline bool grammar_single(struct span *s, bool is_extended, int depth)
{
    struct span type, subtype, encoding;
    uint64_t n;
    if (!grammar_string(s, &type) || !grammar_char(s, ' ') || !grammar_string(s, &subtype) || !grammar_char(s, ' ') ||
        !grammar_params(s) || !grammar_sp_nstring(s) || !grammar_sp_nstring(s) || !grammar_char(s, ' ') ||
        !grammar_string(s, &encoding) || !grammar_char(s, ' ') || !grammar_number(s, &n))
        return false;
    bool is_text = span_ieq(type, SPAN("text"));
    bool is_message =
        span_ieq(type, SPAN("message")) && (span_ieq(subtype, SPAN("rfc822")) || span_ieq(subtype, SPAN("global")));
    if (is_message && (!grammar_char(s, ' ') || !grammar_envelope(s) || !grammar_char(s, ' ') ||
                       !grammar_body(s, is_extended, depth + 1)))
        return false;
    if ((is_text || is_message) && (!grammar_char(s, ' ') || !grammar_number(s, &n)))
        return false;
    if (span_ieq(type, SPAN("multipart")))
        return false;
    return !is_extended || (grammar_sp_nstring(s) && grammar_char(s, ' ') && grammar_extension(s));
}

static inline bool grammar_body(struct span *s, bool is_extended, int depth)
{
    if (depth > GRAMMAR_DEPTH_MAX || !grammar_char(s, '('))
        return false;
    bool is_multipart = s->len > 0 && s->p[0] == '(';
    return (is_multipart ? grammar_multipart(s, is_extended, depth) : grammar_single(s, is_extended, depth)) &&
           grammar_char(s, ')');
}

/* The whole of s is one. */
static inline bool grammar_is_body(struct span s, bool is_extended)
{
    return grammar_body(&s, is_extended, 0) && s.len == 0;
}
static inline bool grammar_is_envelope(struct span s)
{
    return grammar_envelope(&s) && s.len == 0;
}
