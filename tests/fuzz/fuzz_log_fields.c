/* fuzz_log_fields.c - lines that cross roles on their way to the trace: whatever they are, parsing ends, stays within
 * them, and finds the same field by walking and by name. */
#include "fuzz.h"
#include "text/log_fields.h"

static void check_line(struct span line)
{
    AUTO_ARENA a = ARENA_INIT;
    struct log_record r;
    struct span rest = line, key, value, first_key = SPAN_NONE, first_value = SPAN_NONE;
    size_t left = SIZE_MAX;
    if (log_record_parse(line, &r)) {
        CHECK(r.at_ms >= 0 && r.event.len && r.fields.len < line.len);
        rest = r.fields;
    }
    struct span all = rest;
    while (rest.len && log_field_next(&rest, &a, &key, &value)) {
        CHECK(key.len > 0 && value.len <= line.len && rest.len < left);
        left = rest.len;
        if (!first_key.p) {
            first_key = key;
            first_value = value;
        }
    }
    if (first_key.p)
        CHECK(span_eq(log_field(all, &a, first_key), first_value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size), line;
    while (rest.len) {
        span_cut(&rest, '\n', &line);
        check_line(line);
    }
    return 0;
}
