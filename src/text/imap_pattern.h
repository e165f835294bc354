/*
 * imap_pattern.h - the wildcards of LIST and LSUB (RFC 3501 §6.3.8): "*" is anything, "%" anything but a separator.
 *
 * A pattern is compiled once (arena) and then only read. Matching costs the name's length times a 64th of the
 * pattern's, whatever the two are. Names and patterns are UTF-8; '/' separates levels. Pure; any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

enum { IMAP_PATTERN_MAX = 1024 }; /* octets; no mailbox has a longer name */

struct imap_pattern;

/* ST_LIMIT where text is too long. */
enum status imap_pattern_compile(struct arena *a, struct span text, struct imap_pattern **out, struct err *err);
/* Whether a name that begins with this could match. */
bool imap_pattern_may_match_below(const struct imap_pattern *p, struct span beginning);
/* INBOX is matched in any case (RFC 3501 §5.1). */
bool imap_pattern_match(const struct imap_pattern *p, struct span name);
