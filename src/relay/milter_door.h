/*
 * milter_door.h - how mx and mail, which may not connect, reach filters (milters): a channel to relay, over which a
 * connection says the filter's name; relay calls the address that its config has under that name and then only carries
 * bytes. No other address can be named.
 *
 *   client  NAME LF              relay  "+" LF, then the filter's bytes
 *                                       "-" reason LF, and closes
 */
#pragma once
#include <stdatomic.h>
#include "net/dns.h"
#include "net/session.h"
#include "sys/config_milter.h"

enum {
    MILTER_REST_MS = 2000, /* a filter that could not be reached is not called for this long: callers hear so at once */
    MILTER_DIALS_MAX = 16, /* of one filter at the same time: each holds a worker */
    MILTER_SESSIONS_IDLE_MS = 60 * 1000
};

struct milter_rest {
    _Atomic int64_t until_ms;
    _Atomic unsigned dials;
};
/* session_app() */
struct milter_service {
    _Atomic(const struct config_milters *) config;
    struct dns *dns;
    struct milter_rest rests[CONFIG_MILTERS_MAX]; /* by place in the config */
};
extern const struct protocol milter_door_protocol;
