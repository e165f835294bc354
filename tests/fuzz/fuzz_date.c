/* Dates of all forms. What was read is written in both forms, and read again is the same moment. */
#include "fuzz.h"
#include "text/date.h"

static void check_again(const struct mail_date *d)
{
    AUTO_STRBUF out = STRBUF_INIT;
    struct mail_date again;
    date_write_imap(d->utc, d->zone_minutes, &out);
    CHECK(out.len == 26);
    CHECK(date_parse_imap(strbuf_span(&out), &again));
    bool is_exact = d->utc >= -62167219200 && d->utc <= 253402300799; /* years 0 to 9999 */
    CHECK(!is_exact || again.utc == d->utc);
    strbuf_clear(&out);
    date_write_rfc5322(d->utc, d->zone_minutes, &out);
    CHECK(date_parse_rfc5322(strbuf_span(&out), &again));
    CHECK(!is_exact || again.utc == d->utc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct mail_date d;
    int64_t day;
    if (date_parse_rfc5322(text, &d))
        check_again(&d);
    if (date_parse_imap(text, &d)) {
        check_again(&d);
        CHECK(date_parse_rfc5322(text, &d));
    }
    if (date_parse_imap_day(text, &day))
        CHECK(date_day(day * 86400, 0) == day);
    if (size >= sizeof d.utc + sizeof d.zone_minutes) {
        memcpy(&d.utc, data, sizeof d.utc);
        memcpy(&d.zone_minutes, data + sizeof d.utc, sizeof d.zone_minutes);
        check_again(&d);
        (void)date_day(d.utc, d.zone_minutes);
    }
    return 0;
}
