/* Envelope addresses, paths, domains and address lists. What was accepted is written, read again, and is the same. */
#include "fuzz.h"
#include "text/address.h"

static void check_again(struct arena *a, const struct mailbox_address *m)
{
    AUTO_STRBUF out = STRBUF_INIT;
    struct mailbox_address again;
    struct err err;
    CHECK(m->local_part.len <= LOCAL_PART_MAX && m->domain.len <= DOMAIN_MAX);
    if (!m->domain.len)
        return; /* <> and <postmaster> */
    address_write(m, &out);
    enum status st = address_parse(a, strbuf_span(&out), true, &again, &err);
    CHECK(st == ST_OK || st == ST_LIMIT); /* quoting may have made it longer */
    if (st == ST_OK)
        CHECK(span_eq(again.local_part, m->local_part) && span_eq(again.domain, m->domain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span text = span_of(data, size), path = text, ascii;
    struct mailbox_address m;
    struct err err;
    for (int utf8 = 0; utf8 < 2; utf8++) {
        if (address_parse(&a, text, utf8, &m, &err) == ST_OK)
            check_again(&a, &m);
        path = text;
        if (path_parse(&a, &path, utf8, true, true, &m, &err) == ST_OK) {
            CHECK(path.p + path.len == text.p + text.len);
            check_again(&a, &m);
        }
    }
    if (domain_to_ascii(&a, text, &ascii, &err) == ST_OK)
        for (size_t i = 0; i < ascii.len; i++)
            CHECK((unsigned char)ascii.p[i] < 0x80);

    struct header_address *list;
    size_t count;
    header_addresses(&a, text, &list, &count);
    CHECK(count <= HEADER_ADDRESSES_MAX + 2);
    return 0;
}
