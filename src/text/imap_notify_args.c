/*
 * imap_notify_args.c - see imap_notify_args.h.
 */
#include "text/imap_notify_args.h"
#include "base/banned.h"

static const struct {
    const char *name;
    unsigned event;
} events[] = {
    {"MessageNew", NOTIFY_MESSAGE_NEW},
    {"MessageExpunge", NOTIFY_MESSAGE_EXPUNGE},
    {"FlagChange", NOTIFY_FLAG_CHANGE},
    {"MailboxName", NOTIFY_MAILBOX_NAME},
    {"SubscriptionChange", NOTIFY_SUBSCRIPTION_CHANGE},
    {"MailboxMetadataChange", NOTIFY_MAILBOX_METADATA_CHANGE},
    {"ServerMetadataChange", NOTIFY_SERVER_METADATA_CHANGE},
};
const char notify_events_known[] = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange "
                                   "MailboxMetadataChange ServerMetadataChange";

static const struct {
    const char *name;
    enum notify_which which;
} filters[] = {
    {"selected", NOTIFY_SELECTED},     {"selected-delayed", NOTIFY_SELECTED_DELAYED},
    {"inboxes", NOTIFY_INBOXES},       {"personal", NOTIFY_PERSONAL},
    {"subscribed", NOTIFY_SUBSCRIBED}, {"subtree", NOTIFY_SUBTREE},
    {"mailboxes", NOTIFY_MAILBOXES},   {"subtree-one", NOTIFY_SUBTREE_ONE},
};

struct reader {
    struct imap_args *args;
    size_t names;
    bool has_selected;
    bool is_search; /* ESEARCH's, not NOTIFY's */
};

/* RFC 7377 §2.2: a search has no "selected-delayed", but "subtree-one". */
static bool is_allowed(const struct reader *r, enum notify_which which)
{
    return which != (r->is_search ? NOTIFY_SELECTED_DELAYED : NOTIFY_SUBTREE_ONE);
}

static bool has_names(enum notify_which which)
{
    return which >= NOTIFY_SUBTREE;
}

static bool is_selected(const struct notify_group *g)
{
    return g->which == NOTIFY_SELECTED || g->which == NOTIFY_SELECTED_DELAYED;
}

/* ---- mailboxes ----------------------------------------------------------------------------------------------------
 */

static enum status add_name(struct reader *r, struct notify_group *g, struct err *err)
{
    struct span name;
    if (++r->names > NOTIFY_NAMES_MAX)
        return err_set(err, ST_LIMIT, "more than %d mailbox names", NOTIFY_NAMES_MAX);
    TRY(args_mailbox(r->args, &name, err));
    if (!(g->name_count & (g->name_count - 1))) { /* room for twice as many */
        struct span *more = arena_array(r->args->arena, g->name_count ? 2 * g->name_count : 1, sizeof *more);
        if (g->name_count)
            memcpy(more, g->names, g->name_count * sizeof *more);
        g->names = more;
    }
    g->names[g->name_count++] = arena_copy(r->args->arena, name);
    return ST_OK;
}

/* one-or-more-mailbox */
static enum status names(struct reader *r, struct notify_group *g, struct err *err)
{
    TRY(args_sp(r->args, err));
    if (!args_next_is(r->args, '('))
        return add_name(r, g, err);
    TRY(args_list_open(r->args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(r->args, n, &is_more, err));
        if (!is_more)
            return g->name_count ? ST_OK : args_expected(r->args, "a mailbox name", err);
        TRY(add_name(r, g, err));
    }
}

static enum status filter(struct reader *r, struct notify_group *g, struct err *err)
{
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        if (!is_allowed(r, filters[i].which) || !args_take_word(r->args, filters[i].name))
            continue;
        g->which = filters[i].which;
        if (is_selected(g) && r->has_selected)
            return err_set(err, ST_SYNTAX, "the selected mailbox is named twice");
        r->has_selected |= is_selected(g);
        return has_names(g->which) ? names(r, g, err) : ST_OK;
    }
    return args_expected(r->args, "which mailboxes", err);
}

/* ---- events -------------------------------------------------------------------------------------------------------
 */

/* "MessageNew (UID FLAGS)" */
static enum status fetch_items(struct reader *r, struct notify_group *g, struct err *err)
{
    struct span rest = r->args->rest;
    if (!span_starts(rest, SPAN(" (")))
        return ST_OK;
    if (!is_selected(g))
        return err_set(err, ST_SYNTAX, "FETCH items are for the selected mailbox");
    TRY(args_sp(r->args, err));
    return fetch_args_parse(r->args, &g->fetch, err);
}

static enum status event(struct reader *r, struct notify_group *g, struct err *err)
{
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (!args_take_word(r->args, events[i].name))
            continue;
        g->events |= events[i].event;
        return events[i].event == NOTIFY_MESSAGE_NEW ? fetch_items(r, g, err) : ST_OK;
    }
    struct span unknown; /* event-ext */
    TRY(args_atom(r->args, &unknown, err));
    return err_set(err, ST_UNSUPPORTED, "this event is not known");
}

/* RFC 5465 §5, §6.1 */
static enum status check_events(const struct notify_group *g, struct err *err)
{
    unsigned pair = NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE;
    if ((g->events & NOTIFY_MESSAGE_EVENTS) && (g->events & pair) != pair)
        return err_set(err, ST_SYNTAX, "MessageNew and MessageExpunge come together, and FlagChange with both");
    if (is_selected(g) && (g->events & ~NOTIFY_MESSAGE_EVENTS))
        return err_set(err, ST_SYNTAX, "of the selected mailbox there are only events of messages");
    return ST_OK;
}

static enum status group_events(struct reader *r, struct notify_group *g, struct err *err)
{
    if (args_take_word(r->args, "NONE"))
        return ST_OK;
    TRY(args_list_open(r->args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(r->args, n, &is_more, err));
        if (!is_more)
            break;
        TRY(event(r, g, err));
    }
    return g->events ? check_events(g, err) : args_expected(r->args, "an event", err);
}

/* "(" filter-mailboxes SP events ")" */
static enum status group(struct reader *r, struct notify_group *g, struct err *err)
{
    TRY(args_list_open(r->args, err));
    TRY(filter(r, g, err));
    TRY(args_sp(r->args, err));
    TRY(group_events(r, g, err));
    return args_list_close(r->args, err);
}

static enum status new_group(struct notify_args *out, struct notify_group **group, struct err *err)
{
    if (out->count == NOTIFY_GROUPS_MAX)
        return err_set(err, ST_LIMIT, "more than %d groups of mailboxes", NOTIFY_GROUPS_MAX);
    *group = &out->groups[out->count++];
    return ST_OK;
}

enum status notify_sources_parse(struct imap_args *args, struct notify_args *out, struct err *err)
{
    struct reader r = {.args = args, .is_search = true};
    *out = (struct notify_args){.groups = arena_array(args->arena, NOTIFY_GROUPS_MAX, sizeof *out->groups)};
    do {
        struct notify_group *g;
        TRY(new_group(out, &g, err));
        TRY(filter(&r, g, err));
    } while (args_take(args, ' '));
    return args_list_close(args, err);
}

enum status notify_args_parse(struct imap_args *args, struct notify_args *out, struct err *err)
{
    struct reader r = {.args = args};
    *out = (struct notify_args){0};
    TRY(args_sp(args, err));
    if (args_take_word(args, "NONE"))
        return args_end(args, err);
    if (!args_take_word(args, "SET"))
        return args_expected(args, "SET or NONE", err);
    out->is_set = true;
    TRY(args_sp(args, err));
    out->is_status_wanted = args_take_word(args, "STATUS");
    if (out->is_status_wanted)
        TRY(args_sp(args, err));
    out->groups = arena_array(args->arena, NOTIFY_GROUPS_MAX, sizeof *out->groups);
    do {
        struct notify_group *g;
        TRY(new_group(out, &g, err));
        TRY(group(&r, g, err));
    } while (args_take(args, ' '));
    return args_end(args, err);
}
