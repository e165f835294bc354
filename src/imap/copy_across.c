/* copy_across.c - see copy_across.h. A message is in memory at a time, not all of them. */
#include "imap/copy_across.h"
#include "base/banned.h"

struct crossing {
    struct txn *from, *to;
    struct mailbox target;
    struct span *keywords; /* of the account they come from */
    size_t keyword_count;
};

/* Bits of the other account's keywords; those that it has no room for are left behind. */
static enum status flags_there(struct crossing *c, uint64_t flags, uint64_t *out, struct err *err)
{
    *out = flags & FLAGS_SYSTEM;
    for (size_t i = 0; i < c->keyword_count; i++) {
        uint64_t bit;
        if (!(flags >> (FLAG_KEYWORD_SHIFT + i) & 1))
            continue;
        enum status st = keyword_bit(c->to, c->keywords[i], true, &bit, err);
        if (st == ST_OK)
            *out |= bit;
        else if (st != ST_LIMIT)
            return st;
    }
    return ST_OK;
}

static enum status carry(struct crossing *c, const struct view_message *m, uint32_t *uid, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO_STRBUF raw = STRBUF_INIT;
    struct content content;
    uint64_t flags;
    TRY(content_read(c->from, m->content, 0, UINT64_MAX, &raw, err));
    content_prepare(&a, strbuf_span(&raw), &content);
    TRY(flags_there(c, m->flags, &flags, err));
    struct mail_date received = {.utc = m->received_utc, .zone_minutes = m->received_zone};
    return message_add(c->to, c->target.id, &content, flags, received, uid, err);
}

static enum status carry_all(struct imap *im, struct imap_call *call, const struct seqset *uids, struct crossing *c,
                             struct uid_pairs *pairs, struct err *err)
{
    for (size_t i = 0; i < uids->count; i++) {
        uint32_t seq = view_seq_at_or_after(im->view, uids->ranges[i].first), uid;
        for (; seq <= view_count(im->view) && view_message(im->view, seq)->uid <= uids->ranges[i].last; seq++) {
            const struct view_message *m = imap_told_message(im, seq);
            enum status st = carry(c, m, &uid, err);
            if (st == ST_NOTFOUND) /* expunged by another session; the caller sees that it is missing */
                continue;
            TRY(st);
            seqset_add(&call->arena, pairs->from, m->uid, m->uid);
            seqset_add(&call->arena, pairs->to, uid, uid);
        }
    }
    return ST_OK;
}

static enum status copy(struct imap *im, struct imap_call *call, const struct seqset *uids,
                        const struct imap_place *place, struct uid_pairs *pairs, struct err *err)
{
    AUTO(txn) from = NULL;
    AUTO(txn) to = NULL;
    TRY(imap_begin(im, TXN_READ, &from, err));
    TRY(imap_place_begin(im, place, TXN_WRITE, &to, err));
    struct crossing c = {.from = from, .to = to};
    TRY(mailbox_find(to, place->name, &call->arena, &c.target, err));
    if (c.target.is_noselect)
        return err_set(err, ST_DENIED, "this mailbox cannot hold messages");
    TRY(keyword_names(from, &call->arena, &c.keywords, &c.keyword_count, err));
    *pairs = (struct uid_pairs){c.target.uidvalidity, seqset_new(&call->arena), seqset_new(&call->arena)};
    TRY(carry_all(im, call, uids, &c, pairs, err));
    if (!call->is_uid && seqset_count(pairs->from) != seqset_count(uids)) { /* RFC 2180 §4.4.1 */
        call->no_code = "EXPUNGEISSUED";
        return err_set(err, ST_NOTFOUND, "some of the messages have been expunged by another session");
    }
    return store_commit(&to, err);
}

enum status imap_copy_across(struct imap *im, struct imap_call *call, const struct seqset *uids,
                             const struct imap_place *place, bool is_move, struct uid_pairs *pairs, struct err *err)
{
    TRY(copy(im, call, uids, place, pairs, err));
    if (!is_move || pairs->from->count == 0)
        return ST_OK;
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_WRITE, &txn, err));
    TRY(message_expunge(txn, im->mailbox, pairs->from, false, &call->arena, NULL, err));
    return store_commit(&txn, err);
}
