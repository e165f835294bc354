/*
 * histogram.h - how often which value occurred, in bounded memory with bounded relative error, as HDR histograms do:
 * values below 128 are exact, above that each power of two is cut into 128 buckets, so what is read back is at most
 * 1/128 too high. One thread. No memory but its own.
 */
#pragma once
#include <stdint.h>

enum {
    HISTOGRAM_BITS = 7, /* 2^7 buckets for each power of two */
    HISTOGRAM_TOP = 40, /* values of 2^40 and more count as 2^40 - 1 */
    HISTOGRAM_BUCKETS = (HISTOGRAM_TOP - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS,
};

struct histogram {
    uint64_t total;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);
/* The smallest bucket's upper end that at least `fraction` (0..1) of the values do not exceed, never above max; 0 when
 * empty. */
uint64_t histogram_at(const struct histogram *h, double fraction);
