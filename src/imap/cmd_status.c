/*
 * cmd_status.c - STATUS (RFC 3501 §6.3.10, RFC 9051 §6.3.11), from the mailbox's counters: a row for each item.
 */
#include "imap/commands.h"
#include "imap/internal.h"
#include "imap/names.h"
#include "imap/place.h"
#include "imap/status.h"
#include "store/quota.h"
#include "base/banned.h"

/* Messages that the next session to select the mailbox would have as \Recent. A large mailbox is not loaded to leave
 * out those that are gone already. */
static uint64_t recent(struct imap *im, const struct mailbox *m)
{
    if (m->recent_from >= m->uidnext)
        return 0;
    uint32_t at_most = m->uidnext - m->recent_from;
    AUTO(view) v = view_peek(im->account, m->id);
    struct err err;
    if (v || (m->messages <= IMAP_SELECT_VIEW_MAX && view_get(im->account, m->id, &v, &err) == ST_OK))
        return view_count(v) + 1 - view_seq_at_or_after(v, m->recent_from);
    return at_most < m->messages ? at_most : m->messages;
}

static uint64_t messages(struct imap *im, const struct mailbox *m)
{
    (void)im;
    return m->messages;
}

static uint64_t uidnext(struct imap *im, const struct mailbox *m)
{
    (void)im;
    return m->uidnext;
}

static uint64_t uidvalidity(struct imap *im, const struct mailbox *m)
{
    (void)im;
    return m->uidvalidity;
}

static uint64_t unseen(struct imap *im, const struct mailbox *m)
{
    (void)im;
    return m->unseen;
}

static uint64_t deleted(struct imap *im, const struct mailbox *m)
{
    (void)im;
    return m->deleted;
}

/* In the unit of STORAGE, so that the two can be compared. */
static uint64_t deleted_storage(struct imap *im, const struct mailbox *m)
{
    (void)im;
    return quota_storage_units(m->deleted_bytes);
}

static uint64_t size(struct imap *im, const struct mailbox *m)
{
    (void)im;
    return m->size_bytes;
}

static uint64_t highest_modseq(struct imap *im, const struct mailbox *m)
{
    (void)im;
    return m->highest_modseq;
}

static uint64_t append_limit(struct imap *im, const struct mailbox *m)
{
    (void)m;
    return imap_mail_app(im)->message_size_max;
}

static const struct {
    const char *name;
    const char *rfc;
    uint64_t (*value)(struct imap *im, const struct mailbox *m); /* NULL: the mailbox's object id */
} items[] = {
    /* clang-format off */
    { "MESSAGES",    "3501 §6.3.10", messages },
    { "RECENT",      "3501 §6.3.10", recent },
    { "UIDNEXT",     "3501 §6.3.10", uidnext },
    { "UIDVALIDITY", "3501 §6.3.10", uidvalidity },
    { "UNSEEN",      "3501 §6.3.10", unseen },
    { "DELETED",     "9051 §6.3.11", deleted },
    { "DELETED-STORAGE", "9208 §4.1.4", deleted_storage },
    { "SIZE",        "8438",         size },
    { "HIGHESTMODSEQ", "7162 §3.1.7", highest_modseq },
    { "APPENDLIMIT", "7889",         append_limit },
    { "MAILBOXID", "8474 §4.3", NULL },
    /* clang-format on */
};
enum { ITEM_COUNT = sizeof items / sizeof *items };

static enum status read_item(struct imap *im, struct imap_args *args, status_items *out, struct err *err)
{
    for (unsigned i = 0; i < ITEM_COUNT; i++)
        if (args_take_word(args, items[i].name)) {
            *out |= 1u << i;
            if (items[i].value == highest_modseq)
                imap_enable(im, IMAP_CONDSTORE);
            return ST_OK;
        }
    return args_expected(args, "a STATUS item", err);
}

status_items imap_status_item(const char *name)
{
    unsigned i = 0;
    while (!span_eq(span_cstr(items[i].name), span_cstr(name)))
        i++;
    return 1u << i;
}

enum status imap_args_status_items(struct imap *im, struct imap_args *args, status_items *out, struct err *err)
{
    *out = 0;
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return *out ? ST_OK : err_set(err, ST_SYNTAX, "expected a STATUS item");
        TRY(read_item(im, args, out, err));
    }
}

void imap_write_status_line(struct imap *im, const struct mailbox *m, status_items wanted)
{
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* STATUS ");
    imap_write_name(im, m->name, out);
    const char *before = " (";
    for (unsigned i = 0; i < ITEM_COUNT; i++)
        if (wanted >> i & 1) {
            strbuf_addf(out, "%s%s ", before, items[i].name);
            if (items[i].value)
                strbuf_add_u64(out, items[i].value(im, m));
            else
                strbuf_addf(out, "(%.*s)", SPAN_ARG(m->object_id));
            before = " ";
        }
    strbuf_add_cstr(out, ")\r\n");
}

enum status cmd_status(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name;
    status_items wanted;
    TRY(args_sp(&call->args, err));
    TRY(args_mailbox(&call->args, &name, err));
    TRY(args_sp(&call->args, err));
    TRY(imap_args_status_items(im, &call->args, &wanted, err));
    TRY(args_end(&call->args, err));

    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(imap_place_find(im, call, name, ACL_READ, &place, err));
    TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
    TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    txn_free(&txn);
    if (!imap_place_is_own(im, &place)) {
        m.name = place.path;
        m.recent_from = m.uidnext; /* \Recent is for the owner's sessions */
    }
    if (m.is_noselect)
        return err_set(err, ST_NOTFOUND, "this name only holds other mailboxes");
    imap_write_status_line(im, &m, wanted);
    return ST_OK;
}
