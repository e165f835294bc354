/*
 * cmd_metadata.c - GETMETADATA and SETMETADATA (RFC 5464 §4.2, §4.3).
 */
#include "imap/commands.h"
#include "imap/metadata.h"
#include "base/banned.h"

/* §3.3: what may not be seen is not there; what may be seen and has no entries for this user is NOPERM. */
static enum status find(struct imap *im, struct imap_call *call, struct span name, bool is_set, bool is_private,
                        struct imap_place *out, struct err *err)
{
    TRY(imap_place_find(im, call, name, ACL_LOOKUP, out, err));
    if (is_set ? imap_metadata_may_set(out->rights, is_private) : imap_metadata_may_read(out->rights))
        return ST_OK;
    call->no_code = "NOPERM";
    return err_set(err, ST_DENIED, "you do not have the rights for that on this mailbox");
}

/* ---- GETMETADATA ------------------------------------------------------------------------------------------------ */

struct metadata_work {
    struct span path; /* as the user calls it; empty: the server */
    struct metadata_answers answers;
};

static enum status write_answers(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct metadata_work *work = call->work;
    (void)err;
    *is_done = imap_metadata_write(im, work->path, &work->answers);
    return ST_OK;
}

static enum status read_server(struct imap *im, struct imap_call *call, const struct metadata_query *query,
                               struct metadata_work *work, struct err *err)
{
    AUTO(txn) txn = NULL;
    const struct metadata_target server = {NULL, true};
    TRY(store_begin(im->account, TXN_READ, &txn, err));
    return imap_metadata_read(im, txn, &server, query, &call->arena, &work->answers, err);
}

static enum status read_mailbox(struct imap *im, struct imap_call *call, const struct metadata_query *query,
                                struct metadata_work *work, struct err *err)
{
    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(find(im, call, query->mailbox, false, false, &place, err));
    TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    work->path = place.path;
    const struct metadata_target target = {&m, imap_place_is_own(im, &place)};
    return imap_metadata_read(im, txn, &target, query, &call->arena, &work->answers, err);
}

enum status cmd_getmetadata(struct imap *im, struct imap_call *call, struct err *err)
{
    struct metadata_query query;
    struct metadata_work *work = arena_alloc(&call->arena, sizeof *work);
    TRY(metadata_query_parse(&call->args, &query, err));
    if (query.mailbox.len)
        TRY(read_mailbox(im, call, &query, work, err));
    else
        TRY(read_server(im, call, &query, work, err));
    if (work->answers.longest) /* §4.2.1 */
        imap_set_code(call, "METADATA LONGENTRIES %zu", work->answers.longest);
    call->work = work;
    call->produce = write_answers;
    return ST_OK;
}

/* ---- SETMETADATA ------------------------------------------------------------------------------------------------ */

/* All or nothing: what is refused ends the transaction (§4.3). */
static enum status set_all(struct imap *im, struct imap_call *call, struct txn **txn, const struct metadata_target *on,
                           const struct metadata_entries *entries, struct account *account, struct err *err)
{
    for (size_t i = 0; i < entries->count; i++)
        TRY(imap_metadata_set(im, call, *txn, on, &entries->items[i], err));
    uint64_t modseq = store_modseq(*txn);
    TRY(store_commit(txn, err));
    imap_metadata_own_change(im, account, modseq);
    return ST_OK;
}

static bool are_private(const struct metadata_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        if (!entries->items[i].is_private)
            return false;
    return true;
}

enum status cmd_setmetadata(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name;
    struct metadata_entries entries;
    TRY(metadata_change_parse(&call->args, &name, &entries, err));
    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    if (!name.len) {
        const struct metadata_target server = {NULL, true};
        TRY(store_begin(im->account, TXN_WRITE, &txn, err));
        return set_all(im, call, &txn, &server, &entries, im->account, err);
    }
    struct mailbox m;
    TRY(find(im, call, name, true, are_private(&entries), &place, err));
    TRY(imap_place_begin(im, &place, TXN_WRITE, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    const struct metadata_target target = {&m, imap_place_is_own(im, &place)};
    return set_all(im, call, &txn, &target, &entries, place.account, err);
}
