/* fuzz_mail_policies.c - what other domains publish about their mail (MTA-STS, TLS-RPT, TLSA), and addresses that claim to be our own
 * rewriting (SRS). */
#include "fuzz.h"
#include "policy/dane.h"
#include "policy/mta_sts.h"
#include "policy/srs.h"
#include "policy/tls_rpt.h"

static const uint8_t key[SRS_KEY_BYTES] = "a key";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span in = span_of(data, size), id, back, local;
    struct mta_sts_policy p;
    struct tls_rpt_target targets[TLS_RPT_ADDRESSES_MAX];
    struct dial_tlsa tlsa;
    struct err err;
    size_t n;
    if (mta_sts_record_read(&in, 1, &id))
        CHECK(id.len > 0 && id.len <= MTA_STS_ID_MAX);
    if (mta_sts_policy_read(&a, in, &p, &err) == ST_OK)
        CHECK(p.max_age <= MTA_STS_AGE_MAX && (p.mode == MTA_STS_NONE || p.mx_count > 0) && p.mx_count <= MTA_STS_MX_MAX);
    if (tls_rpt_record_read(&in, 1, targets, &n))
        CHECK(n > 0 && n <= TLS_RPT_ADDRESSES_MAX);
    if (dane_record_read(in, &tlsa))
        CHECK(tlsa.usage >= 2 && tlsa.usage <= 3 && tlsa.data.len + 3 == size);
    (void)srs_reverse(&a, key, in, 20000 * 86400LL, &back);
    /* What is rewritten comes back as it was. */
    struct mailbox_address from = {in, SPAN("example.test")};
    if (size > 0 && !srs_is(in) && !memchr(data, 0, size) && srs_forward(&a, key, &from, 20000 * 86400LL, &local)) {
        CHECK(srs_reverse(&a, key, local, 20000 * 86400LL, &back));
        CHECK(span_ends(back, SPAN("@example.test")));
    }
    return 0;
}
