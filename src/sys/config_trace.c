/* config_trace.c - the keys of [trace] (see config_trace.h). */
#include <string.h>
#include "sys/config_internal.h"
#include "base/banned.h"

#define TRACE_SIZE_LEAST ((uint64_t)1 << 20)
#define TRACE_SIZE_MOST  ((uint64_t)1 << 40)

void config_trace_defaults(struct config *c)
{
    c->trace = (struct config_trace){.keep_seconds = 14 * 86400, .size_max = (uint64_t)1 << 30};
}

enum status config_trace_key(struct reader *r, const struct config_key *k, const char *value)
{
    uint64_t n;
    if (k->number == TRACE_KEEP) {
        if (strcmp(value, "off") != 0)
            return config_duration(r, k, value, &r->c->trace.keep_seconds);
        r->c->trace.keep_seconds = 0;
        return ST_OK;
    }
    if (!config_parse_size(span_cstr(value), TRACE_SIZE_MOST, &n) || n < TRACE_SIZE_LEAST)
        return err_set(r->err, ST_SYNTAX, "%s: '%s' is not a size from 1M to 1T", k->name, value);
    r->c->trace.size_max = n;
    return ST_OK;
}
