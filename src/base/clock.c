/* clock.c - see clock.h. */
#include "base/clock.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include "base/banned.h"

static _Atomic bool is_faked;
static _Atomic int64_t fake_wall, fake_mono;

static int64_t read_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
    return atomic_load(&is_faked) ? atomic_load(&fake_wall) : read_ms(CLOCK_REALTIME);
}

int64_t clock_mono_ms(void)
{
    return atomic_load(&is_faked) ? atomic_load(&fake_mono) : read_ms(CLOCK_MONOTONIC);
}

void clock_fake(int64_t wall_ms, int64_t mono_ms)
{
    atomic_store(&fake_wall, wall_ms);
    atomic_store(&fake_mono, mono_ms);
    atomic_store(&is_faked, true);
}

void clock_unfake(void)
{
    atomic_store(&is_faked, false);
}
