/*
 * metadata_news.c - what others have changed of metadata, for a session that has enabled METADATA (RFC 5464 §4.4).
 *
 * As with the selected mailbox (sync.c) there is no queue of events: every change of an entry has a modseq of its
 * account, the session remembers up to which it has been told, and asks for the changes since. The hub only says that
 * there are some. Watched are the user's account and all others whose mailboxes the client can have seen.
 */
#include "imap/metadata.h"
#include <stddef.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/mem.h"
#include "imap/internal.h"
#include "imap/names.h"
#include "imap/notify.h"
#include "text/imap_structure.h"
#include "base/banned.h"

enum {
    WATCHED_ACCOUNTS_MAX = 100, /* of a session */
    CHANGES_MAX = 500,          /* told at once; what is more with the next command */
};

struct watched {
    struct watcher watcher; /* holds the account */
    struct imap *im;
    uint64_t known;          /* changes up to this modseq have been told, or were there before */
    uint64_t own;            /* made by this session */
    _Atomic bool is_changed; /* set by the hub */
    struct watched *next;
};

struct metadata_watch {
    struct watched *first;
    size_t count;
};

/* ---- watching --------------------------------------------------------------------------------------------------- */

/* The hub's call, on the thread that committed. */
static void changed(struct watcher *w, struct pokes *wake)
{
    struct watched *watched = (struct watched *)((char *)w - offsetof(struct watched, watcher));
    watched->is_changed = true;
    if (watched->im->is_idling)
        session_poke_with(wake, watched->im->session);
}

static struct watched *find(const struct imap *im, const struct account *a)
{
    for (struct watched *w = im->metadata ? im->metadata->first : NULL; w; w = w->next)
        if (w->watcher.account == a)
            return w;
    return NULL;
}

static void log_failure(const struct imap *im, const struct account *a, const struct err *err)
{
    struct log_line l;
    session_log_begin(im->session, &l, LOG_ERROR, "metadata-news-failed");
    log_span(&l, "owner", account_address(a));
    log_err(&l, err);
    log_end(&l);
}

static enum status last_change(struct account *a, uint64_t *out, struct err *err)
{
    AUTO(txn) txn = NULL;
    TRY(store_begin(a, TXN_READ, &txn, err));
    return metadata_modseq(txn, out, err);
}

/* Watched first, read then: a change in between is told once too often rather than never. */
void imap_metadata_watch(struct imap *im, struct account *a)
{
    if (!im->metadata || find(im, a) || im->metadata->count == WATCHED_ACCOUNTS_MAX)
        return;
    struct err err;
    struct watched *w = mem_alloc(sizeof *w);
    w->watcher.poke = changed;
    w->im = im;
    hub_watch(a, HUB_METADATA, &w->watcher);
    if (last_change(a, &w->known, &err) != ST_OK) {
        log_failure(im, a, &err);
        hub_unwatch(&w->watcher);
        free(w);
        return;
    }
    w->next = im->metadata->first;
    im->metadata->first = w;
    im->metadata->count++;
}

static enum status watch_sharers(struct imap *im, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct principal who;
    struct sharing_owner *owners;
    size_t count;
    TRY(imap_principal(im, &a, &who, err));
    TRY(directory_owners_for(store_directory(imap_mail_app(im)->store), &a, &who, &owners, &count, err));
    for (size_t i = 0; i < count && im->metadata->count < WATCHED_ACCOUNTS_MAX; i++) {
        AUTO(account) account = NULL;
        if (account_open(imap_mail_app(im)->store, owners[i].address, &account, err) == ST_OK)
            imap_metadata_watch(im, account);
    }
    return ST_OK;
}

void imap_metadata_enable(struct imap *im)
{
    struct err err;
    if (im->metadata)
        return;
    im->metadata = mem_alloc(sizeof *im->metadata);
    imap_metadata_watch(im, im->account);
    if (watch_sharers(im, &err) != ST_OK)
        log_failure(im, im->account, &err);
}

void imap_metadata_own_change(struct imap *im, const struct account *a, uint64_t modseq)
{
    struct watched *w = find(im, a);
    if (w && modseq)
        w->own = modseq;
}

void imap_metadata_free(struct metadata_watch **watch)
{
    while (*watch && (*watch)->first) {
        struct watched *w = (*watch)->first;
        (*watch)->first = w->next;
        hub_unwatch(&w->watcher);
        free(w);
    }
    free(*watch);
    *watch = NULL;
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

bool imap_metadata_has_news(const struct imap *im)
{
    for (const struct watched *w = im->metadata ? im->metadata->first : NULL; w; w = w->next)
        if (w->is_changed)
            return true;
    return false;
}

/* The mailbox's name, as this user calls it; *is_seen false: not his to see. */
static enum status name_of(const struct imap *im, struct txn *txn, struct account *owner, const struct principal *who,
                           mailbox_id id, struct arena *a, struct span *out, bool *is_seen, struct err *err)
{
    struct mailbox m;
    acl_rights rights = ACL_ALL;
    *out = SPAN_NONE;
    *is_seen = owner == im->account;
    if (!id) /* the server's, for this account's user alone */
        return ST_OK;
    enum status st = mailbox_get(txn, id, a, &m, err);
    if (st == ST_NOTFOUND)
        *is_seen = false;
    if (st != ST_OK)
        return st == ST_NOTFOUND ? ST_OK : st;
    *out = m.name;
    if (owner == im->account)
        return ST_OK;
    TRY(acl_rights_of(txn, id, who, &rights, err));
    *is_seen = imap_metadata_may_read(rights);
    struct sharing_owner sharer = {.address = account_address(owner), .id = account_id(owner)};
    sharer.is_group = principal_has_group(who, sharer.id);
    *out = arena_printf(a, "%.*s%.*s", SPAN_ARG(imap_owner_prefix(a, &sharer)), SPAN_ARG(m.name));
    return ST_OK;
}

/* Changes of one mailbox in one response. */
static void write_changes(struct imap *im, struct arena *a, struct span path, const struct metadata_change *list,
                          size_t count)
{
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* METADATA ");
    imap_write_name(im, path, out);
    for (size_t i = 0; i < count; i++) {
        const char *scope = list[i].key.is_private ? "/private" : "/shared";
        strbuf_add_char(out, ' ');
        imap_string_write(arena_printf(a, "%s%.*s", scope, SPAN_ARG(list[i].key.path)), out);
    }
    strbuf_add_cstr(out, "\r\n");
}

static enum status tell(struct imap *im, struct watched *w, struct arena *a, struct err *err)
{
    struct account *owner = w->watcher.account;
    struct principal who;
    struct metadata_change *list;
    size_t count;
    uint64_t known, last;
    AUTO(txn) txn = NULL;
    TRY(imap_principal(im, a, &who, err));
    TRY(store_begin(owner, TXN_READ, &txn, err));
    if (owner != im->account)
        store_act_as(txn, imap_reader(im, owner), 0);
    TRY(metadata_modseq(txn, &last, err));
    TRY(metadata_changes(txn, w->known, CHANGES_MAX, a, &list, &count, &known, err));
    for (size_t from = 0, to; from < count; from = to) {
        struct span path;
        bool is_seen;
        const struct metadata_change *first = &list[from];
        for (to = from + 1;
             to < count && list[to].modseq == first->modseq && list[to].key.mailbox == first->key.mailbox;)
            to++;
        if (first->modseq == w->own)
            continue;
        TRY(name_of(im, txn, owner, &who, first->key.mailbox, a, &path, &is_seen, err));
        if (is_seen && (imap_has(im, IMAP_METADATA) || imap_notify_wants_metadata(im, owner, first->key.mailbox)))
            write_changes(im, a, path, first, to - from);
    }
    w->known = known;
    if (known < last)
        w->is_changed = true;
    return ST_OK;
}

void imap_metadata_tell(struct imap *im)
{
    for (struct watched *w = im->metadata ? im->metadata->first : NULL; w; w = w->next) {
        AUTO_ARENA a = ARENA_INIT;
        struct err err;
        if (!atomic_exchange(&w->is_changed, false))
            continue;
        enum status st = tell(im, w, &a, &err);
        if (st == ST_OK || st == ST_NOTFOUND) /* the account is gone */
            continue;
        w->is_changed = true;
        log_failure(im, w->watcher.account, &err);
    }
}
