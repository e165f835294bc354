/* schedule.c - see schedule.h. */
#include "queue/schedule.h"
#include "base/banned.h"

static int64_t doubled(int64_t first, int64_t longest, uint32_t times, uint32_t random)
{
    int64_t wait = first;
    for (uint32_t i = 1; i < times && wait < longest; i++)
        wait *= 2;
    if (wait > longest)
        wait = longest;
    return wait + (int64_t)(random % (uint32_t)(wait / 4 + 1));
}

int64_t schedule_next(const struct schedule *s, int64_t now, uint32_t attempts, uint32_t random)
{
    return now + doubled(s->first_seconds, s->longest_seconds, attempts, random);
}

int64_t schedule_host(const struct schedule *s, int64_t now, uint32_t failures, uint32_t random)
{
    int64_t first = s->first_seconds < SCHEDULE_HOST_FIRST_SECONDS ? s->first_seconds : SCHEDULE_HOST_FIRST_SECONDS;
    int64_t longest =
        s->longest_seconds < SCHEDULE_HOST_LONGEST_SECONDS ? s->longest_seconds : SCHEDULE_HOST_LONGEST_SECONDS;
    return now + doubled(first, longest, failures, random);
}

int64_t schedule_deadline(const struct schedule *s, int64_t start, int64_t deliver_by, bool is_delay_told)
{
    int64_t at = start + s->expiry_seconds;
    if (deliver_by && deliver_by < at)
        at = deliver_by;
    if (s->delay_seconds && !is_delay_told && start + s->delay_seconds < at)
        at = start + s->delay_seconds;
    return at;
}
