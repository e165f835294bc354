/* place.c - see place.h. */
#include "imap/place.h"
#include "base/banned.h"

void imap_place_free(struct imap_place *p)
{
    account_free(&p->account);
}

enum status imap_place_find(struct imap *im, struct imap_call *call, struct span name, acl_rights needed,
                            struct imap_place *out, struct err *err)
{
    (void)call, (void)needed, (void)err;
    *out = (struct imap_place){.account = account_ref(im->account), .name = name, .rights = ACL_ALL};
    return ST_OK;
}

enum status imap_place_begin(const struct imap *im, const struct imap_place *p, enum txn_mode mode, struct txn **out,
                             struct err *err)
{
    (void)im;
    return store_begin(p->account, mode, out, err);
}

enum status imap_begin(struct imap *im, enum txn_mode mode, struct txn **out, struct err *err)
{
    return store_begin(im->owner, mode, out, err);
}

enum status imap_current_view(struct imap *im, struct view **out, struct err *err)
{
    return view_get(im->owner, im->mailbox, out, err);
}

enum status imap_need_rights(const struct imap *im, struct imap_call *call, acl_rights needed, struct err *err)
{
    if ((im->rights & needed) == needed)
        return ST_OK;
    call->no_code = "NOPERM";
    return err_set(err, ST_DENIED, "you do not have the rights for that on this mailbox");
}
