/*
 * trace_internal.h - between trace_store.c and trace_find.c.
 */
#pragma once
#include "queue/internal.h"
#include "queue/trace_store.h"

struct trace_store {
    struct queue_db db;
    uint32_t *keys; /* of the batch that is being made */
    size_t key_count, key_cap;
};

uint32_t trace_key(struct span word);
/* One may look for what a field of this name holds. */
bool trace_field_is_key(struct span name);
