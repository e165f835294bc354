/*
 * cmd_append.c - APPEND of one message or several (RFC 3501 §6.3.11, RFC 3502), of binary ones too (RFC 3516 §4.4), with
 * the APPENDUID of RFC 4315 §3.
 *
 * A message is not kept with the command: what stands before it is read first, so that a client learns of a missing
 * mailbox or a message too large before it has sent anything. Behind each message comes either the command's end or
 * what stands before the next. When all are here they are stored in one transaction: "OK" means that all are on the
 * disk, and else none is there.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "imap/commands.h"
#include "imap/internal.h"
#include "imap/place.h"
#include "sys/body.h"
#include "text/mime_convert.h"
#include "base/banned.h"

enum {
    APPEND_MESSAGES_MAX = 1000, /* of one command */
    APPEND_TOTAL_FACTOR = 2     /* together they may be so much larger than one may be */
};

/* In the call's arena, as all spans are; so imap_append_free() comes before the call's end. */
struct append_message {
    struct append_message *next;
    struct imap_flags flags;
    struct mail_date received;
    bool is_binary;
    struct body *body;
};
struct imap_append {
    struct framing_found literal; /* that has been announced */
    struct span mailbox;
    struct append_message *first, *last; /* `last` is the one that comes in */
    uint32_t count;
    uint64_t octets;
};

void imap_append_announce(struct imap *im, const struct framing_found *literal)
{
    im->append = mem_alloc(sizeof *im->append);
    im->append->literal = *literal;
}

void imap_append_free(struct imap_append **ap)
{
    struct imap_append *append = *ap;
    *ap = NULL;
    if (!append)
        return;
    for (struct append_message *m = append->first; m; m = m->next)
        body_free(&m->body);
    free(append);
}

/* [SP flag-list] [SP date-time] SP, up to the literal; the first SP has been read. */
static enum status read_message_args(struct imap_args *args, struct append_message *m, struct err *err)
{
    if (args_next_is(args, '(')) {
        TRY(args_flags(args, false, &m->flags, err));
        TRY(args_sp(args, err));
    }
    m->received = (struct mail_date){.utc = clock_wall_ms() / 1000};
    if (args_next_is(args, '"')) {
        TRY(args_date_time(args, &m->received, err));
        TRY(args_sp(args, err));
    }
    return args_at_end(args) ? ST_OK : args_expected(args, "the message as a literal", err);
}

static enum status check_size(struct imap *im, struct imap_call *call, const struct imap_append *append,
                              struct err *err)
{
    uint64_t max = imap_mail_app(im)->message_size_max, size = append->literal.size;
    if (size > max || size > MESSAGE_SIZE_MAX) {
        call->no_code = "TOOBIG";
        return err_set(err, ST_LIMIT, "the message is larger than %llu octets", (unsigned long long)max);
    }
    if (append->count == APPEND_MESSAGES_MAX || append->octets + size > APPEND_TOTAL_FACTOR * max) {
        call->no_code = "TOOBIG";
        return err_set(err, ST_LIMIT, "too many or too large messages in one command");
    }
    if (size == 0)
        return err_set(err, ST_UNSUPPORTED, "a message of no octets is not kept");
    return ST_OK;
}

/* What stands before a message has been read up to the first SP; the message is welcome, or not. */
static enum status begin_message(struct imap *im, struct imap_call *call, struct imap_args *args, struct err *err)
{
    struct imap_append *append = im->append;
    struct append_message *m = arena_alloc(&call->arena, sizeof *m);
    TRY(read_message_args(args, m, err));
    TRY(check_size(im, call, append, err));
    m->is_binary = append->literal.is_binary;
    m->body = body_new(append->literal.size);
    *(append->last ? &append->last->next : &append->first) = m;
    append->last = m;
    append->count++;
    append->octets += append->literal.size;
    return ST_OK;
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
    struct imap_append nothing = {0}, *append = im->append ? im->append : &nothing;
    TRY(args_sp(&call->args, err));
    TRY(args_mailbox(&call->args, &append->mailbox, err));
    TRY(args_sp(&call->args, err));
    if (!im->append) { /* a whole command without a message */
        struct append_message m = {0};
        TRY(read_message_args(&call->args, &m, err));
        return err_set(err, ST_SYNTAX, "expected the message as a literal");
    }
    TRY(begin_message(im, call, &call->args, err));

    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(imap_place_find(im, call, append->mailbox, ACL_INSERT, &place, err));
    TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
    return find_mailbox(txn, call, place.name, &m, err);
}

enum status imap_append_octets(struct imap *im, struct span octets, struct err *err)
{
    struct append_message *m = im->append->last;
    if (!m->is_binary && span_find_byte(octets, '\0', 0) != SPAN_NPOS) /* RFC 3501 §9: CHAR8 is anything but NUL */
        return err_set(err, ST_SYNTAX, "a message must not contain NUL");
    return body_append(m->body, octets, err);
}

enum status imap_append_more(struct imap *im, struct imap_call *call, struct span text,
                             const struct framing_found *literal, struct err *err)
{
    struct imap_args args;
    if (!literal)
        return text.len == 0 ? ST_OK
                             : err_set(err, ST_SYNTAX, "expected the end of the command, or another message");
    args_init(&args, &call->arena, arena_copy(&call->arena, text));
    im->append->literal = *literal;
    TRY(args_sp(&args, err));
    return begin_message(im, call, &args, err);
}

/* RFC 3516 §4.4: binary parts may be encoded when they are stored; here they are, since mailboxes hold lines. */
static enum status prepare(struct imap_call *call, const struct append_message *m, struct content *out,
                           struct err *err)
{
    struct span raw;
    TRY(body_span(m->body, &raw, err));
    if (m->is_binary && !mime_fits(raw, MIME_FIT_8BIT)) {
        AUTO_STRBUF lines = STRBUF_INIT;
        enum status st = mime_convert(&call->arena, raw, MIME_FIT_8BIT, &lines, err);
        if (st == ST_UNSUPPORTED)
            call->no_code = "UNKNOWN-CTE";
        TRY(st);
        raw = arena_strbuf(&call->arena, &lines);
    }
    content_prepare(&call->arena, raw, out);
    return ST_OK;
}

enum status imap_append_finish(struct imap *im, struct imap_call *call, struct err *err)
{
    const struct imap_append *append = im->append;
    struct content *contents = arena_array(&call->arena, append->count, sizeof *contents), *content = contents;
    for (const struct append_message *am = append->first; am; am = am->next)
        TRY(prepare(call, am, content++, err));

    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    uint32_t uid = 0;
    TRY(imap_place_find(im, call, append->mailbox, ACL_INSERT, &place, err));
    TRY(imap_place_begin(im, &place, TXN_WRITE, &txn, err));
    TRY(find_mailbox(txn, call, place.name, &m, err));
    content = contents;
    for (const struct append_message *am = append->first; am; am = am->next) {
        uint64_t flags;
        TRY(imap_flag_bits(txn, &am->flags, true, &flags, err));
        TRY(message_add(txn, m.id, content++, flags, am->received, &uid, err));
    }
    TRY(store_commit(&txn, err));
    if (append->count == 1)
        imap_set_code(call, "APPENDUID %u %u", m.uidvalidity, uid);
    else /* one transaction gives uids in a row */
        imap_set_code(call, "APPENDUID %u %u:%u", m.uidvalidity, uid - append->count + 1, uid);
    return ST_OK;
}
