/*
 * schedule.h - when a recipient that could not be reached is tried again, when its sender is told of the delay, and
 * when it is given up (RFC 5321 §4.5.4.1). Pure; any thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct schedule {
    int64_t first_seconds;   /* after the first failure; doubles from there */
    int64_t longest_seconds; /* between two attempts */
    int64_t delay_seconds;   /* a notice of delay after this; 0: none */
    int64_t expiry_seconds;
};
/* RFC 5321 §4.5.4.1: the give-up time at least 4-5 days. */
#define SCHEDULE_DEFAULT                                                                                               \
    (struct schedule)                                                                                                  \
    {                                                                                                                  \
        60, 4 * 3600, 4 * 3600, 5 * 86400                                                                              \
    }

/* attempts: how many have failed (>= 1). random: any number, for the jitter of up to a quarter of the wait. */
int64_t schedule_next(const struct schedule *s, int64_t now, uint32_t attempts, uint32_t random);
/* Hosts that do not answer rest for shorter times, since all mail for them waits: up to this, by the number of failures
 * in a row. */
enum { SCHEDULE_HOST_FIRST_SECONDS = 30, SCHEDULE_HOST_LONGEST_SECONDS = 1800 };
int64_t schedule_host(const struct schedule *s, int64_t now, uint32_t failures, uint32_t random);

/* When the message must be looked at next for its age's sake: delay notice, DELIVERBY's time, expiry. start: when its
 * time began to run (queued, or released by HOLDUNTIL); deliver_by 0: none; is_delay_told: that is over. */
int64_t schedule_deadline(const struct schedule *s, int64_t start, int64_t deliver_by, bool is_delay_told);
