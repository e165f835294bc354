/* NOTIFY's arguments: whatever comes in, the groups that come out keep to the rules of RFC 5465 §5, §6.1. */
#include "fuzz.h"
#include "text/imap_notify_args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a = ARENA_INIT;
    struct imap_args args;
    struct notify_args n;
    struct err err;
    size_t selected = 0;
    args_init(&args, &a, span_of(data, size));
    if (size && data[0] == 'I') { /* "IN (…)" of ESEARCH */
        args_init(&args, &a, span_of(data + 1, size - 1));
        if (notify_sources_parse(&args, &n, &err) == ST_OK)
            CHECK(n.count > 0 && n.count <= NOTIFY_GROUPS_MAX);
        return 0;
    }
    if (notify_args_parse(&args, &n, &err) != ST_OK)
        return 0;
    CHECK(args_at_end(&args));
    CHECK(n.is_set == (n.count > 0) && n.count <= NOTIFY_GROUPS_MAX);
    for (size_t i = 0; i < n.count; i++) {
        const struct notify_group *g = &n.groups[i];
        bool is_selected = g->which == NOTIFY_SELECTED || g->which == NOTIFY_SELECTED_DELAYED;
        bool is_new = g->events & NOTIFY_MESSAGE_NEW, is_expunge = g->events & NOTIFY_MESSAGE_EXPUNGE;
        selected += is_selected;
        CHECK(is_new == is_expunge);
        CHECK(is_new || !(g->events & NOTIFY_FLAG_CHANGE));
        CHECK(!is_selected || !(g->events & ~NOTIFY_MESSAGE_EVENTS));
        CHECK(is_selected || g->fetch.count == 0);
        CHECK((g->which >= NOTIFY_SUBTREE) == (g->name_count > 0) && g->name_count <= NOTIFY_NAMES_MAX);
    }
    CHECK(selected <= 1);
    return 0;
}
