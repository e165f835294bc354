/* place.c - see place.h. */
#include "imap/place.h"
#include "imap/metadata.h"
#include "base/banned.h"

static const struct span others_prefix = SPAN_INIT("Other Users"), shared_prefix = SPAN_INIT("Shared");

void imap_place_free(struct imap_place *p)
{
    account_free(&p->account);
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

static bool is_escaped(char c)
{
    return c == '/' || c == '%' || c == '*' || c == '=';
}

struct span imap_owner_prefix(struct arena *a, const struct sharing_owner *owner)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_add(&text, owner->is_group ? shared_prefix : others_prefix);
    strbuf_add_char(&text, '/');
    for (size_t i = 0; i < owner->address.len; i++)
        if (is_escaped(owner->address.p[i]))
            strbuf_addf(&text, "=%02X", (unsigned char)owner->address.p[i]);
        else
            strbuf_add_char(&text, owner->address.p[i]);
    strbuf_add_char(&text, '/');
    return arena_strbuf(a, &text);
}

static bool is_below(struct span name, struct span prefix)
{
    return span_starts(name, prefix) && (name.len == prefix.len || name.p[prefix.len] == '/');
}

static bool is_foreign(struct span name)
{
    return is_below(name, others_prefix) || is_below(name, shared_prefix);
}

/* ---- rights ----------------------------------------------------------------------------------------------------- */

enum status imap_principal(const struct imap *im, struct arena *a, struct principal *out, struct err *err)
{
    TRY(directory_principal(store_directory(imap_mail_app(im)->store), a, account_address(im->account), out, err));
    /* An account of the same name that was made since is not who has logged in. */
    return out->account_id == account_id(im->account) ? ST_OK : err_set(err, ST_NOTFOUND, "no such account");
}

uint64_t imap_reader(const struct imap *im, const struct account *owner)
{
    return owner == im->account ? 0 : account_id(im->account);
}

/* RFC 4314 §4: which flags these rights let change. */
static uint64_t flags_of(acl_rights rights)
{
    uint64_t own = FLAG_SEEN | FLAG_DELETED, flags = 0;
    flags |= rights & ACL_SEEN ? FLAG_SEEN : 0;
    flags |= rights & ACL_DELETED ? FLAG_DELETED : 0;
    return flags | (rights & ACL_WRITE ? ~own : 0);
}

uint64_t imap_may_flags(const struct imap *im)
{
    return flags_of(im->rights);
}

/* The rights on a mailbox, or on the nearest parent that exists. */
static enum status rights_near(struct txn *txn, struct span name, bool is_parent_asked, const struct principal *who,
                               struct arena *a, acl_rights *out, bool *exists, struct err *err)
{
    struct mailbox m;
    *exists = false;
    for (bool is_first = true; name.len; is_first = false) {
        enum status st = is_first && is_parent_asked ? ST_NOTFOUND : mailbox_find(txn, name, a, &m, err);
        if (st == ST_OK) {
            *exists = is_first;
            return acl_rights_of(txn, m.id, who, out, err);
        }
        if (st != ST_NOTFOUND)
            return st;
        size_t slash = span_rfind_byte(name, '/');
        name = slash == SPAN_NPOS ? SPAN_NONE : span_take(name, slash);
    }
    *out = acl_root_rights(txn, who);
    return ST_OK;
}

static enum status refuse(struct imap_call *call, struct err *err)
{
    call->no_code = "NOPERM";
    return err_set(err, ST_DENIED, "you do not have the rights for that on this mailbox");
}

/* The account that a name of the other namespaces is in, with the name there. */
static enum status find_owner(struct imap *im, struct imap_call *call, const struct principal *who, struct span name,
                              struct imap_place *out, struct err *err)
{
    struct sharing_owner *owners;
    size_t count;
    TRY(directory_owners_for(store_directory(imap_mail_app(im)->store), &call->arena, who, &owners, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct span prefix = imap_owner_prefix(&call->arena, &owners[i]);
        if (!span_starts(name, prefix))
            continue;
        TRY(account_open(imap_mail_app(im)->store, owners[i].address, &out->account, err));
        imap_metadata_watch(im, out->account);
        out->name = span_skip(name, prefix.len);
        return ST_OK;
    }
    return err_set(err, ST_NOTFOUND, "no such mailbox");
}

static enum status find_foreign(struct imap *im, struct imap_call *call, struct span name, acl_rights needed,
                                struct imap_place *out, struct err *err)
{
    struct principal who;
    bool exists;
    TRY(imap_principal(im, &call->arena, &who, err));
    TRY(find_owner(im, call, &who, name, out, err));
    AUTO(txn) txn = NULL;
    TRY(store_begin(out->account, TXN_READ, &txn, err));
    TRY(rights_near(txn, out->name, needed == ACL_CREATE, &who, &call->arena, &out->rights, &exists, err));
    if (needed != ACL_CREATE && !exists)
        return err_set(err, ST_NOTFOUND, "no such mailbox");
    if ((out->rights & needed) == needed && (needed || (out->rights & ACL_ANY)))
        return ST_OK;
    return out->rights & ACL_LOOKUP ? refuse(call, err) : err_set(err, ST_NOTFOUND, "no such mailbox");
}

enum status imap_place_find(struct imap *im, struct imap_call *call, struct span name, acl_rights needed,
                            struct imap_place *out, struct err *err)
{
    *out = (struct imap_place){.name = name, .path = name, .rights = ACL_ALL};
    if (!is_foreign(name)) {
        out->account = account_ref(im->account);
        return ST_OK;
    }
    enum status st = find_foreign(im, call, name, needed, out, err);
    if (st == ST_NOTFOUND && needed == ACL_CREATE) /* the same for all that cannot be made, whatever is there */
        return refuse(call, err);
    return st;
}

enum status imap_place_begin(const struct imap *im, const struct imap_place *p, enum txn_mode mode, struct txn **out,
                             struct err *err)
{
    TRY(store_begin(p->account, mode, out, err));
    if (!imap_place_is_own(im, p))
        store_act_as(*out, imap_reader(im, p->account), flags_of(p->rights));
    return ST_OK;
}

/* ---- the selected mailbox ---------------------------------------------------------------------------------------- */

enum status imap_begin(struct imap *im, enum txn_mode mode, struct txn **out, struct err *err)
{
    const struct imap_place selected = {.account = im->owner, .rights = im->rights};
    return imap_place_begin(im, &selected, mode, out, err);
}

enum status imap_current_view(struct imap *im, struct view **out, struct err *err)
{
    return view_get_for(im->owner, imap_reader(im, im->owner), im->mailbox, out, err);
}

enum status imap_need_rights(const struct imap *im, struct imap_call *call, acl_rights needed, struct err *err)
{
    return (im->rights & needed) == needed ? ST_OK : refuse(call, err);
}

enum status imap_refresh_rights(struct imap *im, struct imap_call *call, struct err *err)
{
    if (im->state != IMAP_SELECTED || im->owner == im->account)
        return ST_OK;
    struct principal who;
    AUTO(txn) txn = NULL;
    TRY(imap_principal(im, &call->arena, &who, err));
    TRY(store_begin(im->owner, TXN_READ, &txn, err));
    TRY(acl_rights_of(txn, im->mailbox, &who, &im->rights, err));
    return imap_need_rights(im, call, ACL_READ, err);
}
