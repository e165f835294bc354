/*
 * config_milter.h - what the config says about filters: a [milter NAME] section for each (see docs/administration.md).
 * They are asked in the order in which they are written. Strings belong to the config.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum milter_door { MILTER_DOOR_SMTP = 1, MILTER_DOOR_SUBMISSION = 2 };

struct config_milter {
    const char *name;
    const char *host; /* a name, an address, or a Unix path */
    uint16_t port;    /* 0: host is a path */
    unsigned doors;   /* enum milter_door */
    bool is_open;     /* fail = open: where the filter cannot be had, mail goes on without it; else 4xx */
    int64_t connect_ms, reply_ms, message_ms;
};
struct config_milters {
    struct config_milter *list;
    size_t count;
};
enum { CONFIG_MILTERS_MAX = 20, CONFIG_MILTER_NAME_MAX = 40 };
