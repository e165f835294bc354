/*
 * config_trace.h - what the config says about the trace: [trace] (see docs/administration.md).
 */
#pragma once
#include <stdint.h>

struct config_trace {
    int64_t keep_seconds; /* 0: off */
    uint64_t size_max;    /* octets of the file */
};
