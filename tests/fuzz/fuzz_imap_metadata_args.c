/* The arguments of GETMETADATA and SETMETADATA: names keep to RFC 5464 §3.2, limits hold. */
#include "fuzz.h"
#include "text/imap_metadata_args.h"

static void check_entries(const struct metadata_entries *entries)
{
    CHECK(entries->count > 0 && entries->count <= METADATA_COMMAND_ENTRIES_MAX);
    for (size_t i = 0; i < entries->count; i++) {
        const struct metadata_entry *e = &entries->items[i];
        CHECK(e->name.len <= METADATA_NAME_MAX);
        CHECK(e->name.len == e->path.len + (e->is_private ? 8 : 7));
        CHECK(!e->path.len || (e->path.p[0] == '/' && e->path.p[e->path.len - 1] != '/'));
        for (size_t k = 0; k < e->path.len; k++)
            CHECK(e->path.p[k] >= ' ' && e->path.p[k] < 0x7f && e->path.p[k] != '*' && e->path.p[k] != '%' &&
                  ascii_lower(e->path.p[k]) == e->path.p[k]);
        CHECK(metadata_is_within(e->path, e->path, 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    struct imap_args args;
    struct metadata_query query;
    struct metadata_entries entries;
    struct span mailbox;
    struct err err;
    args_init(&args, &a, span_of(data, size));
    if (metadata_query_parse(&args, &query, &err) == ST_OK)
        check_entries(&query.entries);
    args_init(&args, &a, span_of(data, size));
    if (metadata_change_parse(&args, &mailbox, &entries, &err) == ST_OK)
        check_entries(&entries);
    return 0;
}
