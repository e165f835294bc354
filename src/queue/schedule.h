/*
 * schedule.h - when a recipient that could not be reached is tried again, and when it is given up (RFC 5321 §4.5.4.1).
 * Pure; any thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    SCHEDULE_FIRST_SECONDS = 60,           /* after the first failure; doubles from there */
    SCHEDULE_LONGEST_SECONDS = 4 * 3600,
    SCHEDULE_GIVE_UP_SECONDS = 5 * 86400,  /* RFC 5321 §4.5.4.1: at least 4-5 days */
};

/* attempts: how many have failed (>= 1). random: any number, for the jitter of up to a quarter of the wait. Returns the Unix time of the
 * next attempt, or 0 when the message is older than SCHEDULE_GIVE_UP_SECONDS. */
int64_t schedule_next(int64_t queued_at, int64_t now, uint32_t attempts, uint32_t random);
