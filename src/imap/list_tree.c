/*
 * list_tree.c - see list_tree.h. Names are gathered from everywhere, sorted, made a tree by putting in the levels that
 * are missing, and then judged, children telling their parents.
 */
#include "imap/list_tree.h"
#include <stdlib.h>
#include "imap/metadata.h"
#include "imap/place.h"
#include "base/banned.h"

/* ---- gathering -------------------------------------------------------------------------------------------------- */

static struct list_name *add(struct arena *a, struct list_tree *t, struct span name)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        struct list_name *more = arena_array(a, cap, sizeof *more);
        if (t->count)
            memcpy(more, t->names, t->count * sizeof *more);
        t->names = more;
        t->cap = cap;
    }
    struct list_name *n = &t->names[t->count++];
    *n = (struct list_name){.name = name, .parent = LIST_NO_PARENT};
    return n;
}

static void add_mailbox(struct arena *a, struct list_tree *t, const struct mailbox *m, struct account *owner,
                        acl_rights rights)
{
    struct list_name *n = add(a, t, m->name);
    n->mailbox = m;
    n->owner = owner;
    n->rights = rights;
    n->is_subscribed = m->is_subscribed;
}

static enum status add_own(struct imap *im, struct arena *a, bool are_subscriptions_wanted, struct list_tree *t,
                           struct err *err)
{
    struct mailbox *all;
    struct span *subscribed = NULL;
    size_t count, subscribed_count = 0;
    AUTO(txn) txn = NULL;
    TRY(store_begin(im->account, TXN_READ, &txn, err));
    TRY(mailbox_list(txn, a, &all, &count, err));
    if (are_subscriptions_wanted)
        TRY(subscription_list(txn, a, &subscribed, &subscribed_count, err));
    for (size_t i = 0; i < count; i++)
        add_mailbox(a, t, &all[i], im->account, ACL_ALL);
    for (size_t i = 0; i < subscribed_count; i++)
        add(a, t, subscribed[i])->is_subscribed = true;
    return ST_OK;
}

/* Mailboxes of one owner that this user may see (RFC 4314 §4: without "l" as if they did not exist). They are told
 * without their special use, which is their owner's (RFC 6154 §2). */
static enum status add_owner(struct imap *im, struct arena *a, const struct principal *who,
                             const struct sharing_owner *owner, const struct list_args *wanted, struct list_tree *t,
                             struct err *err)
{
    struct span prefix = imap_owner_prefix(a, owner);
    if (!list_args_may_match_below(wanted, prefix) && !list_args_match(wanted, span_take(prefix, prefix.len - 1)) &&
        !list_args_match(wanted, span_take(prefix, span_find_byte(prefix, '/', 0))))
        return ST_OK;
    struct mailbox *all;
    acl_rights *rights;
    size_t count;
    struct account *account;
    AUTO(txn) txn = NULL;
    TRY(account_open(imap_mail_app(im)->store, owner->address, &account, err));
    t->owners[t->owner_count++] = account;
    imap_metadata_watch(im, account);
    TRY(store_begin(account, TXN_READ, &txn, err));
    if (wanted->returns & LIST_RETURN_STATUS) /* UNSEEN is the reader's own */
        store_act_as(txn, imap_reader(im, account), 0);
    TRY(acl_mailboxes(txn, who, a, &all, &rights, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct mailbox *m = &all[i];
        if (!(rights[i] & ACL_LOOKUP))
            continue;
        m->name = arena_printf(a, "%.*s%.*s", SPAN_ARG(prefix), SPAN_ARG(m->name));
        m->use = USE_NONE;
        m->is_subscribed = false;    /* the owner's; this user's names are subscribed in his own account */
        m->recent_from = m->uidnext; /* \Recent is for the owner's sessions */
        add_mailbox(a, t, m, account, rights[i]);
    }
    return ST_OK;
}

static enum status add_shared(struct imap *im, struct arena *a, const struct list_args *wanted, struct list_tree *t,
                              struct err *err)
{
    struct principal who;
    struct sharing_owner *owners;
    size_t count;
    TRY(imap_principal(im, a, &who, err));
    TRY(directory_owners_for(store_directory(imap_mail_app(im)->store), a, &who, &owners, &count, err));
    t->owners = arena_array(a, count, sizeof(struct account *));
    for (size_t i = 0; i < count; i++) {
        struct err failed;
        if (add_owner(im, a, &who, &owners[i], wanted, t, &failed) == ST_OK)
            continue;
        struct log_line l;
        session_log_begin(im->session, &l, LOG_ERROR, "share-failed");
        log_span(&l, "owner", owners[i].address);
        log_err(&l, &failed);
        log_end(&l);
    }
    return ST_OK;
}

/* ---- the tree -----------------------------------------------------------------------------------------------------
 */

/* Of equal names the one that exists comes first. */
static int by_name(const void *a, const void *b)
{
    const struct list_name *x = a, *y = b;
    int order = mailbox_name_cmp(x->name, y->name);
    return order ? order : !x->mailbox - !y->mailbox;
}

static bool is_below(struct span name, struct span parent)
{
    return name.len > parent.len && span_starts(name, parent) && name.p[parent.len] == '/';
}

/* The sorted names, each once and each with its parent, which is made where it is missing. */
static struct list_tree grow(struct arena *a, const struct list_tree *flat)
{
    struct list_tree t = {.owners = flat->owners, .owner_count = flat->owner_count};
    size_t last = LIST_NO_PARENT;
    for (size_t i = 0; i < flat->count; i++) {
        struct span name = flat->names[i].name;
        if (last != LIST_NO_PARENT && span_eq(t.names[last].name, name)) {
            t.names[last].is_subscribed |= flat->names[i].is_subscribed;
            continue;
        }
        while (last != LIST_NO_PARENT && !is_below(name, t.names[last].name))
            last = t.names[last].parent;
        size_t at = last == LIST_NO_PARENT ? 0 : t.names[last].name.len + 1;
        while ((at = span_find_byte(name, '/', at)) != SPAN_NPOS) {
            add(a, &t, span_take(name, at++))->parent = last;
            last = t.count - 1;
        }
        struct list_name *n = add(a, &t, name);
        *n = flat->names[i];
        n->parent = last;
        last = t.count - 1;
    }
    return t;
}

/* ---- judging ------------------------------------------------------------------------------------------------------
 */

static bool meets(const struct list_name *n, unsigned select)
{
    if ((select & LIST_SELECT_SUBSCRIBED) && !n->is_subscribed)
        return false;
    if ((select & LIST_SELECT_SPECIAL_USE) && (!n->mailbox || n->mailbox->use == USE_NONE))
        return false;
    /* Without criteria what exists is listed, and what only leads there. */
    return (select & LIST_SELECT_CRITERIA) || n->mailbox || n->has_children;
}

static void judge(struct list_tree *t, const struct list_args *wanted)
{
    for (size_t i = t->count; i-- > 0;) { /* a child comes behind its parent, so before it here */
        struct list_name *n = &t->names[i];
        n->is_matching = list_args_match(wanted, n->name);
        n->is_selected = meets(n, wanted->select);
        if (n->parent == LIST_NO_PARENT)
            continue;
        struct list_name *parent = &t->names[n->parent];
        parent->has_children |= n->mailbox || n->has_children;
        parent->has_selected_below |= n->is_selected || n->has_selected_below;
        parent->has_hidden_below |= (n->is_selected && !n->is_matching) || n->has_hidden_below;
    }
}

enum status list_tree_read(struct imap *im, struct arena *a, const struct list_args *wanted, struct list_tree *out,
                           struct err *err)
{
    *out = (struct list_tree){0};
    TRY(add_own(im, a, wanted->returns & LIST_RETURN_SUBSCRIBED, out, err));
    if (!(wanted->select & LIST_SELECT_SPECIAL_USE)) /* which nothing of others has */
        TRY(add_shared(im, a, wanted, out, err));
    if (out->count)
        qsort(out->names, out->count, sizeof *out->names, by_name);
    *out = grow(a, out);
    judge(out, wanted);
    return ST_OK;
}

void list_tree_free(struct list_tree *t)
{
    while (t->owner_count)
        account_free(&t->owners[--t->owner_count]);
}

bool list_is_told(const struct list_name *n, const struct list_args *wanted)
{
    bool is_parent = (wanted->select & LIST_SELECT_RECURSIVEMATCH) && n->has_hidden_below;
    return n->is_matching && (n->is_selected || is_parent);
}
