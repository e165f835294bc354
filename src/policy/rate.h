/*
 * rate.h - how many of something somebody has had within the last hour: messages of an account, connections of an
 * address. One table for all threads of a role; nothing of it is kept over a restart.
 *
 * The hour slides, in steps of RATE_STEP_SECONDS: what counts is the step that is now and the twelve before it, so no
 * hour has more than the limit, and what was had is forgotten at the latest an hour and a step later. Whoever is
 * refused is not counted for asking, and so gets through again by himself, however often he asks.
 *
 * Memory: RATE_KEYS_MAX entries of 64 octets, in sets of RATE_WAYS, and no more whatever strangers do. Where a set is
 * full of keys that were seen in the last hour, a new one takes the place of the one that has had least: a flood of new
 * addresses makes the table forget small users, not those it limits. A key is known by a hash of 64 bits that is seeded
 * for each process.
 *
 * Thread-safe.
 */
#pragma once
#include "base/span.h"

enum { RATE_STEP_SECONDS = 300, RATE_STEPS = 13, RATE_KEYS_MAX = 1 << 17, RATE_WAYS = 8 };

struct rate;
struct rate *rate_new(void);
void rate_free(struct rate **r);
/* Counts one more for this key where it has had fewer than max within the hour; false, and nothing is counted, where it
 * has not. max 0: no limit, nothing is counted. `kind` keeps apart what is counted of the same key. */
bool rate_take(struct rate *r, unsigned kind, struct span key, uint32_t max);
