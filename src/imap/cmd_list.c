/*
 * cmd_list.c - LIST (RFC 3501 §6.3.8, RFC 9051 §6.3.9) with all that it can be asked for besides: RFC 5258
 * (LIST-EXTENDED), 3348, 6154, 5819 (STATUS), 8440 (MYRIGHTS), 9590
 * (METADATA).
 *
 * The names are read first (list_tree.h), then written as the client takes them, each with its other responses behind
 * it. STATUS is answered from the counters that were read with the names: one look into the account, however many
 * mailboxes there are, and no LIST that says something else than the STATUS behind it.
 */
#include "imap/commands.h"
#include "imap/list_tree.h"
#include "imap/metadata.h"
#include "imap/names.h"
#include "imap/status.h"
#include "base/banned.h"

struct list_work {
    struct list_args wanted;
    struct list_tree tree;
    status_items status;
    size_t written;
    /* METADATA of the name that was written last, while there is something left of it. */
    struct arena values;
    struct metadata_answers answers;
    struct txn *txn; /* only within write_names(): on the account of the names that were looked at last */
    const struct account *txn_account;
};

/* ---- the LIST response ------------------------------------------------------------------------------------------ */

/* RFC 5819 §2: what cannot be selected is \Noselect, also where it is for want of the right "r". */
static bool can_be_selected(const struct list_name *n)
{
    return n->mailbox && !n->mailbox->is_noselect && (n->rights & ACL_READ);
}

/* \NonExistent is for those who read extended responses; to others it is \Noselect, which it implies. */
static void write_attributes(const struct imap *im, const struct list_work *work, const struct list_name *n,
                             struct strbuf *out)
{
    bool is_extended = work->wanted.is_extended || imap_has(im, IMAP_REV2);
    if (is_extended && !n->mailbox)
        strbuf_add_cstr(out, "\\NonExistent ");
    else if (!can_be_selected(n))
        strbuf_add_cstr(out, "\\Noselect ");
    strbuf_add_cstr(out, n->has_children ? "\\HasChildren" : "\\HasNoChildren");
    if ((work->wanted.returns & LIST_RETURN_SUBSCRIBED) && n->is_subscribed)
        strbuf_add_cstr(out, " \\Subscribed");
    if (n->mailbox && imap_use_name(n->mailbox->use))
        strbuf_addf(out, " \\%s", imap_use_name(n->mailbox->use));
}

/* RFC 5258 §3.5: which criteria something below the name meets. */
static void write_childinfo(unsigned select, struct strbuf *out)
{
    const char *before = " (\"CHILDINFO\" (";
    for (unsigned left = select & LIST_SELECT_CRITERIA; left; left &= left - 1) {
        strbuf_addf(out, "%s\"%s\"", before, list_select_name(left));
        before = " ";
    }
    strbuf_add_cstr(out, "))");
}

static void write_list(struct imap *im, const struct list_work *work, const struct list_name *n)
{
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* LIST (");
    write_attributes(im, work, n, out);
    strbuf_add_cstr(out, ") \"/\" ");
    imap_write_name(im, n->name, out);
    if ((work->wanted.select & LIST_SELECT_RECURSIVEMATCH) && n->has_selected_below)
        write_childinfo(work->wanted.select, out);
    strbuf_add_cstr(out, "\r\n");
}

/* ---- what goes with it ------------------------------------------------------------------------------------------ */

/* Names of one account share a transaction, until the client has to be waited for. */
static enum status begin_reading(struct imap *im, struct list_work *work, const struct list_name *n, struct err *err)
{
    const struct imap_place place = {.account = n->owner, .rights = n->rights};
    if (work->txn && work->txn_account == n->owner)
        return ST_OK;
    txn_free(&work->txn);
    work->txn_account = n->owner;
    return imap_place_begin(im, &place, TXN_READ, &work->txn, err);
}

/* RFC 9590 §3: as GETMETADATA would answer. A mailbox whose entries cannot be read has none of them told. */
static void read_metadata(struct imap *im, struct list_work *work, const struct list_name *n)
{
    struct err err;
    const struct metadata_query query = {.entries = work->wanted.metadata};
    const struct metadata_target target = {n->mailbox, n->owner == im->account};
    arena_free(&work->values);
    work->answers = (struct metadata_answers){0};
    if (imap_metadata_may_read(n->rights) && begin_reading(im, work, n, &err) == ST_OK &&
        imap_metadata_read(im, work->txn, &target, &query, &work->values, &work->answers, &err) != ST_OK)
        work->answers = (struct metadata_answers){0};
}

/* A name that is there for its children alone has none of it (RFC 5819 §3, RFC 8440 §4, RFC 9590 §4). */
static void write_name(struct imap *im, struct list_work *work, const struct list_name *n)
{
    write_list(im, work, n);
    if (!n->is_selected || !n->mailbox)
        return;
    if (work->wanted.returns & LIST_RETURN_MYRIGHTS)
        imap_write_myrights(im, n->name, n->rights);
    if (work->status && can_be_selected(n)) {
        txn_free(&work->txn);
        imap_write_status_line(im, n->mailbox, work->status);
    }
    if (work->wanted.returns & LIST_RETURN_METADATA)
        read_metadata(im, work, n);
}

/* What is left of the responses to the name that was written last; false where the output is full. */
static bool write_rest(struct imap *im, struct list_work *work)
{
    return !work->written || imap_metadata_write(im, work->tree.names[work->written - 1].name, &work->answers);
}

static enum status write_names(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct list_work *work = call->work;
    (void)err;
    while (write_rest(im, work) && work->written < work->tree.count && imap_out(im)->len < SESSION_OUT_HIGH) {
        const struct list_name *n = &work->tree.names[work->written++];
        if (list_is_told(n, &work->wanted))
            write_name(im, work, n);
    }
    txn_free(&work->txn);
    *is_done = work->written == work->tree.count && work->answers.written == work->answers.count;
    return ST_OK;
}

static void release(struct imap_call *call)
{
    struct list_work *work = call->work;
    list_tree_free(&work->tree);
    arena_free(&work->values);
}

static enum status read_args(struct imap *im, struct imap_call *call, struct list_work *work, struct err *err)
{
    TRY(list_args_parse(&call->args, &work->wanted, err));
    if (!(work->wanted.returns & LIST_RETURN_STATUS))
        return ST_OK;
    struct imap_args items;
    args_init(&items, &call->arena, work->wanted.status_items);
    return imap_args_status_items(im, &items, &work->status, err);
}

enum status cmd_list(struct imap *im, struct imap_call *call, struct err *err)
{
    struct list_work *work = arena_alloc(&call->arena, sizeof *work);
    TRY(read_args(im, call, work, err));
    if (work->wanted.is_root) {
        imap_untagged(im, "LIST (\\Noselect) \"/\" \"\"");
        return ST_OK;
    }
    call->work = work;
    call->release = release;
    TRY(list_tree_read(im, &call->arena, &work->wanted, &work->tree, err));
    call->produce = write_names;
    return ST_OK;
}
