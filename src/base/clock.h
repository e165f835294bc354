/*
 * clock.h - the two clocks, in milliseconds; a test may put fakes in their place. Any thread.
 */
#pragma once
#include <stdint.h>

int64_t clock_wall_ms(void); /* since 1970-01-01T00:00Z; may jump */
int64_t clock_mono_ms(void); /* for deadlines; never goes back */

/* For tests: both clocks stand at these values until clock_unfake(). */
void clock_fake(int64_t wall_ms, int64_t mono_ms);
void clock_unfake(void);
