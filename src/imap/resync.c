/*
 * resync.c - see resync.h. What changed is in the modseqs of the view, what is gone in the store's tombstones; where
 * these do not go back far enough, every uid that is not there is called gone, which is true and only costs octets.
 */
#include "imap/resync.h"
#include "base/banned.h"

enum { VANISHED_RANGES_MAX = 500 }; /* of one response */

/* ---- arguments ------------------------------------------------------------------------------------------------ */

/* seq-match-data: "(" known-sequence-set SP known-uid-set ")" */
static enum status match_data(struct imap_args *args, struct imap_known *out, struct err *err)
{
    TRY(args_list_open(args, err));
    TRY(args_known_seqset(args, &out->seqs, err));
    TRY(args_sp(args, err));
    TRY(args_known_seqset(args, &out->seqs_uids, err));
    if (seqset_count(out->seqs) != seqset_count(out->seqs_uids))
        return err_set(err, ST_SYNTAX, "match data need as many uids as message numbers");
    return args_list_close(args, err);
}

enum status imap_args_known(struct imap_args *args, struct imap_known *out, struct err *err)
{
    *out = (struct imap_known){0};
    TRY(args_list_open(args, err));
    TRY(args_nz_number(args, &out->uidvalidity, err));
    TRY(args_sp(args, err));
    TRY(args_modseq(args, &out->modseq, err));
    if (args_take(args, ' ') && !args_next_is(args, '(')) {
        TRY(args_known_seqset(args, &out->uids, err));
        if (args_next_is(args, ')'))
            return args_list_close(args, err);
        TRY(args_sp(args, err));
    }
    if (args_next_is(args, '('))
        TRY(match_data(args, out, err));
    return args_list_close(args, err);
}

/* ---- match data ------------------------------------------------------------------------------------------------ */

/* Of the pairs (seq, uid), (seq + 1, uid + 1), … the last of `count` that is one of v's. Uids rise at least as fast as
 * numbers, so that uid minus number never falls: a binary search finds the last one not above. */
static uint32_t last_match(const struct view *v, uint32_t seq, uint32_t uid, uint32_t count)
{
    int64_t offset = (int64_t)uid - seq;
    if (seq > view_count(v))
        return 0;
    if (count > view_count(v) - seq + 1)
        count = view_count(v) - seq + 1;
    uint32_t low = 0, high = count; /* pairs before `low` are not above, those from `high` on are */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((int64_t)view_message(v, seq + middle)->uid - (seq + middle) <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || view_message(v, seq + low - 1)->uid != uid + low - 1)
        return 0;
    return uid + low - 1;
}

/* Where one pair matches, client and server know as many messages up to it, and the client's are at least ours: they
 * are the same. So the last match is the one that counts. */
uint32_t imap_match_known(const struct view *v, const struct imap_known *known)
{
    const struct seqset *seqs = known->seqs, *uids = known->seqs_uids;
    uint32_t best = 0, i_done = 0, j_done = 0; /* numbers used of range i and of range j */
    for (size_t i = 0, j = 0; seqs && i < seqs->count && j < uids->count;) {
        uint32_t seq = seqs->ranges[i].first + i_done, uid = uids->ranges[j].first + j_done;
        uint32_t i_left = seqs->ranges[i].last - seq, j_left = uids->ranges[j].last - uid; /* less one */
        uint32_t n = i_left < j_left ? i_left : j_left;
        uint32_t match = last_match(v, seq, uid, n == UINT32_MAX ? n : n + 1);
        if (match)
            best = match;
        i_done += n + 1;
        j_done += n + 1;
        if (i_left == n)
            i++, i_done = 0;
        if (j_left == n)
            j++, j_done = 0;
    }
    return best;
}

/* ---- what is gone ---------------------------------------------------------------------------------------------- */

/* Adds those of first..last that v has not. */
static void add_missing(struct arena *a, const struct view *v, uint32_t first, uint32_t last, struct seqset *out)
{
    uint64_t from = first;
    for (uint32_t seq = view_seq_at_or_after(v, first); seq <= view_count(v); seq++) {
        uint32_t uid = view_message(v, seq)->uid;
        if (uid > last)
            break;
        if (uid > from)
            seqset_add(a, out, (uint32_t)from, uid - 1);
        from = (uint64_t)uid + 1;
    }
    if (from <= last)
        seqset_add(a, out, (uint32_t)from, last);
}

enum status imap_vanished_since(struct imap *im, struct arena *a, const struct seqset *uids, uint64_t modseq,
                                uint32_t above, struct seqset **out, struct err *err)
{
    bool is_known;
    uint32_t uidnext = view_uidnext(im->view);
    struct seqset *range = seqset_new(a), *gone = seqset_new(a), *missing = seqset_new(a);
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_READ, &txn, err));
    TRY(message_vanished(txn, im->mailbox, modseq, uidnext, a, gone, &is_known, err));
    txn_free(&txn);
    if (uidnext - 1 > above)
        seqset_add(a, range, above + 1, uidnext - 1);
    uids = seqset_both(a, uids, range);
    if (is_known)
        uids = seqset_both(a, uids, gone);
    for (size_t i = 0; i < uids->count; i++)
        add_missing(a, im->view, uids->ranges[i].first, uids->ranges[i].last, missing);
    *out = missing;
    return ST_OK;
}

bool imap_write_vanished(struct imap *im, const struct seqset *uids, bool is_earlier, size_t *at)
{
    struct strbuf *out = imap_out(im);
    while (*at < uids->count) {
        if (out->len >= SESSION_OUT_HIGH)
            return false;
        struct seqset some = {uids->ranges + *at, uids->count - *at, 0};
        if (some.count > VANISHED_RANGES_MAX)
            some.count = VANISHED_RANGES_MAX;
        strbuf_add_cstr(out, is_earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
        seqset_write(&some, out);
        strbuf_add_cstr(out, "\r\n");
        *at += some.count;
    }
    return true;
}
