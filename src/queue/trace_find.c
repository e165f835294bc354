/*
 * trace_find.c - looking into the trace (see trace_store.h), in two passes: which messages have the word in a line of
 * theirs, then all lines of these messages.
 */
#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"
#include "queue/trace_internal.h"
#include "base/banned.h"

struct search {
    struct arena *a;
    const struct trace_query *q;
    struct map *traces; /* id -> its place in `order`, from 1 on */
    struct span *order; /* ids in the order of coming */
    size_t order_count, order_cap;
    uint32_t *wanted; /* keys, sorted */
    size_t wanted_count;
    struct trace_line *lines;
    size_t count, cap;
    uint64_t dropped;
};

static bool has_any(const struct search *s, const uint32_t *keys, size_t count)
{
    for (size_t w = 0; w < s->wanted_count; w++) {
        size_t low = 0, high = count;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (keys[middle] < s->wanted[w])
                low = middle + 1;
            else
                high = middle;
        }
        if (low < count && keys[low] == s->wanted[w])
            return true;
    }
    return false;
}

static bool value_has(struct span value, struct span wanted)
{
    struct span word;
    for (bool is_more = true; is_more;) {
        is_more = span_cut(&value, ',', &word);
        if (span_ieq(word, wanted))
            return true;
    }
    return false;
}

static bool line_has(struct span fields, struct arena *a, struct span wanted)
{
    struct span key, value;
    while (fields.len && log_field_next(&fields, a, &key, &value))
        if (trace_field_is_key(key) && value_has(value, wanted))
            return true;
    return false;
}

static void note_message(struct search *s, struct span trace)
{
    if (trace.len == 0 || map_get(s->traces, trace))
        return;
    if (s->order_count == s->order_cap) {
        s->order_cap = s->order_cap ? 2 * s->order_cap : 64;
        s->order = mem_resize(s->order, s->order_cap * sizeof *s->order);
    }
    s->order[s->order_count++] = arena_copy(s->a, trace);
    map_put(s->traces, trace, (void *)(uintptr_t)s->order_count);
}

static void first_pass(struct search *s, struct arena *scratch, const struct log_record *r, struct span line)
{
    (void)line;
    uint64_t n;
    if (span_eq(r->event, SPAN("trace-dropped")) &&
        span_to_u64(log_field(r->fields, scratch, SPAN("lines")), UINT32_MAX, &n))
        s->dropped += n;
    if (line_has(r->fields, scratch, s->q->word))
        note_message(s, log_field(r->fields, scratch, SPAN("trace")));
}

static void second_pass(struct search *s, struct arena *scratch, const struct log_record *r, struct span line)
{
    struct span trace = log_field(r->fields, scratch, SPAN("trace"));
    if (!trace.len || !map_get(s->traces, trace))
        return;
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->lines = mem_resize(s->lines, s->cap * sizeof *s->lines);
    }
    struct trace_line *out = &s->lines[s->count++];
    (void)log_record_parse(arena_copy(s->a, line), &out->record); /* it was one before */
    out->trace = s->order[(uintptr_t)map_get(s->traces, trace) - 1];
}

typedef void (*take_fn)(struct search *s, struct arena *scratch, const struct log_record *r, struct span line);

static void take_lines(struct search *s, struct span lines, take_fn take)
{
    AUTO_ARENA scratch = ARENA_INIT;
    struct span line;
    struct log_record r;
    while (span_cut(&lines, '\n', &line))
        if (log_record_parse(line, &r) && r.at_ms >= s->q->since_ms)
            take(s, &scratch, &r, line);
}

/* Batches since then that may hold a wanted key. */
static enum status each_batch(struct trace_store *t, struct search *s, take_fn take, struct err *err)
{
    sqlite3_stmt *st;
    TRY(queue_sql(&t->db, "SELECT keys, lines FROM batch WHERE last_ms >= ? ORDER BY id", &st, err));
    sqlite3_bind_int64(st, 1, s->q->since_ms);
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        size_t size = (size_t)sqlite3_column_bytes(st, 0);
        const uint32_t *keys = sqlite3_column_blob(st, 0);
        if (size % sizeof *keys != 0 || (size > 0 && !has_any(s, keys, size / sizeof *keys)))
            continue; /* a batch without keys only says that lines were dropped */
        const char *lines = sqlite3_column_blob(st, 1);
        take_lines(s, span_of(lines, (size_t)sqlite3_column_bytes(st, 1)), take);
    }
    enum status result = rc == SQLITE_DONE ? ST_OK : queue_sql_error(&t->db, "trace", err);
    sqlite3_reset(st);
    return result;
}

static int by_key(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The newest messages stay; their ids are what is wanted now. */
static void want_messages(struct search *s)
{
    size_t first = s->order_count > s->q->limit ? s->order_count - s->q->limit : 0;
    for (size_t i = 0; i < first; i++)
        map_remove(s->traces, s->order[i]);
    s->wanted_count = s->order_count - first;
    s->wanted = mem_array(s->wanted_count, sizeof *s->wanted);
    for (size_t i = first; i < s->order_count; i++)
        s->wanted[i - first] = trace_key(s->order[i]);
    qsort(s->wanted, s->wanted_count, sizeof *s->wanted, by_key);
}

struct sortable {
    size_t message, at; /* the message's place, and the line's */
    int64_t at_ms;
};

static int by_message_and_time(const void *a, const void *b)
{
    const struct sortable *x = a, *y = b;
    if (x->message != y->message)
        return x->message < y->message ? -1 : 1;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void answer(const struct search *s, struct trace_answer *out)
{
    struct sortable *order = mem_array(s->count + 1, sizeof *order);
    out->lines = arena_array(s->a, s->count, sizeof *out->lines);
    out->count = s->count;
    for (size_t i = 0; i < s->count; i++)
        order[i] = (struct sortable){(uintptr_t)map_get(s->traces, s->lines[i].trace), i, s->lines[i].record.at_ms};
    if (s->count)
        qsort(order, s->count, sizeof *order, by_message_and_time);
    for (size_t i = 0; i < s->count; i++) {
        out->lines[i] = s->lines[order[i].at];
        out->messages += i == 0 || order[i].message != order[i - 1].message;
    }
    out->is_cut = s->order_count > s->q->limit;
    out->dropped = s->dropped;
    free(order);
}

static enum status run(struct trace_store *t, struct search *s, struct trace_answer *out, struct err *err)
{
    uint32_t word = trace_key(s->q->word);
    s->wanted = &word;
    s->wanted_count = 1;
    enum status st = each_batch(t, s, first_pass, err);
    s->wanted = NULL;
    TRY(st);
    if (s->order_count) {
        want_messages(s);
        TRY(each_batch(t, s, second_pass, err));
    }
    answer(s, out);
    return ST_OK;
}

enum status trace_store_find(struct trace_store *t, struct arena *a, const struct trace_query *q,
                             struct trace_answer *out, struct err *err)
{
    struct search s = {.a = a, .q = q, .traces = map_new()};
    *out = (struct trace_answer){0};
    enum status st = run(t, &s, out, err);
    map_free(&s.traces);
    free(s.order);
    free(s.wanted);
    free(s.lines);
    return st;
}
