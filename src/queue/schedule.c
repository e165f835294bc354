/* schedule.c - see schedule.h. */
#include "queue/schedule.h"
#include "base/banned.h"

int64_t schedule_next(int64_t queued_at, int64_t now, uint32_t attempts, uint32_t random)
{
    if (now - queued_at >= SCHEDULE_GIVE_UP_SECONDS)
        return 0;
    int64_t wait = SCHEDULE_FIRST_SECONDS;
    for (uint32_t i = 1; i < attempts && wait < SCHEDULE_LONGEST_SECONDS; i++)
        wait *= 2;
    if (wait > SCHEDULE_LONGEST_SECONDS)
        wait = SCHEDULE_LONGEST_SECONDS;
    wait += (int64_t)(random % (uint32_t)(wait / 4 + 1));
    return now + wait;
}
