/* https.c - see https.h. */
#include "relay/https.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include "base/banned.h"

enum { ADDRESSES_MAX = 8 };

struct receiving {
    struct strbuf *out;
    size_t max;
};

enum status https_setup(struct err *err)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? ST_OK : err_set(err, ST_IO, "libcurl does not start");
}

static size_t receive(char *p, size_t size, size_t n, void *ctx)
{
    struct receiving *r = ctx;
    if (size * n > r->max - r->out->len)
        return 0; /* ends the transfer */
    strbuf_add_bytes(r->out, p, size * n);
    return size * n;
}

static size_t drop(char *p, size_t size, size_t n, void *ctx)
{
    (void)p;
    (void)ctx;
    return size * n;
}

/* "HOST:PORT:ADDRESS,ADDRESS", curl's way to be told. NULL: the name has none. */
static struct curl_slist *resolve(const struct https *h, struct span host, uint16_t port)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF text = STRBUF_INIT;
    size_t count = 0;
    strbuf_addf(&text, "%.*s:%u:", SPAN_ARG(host), port);
    for (size_t f = 0; f < 2; f++) {
        struct dns_answer answer;
        dns_ask(h->dns, &a, host, f ? DNS_A : DNS_AAAA, DNS_DEFAULT_MS, &answer);
        for (size_t i = 0; i < answer.count && count < ADDRESSES_MAX; i++) {
            char address[INET6_ADDRSTRLEN];
            if (answer.records[i].len != (f ? 4u : 16u) ||
                !inet_ntop(f ? AF_INET : AF_INET6, answer.records[i].p, address, sizeof address))
                continue;
            strbuf_addf(&text, f ? "%s%s" : "%s[%s]", count++ ? "," : "", address);
        }
    }
    return count ? curl_slist_append(NULL, strbuf_cstr(&text)) : NULL;
}

static void set_common(CURL *c, const struct https *h, struct curl_slist *addresses)
{
    struct curl_blob ca = {.data = (void *)(uintptr_t)h->ca_pem.p, .len = h->ca_pem.len, .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)HTTPS_MS);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
    curl_easy_setopt(c, CURLOPT_RESOLVE, addresses);
}

static bool has_type(CURL *c, const char *type)
{
    char *said = NULL;
    if (curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &said) != CURLE_OK || !said)
        return false;
    struct span rest = span_cstr(said), word;
    span_cut(&rest, ';', &word);
    return span_ieq(span_trim(word), span_cstr(type));
}

enum status https_get(const struct https *h, struct span host, const char *path, const char *type, size_t max,
                      struct strbuf *out, bool *is_certificate, struct err *err)
{
    AUTO_STRBUF url = STRBUF_INIT;
    struct receiving r = {out, max};
    *is_certificate = false;
    struct curl_slist *addresses = resolve(h, host, h->port);
    if (!addresses)
        return err_set(err, ST_TEMPORARY, "%.*s has no address", SPAN_ARG(host));
    CURL *c = curl_easy_init();
    long code = 0;
    strbuf_addf(&url, "https://%.*s:%u%s", SPAN_ARG(host), h->port, path);
    set_common(c, h, addresses);
    curl_easy_setopt(c, CURLOPT_URL, strbuf_cstr(&url));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &r);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
    enum status st = ST_OK;
    *is_certificate = rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE;
    if (rc != CURLE_OK)
        st = err_set(err, ST_TEMPORARY, "%s: %s", strbuf_cstr(&url), curl_easy_strerror(rc));
    else if (code != 200)
        st = err_set(err, ST_TEMPORARY, "%s: status %ld", strbuf_cstr(&url), code);
    else if (!has_type(c, type))
        st = err_set(err, ST_TEMPORARY, "%s: not %s", strbuf_cstr(&url), type);
    curl_easy_cleanup(c);
    curl_slist_free_all(addresses);
    return st;
}

/* The host of an https URL, and its port. */
static bool split_url(struct span url, uint16_t usual, struct span *host, uint16_t *port)
{
    struct span rest = span_skip(url, sizeof "https://" - 1);
    size_t n = 0;
    while (n < rest.len && !strchr("/?#", rest.p[n]))
        n++;
    *host = span_take(rest, n);
    *port = usual;
    size_t colon = span_rfind_byte(*host, ':');
    uint64_t number;
    if (colon != SPAN_NPOS) {
        if (!span_to_u64(span_skip(*host, colon + 1), 65535, &number))
            return false;
        *port = (uint16_t)number;
        *host = span_take(*host, colon);
    }
    return host->len > 0 && span_find_byte(*host, '@', 0) == SPAN_NPOS && host->p[0] != '[';
}

enum status https_post(const struct https *h, struct span url, const char *type, struct span body, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span host;
    uint16_t port;
    if (!span_istarts(url, SPAN("https://")) || !split_url(url, 443, &host, &port))
        return err_set(err, ST_SYNTAX, "not a URL that can be used");
    struct curl_slist *addresses = resolve(h, host, port);
    if (!addresses)
        return err_set(err, ST_TEMPORARY, "%.*s has no address", SPAN_ARG(host));
    CURL *c = curl_easy_init();
    long code = 0;
    struct curl_slist *fields = curl_slist_append(NULL, arena_cstr(&a, arena_printf(&a, "Content-Type: %s", type)));
    set_common(c, h, addresses);
    curl_easy_setopt(c, CURLOPT_URL, arena_cstr(&a, url));
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, body.p);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
    enum status st = ST_OK;
    if (rc != CURLE_OK)
        st = err_set(err, ST_TEMPORARY, "the report could not be posted: %s", curl_easy_strerror(rc));
    else if (code < 200 || code > 299)
        st = err_set(err, ST_TEMPORARY, "the report was not taken: status %ld", code);
    curl_easy_cleanup(c);
    curl_slist_free_all(fields);
    curl_slist_free_all(addresses);
    return st;
}
