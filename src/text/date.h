/*
 * date.h - dates of mail. Seconds are Unix time; zones are minutes east of UTC. Pure; any thread.
 */
#pragma once
#include "base/arena.h"

struct mail_date {
    int64_t utc;      /* seconds */
    int zone_minutes; /* as written */
};

/* RFC 5322 §3.3 and §4.3 (obsolete zones, two-digit years, comments, missing weekday). False if no date can be read. */
bool date_parse_rfc5322(struct span text, struct mail_date *out);
/* "Tue, 31 Jan 2026 12:00:00 +0100" */
void date_write_rfc5322(int64_t utc, int zone_minutes, struct strbuf *out);
/* IMAP date-time "31-Jan-2026 12:00:00 +0100" with or without a space-padded day (RFC 3501 §9), without the quotes. */
bool date_parse_imap(struct span text, struct mail_date *out);
void date_write_imap(int64_t utc, int zone_minutes, struct strbuf *out); /* two-character day, as the RFC wants */
/* RFC 3339 date-time "2026-01-31T12:00:00Z", with or without fractions, any offset. */
bool date_parse_rfc3339(struct span text, int64_t *utc);
void date_write_rfc3339(int64_t utc, struct strbuf *out); /* …Z */
/* IMAP search date "31-Jan-2026": days since 1970-01-01. */
bool date_parse_imap_day(struct span text, int64_t *day);
/* Days since 1970-01-01 of that moment in that zone ("disregarding time and timezone", RFC 3501 §6.4.4). */
int64_t date_day(int64_t utc, int zone_minutes);
