/*
 * cmd_mailbox.c - CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 §6.3.3-§6.3.7, RFC 6154 §3).
 */
#include "imap/commands.h"
#include "imap/internal.h"
#include "imap/names.h"
#include "imap/place.h"
#include "base/banned.h"

/* A name the store does not take is good grammar: NO, not BAD. */
static enum status refused_name(enum status st, struct err *err)
{
    if (st == ST_SYNTAX)
        err->status = st = ST_DENIED;
    return st;
}

static enum status read_name(struct imap_args *args, struct span *name, struct err *err)
{
    TRY(args_sp(args, err));
    return args_mailbox(args, name, err);
}

/* CREATE "work/" announces that "work" will have children (RFC 3501 §6.3.3). */
static struct span without_last_separator(struct span name)
{
    return name.len > 1 && name.p[name.len - 1] == '/' ? span_take(name, name.len - 1) : name;
}

static enum status refused_use(struct imap_call *call, struct err *err)
{
    call->no_code = "USEATTR";
    return err_set(err, ST_UNSUPPORTED, "this special use cannot be given to the mailbox");
}

/* "(USE (\Drafts))" (RFC 6154 §3); one use is all a mailbox has. */
static enum status read_use(struct imap_args *args, struct imap_call *call, enum special_use *use, struct err *err)
{
    *use = USE_NONE;
    if (args_at_end(args))
        return ST_OK;
    TRY(args_sp(args, err));
    TRY(args_list_open(args, err));
    if (!args_take_word(args, "USE"))
        return args_expected(args, "USE", err);
    TRY(args_sp(args, err));
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        struct span attribute;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            break;
        TRY(args_char(args, '\\', err));
        TRY(args_atom(args, &attribute, err));
        enum special_use found = imap_use_named(attribute);
        if (!imap_use_is_given(found) || n > 0)
            return refused_use(call, err);
        *use = found;
    }
    return args_list_close(args, err);
}

/* The place's name as this user would read it in a list: `name` is the same in the account, as its store writes it. */
static struct span path_of(struct imap_call *call, const struct imap_place *place, struct span name)
{
    struct span prefix = span_take(place->path, place->path.len - place->name.len);
    return arena_printf(&call->arena, "%.*s%.*s", SPAN_ARG(prefix), SPAN_ARG(name));
}

/* RFC 9051 §6.3.9.7: who reads extended LIST responses is told the name that a mailbox has where he said another. */
static void tell_name(struct imap *im, struct span path, const struct mailbox *m, bool is_other, struct span old)
{
    if (is_other && imap_has(im, IMAP_REV2))
        imap_write_list(im, path, m, old);
}

enum status cmd_create(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name;
    enum special_use use;
    TRY(read_name(&call->args, &name, err));
    TRY(read_use(&call->args, call, &use, err));
    TRY(args_end(&call->args, err));

    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    mailbox_id id;
    TRY(imap_place_find(im, call, without_last_separator(name), ACL_CREATE, &place, err));
    if (use != USE_NONE && !imap_place_is_own(im, &place)) /* a use is its owner's (RFC 6154 §7) */
        return refused_use(call, err);
    TRY(imap_place_begin(im, &place, TXN_WRITE, &txn, err));
    TRY(refused_name(mailbox_create(txn, place.name, use, &id, err), err));
    struct mailbox m;
    TRY(mailbox_get(txn, id, &call->arena, &m, err));
    TRY(store_commit(&txn, err));
    call->own_names[0] = place.path;
    struct span path = path_of(call, &place, m.name), as_sent = call->args.as_sent;
    tell_name(im, path, &m, !span_eq(path, as_sent), as_sent);
    imap_set_code(call, "MAILBOXID (%.*s)", SPAN_ARG(m.object_id)); /* RFC 8474 §4.1 */
    return ST_OK;
}

enum status cmd_delete(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name;
    TRY(read_name(&call->args, &name, err));
    TRY(args_end(&call->args, err));

    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m, left;
    TRY(imap_place_find(im, call, name, ACL_DELETE_MAILBOX, &place, err));
    TRY(imap_place_begin(im, &place, TXN_WRITE, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    enum status st = mailbox_delete(txn, place.name, err);
    if (st == ST_DENIED && m.is_noselect) /* RFC 9051 §7.1: what is left of it holds others */
        call->no_code = "HASCHILDREN";
    TRY(st);
    bool is_left = mailbox_find(txn, place.name, &call->arena, &left, err) == ST_OK;
    TRY(store_commit(&txn, err));
    call->own_names[0] = place.path;
    left.has_children = true; /* which is why */
    struct span path = path_of(call, &place, m.name), as_sent = call->args.as_sent;
    tell_name(im, path, is_left ? &left : NULL, !span_eq(path, as_sent), as_sent);
    if (im->state == IMAP_SELECTED && im->owner == place.account && im->mailbox == m.id)
        imap_deselect(im);
    return ST_OK;
}

enum status cmd_rename(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span from, to;
    TRY(read_name(&call->args, &from, err));
    struct span from_as_sent = call->args.as_sent;
    TRY(read_name(&call->args, &to, err));
    TRY(args_end(&call->args, err));

    AUTO_PLACE source = {0}, target = {0};
    AUTO(txn) txn = NULL;
    TRY(imap_place_find(im, call, from, ACL_DELETE_MAILBOX, &source, err));
    TRY(imap_place_find(im, call, without_last_separator(to), ACL_CREATE, &target, err));
    if (source.account != target.account)
        return err_set(err, ST_DENIED, "a mailbox cannot be moved into another account");
    if (!imap_place_is_own(im, &source) && span_ieq(source.name, SPAN("INBOX")))
        return err_set(err, ST_DENIED, "another user's INBOX cannot be renamed");
    struct mailbox before, after;
    TRY(imap_place_begin(im, &source, TXN_WRITE, &txn, err));
    TRY(mailbox_find(txn, source.name, &call->arena, &before, err));
    TRY(refused_name(mailbox_rename(txn, source.name, target.name, err), err));
    TRY(mailbox_find(txn, target.name, &call->arena, &after, err));
    TRY(mailbox_has_children(txn, after.name, &after.has_children, err));
    TRY(store_commit(&txn, err));
    call->own_names[0] = source.path;
    call->own_names[1] = target.path;
    struct span old = path_of(call, &source, before.name), path = path_of(call, &target, after.name);
    bool is_other = !span_eq(old, from_as_sent) || !span_eq(path, call->args.as_sent);
    tell_name(im, path, &after, is_other, from_as_sent);
    return ST_OK;
}

static enum status subscribe(struct imap *im, struct imap_call *call, bool is_subscribed, struct err *err)
{
    struct span name;
    TRY(read_name(&call->args, &name, err));
    TRY(args_end(&call->args, err));

    AUTO(txn) txn = NULL;
    TRY(store_begin(im->account, TXN_FLAGS, &txn, err));
    TRY(refused_name(mailbox_subscribe(txn, name, is_subscribed, err), err));
    call->own_names[0] = name;
    return store_commit(&txn, err);
}

enum status cmd_subscribe(struct imap *im, struct imap_call *call, struct err *err)
{
    return subscribe(im, call, true, err);
}

enum status cmd_unsubscribe(struct imap *im, struct imap_call *call, struct err *err)
{
    return subscribe(im, call, false, err);
}
