/* histogram.c - see histogram.h. */
#include "histogram.h"
#include <math.h>

static unsigned bucket_of(uint64_t v)
{
    if (v < 1u << HISTOGRAM_BITS)
        return (unsigned)v;
    unsigned power = 63 - (unsigned)__builtin_clzll(v); /* >= HISTOGRAM_BITS */
    unsigned shift = power - HISTOGRAM_BITS;
    unsigned low = (unsigned)(v >> shift) & ((1u << HISTOGRAM_BITS) - 1);
    return ((shift + 1) << HISTOGRAM_BITS) + low;
}

/* The greatest value that falls into bucket b. */
static uint64_t bucket_end(unsigned b)
{
    if (b < 1u << HISTOGRAM_BITS)
        return b;
    unsigned shift = (b >> HISTOGRAM_BITS) - 1;
    uint64_t low = (b & ((1u << HISTOGRAM_BITS) - 1)) + (1u << HISTOGRAM_BITS);
    return ((low + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    if (value > h->max)
        h->max = value;
    if (value >= UINT64_C(1) << HISTOGRAM_TOP)
        value = (UINT64_C(1) << HISTOGRAM_TOP) - 1;
    h->buckets[bucket_of(value)]++;
    h->total++;
}

uint64_t histogram_at(const struct histogram *h, double fraction)
{
    uint64_t wanted = (uint64_t)ceil(fraction * (double)h->total), seen = 0;
    if (wanted == 0)
        wanted = 1;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        seen += h->buckets[b];
        if (seen >= wanted) {
            uint64_t end = bucket_end(b);
            return end < h->max && end < (UINT64_C(1) << HISTOGRAM_TOP) - 1 ? end : h->max;
        }
    }
    return 0;
}
