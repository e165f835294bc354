/*
 * milters.h - what the sessions of a role share about its filters: the way to them, how many wait for answers, and
 * which filters are silent. Any thread.
 *
 * An answer is waited for by a worker. So that workers are left for what no filter has to do with,
 *   - only so many sessions may ask at once;
 *   - a filter that took a connection and did not even say its options in time is called by one session at a time, and
 *     the others hear at once that it is not there, until one of these calls succeeds;
 *   - nobody waits any more when the role stops.
 */
#pragma once
#include <stdatomic.h>
#include "milter/client.h"

struct milters {
    int channel;   /* to relay's door for filters */
    int stop_fd;   /* readable once the role stops */
    unsigned door; /* enum milter_door */
    _Atomic(const struct config_milters *) config;
    uint32_t at_once_max;
    _Atomic uint32_t at_once;
    _Atomic bool is_stopping;
    struct {
        _Atomic bool is_silent, is_tried;
    } filters[CONFIG_MILTERS_MAX]; /* by place in the config */
};

/* Made before the role's first session, and before its sandbox; lives as long as the process. */
struct milters *milters_new(int channel, enum milter_door door, uint32_t at_once_max,
                            const struct config_milters *config);
/* Async-signal-safe. */
void milters_stop(struct milters *m);

/* False: too many ask already. */
bool milters_enter(struct milters *m);
void milters_leave(struct milters *m);

/* milter_open() for the filter at this place of its config, with the rule for silent ones. */
enum status milters_call(struct milters *m, size_t place, const struct config_milter *config, struct milter **out,
                         struct err *err);
