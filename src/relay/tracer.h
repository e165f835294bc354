/*
 * tracer.h - writes the trace (queue/trace_store.h): a thread of its own in the role relay, which takes what the other
 * roles send over their channels and what this one logs itself, and writes a batch at most every TRACER_BATCH_MS. A
 * file that cannot be written costs the trace, never the mail.
 */
#pragma once
#include "queue/trace_store.h"
#include "sys/config_trace.h"

enum { TRACER_CHANNELS_MAX = 4, TRACER_BATCH_MS = 500, TRACER_BATCH_MAX = 256 * 1024, TRACER_PRUNE_MS = 60 * 1000 };

struct tracer;
/* channels: the service's ends; borrowed. The store and the settings are borrowed, too. trace_buffer_start() was
 * called. */
struct tracer *tracer_start(struct trace_store *store, const int *channels, size_t count,
                            const struct config_trace *settings);
void tracer_set_settings(struct tracer *t, const struct config_trace *settings); /* any thread */
/* Writes what is there and ends. */
void tracer_stop(struct tracer **t);
