/* The arguments of LIST: whatever comes, limits hold and what was accepted is consistent (RFC 5258 §3.1, §6). */
#include "fuzz.h"
#include "text/imap_list_args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    struct imap_args args;
    struct list_args l;
    struct err err;
    args_init(&args, &a, span_of(data, size));
    if (list_args_parse(&args, &l, &err) != ST_OK)
        return 0;
    CHECK(args_at_end(&args) && args.depth == 0);
    CHECK(l.pattern_count <= LIST_PATTERNS_MAX);
    CHECK(!(l.select & LIST_SELECT_RECURSIVEMATCH) || (l.select & LIST_SELECT_CRITERIA));
    CHECK(!(l.select & LIST_SELECT_SUBSCRIBED) || (l.returns & LIST_RETURN_SUBSCRIBED));
    CHECK(!l.is_root || (!l.is_extended && l.pattern_count == 0));
    CHECK(!(l.returns & LIST_RETURN_STATUS) == !l.status_items.len);
    for (size_t i = 0; i < l.pattern_count; i++)
        (void)imap_pattern_match(l.patterns[i], SPAN("INBOX"));
    return 0;
}
