/*
 * cmd_append.c - APPEND (RFC 3501 §6.3.11, APPENDUID of RFC 4315 §3).
 *
 * Comes in two steps, because the message is not kept with the command: cmd_append() reads what stands before the
 * message and says whether it is welcome, so that a client learns of a missing mailbox or a message too large before it
 * has sent anything; imap_append_finish() stores it once it is here. "OK" means that it is on the disk.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "imap/commands.h"
#include "imap/internal.h"
#include "imap/place.h"
#include "sys/body.h"
#include "base/banned.h"

/* Spans are in the call's arena, which lives as long. */
struct imap_append {
    uint64_t size;
    struct span mailbox;
    struct imap_flags flags;
    struct mail_date received;
    struct body *body;
};

void imap_append_announce(struct imap *im, uint64_t size)
{
    im->append = mem_alloc(sizeof *im->append);
    im->append->size = size;
}

void imap_append_free(struct imap_append **ap)
{
    struct imap_append *append = *ap;
    *ap = NULL;
    if (!append)
        return;
    body_free(&append->body);
    free(append);
}

/* mailbox [SP flag-list] [SP date-time] SP, up to the literal. */
static enum status read_args(struct imap_args *args, struct imap_append *append, struct err *err)
{
    TRY(args_sp(args, err));
    TRY(args_mailbox(args, &append->mailbox, err));
    TRY(args_sp(args, err));
    if (args_next_is(args, '(')) {
        TRY(args_flags(args, false, &append->flags, err));
        TRY(args_sp(args, err));
    }
    append->received = (struct mail_date){.utc = clock_wall_ms() / 1000};
    if (args_next_is(args, '"')) {
        TRY(args_date_time(args, &append->received, err));
        TRY(args_sp(args, err));
    }
    return args_at_end(args) ? ST_OK : args_expected(args, "the message as a literal", err);
}

static enum status find_mailbox(struct txn *t, struct imap_call *call, struct span name, struct mailbox *m,
                                struct err *err)
{
    TRY(mailbox_find(t, name, &call->arena, m, err));
    if (!m->is_noselect)
        return ST_OK;
    call->no_code = "CANNOT";
    return err_set(err, ST_DENIED, "this name only holds other mailboxes");
}

enum status cmd_append(struct imap *im, struct imap_call *call, struct err *err)
{
    struct imap_append *append = im->append;
    struct imap_append nothing = {0};
    if (!append) { /* a whole command without a message */
        TRY(read_args(&call->args, &nothing, err));
        return err_set(err, ST_SYNTAX, "expected the message as a literal");
    }
    TRY(read_args(&call->args, append, err));
    uint64_t max = imap_mail_app(im)->message_size_max;
    if (append->size > max || append->size > MESSAGE_SIZE_MAX) {
        call->no_code = "TOOBIG";
        return err_set(err, ST_LIMIT, "the message is larger than %llu octets", (unsigned long long)max);
    }
    if (append->size == 0)
        return err_set(err, ST_UNSUPPORTED, "a message of no octets is not kept");

    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(imap_place_find(im, call, append->mailbox, ACL_INSERT, &place, err));
    TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
    TRY(find_mailbox(txn, call, place.name, &m, err));
    append->body = body_new(append->size);
    return ST_OK;
}

enum status imap_append_octets(struct imap *im, struct span octets, struct err *err)
{
    if (span_find_byte(octets, '\0', 0) != SPAN_NPOS) /* RFC 3501 §9: CHAR8 is anything but NUL */
        return err_set(err, ST_SYNTAX, "a message must not contain NUL");
    return body_append(im->append->body, octets, err);
}

enum status imap_append_finish(struct imap *im, struct imap_call *call, struct err *err)
{
    const struct imap_append *append = im->append;
    struct content content;
    struct span raw;
    TRY(body_span(append->body, &raw, err));
    content_prepare(&call->arena, raw, &content);

    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    uint64_t flags;
    uint32_t uid;
    TRY(imap_place_find(im, call, append->mailbox, ACL_INSERT, &place, err));
    TRY(imap_place_begin(im, &place, TXN_WRITE, &txn, err));
    TRY(find_mailbox(txn, call, place.name, &m, err));
    TRY(imap_flag_bits(txn, &append->flags, true, &flags, err));
    TRY(message_add(txn, m.id, &content, flags, append->received, &uid, err));
    TRY(store_commit(&txn, err));
    imap_set_code(call, "APPENDUID %u %u", m.uidvalidity, uid);
    return ST_OK;
}
