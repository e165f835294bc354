/*
 * cmd_uidbatches.c - UIDBATCHES (RFC 10022): ranges of uids that cut the mailbox into pieces of so many messages, from
 * the highest uid down. The ranges lie without gaps, the first begins at the highest uid there is and the last ends at
 * 1, so that whatever is expunged later, each message stays in its batch.
 */
#include "imap/commands.h"
#include "base/banned.h"

enum { BATCH_SIZE_LEAST = 500 }; /* RFC 10022 §3.1.3; less would be message numbers by another name */

struct batches {
    uint32_t size;        /* messages in each */
    uint32_t first, last; /* which of them, from 1 */
    uint32_t next;        /* to be written */
    uint32_t uid;         /* the highest of that batch */
};

/* batch-size [SP batch ":" batch] */
static enum status read_args(struct imap_call *call, struct batches *out, struct err *err)
{
    struct imap_args *args = &call->args;
    *out = (struct batches){.first = 1, .last = UINT32_MAX};
    TRY(args_sp(args, err));
    TRY(args_nz_number(args, &out->size, err));
    if (!args_at_end(args)) {
        TRY(args_sp(args, err));
        TRY(args_nz_number(args, &out->first, err));
        TRY(args_char(args, ':', err));
        TRY(args_nz_number(args, &out->last, err));
    }
    TRY(args_end(args, err));
    if (out->first > out->last) {
        call->no_code = "CLIENTBUG";
        return err_set(err, ST_SYNTAX, "the range of batches is the wrong way round");
    }
    if (out->size < BATCH_SIZE_LEAST) {
        call->no_code = "TOOFEW";
        return err_set(err, ST_LIMIT, "a batch has at least %d messages", (int)BATCH_SIZE_LEAST);
    }
    return ST_OK;
}

/* Messages before batch i, counted from the last. */
static uint64_t before(const struct batches *b, uint32_t i)
{
    return (uint64_t)b->size * (i - 1);
}

static enum status write_batches(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct batches *b = call->work;
    struct strbuf *out = imap_out(im);
    uint32_t count = view_count(im->view);
    (void)err;
    *is_done = false;
    while (out->len < SESSION_OUT_HIGH) {
        if (b->next > b->last || before(b, b->next) >= count) {
            strbuf_add_cstr(out, "\r\n");
            *is_done = true;
            return ST_OK;
        }
        uint64_t behind = before(b, b->next) + b->size; /* messages up to this batch's end, from the last */
        uint32_t lowest = behind < count ? view_message(im->view, count - (uint32_t)behind + 1)->uid : 1;
        strbuf_add_char(out, b->next == b->first ? ' ' : ',');
        strbuf_add_u64(out, b->uid);
        strbuf_add_char(out, ':');
        strbuf_add_u64(out, lowest);
        b->uid = lowest - 1;
        b->next++;
    }
    return ST_OK;
}

enum status cmd_uidbatches(struct imap *im, struct imap_call *call, struct err *err)
{
    struct batches *b = arena_alloc(&call->arena, sizeof *b);
    TRY(read_args(call, b, err));
    b->next = b->first;
    uint32_t count = view_count(im->view);
    if (before(b, b->first) < count) {
        uint32_t seq = count - (uint32_t)before(b, b->first);
        /* the uids between the batch before and this one belong to this one */
        b->uid = seq == count ? view_message(im->view, seq)->uid : view_message(im->view, seq + 1)->uid - 1;
    }
    strbuf_addf(imap_out(im), "* UIDBATCHES (TAG \"%.*s\")", SPAN_ARG(call->tag));
    call->work = b;
    call->produce = write_batches;
    return ST_OK;
}
