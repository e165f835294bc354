/*
 * message_set.c - see message_set.h.
 */
#include "imap/message_set.h"
#include "base/banned.h"

enum status imap_args_messages(struct imap *im, struct imap_call *call, struct seqset **uids, struct err *err)
{
    struct seqset *set;
    uint32_t messages = view_count(im->view);
    bool is_saved = args_next_is(&call->args, '$'); /* RFC 5182: uids; not an error where it is empty */
    struct span before = call->args.rest;
    TRY(args_seqset(&call->args, call->is_uid ? view_last_uid(im->view) : messages, &set, err));
    call->set = set;
    call->set_text = is_saved ? SPAN_NONE : span_take(before, before.len - call->args.rest.len);
    if (!is_saved && !call->is_uid && (set->count == 0 || set->ranges[set->count - 1].last > messages))
        return err_set(err, ST_SYNTAX, "there is no such message; the mailbox has %u", messages);
    *uids = view_resolve(&call->arena, im->view, set, is_saved || call->is_uid);
    return ST_OK;
}

struct seqset *imap_changed_since(const struct imap *im, struct arena *a, const struct seqset *uids, uint64_t modseq)
{
    const struct view *told = im->told_flags ? im->told_flags : im->view;
    struct seqset *out = seqset_new(a);
    for (size_t i = 0; i < uids->count; i++) {
        uint32_t seq = view_seq_at_or_after(told, uids->ranges[i].first);
        while ((seq = view_seq_changed(told, seq, modseq)) <= view_count(told)) {
            uint32_t uid = view_message(told, seq)->uid;
            if (uid > uids->ranges[i].last)
                break;
            if (told == im->view || view_seq_of(im->view, uid))
                seqset_add(a, out, uid, uid);
            seq++;
        }
    }
    return out;
}

struct seqset *imap_limit_messages(struct imap *im, struct imap_call *call, struct seqset *uids)
{
    uint32_t most = imap_mail_app(im)->messages_per_command;
    uint64_t count = seqset_count(uids);
    if (!most || count <= most)
        return uids;
    uids = seqset_part(&call->arena, uids, count - most, count);
    call->limit = arena_printf(&call->arena, "MESSAGELIMIT %u %u", most, uids->ranges[0].first);
    return uids;
}

uint32_t imap_save_limit(const struct imap *im)
{
    uint32_t command = imap_mail_app(im)->messages_per_command, save = imap_mail_app(im)->messages_per_save;
    return !save || (command && command < save) ? command : save;
}
