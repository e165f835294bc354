/*
 * cmd_acl.c - SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3).
 *
 * Identifiers are addresses of accounts, "group:" with the address of a group, and "anyone"; with "-" in front they are
 * negative rights (§2). The directory's index of shares is changed while the owner's writer is held (store/sharing.h).
 */
#include "imap/commands.h"
#include "imap/names.h"
#include "imap/place.h"
#include "text/imap_structure.h"
#include "base/banned.h"

static enum status read_mailbox(struct imap_args *args, struct span *name, struct err *err)
{
    TRY(args_sp(args, err));
    return args_mailbox(args, name, err);
}

static struct span lower(struct arena *a, struct span text)
{
    struct span out = arena_copy(a, text);
    for (size_t i = 0; i < out.len; i++)
        ((char *)(uintptr_t)out.p)[i] = ascii_lower(text.p[i]); /* the copy is ours */
    return out;
}

/* identifier: who it names, as the lists keep it. What nobody is called is ST_NOTFOUND, answered with NO. */
static enum status resolve(const struct imap *im, struct arena *a, struct span text, struct acl_entry *out,
                           struct err *err)
{
    *out = (struct acl_entry){.is_negative = text.len && text.p[0] == '-'};
    out->identifier = lower(a, span_skip(text, out->is_negative));
    if (out->identifier.len == 0 || out->identifier.len > ACL_IDENTIFIER_MAX)
        return err_set(err, ST_SYNTAX, "an identifier has 1 to %d octets", ACL_IDENTIFIER_MAX);
    if (span_eq(out->identifier, SPAN("anyone")))
        return ST_OK;
    bool is_group = span_starts(out->identifier, SPAN("group:"));
    struct span address = span_skip(out->identifier, is_group ? 6 : 0);
    size_t at = span_rfind_byte(address, '@');
    struct address_entry found = {0};
    if (at != SPAN_NPOS)
        TRY(directory_lookup(store_directory(imap_mail_app(im)->store), a, span_take(address, at),
                             span_skip(address, at + 1), &found, err));
    if (at == SPAN_NPOS || found.kind != ADDRESS_ACCOUNT || found.is_group != is_group)
        return err_set(err, ST_NOTFOUND, "there is no such user or group");
    out->grantee = found.account_id;
    return ST_OK;
}

/* Takes out of the index who has nothing left. */
static enum status settle_shares(const struct imap *im, const struct imap_place *place, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO(txn) txn = NULL;
    uint64_t *grantees;
    size_t count;
    TRY(store_begin(place->account, TXN_WRITE, &txn, err)); /* nobody adds a right meanwhile */
    TRY(acl_grantees(txn, &a, &grantees, &count, err));
    return directory_share_keep(store_directory(imap_mail_app(im)->store), account_id(place->account), grantees, count,
                                err);
}

enum status cmd_setacl(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name, identifier, text;
    enum acl_change how;
    acl_rights rights;
    struct acl_entry e;
    TRY(read_mailbox(&call->args, &name, err));
    TRY(args_sp(&call->args, err));
    TRY(args_astring(&call->args, &identifier, err));
    TRY(args_sp(&call->args, err));
    TRY(args_astring(&call->args, &text, err));
    TRY(args_end(&call->args, err));
    TRY(acl_change_parse(text, &how, &rights, err));
    AUTO_PLACE place = {0};
    TRY(imap_place_find(im, call, name, ACL_ADMIN, &place, err));
    TRY(resolve(im, &call->arena, identifier, &e, err));
    e.rights = rights;

    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(imap_place_begin(im, &place, TXN_WRITE, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    if (e.grantee == account_id(place.account) && !span_starts(e.identifier, SPAN("group:")))
        return ST_OK; /* the owner's rights are required ones: always granted (§3.7) */
    if (!e.is_negative)
        TRY(directory_share_add(store_directory(imap_mail_app(im)->store), account_id(place.account), e.grantee, err));
    TRY(acl_change(txn, m.id, &e, how, err));
    TRY(store_commit(&txn, err));
    return settle_shares(im, &place, err);
}

enum status cmd_deleteacl(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name, identifier;
    TRY(read_mailbox(&call->args, &name, err));
    TRY(args_sp(&call->args, err));
    TRY(args_astring(&call->args, &identifier, err));
    TRY(args_end(&call->args, err));
    AUTO_PLACE place = {0};
    TRY(imap_place_find(im, call, name, ACL_ADMIN, &place, err));

    AUTO(txn) txn = NULL;
    struct mailbox m;
    bool is_negative = identifier.len && identifier.p[0] == '-';
    TRY(imap_place_begin(im, &place, TXN_WRITE, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    TRY(acl_remove(txn, m.id, lower(&call->arena, span_skip(identifier, is_negative)), is_negative, err));
    TRY(store_commit(&txn, err));
    return settle_shares(im, &place, err);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static void write_pair(struct strbuf *out, bool is_negative, struct span identifier, acl_rights rights)
{
    AUTO_STRBUF text = STRBUF_INIT;
    if (is_negative)
        strbuf_add_char(&text, '-');
    strbuf_add(&text, identifier);
    strbuf_add_char(out, ' ');
    imap_string_write(strbuf_span(&text), out);
    strbuf_clear(&text);
    acl_rights_write(rights, &text);
    strbuf_add_char(out, ' ');
    imap_string_write(strbuf_span(&text), out);
}

/* Entries of accounts that are gone count for nobody and are not told. */
static enum status is_alive(const struct imap *im, struct arena *a, const struct acl_entry *e, bool *out,
                            struct err *err)
{
    struct acl_entry now;
    enum status st = resolve(im, a, e->identifier, &now, err);
    *out = st == ST_OK && now.grantee == e->grantee;
    return st == ST_NOTFOUND ? ST_OK : st;
}

enum status cmd_getacl(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name;
    TRY(read_mailbox(&call->args, &name, err));
    TRY(args_end(&call->args, err));
    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    struct acl_entry *list;
    size_t count;
    TRY(imap_place_find(im, call, name, ACL_ADMIN, &place, err));
    TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    TRY(acl_list(txn, m.id, &call->arena, &list, &count, err));
    txn_free(&txn);

    AUTO_STRBUF line = STRBUF_INIT;
    struct acl_entry owner;
    struct span address = account_address(place.account);
    struct span group = arena_printf(&call->arena, "group:%.*s", SPAN_ARG(address));
    bool is_group = resolve(im, &call->arena, group, &owner, err) == ST_OK, is_told = false;
    for (size_t i = 0; i < count; i++) {
        bool alive;
        TRY(is_alive(im, &call->arena, &list[i], &alive, err));
        is_told = is_told || (!list[i].is_negative && list[i].grantee == account_id(place.account));
        if (alive)
            write_pair(&line, list[i].is_negative, list[i].identifier, list[i].rights);
    }
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* ACL ");
    imap_write_name(im, place.path, out);
    if (!is_told) /* who has all rights without an entry */
        write_pair(out, false, is_group ? group : address, ACL_ALL);
    strbuf_add(out, strbuf_span(&line));
    strbuf_add_cstr(out, "\r\n");
    return ST_OK;
}

enum status cmd_listrights(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name, identifier;
    struct acl_entry e;
    TRY(read_mailbox(&call->args, &name, err));
    TRY(args_sp(&call->args, err));
    TRY(args_astring(&call->args, &identifier, err));
    TRY(args_end(&call->args, err));
    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(imap_place_find(im, call, name, ACL_ADMIN, &place, err));
    TRY(resolve(im, &call->arena, identifier, &e, err));
    TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* LISTRIGHTS ");
    imap_write_name(im, place.path, out);
    strbuf_add_char(out, ' ');
    imap_string_write(identifier, out);
    if (e.is_negative || e.grantee != account_id(place.account))
        strbuf_add_cstr(out, " \"\" l r s w i p k x t e c d a\r\n");
    else if (span_starts(e.identifier, SPAN("group:")))
        strbuf_add_cstr(out, " la r s w i p k x t e c d\r\n");
    else
        strbuf_add_cstr(out, " lrswipkxtecda\r\n");
    return ST_OK;
}

void imap_write_myrights(struct imap *im, struct span path, acl_rights rights)
{
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* MYRIGHTS ");
    imap_write_name(im, path, out);
    strbuf_add_char(out, ' ');
    acl_rights_write(rights, out);
    strbuf_add_cstr(out, "\r\n");
}

enum status cmd_myrights(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name;
    TRY(read_mailbox(&call->args, &name, err));
    TRY(args_end(&call->args, err));
    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(imap_place_find(im, call, name, 0, &place, err)); /* any of ACL_ANY */
    TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    imap_write_myrights(im, place.path, place.rights);
    return ST_OK;
}
