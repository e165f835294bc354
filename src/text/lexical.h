/*
 * lexical.h - the few lexical rules that header fields, addresses and dates share (RFC 5322 §3.2).
 *
 * Pure; any thread.
 */
#pragma once
#include "base/span.h"

/* SP, HT, and the CR and LF of folds. */
static inline bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* 0..15, or -1. */
static inline int hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Length of the comment that starts s, with those nested in it; one that is never closed goes to the end. */
static inline size_t comment_length(struct span s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '(')
            depth++;
        else if (s.p[i] == ')' && --depth == 0)
            return i + 1;
    }
    return s.len;
}

/* Length of the quoted-string that starts s, with its quotes; one that is never closed goes to the end. */
static inline size_t quoted_length(struct span s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return i + 1;
    }
    return s.len;
}

/* What stands between the quotes of a quoted-string of that length, backslashes and all. */
static inline struct span quoted_content(struct span quoted)
{
    struct span inner = span_skip(quoted, 1);
    bool is_closed = false;
    for (size_t i = 0; i < inner.len; i++) {
        if (inner.p[i] == '\\')
            i++;
        else
            is_closed = inner.p[i] == '"' && i + 1 == inner.len;
    }
    return span_take(inner, inner.len - is_closed);
}
