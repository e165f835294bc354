/*
 * cmd_quota.c - GETQUOTAROOT, GETQUOTA, SETQUOTA (RFC 9208 §4.1).
 *
 * An account is one quota root, and its name is the account's address. GETQUOTAROOT wants the right to read the
 * mailbox, since the numbers speak of messages (§6); GETQUOTA is for the root's owner, the members of the group whose
 * it is, and administrators ([quota] administrators); SETQUOTA is for administrators alone: limits that their owner
 * could lift would be none. Who may not see a root is told what he would be told if there were none (§8).
 */
#include <inttypes.h>
#include "imap/commands.h"
#include "imap/names.h"
#include "imap/place.h"
#include "store/quota.h"
#include "text/imap_structure.h"
#include "base/banned.h"

static const char *const resource_names[QUOTA_RESOURCES] = {
    [QUOTA_STORAGE] = "STORAGE",
    [QUOTA_MESSAGES] = "MESSAGE",
    [QUOTA_MAILBOXES] = "MAILBOX",
};

static uint64_t told(int resource, uint64_t amount)
{
    return resource == QUOTA_STORAGE ? quota_storage_units(amount) : amount;
}

/* A limit between two units has the lower one: what is told is never more than what may be held. */
static uint64_t told_limit(int resource, uint64_t amount)
{
    return resource == QUOTA_STORAGE ? amount / 1024 : amount;
}

/* §4.2.1: resources without a limit are not named. */
static enum status write_quota(struct imap *im, struct account *root, struct err *err)
{
    struct quota held, limits;
    struct strbuf *out = imap_out(im);
    TRY(account_quota(root, &held, &limits, err));
    strbuf_add_cstr(out, "* QUOTA ");
    imap_string_write(account_address(root), out);
    const char *before = " (";
    for (int i = 0; i < QUOTA_RESOURCES; i++) {
        if (limits.of[i] == QUOTA_NONE)
            continue;
        strbuf_addf(out, "%s%s %" PRIu64 " %" PRIu64, before, resource_names[i], told(i, held.of[i]),
                    told_limit(i, limits.of[i]));
        before = " ";
    }
    strbuf_add_cstr(out, ")\r\n");
    return ST_OK;
}

enum status cmd_getquotaroot(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name;
    TRY(args_sp(&call->args, err));
    TRY(args_mailbox(&call->args, &name, err));
    TRY(args_end(&call->args, err));

    AUTO_PLACE place = {0}; /* the mailbox need not exist (§4.1.2) */
    TRY(imap_place_find(im, call, name, ACL_READ, &place, err));
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* QUOTAROOT ");
    imap_write_name(im, place.path, out);
    strbuf_add_char(out, ' ');
    imap_string_write(account_address(place.account), out);
    strbuf_add_cstr(out, "\r\n");
    return write_quota(im, place.account, err);
}

bool imap_is_quota_administrator(const struct imap *im)
{
    const struct config_quota *q = imap_mail_app(im)->quota;
    for (size_t i = 0; q && i < q->administrator_count; i++)
        if (span_eq(q->administrators[i], account_address(im->account)))
            return true;
    return false;
}

static enum status no_such_root(struct imap_call *call, struct err *err)
{
    call->no_code = "NONEXISTENT";
    return err_set(err, ST_NOTFOUND, "no such quota root");
}

static enum status may_see(const struct imap *im, struct imap_call *call, struct span root, bool *out, struct err *err)
{
    struct principal who;
    *out = imap_is_quota_administrator(im) || span_eq(root, account_address(im->account));
    if (*out)
        return ST_OK;
    TRY(imap_principal(im, &call->arena, &who, err));
    for (size_t i = 0; !*out && i < who.group_count; i++)
        *out = span_eq(who.groups[i].address, root);
    return ST_OK;
}

static enum status open_root(const struct imap *im, struct imap_call *call, struct span root, struct account **out,
                             struct err *err)
{
    enum status st = account_open(imap_mail_app(im)->store, root, out, err);
    return st == ST_NOTFOUND || st == ST_SYNTAX ? no_such_root(call, err) : st;
}

enum status cmd_getquota(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span root;
    bool may;
    TRY(args_sp(&call->args, err));
    TRY(args_astring(&call->args, &root, err));
    TRY(args_end(&call->args, err));

    AUTO(account) account = NULL;
    TRY(may_see(im, call, root, &may, err));
    if (!may)
        return no_such_root(call, err);
    TRY(open_root(im, call, root, &account, err));
    return write_quota(im, account, err);
}

/* "(STORAGE 512 MESSAGE 1000)": what is not named has no limit from now on (§4.1.3). */
static enum status read_limits(struct imap_args *args, struct imap_call *call, struct quota *out, struct err *err)
{
    *out = (struct quota){{QUOTA_NONE, QUOTA_NONE, QUOTA_NONE}};
    bool is_known = true, is_small = true;
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        struct span name;
        uint64_t limit;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            break;
        TRY(args_atom(args, &name, err));
        TRY(args_sp(args, err));
        TRY(args_number64(args, &limit, err));
        int i = 0;
        while (i < QUOTA_RESOURCES && !span_ieq(name, span_cstr(resource_names[i])))
            i++;
        uint64_t unit = i == QUOTA_STORAGE ? 1024 : 1;
        is_known = is_known && i < QUOTA_RESOURCES;
        is_small = is_small && limit <= QUOTA_LIMIT_MAX / unit;
        if (i < QUOTA_RESOURCES && limit <= QUOTA_LIMIT_MAX / unit)
            out->of[i] = limit * unit;
    }
    TRY(args_end(args, err));
    call->no_code = "CANNOT";
    if (!is_known)
        return err_set(err, ST_UNSUPPORTED, "no limit can be set on such a resource");
    if (!is_small)
        return err_set(err, ST_LIMIT, "the limit is too large; a resource that is not named has none");
    call->no_code = NULL;
    return ST_OK;
}

enum status cmd_setquota(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span root;
    struct quota limits;
    TRY(args_sp(&call->args, err));
    TRY(args_astring(&call->args, &root, err));
    TRY(args_sp(&call->args, err));
    TRY(read_limits(&call->args, call, &limits, err));

    AUTO(account) account = NULL;
    if (!imap_is_quota_administrator(im)) {
        call->no_code = "NOPERM";
        return err_set(err, ST_DENIED, "limits are set by the administrator");
    }
    TRY(open_root(im, call, root, &account, err));
    TRY(directory_quota_set(imap_mail_app(im)->directory, account_address(account), &limits, err));
    return write_quota(im, account, err);
}
