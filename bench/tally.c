/* tally.c - what was done, how fast, and the line of JSON about it (bench.h). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "bench.h"
#include "fiber.h"

static struct {
    uint64_t taken, done, bytes;
    int64_t started_us, stopped_us;
    struct histogram latency_us;
} tally;
static struct strbuf fields;

_Noreturn void bench_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("tassis-bench: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    _Exit(1); /* from whatever stack we are on */
}

int64_t bench_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void tally_start(void)
{
    if (!tally.started_us)
        tally.started_us = bench_now_us();
}

void tally_line_up(size_t all)
{
    static size_t here;
    static struct fiber_event start;
    if (++here < all) {
        fiber_wait(&start);
        return;
    }
    tally_start();
    fiber_wake(&start);
}

bool tally_take(uint64_t *number)
{
    tally_start();
    if (opt.count && tally.taken >= opt.count)
        return false;
    if (opt.seconds > 0 && (double)(bench_now_us() - tally.started_us) >= opt.seconds * 1e6)
        return false;
    *number = tally.taken++;
    return true;
}

void tally_add(int64_t latency_us, uint64_t bytes)
{
    tally_start();
    histogram_add(&tally.latency_us, latency_us > 0 ? (uint64_t)latency_us : 0);
    tally.done++;
    tally.bytes += bytes;
    tally.stopped_us = bench_now_us();
}

void tally_done(int64_t begun_us, uint64_t bytes)
{
    tally_add(bench_now_us() - begun_us, bytes);
}

void tally_stop(void)
{
    if (!tally.stopped_us)
        tally.stopped_us = bench_now_us();
}

uint64_t tally_count(void)
{
    return tally.done;
}

void result_number(const char *name, double value)
{
    strbuf_addf(&fields, ",\"%s\":%.3f", name, value);
}

void result_u64(const char *name, uint64_t value)
{
    strbuf_addf(&fields, ",\"%s\":%llu", name, (unsigned long long)value);
}

void result_text(const char *name, const char *value)
{
    strbuf_addf(&fields, ",\"%s\":\"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            strbuf_add_char(&fields, '\\');
        if ((unsigned char)*value >= ' ')
            strbuf_add_char(&fields, *value);
    }
    strbuf_add_char(&fields, '"');
}

static void add_percentiles(struct strbuf *b, const char *prefix, const struct histogram *h)
{
    static const struct {
        const char *name;
        double at;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        strbuf_addf(b, ",\"%s%s_ms\":%.3f", prefix, points[i].name, (double)histogram_at(h, points[i].at) / 1000);
}

void result_histogram(const char *name, const struct histogram *h)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s_", name);
    result_u64(name, h->total);
    add_percentiles(&fields, prefix, h);
}

void result_print(const char *work)
{
    double seconds = (double)(tally.stopped_us - tally.started_us) / 1e6;
    AUTO_STRBUF line = STRBUF_INIT;
    strbuf_addf(&line, "{\"work\":\"%s\",\"count\":%llu,\"seconds\":%.4f,\"rate\":%.1f,\"bytes\":%llu", work,
                (unsigned long long)tally.done, seconds, seconds > 0 ? (double)tally.done / seconds : 0,
                (unsigned long long)tally.bytes);
    add_percentiles(&line, "", &tally.latency_us);
    strbuf_add(&line, strbuf_span(&fields));
    strbuf_add_cstr(&line, "}\n");
    fputs(line.p, stdout);
    if (fflush(stdout) != 0)
        bench_fail("cannot write the result");
    strbuf_free(&fields);
}
