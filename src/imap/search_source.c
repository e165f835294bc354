/*
 * search_source.c - see search_source.h. What is named is looked up by its name; everything else is chosen from the
 * names that LIST would tell, so that the two cannot differ.
 */
#include "imap/search_source.h"
#include "imap/list_tree.h"
#include "imap/notify.h"
#include "imap/place.h"
#include "base/banned.h"

void search_sources_free(struct search_sources *s)
{
    while (s->count)
        account_free(&s->items[--s->count].owner);
}

static bool is_there(const struct search_sources *s, const struct account *owner, mailbox_id id)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].id == id && account_id(s->items[i].owner) == account_id(owner))
            return true;
    return false;
}

static enum status add(struct imap *im, struct imap_call *call, struct account *owner, acl_rights rights,
                       struct span path, const struct mailbox *m, struct search_sources *out, struct err *err)
{
    if (m->is_noselect || !(rights & ACL_READ) || is_there(out, owner, m->id))
        return ST_OK;
    if (out->count == SEARCH_SOURCES_MAX)
        return err_set(err, ST_LIMIT, "more than %d mailboxes to be searched", SEARCH_SOURCES_MAX);
    if (out->count == out->cap) {
        out->cap = out->cap ? 2 * out->cap : 16;
        struct search_source *more = arena_array(&call->arena, out->cap, sizeof *more);
        if (out->count)
            memcpy(more, out->items, out->count * sizeof *more);
        out->items = more;
    }
    out->items[out->count++] = (struct search_source){
        .owner = account_ref(owner),
        .rights = rights,
        .id = m->id,
        .path = arena_copy(&call->arena, path),
        .uidvalidity = m->uidvalidity,
        .messages = m->messages,
        .is_selected = im->state == IMAP_SELECTED && im->mailbox == m->id && account_id(im->owner) == account_id(owner),
    };
    out->messages += m->messages;
    return ST_OK;
}

/* ---- the selected one ------------------------------------------------------------------------------------------- */

/* What this user calls the selected mailbox. */
static enum status selected_path(struct imap *im, struct arena *a, struct span name, struct span *out, struct err *err)
{
    struct principal who;
    struct sharing_owner *owners;
    size_t count;
    *out = name;
    if (im->owner == im->account)
        return ST_OK;
    TRY(imap_principal(im, a, &who, err));
    TRY(directory_owners_for(store_directory(imap_mail_app(im)->store), a, &who, &owners, &count, err));
    for (size_t i = 0; i < count; i++)
        if (owners[i].id == account_id(im->owner)) {
            *out = arena_printf(a, "%.*s%.*s", SPAN_ARG(imap_owner_prefix(a, &owners[i])), SPAN_ARG(name));
            return ST_OK;
        }
    return err_set(err, ST_NOTFOUND, "no such mailbox"); /* it is not shared any more */
}

static enum status read_selected(struct imap *im, struct imap_call *call, struct search_sources *out, struct err *err)
{
    struct mailbox m;
    struct span path;
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_READ, &txn, err));
    TRY(mailbox_get(txn, im->mailbox, &call->arena, &m, err));
    TRY(selected_path(im, &call->arena, m.name, &path, err));
    return add(im, call, im->owner, im->rights, path, &m, out, err);
}

static enum status add_selected(struct imap *im, struct imap_call *call, struct search_sources *out, struct err *err)
{
    if (im->state != IMAP_SELECTED)
        return err_set(err, ST_SYNTAX, "no mailbox is selected");
    TRY(imap_refresh_rights(im, call, err));
    enum status st = read_selected(im, call, out, err);
    return st == ST_NOTFOUND ? ST_OK : st; /* another session has deleted it */
}

/* ---- by name, and by place ---------------------------------------------------------------------------------------
 */

static enum status read_named(struct imap *im, struct imap_call *call, struct span name, struct search_sources *out,
                              struct err *err)
{
    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(imap_place_find(im, call, name, ACL_READ, &place, err));
    TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    return add(im, call, place.account, place.rights, name, &m, out, err);
}

static enum status add_named(struct imap *im, struct imap_call *call, const struct notify_group *g,
                             struct search_sources *out, struct err *err)
{
    for (size_t i = 0; i < g->name_count; i++) {
        enum status st = read_named(im, call, g->names[i], out, err);
        if (st != ST_OK && st != ST_NOTFOUND && st != ST_DENIED)
            return st;
        call->no_code = NULL; /* what may not be read is as if it were not there */
    }
    return ST_OK;
}

static enum status add_from_tree(struct imap *im, struct imap_call *call, const struct notify_group *g,
                                 const struct list_tree *tree, struct search_sources *out, struct err *err)
{
    for (size_t i = 0; i < tree->count; i++) {
        const struct list_name *n = &tree->names[i];
        if (n->mailbox && imap_notify_names(g, n->owner == im->account, n->name, n->is_subscribed))
            TRY(add(im, call, n->owner, n->rights, n->name, n->mailbox, out, err));
    }
    return ST_OK;
}

static bool needs_tree(const struct notify_group *g)
{
    return g->which != NOTIFY_SELECTED && g->which != NOTIFY_MAILBOXES;
}

static enum status add_group(struct imap *im, struct imap_call *call, const struct notify_group *g,
                             const struct list_tree *tree, struct search_sources *out, struct err *err)
{
    if (g->which == NOTIFY_SELECTED)
        return add_selected(im, call, out, err);
    TRY(add_named(im, call, g, out, err));
    return needs_tree(g) ? add_from_tree(im, call, g, tree, out, err) : ST_OK;
}

static enum status read_tree(struct imap *im, struct arena *a, struct list_tree *out, struct err *err)
{
    struct imap_args args;
    struct list_args all;
    args_init(&args, a, SPAN(" \"\" \"*\" RETURN (SUBSCRIBED)"));
    TRY(list_args_parse(&args, &all, err));
    return list_tree_read(im, a, &all, out, err);
}

enum status search_sources_find(struct imap *im, struct imap_call *call, const struct notify_args *wanted,
                                struct search_sources *out, struct err *err)
{
    struct list_tree tree = {0};
    bool has_tree = false;
    enum status st = ST_OK;
    *out = (struct search_sources){0};
    for (size_t i = 0; st == ST_OK && i < wanted->count; i++) {
        if (needs_tree(&wanted->groups[i]) && !has_tree) {
            has_tree = true;
            st = read_tree(im, &call->arena, &tree, err);
        }
        if (st == ST_OK)
            st = add_group(im, call, &wanted->groups[i], &tree, out, err);
    }
    list_tree_free(&tree);
    return st;
}
