/* milters.c - see milters.h. */
#include "smtp/milters.h"
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/banned.h"

struct milters *milters_new(int channel, enum milter_door door, uint32_t at_once_max,
                            const struct config_milters *config)
{
    struct milters *m = mem_alloc(sizeof *m);
    m->channel = channel;
    m->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->stop_fd < 0)
        panic("an eventfd cannot be had");
    m->door = door;
    m->config = config;
    m->at_once_max = at_once_max;
    return m;
}

void milters_stop(struct milters *m)
{
    uint64_t one = 1;
    atomic_store(&m->is_stopping, true);
    (void)!write(m->stop_fd, &one, sizeof one);
}

bool milters_enter(struct milters *m)
{
    if (atomic_fetch_add(&m->at_once, 1) < m->at_once_max)
        return true;
    atomic_fetch_sub(&m->at_once, 1);
    return false;
}

void milters_leave(struct milters *m)
{
    atomic_fetch_sub(&m->at_once, 1);
}

enum status milters_call(struct milters *m, size_t place, const struct config_milter *config, struct milter **out,
                         struct err *err)
{
    _Atomic bool *is_silent = &m->filters[place].is_silent, *is_tried = &m->filters[place].is_tried;
    bool is_trial = atomic_load(is_silent);
    if (is_trial && atomic_exchange(is_tried, true))
        return err_set(err, ST_TEMPORARY, "it has not answered others, and one of them is calling it again");
    bool has_connected = false;
    enum status st = milter_open(m->channel, config, m->stop_fd, &has_connected, out, err);
    atomic_store(is_silent, has_connected && st == ST_TEMPORARY);
    if (is_trial)
        atomic_store(is_tried, false);
    return st;
}
