/*
 * log_fields.h - reading what base/log.h writes: "TIME ROLE LEVEL EVENT key=value key="quoted value"…". Pure; any
 * thread.
 *
 * Lines cross roles (the trace), so nothing is believed of them: what is not of the form is passed over.
 */
#pragma once
#include "base/arena.h"

struct log_record {
    int64_t at_ms;                        /* since 1970 */
    struct span time, role, level, event; /* as written */
    struct span fields;
};
/* One line without its LF; spans point into it. False: it is none. */
bool log_record_parse(struct span line, struct log_record *out);

/* The next pair of *fields, which is moved behind it; the value without its quotes and escapes, in the arena where it
 * had to change. False: no more, or what follows is broken. */
bool log_field_next(struct span *fields, struct arena *a, struct span *key, struct span *value);
/* The first field of this name, or empty. */
struct span log_field(struct span fields, struct arena *a, struct span key);
