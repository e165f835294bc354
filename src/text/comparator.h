/*
 * comparator.h - how texts are compared: the collations of RFC 4790 and RFC 5051 that a session can choose (RFC 5255).
 *
 * Texts are given the form in which the collation compares them; forms are compared octet by octet, for equality, order
 * and substrings alike. Each form is made a code point at a time, so that a text which has another in it by any of
 * these collations has it by i;unicode-casemap, too: an index of that form never misses one. Pure; any thread.
 */
#pragma once
#include <stdbool.h>
#include "base/span.h"
#include "base/strbuf.h"

enum comparator { /* the default first; wide before narrow (RFC 4790 §3.2) */
                  COMPARATOR_UNICODE_CASEMAP,
                  COMPARATOR_ASCII_CASEMAP,
                  COMPARATOR_OCTET,
                  COMPARATORS
};
enum { COMPARATOR_NAME_MAX = 254 }; /* octets of a pattern (RFC 4790 §3.1) */

/* "i;unicode-casemap" */
const char *comparator_name(enum comparator c);
/* Whether a collation-order (RFC 4790 §3.3: a name or a pattern with "*", perhaps with "+" before it) or "default"
 * means this comparator. Orders turned round ("-") are none of ours. */
bool comparator_is_meant(enum comparator c, struct span order);
/* What collation-order can be by its grammar. */
bool comparator_order_is_valid(struct span order);
/* Appends the form; UTF-8, octets that are none pass through. */
void comparator_fold(enum comparator c, struct span utf8, struct strbuf *out);
