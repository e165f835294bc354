/*
 * limiter.h - counts how many of something a key has now (sessions of an address, sessions of an account). Thread-safe.
 */
#pragma once
#include "base/span.h"

struct limiter;
struct limiter *limiter_new(void);
void limiter_free(struct limiter **l);
/* Counts one more for key if it has fewer than max (0: no limit); false where it has not. */
bool limiter_enter(struct limiter *l, struct span key, uint32_t max);
void limiter_leave(struct limiter *l, struct span key);
uint32_t limiter_count(struct limiter *l, struct span key);
