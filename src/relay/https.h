/*
 * https.h - the two things that mail needs of HTTPS: fetching a small text (RFC 8461 §3.3) and posting a report (RFC
 * 8460 §3). By libcurl; blocks; any thread. Names are resolved by our own resolver, certificates checked against the
 * same roots as mail's.
 */
#pragma once
#include "base/strbuf.h"
#include "net/dns.h"

struct https {
    struct dns *dns;
    struct span ca_pem;
    uint16_t port; /* 443; another is for tests */
};
enum { HTTPS_MS = 30 * 1000 };

/* Before the first thread. */
enum status https_setup(struct err *err);
/* https://HOST/PATH, status 200, at most `max` octets, of this media type; no redirects (RFC 8461 §3.3).
 * *is_certificate: it was the certificate that was not good. */
enum status https_get(const struct https *h, struct span host, const char *path, const char *type, size_t max,
                      struct strbuf *out, bool *is_certificate, struct err *err);
/* url: https only. */
enum status https_post(const struct https *h, struct span url, const char *type, struct span body, struct err *err);
