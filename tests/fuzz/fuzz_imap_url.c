/* IMAP URLs: what is accepted is bounded, and the parts that are spans of the text lie within it. */
#include "fuzz.h"
#include "text/imap_url.h"

static bool is_within(struct span s, const uint8_t *data, size_t size)
{
    return s.len == 0 || (s.p >= (const char *)data && s.p + s.len <= (const char *)data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF quoted = STRBUF_INIT;
    struct imap_url url;
    struct fetch_item item;
    struct err err;
    imap_url_write_quoted(span_of(data, size), &quoted);
    CHECK(span_find_byte(strbuf_span(&quoted), ']', 0) == SPAN_NPOS);
    CHECK(span_find_byte(strbuf_span(&quoted), '\n', 0) == SPAN_NPOS);
    if (imap_url_parse(&a, span_of(data, size), &url, &err) != ST_OK)
        return 0;
    CHECK(size <= IMAP_URL_MAX && url.uid > 0);
    CHECK(is_within(url.rump, data, size) && is_within(url.mechanism, data, size) && is_within(url.token, data, size));
    CHECK(url.rump.len > 0 || url.access == URL_ACCESS_NONE);
    CHECK(url.token.len == 0 || url.access != URL_ACCESS_NONE);
    CHECK(url.mailbox.len > 0 || !url.has_server);
    for (int is_decoded = 0; is_decoded < 2; is_decoded++)
        if (imap_url_item(&a, &url, is_decoded, &item, &err) == ST_OK)
            CHECK(item.label.len > 0);
    return 0;
}
