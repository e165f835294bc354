/*
 * notify_news.c - what has changed in mailboxes that are not selected, as LIST and STATUS responses (RFC 5465 §5).
 *
 * What a command of this client has done to names itself (call->own_names) is not told (§5). Counters are told whoever
 * changed them: that is what STATUS would say.
 */
#include "imap/notify.h"
#include <stdatomic.h>
#include <stdlib.h>
#include "imap/names.h"
#include "imap/status.h"
#include "base/banned.h"

struct line {
    struct notify_mailbox mailbox; /* its path in the call's arena */
    struct span old_path;          /* of a LIST after RENAME; else empty */
    status_items items;            /* 0: a LIST */
    bool is_gone, is_closed;       /* \NonExistent, \NoAccess */
};

struct notify_news {
    struct line *lines;
    size_t count, cap, written;
    bool is_overflow;
};

static struct notify_news *news_of(struct imap_call *call)
{
    if (!call->notify)
        call->notify = arena_alloc(&call->arena, sizeof *call->notify);
    return call->notify;
}

static struct line *add_line(struct imap_call *call, const struct notify_mailbox *m)
{
    struct notify_news *news = news_of(call);
    if (news->count == news->cap) {
        size_t cap = news->cap ? 2 * news->cap : 16;
        struct line *more = arena_array(&call->arena, cap, sizeof *more);
        if (news->count)
            memcpy(more, news->lines, news->count * sizeof *more);
        news->lines = more;
        news->cap = cap;
    }
    struct line *line = &news->lines[news->count++];
    line->mailbox = *m;
    line->mailbox.path = arena_copy(&call->arena, m->path);
    return line;
}

/* ---- messages
 * --------------------------------------------------------------------------------------------------------- */

static bool is_selected(const struct imap *im, const struct notify_owner *o, const struct notify_mailbox *m)
{
    return im->state == IMAP_SELECTED && im->mailbox == m->id && account_id(im->owner) == account_id(o->account);
}

static bool has_message_events(const struct imap *im, const struct notify_owner *o, const struct notify_mailbox *m)
{
    return (m->events & NOTIFY_MESSAGE_EVENTS) && !m->is_noselect && !is_selected(im, o, m);
}

/* RFC 5465 §5.1-§5.3 */
static status_items changed_items(const struct imap *im, const struct notify_mailbox *old,
                                  const struct notify_mailbox *m)
{
    status_items items = 0;
    bool has_modseq = imap_has(im, IMAP_CONDSTORE);
    if (m->messages != old->messages || m->uidnext != old->uidnext)
        items |= imap_status_item("UIDNEXT") | imap_status_item("MESSAGES");
    if (m->events & NOTIFY_FLAG_CHANGE) {
        if (m->unseen != old->unseen)
            items |= imap_status_item("UNSEEN");
        if (has_modseq && m->modseq != old->modseq)
            items |= imap_status_item("UIDVALIDITY");
    }
    if (has_modseq && items)
        items |= imap_status_item("HIGHESTMODSEQ");
    return items;
}

/* RFC 5465 §3.1: what SET STATUS tells at once. */
static status_items first_items(const struct notify_mailbox *m)
{
    status_items items = imap_status_item("MESSAGES") | imap_status_item("UIDNEXT") | imap_status_item("UIDVALIDITY");
    return m->events & NOTIFY_FLAG_CHANGE ? items | imap_status_item("HIGHESTMODSEQ") : items;
}

void imap_notify_tell_all(struct imap *im, struct imap_call *call)
{
    for (size_t i = 0; i < im->notify->owner_count; i++) {
        const struct notify_owner *o = im->notify->owners[i];
        for (const struct notify_mailbox *m = o->known.items; m < o->known.items + o->known.count; m++) {
            if (!has_message_events(im, o, m))
                continue;
            if (!m->may_read)
                add_line(call, m)->is_closed = true;
            else if (im->notify->args.is_status_wanted)
                add_line(call, m)->items = first_items(m);
        }
    }
}

/* ---- names
 * ------------------------------------------------------------------------------------------------------------ */

struct entry {
    const struct notify_mailbox *m;
    const struct notify_mailbox *other; /* the same mailbox in the other list */
    bool is_affected;                   /* a direct child was made or is gone (§5.4) */
};

struct comparison {
    struct imap_call *call;
    struct entry *old, *new;
    size_t old_count, new_count;
};

static int by_id(const void *a, const void *b)
{
    mailbox_id x = (*(const struct notify_mailbox *const *)a)->id, y = (*(const struct notify_mailbox *const *)b)->id;
    return x < y ? -1 : x > y;
}

static struct entry *entries_of(struct arena *a, const struct notify_list *from, const struct notify_list *in)
{
    struct entry *entries = arena_array(a, from->count, sizeof *entries);
    const struct notify_mailbox **others = arena_array(a, in->count, sizeof *others);
    for (size_t i = 0; i < in->count; i++)
        others[i] = &in->items[i];
    if (in->count)
        qsort(others, in->count, sizeof *others, by_id);
    for (size_t i = 0; i < from->count; i++) {
        const struct notify_mailbox *m = &from->items[i], **found = NULL;
        if (in->count)
            found = bsearch(&m, others, in->count, sizeof *others, by_id);
        entries[i] = (struct entry){.m = m, .other = found ? *found : NULL};
    }
    return entries;
}

static struct span parent_of(struct span path)
{
    size_t slash = span_rfind_byte(path, '/');
    return slash == SPAN_NPOS ? SPAN_NONE : span_take(path, slash);
}

static struct entry *find_path(struct entry *entries, size_t count, struct span path)
{
    for (size_t i = 0; path.len && i < count; i++)
        if (span_eq(entries[i].m->path, path))
            return &entries[i];
    return NULL;
}

/* The command itself has made, removed or renamed it, or something below it. */
static bool is_own(const struct imap_call *call, struct span path)
{
    for (size_t i = 0; i < sizeof call->own_names / sizeof *call->own_names; i++) {
        struct span own = call->own_names[i];
        if (span_starts(own, path) && (own.len == path.len || own.p[path.len] == '/'))
            return true;
    }
    return false;
}

/* Its parent was renamed, and it only went along (§5.4). */
static bool went_along(const struct comparison *c, const struct entry *e)
{
    const struct entry *parent = find_path(c->new, c->new_count, parent_of(e->m->path));
    return parent && parent->other && span_eq(parent->other->path, parent_of(e->other->path));
}

static void tell_gone(struct comparison *c, const struct entry *e)
{
    if (e->other || find_path(c->new, c->new_count, e->m->path))
        return; /* still there, or there again */
    struct entry *parent = find_path(c->new, c->new_count, parent_of(e->m->path));
    if (is_own(c->call, e->m->path))
        return;
    if (parent)
        parent->is_affected = true;
    if (e->m->events & NOTIFY_MAILBOX_NAME)
        add_line(c->call, e->m)->is_gone = true;
}

static void mark_parent(struct comparison *c, const struct entry *e)
{
    struct entry *parent = find_path(c->new, c->new_count, parent_of(e->m->path));
    if (parent && !e->other && !is_own(c->call, e->m->path))
        parent->is_affected = true;
}

static void tell_name(struct comparison *c, const struct entry *e)
{
    const struct notify_mailbox *m = e->m, *old = e->other;
    if (is_own(c->call, m->path) || (old && is_own(c->call, old->path)))
        return;
    bool is_renamed = old && !span_eq(old->path, m->path) && !went_along(c, e);
    bool is_name = !old || is_renamed || old->is_noselect != m->is_noselect || e->is_affected;
    bool is_subscription = old && old->is_subscribed != m->is_subscribed;
    if (!(is_name && (m->events & NOTIFY_MAILBOX_NAME)) &&
        !(is_subscription && (m->events & NOTIFY_SUBSCRIPTION_CHANGE)))
        return;
    struct line *line = add_line(c->call, m);
    if (is_renamed)
        line->old_path = arena_copy(&c->call->arena, old->path);
}

/* What differs between what was known of an owner's mailboxes and what is there. */
static void compare(struct imap *im, struct imap_call *call, const struct notify_owner *o,
                    const struct notify_list *now)
{
    AUTO_ARENA a = ARENA_INIT;
    static const struct notify_mailbox nothing = {.uidnext = 1};
    struct comparison c = {
        .call = call,
        .old = entries_of(&a, &o->known, now),
        .old_count = o->known.count,
        .new = entries_of(&a, now, &o->known),
        .new_count = now->count,
    };
    for (size_t i = 0; i < c.old_count; i++)
        tell_gone(&c, &c.old[i]);
    for (size_t i = 0; i < c.new_count; i++)
        mark_parent(&c, &c.new[i]);
    for (size_t i = 0; i < c.new_count; i++) {
        const struct entry *e = &c.new[i];
        tell_name(&c, e);
        if (!has_message_events(im, o, e->m) || !e->m->may_read)
            continue;
        status_items items = changed_items(im, e->other ? e->other : &nothing, e->m);
        if (items && (e->other || e->m->messages))
            add_line(call, e->m)->items = items;
    }
}

/* ---- looking
 * ---------------------------------------------------------------------------------------------------------- */

static enum status look_at(struct imap *im, struct imap_call *call, struct notify_owner *o, struct err *err)
{
    struct notify_list now;
    if (!atomic_exchange(&o->is_changed, false))
        return ST_OK;
    enum status st = imap_notify_read(im->notify, o, &now, err);
    if (st == ST_OK) {
        compare(im, call, o, &now);
        imap_notify_forget(&o->known);
        o->known = now;
    } else {
        imap_notify_forget(&now);
        o->is_changed = true;
    }
    return st;
}

static enum status look(struct imap *im, struct imap_call *call, struct err *err)
{
    struct imap_notify *n = im->notify;
    if (n->owner_count && n->owners[0]->is_changed) { /* the user's subscriptions are in his own account */
        for (size_t i = 1; i < n->owner_count; i++)
            n->owners[i]->is_changed = true;
        TRY(imap_notify_find_owners(n, &call->arena, err));
    }
    for (size_t i = 0; i < n->owner_count; i++)
        TRY(look_at(im, call, n->owners[i], err));
    return imap_notify_is_too_much(n) ? err_set(err, ST_LIMIT, "too many mailboxes to watch") : ST_OK;
}

void imap_notify_begin(struct imap *im, struct imap_call *call)
{
    struct err err;
    if (!im->notify || im->notify->is_over || !atomic_exchange(&im->notify->has_news, false))
        return;
    enum status st = look(im, call, &err);
    if (st == ST_OK)
        return;
    if (st == ST_LIMIT) {
        news_of(call)->is_overflow = true;
        return;
    }
    im->notify->has_news = true; /* for the next command */
    struct log_line l;
    session_log_begin(im->session, &l, LOG_WARN, "notify-failed");
    log_err(&l, &err);
    log_end(&l);
}

/* ---- writing
 * ---------------------------------------------------------------------------------------------------------- */

static void write_attributes(const struct line *line, struct strbuf *out)
{
    const struct notify_mailbox *m = &line->mailbox;
    if (line->is_gone || line->is_closed) {
        strbuf_add_cstr(out, line->is_gone ? "\\NonExistent" : "\\NoAccess");
    } else {
        strbuf_add_cstr(out, m->is_noselect ? "\\Noselect " : "");
        strbuf_add_cstr(out, m->has_children ? "\\HasChildren" : "\\HasNoChildren");
        if (imap_use_name(m->use))
            strbuf_addf(out, " \\%s", imap_use_name(m->use));
    }
    if (m->is_subscribed)
        strbuf_add_cstr(out, " \\Subscribed");
}

static void write_list(const struct imap *im, const struct line *line, struct strbuf *out)
{
    const struct notify_mailbox *m = &line->mailbox;
    strbuf_add_cstr(out, "* LIST (");
    write_attributes(line, out);
    strbuf_add_cstr(out, ") \"/\" ");
    imap_write_name(im, m->path, out);
    if (line->old_path.len) {
        strbuf_add_cstr(out, " (\"OLDNAME\" (");
        imap_write_name(im, line->old_path, out);
        strbuf_add_cstr(out, "))");
    }
    strbuf_add_cstr(out, "\r\n");
}

static void write_line(struct imap *im, const struct line *line)
{
    const struct notify_mailbox *m = &line->mailbox;
    const struct mailbox as = {
        .name = m->path,
        .uidvalidity = m->uidvalidity,
        .uidnext = m->uidnext,
        .messages = m->messages,
        .unseen = m->unseen,
        .highest_modseq = m->modseq,
    };
    if (line->items)
        imap_write_status_line(im, &as, line->items);
    else
        write_list(im, line, imap_out(im));
}

/* RFC 5465 §5.8: as if NOTIFY NONE had come. What is known of the mailboxes is given back, the rest with the session.
 */
static void overflow(struct imap *im)
{
    struct imap_notify *n = im->notify;
    imap_untagged(im, "OK [NOTIFICATIONOVERFLOW] Too much to be told; nothing is watched any more");
    n->is_over = true;
    n->selected = NULL;
    for (size_t i = 0; i < n->owner_count; i++)
        imap_notify_forget(&n->owners[i]->known);
    im->is_idling = im->mode == IMAP_MODE_IDLE;
}

bool imap_notify_write(struct imap *im, struct imap_call *call)
{
    struct notify_news *news = call->notify;
    if (!news)
        return true;
    while (news->written < news->count) {
        if (imap_out(im)->len >= SESSION_OUT_HIGH)
            return false;
        write_line(im, &news->lines[news->written++]);
    }
    if (news->is_overflow)
        overflow(im);
    call->notify = NULL;
    return true;
}
