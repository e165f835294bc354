/*
 * cmd_store.c - STORE and UID STORE (RFC 3501 §6.4.6, §6.4.8, RFC 7162 §3.1.3). One range statement changes all
 * messages; the answers are the news that the session tells after every command, which own_change asks to be told even
 * where nothing changed.
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

/* ---- UNCHANGEDSINCE --------------------------------------------------------------------------------------------- */

/* What a STORE would do, and the modseq that it is conditional on (RFC 7162 §3.1.3). */
struct condition {
    bool exists;
    uint64_t unchanged_since;
};

/* "(UNCHANGEDSINCE 12121230045) " */
static enum status read_condition(struct imap_args *args, struct condition *out, struct err *err)
{
    *out = (struct condition){0};
    if (!args_next_is(args, '('))
        return ST_OK;
    out->exists = true;
    TRY(args_list_open(args, err));
    if (!args_take_word(args, "UNCHANGEDSINCE"))
        return args_expected(args, "UNCHANGEDSINCE", err);
    TRY(args_sp(args, err));
    TRY(args_number64(args, &out->unchanged_since, err));
    TRY(args_list_close(args, err));
    return args_sp(args, err);
}

/*
 * RFC 7162 §3.1.12: a message that was changed behind the client's back still passes where the flags that the command
 * names are as the client knows them; for that the client's modseq must be one at which it knew them.
 */
static bool passes(const struct imap *im, const struct view_message *m, const struct condition *c, enum flag_change how,
                   uint64_t bits)
{
    if (m->modseq <= c->unchanged_since)
        return true;
    uint32_t seq = view_seq_of(im->view, m->uid);
    if (how == FLAGS_SET || !seq)
        return false;
    const struct view_message *told = imap_told_message(im, seq);
    return told->modseq <= c->unchanged_since && ((told->flags ^ m->flags) & bits) == 0;
}

/* Divides the messages into those that pass and those that do not. The writer's lock is held: what is looked at is what
 * will be changed. */
static enum status divide(struct imap *im, struct arena *a, const struct seqset *uids, const struct condition *c,
                          enum flag_change how, uint64_t bits, struct seqset **passed, struct seqset *failed,
                          struct err *err)
{
    AUTO(view) now = NULL;
    TRY(imap_current_view(im, &now, err));
    *passed = seqset_new(a);
    for (size_t i = 0; i < uids->count; i++) {
        struct seqrange r = uids->ranges[i];
        for (uint32_t seq = view_seq_at_or_after(now, r.first); seq <= view_count(now); seq++) {
            const struct view_message *m = view_message(now, seq);
            if (m->uid > r.last)
                break;
            seqset_add(a, passes(im, m, c, how, bits) ? *passed : failed, m->uid, m->uid);
        }
    }
    return ST_OK;
}

/* "MODIFIED 7,9": numbers for STORE, uids for UID STORE. */
static void set_modified(const struct imap *im, struct imap_call *call, const struct seqset *failed)
{
    AUTO_STRBUF text = STRBUF_INIT;
    struct seqset *seqs = seqset_new(&call->arena);
    if (failed->count == 0)
        return;
    for (size_t i = 0; i < failed->count && !call->is_uid; i++)
        for (uint32_t uid = failed->ranges[i].first, seq; uid <= failed->ranges[i].last; uid++)
            if ((seq = view_seq_of(im->view, uid)))
                seqset_add(&call->arena, seqs, seq, seq);
    strbuf_add_cstr(&text, "MODIFIED ");
    seqset_write(call->is_uid ? failed : seqs, &text);
    call->code = arena_strbuf(&call->arena, &text);
    call->text = "Conditional STORE failed for some";
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

/* RFC 4314 §4: fails only where none of the flags may be changed; the store passes over the others. */
static enum status check_rights(const struct imap *im, struct imap_call *call, enum flag_change how, uint64_t bits,
                                struct err *err)
{
    uint64_t asked = how == FLAGS_SET && !bits ? ~(uint64_t)0 : bits;
    if (!asked || (asked & imap_may_flags(im)))
        return ST_OK;
    return imap_need_rights(im, call, ACL_SEEN | ACL_WRITE | ACL_DELETED, err);
}

enum status cmd_store(struct imap *im, struct imap_call *call, struct err *err)
{
    struct imap_args *args = &call->args;
    struct seqset *uids, *failed = seqset_new(&call->arena);
    struct imap_flags flags;
    struct condition condition;
    enum flag_change how = FLAGS_SET;
    bool is_silent = false;
    TRY(args_sp(args, err));
    TRY(imap_args_messages(im, call, &uids, err));
    TRY(args_sp(args, err));
    TRY(read_condition(args, &condition, err));
    TRY(store_item(args, &how, &is_silent, err));
    TRY(args_sp(args, err));
    TRY(args_flags(args, true, &flags, err));
    TRY(args_end(args, err));
    uids = imap_limit_messages(im, call, uids);
    if (condition.exists)
        imap_enable(im, IMAP_CONDSTORE);

    uint64_t bits;
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_FLAGS, &txn, err));
    TRY(bits_of(txn, &flags, how, &bits, err));
    TRY(check_rights(im, call, how, bits, err));
    if (condition.exists)
        TRY(divide(im, &call->arena, uids, &condition, how, bits, &uids, failed, err));
    TRY(message_change_flags(txn, im->mailbox, uids, how, bits, err));
    TRY(store_commit(&txn, err));

    set_modified(im, call, failed);
    call->own = (struct imap_own_change){
        .uids = uids, .how = how, .flags = bits, .is_wanted = !is_silent, .is_modseq_wanted = condition.exists};
    return ST_OK;
}
