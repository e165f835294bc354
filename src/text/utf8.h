/*
 * utf8.h - walking UTF-8 that may be broken (Unicode 15 §3.9, table 3-7). utf8_is_valid() is in charset.h.
 *
 * Pure; any thread.
 */
#pragma once
#include "base/span.h"

/* Number of octets below 128 at the start of s. */
size_t ascii_length(struct span s);

/* Length of the well-formed sequence that starts s (not empty); or 0, and *bad is how many octets to give up: the
 * longest start of a sequence, at least one ("maximal subpart"). */
size_t utf8_sequence_length(struct span s, size_t *bad);

/* Length of the well-formed sequences at the start of s; *bad as above where that is not all of s. */
size_t utf8_valid_length(struct span s, size_t *bad);
