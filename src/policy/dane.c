/* dane.c - see dane.h. */
#include "policy/dane.h"
#include "base/banned.h"

enum { USAGE_TA = 2, USAGE_EE = 3, SELECTOR_MAX = 1, MATCHING_FULL = 0, MATCHING_SHA256 = 1, MATCHING_SHA512 = 2 };

bool dane_record_read(struct span rdata, struct dial_tlsa *out)
{
    if (rdata.len < 4)
        return false;
    *out = (struct dial_tlsa){(uint8_t)rdata.p[0], (uint8_t)rdata.p[1], (uint8_t)rdata.p[2], span_skip(rdata, 3)};
    bool is_usage = out->usage == USAGE_TA || out->usage == USAGE_EE;
    bool is_length = out->matching == MATCHING_FULL || (out->matching == MATCHING_SHA256 && out->data.len == 32) ||
                     (out->matching == MATCHING_SHA512 && out->data.len == 64);
    return is_usage && out->selector <= SELECTOR_MAX && is_length;
}

size_t dane_records_read(const struct span *rdatas, size_t count, struct dial_tlsa out[DIAL_TLSA_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < count && n < DIAL_TLSA_MAX; i++)
        n += dane_record_read(rdatas[i], &out[n]);
    return n;
}
