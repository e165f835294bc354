/*
 * cmd_status.c - STATUS (RFC 3501 §6.3.10), from the mailbox's counters.
 */
#include "imap/commands.h"
#include "imap/internal.h"
#include "imap/names.h"
#include "base/banned.h"

enum status_item { ITEM_MESSAGES, ITEM_RECENT, ITEM_UIDNEXT, ITEM_UIDVALIDITY, ITEM_UNSEEN, ITEM_COUNT };
static const char *const item_names[ITEM_COUNT] = {"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"};

static enum status read_item(struct imap_args *args, enum status_item *item, struct err *err)
{
    for (int i = 0; i < ITEM_COUNT; i++)
        if (args_take_word(args, item_names[i])) {
            *item = (enum status_item)i;
            return ST_OK;
        }
    return args_expected(args, "a STATUS item", err);
}

static enum status read_items(struct imap_args *args, unsigned *items, struct err *err)
{
    *items = 0;
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        enum status_item item;
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return *items ? ST_OK : err_set(err, ST_SYNTAX, "expected a STATUS item");
        TRY(read_item(args, &item, err));
        *items |= 1u << item;
    }
}

/* Messages that the next session to select the mailbox would have as \Recent. A large mailbox is not loaded to leave
 * out those that are gone already. */
static uint32_t count_recent(struct imap *im, const struct mailbox *m)
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

enum status cmd_status(struct imap *im, struct imap_call *call, struct err *err)
{
    struct span name;
    unsigned items;
    TRY(args_sp(&call->args, err));
    TRY(args_mailbox(&call->args, &name, err));
    TRY(args_sp(&call->args, err));
    TRY(read_items(&call->args, &items, err));
    TRY(args_end(&call->args, err));

    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(store_begin(im->account, TXN_READ, &txn, err));
    TRY(mailbox_find(txn, name, &call->arena, &m, err));
    txn_free(&txn);
    if (m.is_noselect)
        return err_set(err, ST_NOTFOUND, "this name only holds other mailboxes");

    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "* STATUS ");
    imap_write_name(m.name, out);
    uint32_t values[ITEM_COUNT] = {m.messages, items & 1u << ITEM_RECENT ? count_recent(im, &m) : 0, m.uidnext,
                                   m.uidvalidity, m.unseen};
    char before = '(';
    strbuf_add_char(out, ' ');
    for (int i = 0; i < ITEM_COUNT; i++)
        if (items & 1u << i) {
            strbuf_addf(out, "%c%s %u", before, item_names[i], values[i]);
            before = ' ';
        }
    strbuf_add_cstr(out, ")\r\n");
    return ST_OK;
}
