/*
 * notify.c - see notify.h: which mailboxes are watched, and what is known of them.
 */
#include "imap/notify.h"
#include <stddef.h>
#include <stdlib.h>
#include "base/mem.h"
#include "imap/commands.h"
#include "imap/metadata.h"
#include "imap/place.h"
#include "base/banned.h"

/* ---- which events ---------------------------------------------------------------------------------------------------
 */

static bool is_below(struct span name, struct span top)
{
    return span_starts(name, top) && (name.len == top.len || name.p[top.len] == '/');
}

/* RFC 7377 §2.2: of "subtree-one" only the next level. */
static bool is_in_subtree(enum notify_which which, struct span path, struct span top)
{
    if (which == NOTIFY_MAILBOXES || !is_below(path, top) || path.len == top.len)
        return false;
    return which == NOTIFY_SUBTREE || span_find_byte(path, '/', top.len + 1) == SPAN_NPOS;
}

/* RFC 5465 §6. Mail may be delivered to any mailbox, so "inboxes" are all that are personal (§6.3). */
bool imap_notify_names(const struct notify_group *g, bool is_own, struct span path, bool is_subscribed)
{
    switch (g->which) {
    case NOTIFY_INBOXES:
    case NOTIFY_PERSONAL:
        return is_own;
    case NOTIFY_SUBSCRIBED:
        return is_subscribed;
    case NOTIFY_SUBTREE:
    case NOTIFY_SUBTREE_ONE:
    case NOTIFY_MAILBOXES:
        for (size_t i = 0; i < g->name_count; i++)
            if (span_eq(g->names[i], path) || is_in_subtree(g->which, path, g->names[i]))
                return true;
        return false;
    case NOTIFY_SELECTED:
    case NOTIFY_SELECTED_DELAYED:
        break;
    }
    return false;
}

static unsigned events_of(const struct imap_notify *n, bool is_own, struct span path, bool is_subscribed)
{
    unsigned events = 0;
    for (size_t i = 0; i < n->args.count; i++)
        if (imap_notify_names(&n->args.groups[i], is_own, path, is_subscribed))
            events |= n->args.groups[i].events;
    return events;
}

unsigned imap_notify_of_selected(const struct imap *im, const struct imap_call *call)
{
    /* The answers of commands that change messages themselves are no notifications (§3). */
    bool is_own = call->own.is_wanted || call->own.is_modseq_wanted ||
                  (call->command && (call->command->flags & IMAP_NEEDS_WRITE));
    if (!im->notify || is_own || (call->command && call->command->run == cmd_notify))
        return NOTIFY_MESSAGE_EVENTS;
    return im->notify->selected ? im->notify->selected->events : 0;
}

const struct fetch_args *imap_notify_fetch(const struct imap *im)
{
    if (!im->notify || !im->notify->selected || !im->notify->selected->fetch.count)
        return NULL;
    return &im->notify->selected->fetch;
}

static unsigned events_of_all(const struct imap_notify *n)
{
    unsigned events = 0;
    for (size_t i = 0; i < n->args.count; i++)
        events |= n->args.groups[i].events;
    return events;
}

bool imap_notify_wants_metadata(const struct imap *im, const struct account *a, mailbox_id id)
{
    if (!imap_notify_listens(im))
        return false;
    if (!id)
        return events_of_all(im->notify) & NOTIFY_SERVER_METADATA_CHANGE;
    for (size_t i = 0; i < im->notify->owner_count; i++) {
        const struct notify_owner *o = im->notify->owners[i];
        for (size_t k = 0; o->account == a && k < o->known.count; k++)
            if (o->known.items[k].id == id)
                return (o->known.items[k].events & NOTIFY_MAILBOX_METADATA_CHANGE) && o->known.items[k].may_read;
    }
    return false;
}

static bool is_metadata_wanted(const struct imap_notify *n)
{
    return events_of_all(n) & (NOTIFY_MAILBOX_METADATA_CHANGE | NOTIFY_SERVER_METADATA_CHANGE);
}

bool imap_notify_is_hearing(const struct imap *im)
{
    return imap_notify_listens(im) && (im->notify->selected || is_metadata_wanted(im->notify));
}

void imap_notify_replace(struct imap *im, struct imap_notify *n)
{
    imap_notify_free(&im->notify);
    im->notify = n;
    if (is_metadata_wanted(n))
        imap_metadata_enable(im);
    else if (!imap_has(im, IMAP_METADATA))
        imap_metadata_free(&im->metadata);
    im->is_idling = imap_notify_is_hearing(im); /* before the news are looked at: what comes later pokes */
}

bool imap_notify_listens(const struct imap *im)
{
    return im->notify && im->notify->args.is_set && !im->notify->is_over;
}

bool imap_notify_has_news(const struct imap *im)
{
    return im->notify && im->notify->has_news && !im->notify->is_over;
}

/* ---- reading --------------------------------------------------------------------------------------------------------
 */

struct reading {
    struct arena arena; /* gone with the reading */
    struct mailbox *all;
    acl_rights *rights; /* NULL: all */
    size_t count;
    struct span *subscriptions; /* sorted; of the user's own account */
    size_t subscription_count;
};

static enum status read_own(struct imap_notify *n, struct reading *r, struct err *err)
{
    AUTO(txn) txn = NULL;
    TRY(store_begin(n->im->account, TXN_READ, &txn, err));
    return mailbox_list(txn, &r->arena, &r->all, &r->count, err);
}

/* Of another's mailboxes those that may be seen (RFC 4314 §4); none where access is gone. */
static enum status read_shared(struct imap_notify *n, const struct notify_owner *o, struct reading *r, struct err *err)
{
    struct principal who;
    AUTO(txn) own = NULL;
    AUTO(txn) txn = NULL;
    TRY(store_begin(n->im->account, TXN_READ, &own, err));
    TRY(subscription_list(own, &r->arena, &r->subscriptions, &r->subscription_count, err));
    txn_free(&own);
    TRY(imap_principal(n->im, &r->arena, &who, err));
    TRY(store_begin(o->account, TXN_READ, &txn, err));
    TRY(acl_mailboxes(txn, &who, &r->arena, &r->all, &r->rights, &r->count, err));
    size_t seen = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->rights[i] & ACL_LOOKUP) {
            r->all[seen] = r->all[i];
            r->rights[seen++] = r->rights[i];
        }
    r->count = seen;
    return ST_OK;
}

static bool is_subscribed(const struct reading *r, struct span path)
{
    for (size_t i = 0; i < r->subscription_count; i++)
        if (span_eq(r->subscriptions[i], path))
            return true;
    return false;
}

static void take(struct imap_notify *n, const struct notify_owner *o, const struct reading *r, size_t i,
                 struct notify_list *out)
{
    const struct mailbox *m = &r->all[i];
    bool is_own = !o->prefix.len;
    AUTO_STRBUF path = STRBUF_INIT;
    strbuf_add(&path, o->prefix);
    strbuf_add(&path, m->name);
    bool has_subscription = is_own ? m->is_subscribed : is_subscribed(r, strbuf_span(&path));
    unsigned events = events_of(n, is_own, strbuf_span(&path), has_subscription);
    if (!events)
        return;
    out->items[out->count++] = (struct notify_mailbox){
        .path = arena_strbuf(&out->arena, &path),
        .id = m->id,
        .events = events,
        .uidvalidity = m->uidvalidity,
        .uidnext = m->uidnext,
        .messages = m->messages,
        .unseen = m->unseen,
        .modseq = m->highest_modseq,
        .use = is_own ? m->use : USE_NONE,
        .is_noselect = m->is_noselect,
        .has_children =
            i + 1 < r->count && r->all[i + 1].name.len > m->name.len && is_below(r->all[i + 1].name, m->name),
        .is_subscribed = has_subscription,
        .may_read = !r->rights || (r->rights[i] & ACL_READ),
    };
}

enum status imap_notify_read(struct imap_notify *n, const struct notify_owner *o, struct notify_list *out,
                             struct err *err)
{
    struct reading r = {0};
    bool is_own = !o->prefix.len;
    enum status st = is_own ? read_own(n, &r, err) : read_shared(n, o, &r, err);
    if (st == ST_NOTFOUND && !is_own) {
        r.count = 0; /* the owner's account is gone */
        st = ST_OK;
    }
    *out = (struct notify_list){0};
    AUTO_ARENA most = ARENA_INIT;
    out->items = arena_array(&most, r.count, sizeof *out->items);
    for (size_t i = 0; st == ST_OK && i < r.count; i++)
        take(n, o, &r, i, out);
    const struct notify_mailbox *items = out->items;
    out->items = arena_array(&out->arena, out->count, sizeof *out->items);
    if (out->count)
        memcpy(out->items, items, out->count * sizeof *items);
    arena_free(&r.arena);
    return st;
}

/* ---- watching -------------------------------------------------------------------------------------------------------
 */

/* The hub's call, on the thread that committed. */
static void account_changed(struct watcher *w, struct pokes *wake)
{
    struct notify_owner *o = (struct notify_owner *)((char *)w - offsetof(struct notify_owner, watcher));
    o->is_changed = true;
    if (o->notify->is_over)
        return;
    o->notify->has_news = true;
    session_poke_with(wake, o->notify->im->session);
}

/* Takes the reference over. Nothing is known of the owner's mailboxes yet. */
static enum status add_owner(struct imap_notify *n, struct account **account, struct span prefix, struct err *err)
{
    if (n->owner_count == NOTIFY_OWNERS_MAX) {
        account_free(account);
        return err_set(err, ST_LIMIT, "mailboxes of too many owners");
    }
    struct notify_owner *o = mem_alloc(sizeof *o);
    o->notify = n;
    o->account = *account;
    *account = NULL;
    o->prefix = arena_copy(&n->arena, prefix);
    o->watcher.poke = account_changed;
    n->owners[n->owner_count++] = o;
    o->is_changed = true;
    hub_watch(o->account, 0, &o->watcher);
    return ST_OK;
}

static bool is_watched(const struct imap_notify *n, uint64_t owner)
{
    for (size_t i = 0; i < n->owner_count; i++)
        if (account_id(n->owners[i]->account) == owner)
            return true;
    return false;
}

/* Whether a name that a group gives, or a subscription, leads to this owner. */
static bool leads_to(const struct notify_group *g, const struct span *subscriptions, size_t subscription_count,
                     struct span prefix)
{
    struct span top = span_take(prefix, prefix.len - 1);
    for (size_t i = 0; i < g->name_count; i++)
        if (is_below(g->names[i], top) || (g->which == NOTIFY_SUBTREE && is_below(top, g->names[i])))
            return true;
    for (size_t i = 0; g->which == NOTIFY_SUBSCRIBED && i < subscription_count; i++)
        if (is_below(subscriptions[i], top))
            return true;
    return false;
}

static enum status read_subscriptions(struct imap_notify *n, struct arena *a, struct span **list, size_t *count,
                                      struct err *err)
{
    AUTO(txn) txn = NULL;
    TRY(store_begin(n->im->account, TXN_READ, &txn, err));
    return subscription_list(txn, a, list, count, err);
}

enum status imap_notify_find_owners(struct imap_notify *n, struct arena *a, struct err *err)
{
    struct principal who;
    struct sharing_owner *owners;
    struct span *subscriptions;
    size_t count, subscription_count;
    const struct mail_app *app = imap_mail_app(n->im);
    TRY(imap_principal(n->im, a, &who, err));
    TRY(directory_owners_for(store_directory(app->store), a, &who, &owners, &count, err));
    if (!count)
        return ST_OK;
    TRY(read_subscriptions(n, a, &subscriptions, &subscription_count, err));
    for (size_t i = 0; i < count; i++) {
        struct span prefix = imap_owner_prefix(a, &owners[i]);
        bool is_wanted = false;
        for (size_t g = 0; g < n->args.count; g++)
            is_wanted |= leads_to(&n->args.groups[g], subscriptions, subscription_count, prefix);
        if (!is_wanted || is_watched(n, owners[i].id))
            continue;
        AUTO(account) account = NULL;
        TRY(account_open(app->store, owners[i].address, &account, err));
        TRY(add_owner(n, &account, prefix, err));
    }
    return ST_OK;
}

void imap_notify_forget(struct notify_list *list)
{
    arena_free(&list->arena);
    *list = (struct notify_list){0};
}

void imap_notify_free(struct imap_notify **np)
{
    struct imap_notify *n = *np;
    *np = NULL;
    if (!n)
        return;
    for (size_t i = 0; i < n->owner_count; i++) {
        hub_unwatch(&n->owners[i]->watcher);
        imap_notify_forget(&n->owners[i]->known);
        account_free(&n->owners[i]->account);
        free(n->owners[i]);
    }
    arena_free(&n->arena);
    free(n);
}

static bool has_other_mailboxes(const struct imap_notify *n)
{
    for (size_t i = 0; i < n->args.count; i++)
        if (n->args.groups[i].which > NOTIFY_SELECTED_DELAYED && n->args.groups[i].events)
            return true;
    return false;
}

static enum status begin(struct imap_notify *n, struct imap_call *call, struct span text, struct err *err)
{
    struct imap_args args;
    args_init(&args, &n->arena, arena_copy(&n->arena, text));
    args.is_utf8 = call->args.is_utf8;
    TRY(notify_args_parse(&args, &n->args, err));
    for (size_t i = 0; i < n->args.count; i++)
        if (n->args.groups[i].which <= NOTIFY_SELECTED_DELAYED && n->args.groups[i].events)
            n->selected = &n->args.groups[i];
    if (!has_other_mailboxes(n))
        return ST_OK;
    AUTO(account) own = account_ref(n->im->account);
    TRY(add_owner(n, &own, SPAN_NONE, err));
    TRY(imap_notify_find_owners(n, &call->arena, err));
    for (size_t i = 0; i < n->owner_count; i++) { /* what comes in while it is read is looked at once more */
        n->owners[i]->is_changed = false;
        TRY(imap_notify_read(n, n->owners[i], &n->owners[i]->known, err));
    }
    return ST_OK;
}

bool imap_notify_is_too_much(const struct imap_notify *n)
{
    size_t mailboxes = 0, bytes = n->arena.total;
    for (size_t i = 0; i < n->owner_count; i++) {
        mailboxes += n->owners[i]->known.count;
        bytes += n->owners[i]->known.arena.total;
    }
    return mailboxes > NOTIFY_MAILBOXES_MAX || bytes > NOTIFY_BYTES_MAX;
}

enum status imap_notify_new(struct imap *im, struct imap_call *call, struct span text, struct imap_notify **out,
                            struct err *err)
{
    struct imap_notify *n = mem_alloc(sizeof *n);
    n->im = im;
    enum status st = begin(n, call, text, err);
    if (st == ST_OK && imap_notify_is_too_much(n))
        st = err_set(err, ST_LIMIT, "these are too many mailboxes");
    if (st != ST_OK)
        imap_notify_free(&n);
    *out = n;
    return st;
}
