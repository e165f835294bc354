/*
 * cmd_select.c - SELECT, EXAMINE (RFC 3501 §6.3.1, §6.3.2), CLOSE (§6.4.2), UNSELECT (RFC 3691).
 */
#include <inttypes.h>
#include "imap/commands.h"
#include "imap/internal.h"
#include "imap/fetch.h"
#include "imap/message_set.h"
#include "imap/names.h"
#include "imap/place.h"
#include "imap/resync.h"
#include "base/banned.h"

static enum status find(struct imap *im, struct imap_call *call, const struct imap_place *place, struct mailbox *m,
                        bool *has_children, struct err *err)
{
    AUTO(txn) txn = NULL;
    TRY(imap_place_begin(im, place, TXN_READ, &txn, err));
    TRY(mailbox_find(txn, place->name, &call->arena, m, err));
    if (m->is_noselect)
        return err_set(err, ST_NOTFOUND, "this name only holds other mailboxes");
    if (imap_has(im, IMAP_REV2))
        TRY(mailbox_has_children(txn, m->name, has_children, err));
    return ST_OK;
}

/* The first unseen message is told where it costs nothing to find; to IMAP4rev2 never (RFC 9051 Appendix E.11). */
static enum status write_unseen(struct imap *im, const struct mailbox *m, struct err *err)
{
    if (m->unseen == 0 || imap_has(im, IMAP_REV2))
        return ST_OK;
    AUTO(view) loaded = view_peek_for(im->owner, imap_reader(im, im->owner), im->mailbox);
    if (!loaded && m->messages > IMAP_SELECT_VIEW_MAX)
        return ST_OK;
    TRY(imap_load_view(im, err));
    uint32_t seq = view_first_unseen(im->view);
    if (seq)
        imap_untagged(im, "OK [UNSEEN %u] First unseen", seq);
    return ST_OK;
}

/* Messages the session has as \Recent. Where the view is not loaded every uid from the first is taken for a message. */
static uint32_t count_recent(const struct imap *im, const struct mailbox *m)
{
    if (im->view)
        return imap_recent_count(im, im->view);
    uint32_t n = 0;
    for (uint32_t i = 0; i < im->recent_count; i++)
        n += im->recent[i].last - im->recent[i].first + 1;
    return n < m->messages ? n : m->messages;
}

/* select-params (RFC 4466 §2.2). */
struct select_params {
    bool has_condstore; /* RFC 7162 §3.1.8 */
    bool has_known;     /* QRESYNC */
    struct imap_known known;
};

static enum status read_param(struct imap *im, struct imap_call *call, struct select_params *out, struct err *err)
{
    struct imap_args *args = &call->args;
    if (args_take_word(args, "CONDSTORE")) {
        out->has_condstore = true;
        return ST_OK;
    }
    if (!args_take_word(args, "QRESYNC"))
        return args_expected(args, "a SELECT parameter", err);
    if (!imap_has(im, IMAP_QRESYNC))
        return err_set(err, ST_STATE, "enable QRESYNC first");
    if (out->has_known)
        return err_set(err, ST_SYNTAX, "QRESYNC is said once");
    out->has_known = true;
    TRY(args_sp(args, err));
    TRY(imap_args_known(args, &out->known, err));
    if (out->known.seqs && imap_has(im, IMAP_UIDONLY)) {
        call->no_code = "UIDREQUIRED";
        return err_set(err, ST_STATE, "UIDONLY is enabled, message numbers are not known");
    }
    return ST_OK;
}

static enum status read_params(struct imap *im, struct imap_call *call, struct select_params *out, struct err *err)
{
    struct imap_args *args = &call->args;
    *out = (struct select_params){0};
    if (args_at_end(args))
        return ST_OK;
    TRY(args_sp(args, err));
    TRY(args_list_open(args, err));
    for (size_t n = 0;; n++) {
        bool is_more;
        if (n == 0 && args_next_is(args, ')'))
            return args_expected(args, "a SELECT parameter", err);
        TRY(args_list_next(args, n, &is_more, err));
        if (!is_more)
            return ST_OK;
        TRY(read_param(im, call, out, err));
    }
}

/* RFC 7162 §3.2.5.1: as UID FETCH known-uids (FLAGS) (CHANGEDSINCE modseq VANISHED), with less that vanished where the
 * match data allow it. */
static enum status resync(struct imap *im, struct imap_call *call, const struct imap_known *known, struct err *err)
{
    TRY(imap_load_view(im, err));
    struct seqset *uids = known->uids, *vanished;
    if (!uids) {
        uids = seqset_new(&call->arena);
        seqset_add(&call->arena, uids, 1, UINT32_MAX);
    }
    TRY(imap_vanished_since(im, &call->arena, uids, known->modseq, imap_match_known(im->view, known), &vanished, err));
    return fetch_changes(im, call, imap_changed_since(im, &call->arena, uids, known->modseq), vanished, err);
}

static enum status open_mailbox(struct imap *im, struct imap_call *call, bool is_read_only, struct err *err)
{
    struct span name;
    struct select_params params;
    TRY(args_sp(&call->args, err));
    TRY(args_mailbox(&call->args, &name, err));
    TRY(read_params(im, call, &params, err));
    TRY(args_end(&call->args, err));

    if (im->state == IMAP_SELECTED) /* RFC 7162 §3.2.11, RFC 9051 §7.1: whatever is enabled */
        imap_untagged(im, "OK [CLOSED] Previous mailbox is now closed");
    imap_deselect(im); /* also where the new one cannot be selected */
    if (params.has_condstore)
        imap_enable(im, IMAP_CONDSTORE);
    struct mailbox m;
    bool has_children = false;
    AUTO_PLACE place = {0};
    TRY(imap_place_find(im, call, name, ACL_READ, &place, err));
    TRY(find(im, call, &place, &m, &has_children, err));
    TRY(imap_select(im, &place, m.id, is_read_only, &call->arena, &m, err));
    m.has_children = has_children;
    if (!imap_place_is_own(im, &place)) {
        m.name = place.path;
        m.use = USE_NONE; /* what it is for is its owner's affair */
    }

    enum status st = imap_need_keywords(im, call, err);
    if (st == ST_OK) {
        imap_untagged(im, "%u EXISTS", m.messages);
        st = write_unseen(im, &m, err);
    }
    if (st != ST_OK) {
        imap_deselect(im);
        return st;
    }
    if (imap_has(im, IMAP_REV2))
        imap_write_list(im, imap_place_is_own(im, &place) ? m.name : name, &m, call->args.as_sent);
    else
        imap_untagged(im, "%u RECENT", count_recent(im, &m));
    imap_untagged(im, "OK [UIDVALIDITY %u] UIDs are valid", m.uidvalidity);
    imap_untagged(im, "OK [UIDNEXT %u] Predicted next UID", m.uidnext);
    imap_untagged(im, "OK [MAILBOXID (%.*s)] Ok", SPAN_ARG(m.object_id)); /* RFC 8474 §4.2 */
    if (imap_place_is_own(im, &place))
        imap_untagged(im, "OK [URLMECH INTERNAL] Mechanisms"); /* RFC 4467 §8 */
    if (imap_has(im, IMAP_CONDSTORE))
        imap_untagged(im, "OK [HIGHESTMODSEQ %" PRIu64 "] Highest", m.highest_modseq);
    imap_set_code(call, is_read_only || !(im->rights & ACL_CHANGE) ? "READ-ONLY" : "READ-WRITE");

    struct log_line l;
    session_log_begin(im->session, &l, LOG_DEBUG, "select");
    log_span(&l, "mailbox", name);
    log_u64(&l, "messages", m.messages);
    log_end(&l);
    if (params.has_known && params.known.uidvalidity == m.uidvalidity)
        st = resync(im, call, &params.known, err);
    if (st != ST_OK)
        imap_deselect(im);
    return st;
}

enum status cmd_select(struct imap *im, struct imap_call *call, struct err *err)
{
    return open_mailbox(im, call, false, err);
}

enum status cmd_examine(struct imap *im, struct imap_call *call, struct err *err)
{
    return open_mailbox(im, call, true, err);
}

/* Removes what is \Deleted without telling; most mailboxes are closed with nothing to remove. */
static enum status expunge_silently(struct imap *im, struct imap_call *call, struct err *err)
{
    struct mailbox m;
    AUTO(txn) txn = NULL;
    TRY(imap_begin(im, TXN_READ, &txn, err));
    TRY(mailbox_get(txn, im->mailbox, &call->arena, &m, err));
    if (m.deleted == 0)
        return ST_OK;
    txn_free(&txn);
    TRY(imap_begin(im, TXN_WRITE, &txn, err));
    TRY(message_expunge(txn, im->mailbox, NULL, true, &call->arena, NULL, err));
    return store_commit(&txn, err);
}

enum status cmd_close(struct imap *im, struct imap_call *call, struct err *err)
{
    TRY(args_end(&call->args, err));
    if (!im->is_read_only && (im->rights & ACL_EXPUNGE)) { /* RFC 4314 §4: else it is only closed */
        enum status st = expunge_silently(im, call, err);
        if (st != ST_OK && st != ST_NOTFOUND) /* a mailbox that is gone is closed */
            return st;
    }
    imap_deselect(im);
    return ST_OK;
}

enum status cmd_unselect(struct imap *im, struct imap_call *call, struct err *err)
{
    TRY(args_end(&call->args, err));
    imap_deselect(im);
    return ST_OK;
}
