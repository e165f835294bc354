/*
 * dane.h - which TLSA records count for SMTP (RFC 6698, RFC 7671, RFC 7672 §3.1). Pure; any thread.
 */
#pragma once
#include "net/dial.h"

/* Reads one RDATA. False: malformed, or of a kind that SMTP does not use (usages 0 and 1, RFC 7672 §3.1.3; unknown
 * selectors and matching types; digests of a wrong length). */
bool dane_record_read(struct span rdata, struct dial_tlsa *out);
/* The usable ones, at most DIAL_TLSA_MAX; returns how many. */
size_t dane_records_read(const struct span *rdatas, size_t count, struct dial_tlsa out[DIAL_TLSA_MAX]);
