/*
 * cmd_store.c - STORE and UID STORE (RFC 3501 §6.4.6, §6.4.8). One range statement changes all messages; the answers
 * are the news that the session tells after every command, which own_change asks to be told even where nothing changed.
 */
#include "imap/commands.h"
#include "imap/message_set.h"
#include "base/banned.h"

static const struct {
    const char *item;
    enum flag_change how;
    bool is_silent;
} store_items[] = {
    {"FLAGS", FLAGS_SET, false},        {"FLAGS.SILENT", FLAGS_SET, true}, {"+FLAGS", FLAGS_ADD, false},
    {"+FLAGS.SILENT", FLAGS_ADD, true}, {"-FLAGS", FLAGS_REMOVE, false},   {"-FLAGS.SILENT", FLAGS_REMOVE, true},
};

static enum status store_item(struct imap_args *args, enum flag_change *how, bool *is_silent, struct err *err)
{
    for (size_t i = 0; i < sizeof store_items / sizeof *store_items; i++)
        if (args_take_word(args, store_items[i].item)) {
            *how = store_items[i].how;
            *is_silent = store_items[i].is_silent;
            return ST_OK;
        }
    return args_expected(args, "FLAGS, +FLAGS or -FLAGS", err);
}

/* What no message has need not be made to be removed. */
static enum status bits_of(struct txn *txn, const struct imap_flags *flags, enum flag_change how, uint64_t *bits,
                           struct err *err)
{
    if (how != FLAGS_REMOVE)
        return imap_flag_bits(txn, flags, true, bits, err);
    *bits = flags->system;
    for (size_t i = 0; i < flags->count; i++) {
        uint64_t bit;
        enum status st = keyword_bit(txn, flags->keywords[i], false, &bit, err);
        if (st == ST_OK)
            *bits |= bit;
        else if (st != ST_NOTFOUND)
            return st;
    }
    return ST_OK;
}

enum status cmd_store(struct imap *im, struct imap_call *call, struct err *err)
{
    struct imap_args *args = &call->args;
    struct seqset *uids;
    struct imap_flags flags;
    enum flag_change how = FLAGS_SET;
    bool is_silent = false;
    TRY(args_sp(args, err));
    TRY(imap_args_messages(im, call, &uids, err));
    TRY(args_sp(args, err));
    TRY(store_item(args, &how, &is_silent, err));
    TRY(args_sp(args, err));
    TRY(args_flags(args, true, &flags, err));
    TRY(args_end(args, err));

    uint64_t bits;
    AUTO(txn) txn = NULL;
    TRY(store_begin(im->account, TXN_FLAGS, &txn, err));
    TRY(bits_of(txn, &flags, how, &bits, err));
    TRY(message_change_flags(txn, im->mailbox, uids, how, bits, err));
    TRY(store_commit(&txn, err));

    call->own = (struct imap_own_change){.uids = uids, .how = how, .flags = bits, .is_wanted = !is_silent};
    return ST_OK;
}
