/*
 * append_read.c - what APPEND and REPLACE say, and the messages' octets as they come (RFC 3501 §6.3.11, RFC 3502, RFC
 * 6855 §4), put together of texts and URLs where the client says CATENATE (RFC 4469).
 *
 * A command is read in segments: the text up to a literal, the literal's octets, the text up to the next one. A URL's
 * octets are copied when it is read, so that a client learns of a bad one before it sends what follows; what a message
 * becomes of all its parts is bounded like any other.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "imap/append.h"
#include "imap/message_set.h"
#include "imap/place.h"
#include "store/quota.h"
#include "store/section.h"
#include "base/banned.h"

enum {
    APPEND_MESSAGES_MAX = 1000,             /* of one command */
    APPEND_OCTETS_MAX = 256u * 1024 * 1024, /* of them together, where one may not be larger */
    APPEND_PARTS_MAX = 10000,               /* of all its CATENATEs */
};

static struct imap_append *append_new(struct imap *im)
{
    struct imap_append *append = mem_alloc(sizeof *append);
    append->end = &append->first;
    im->append = append;
    return append;
}

void imap_append_free(struct imap_append **ap)
{
    for (struct imap_append *append = *ap, *next; append; append = next) {
        next = append->next;
        for (struct append_message *m = append->first, *behind; m; m = behind) {
            behind = m->next;
            body_free(&m->body);
            free(m);
        }
        strbuf_free(&append->url);
        imap_call_free(&append->call);
        free(append);
    }
    *ap = NULL;
}

/* ---- limits ---------------------------------------------------------------------------------------------------- */

static enum status too_big(struct imap_call *call, struct err *err, const char *why)
{
    call->no_code = "TOOBIG";
    return err_set(err, ST_LIMIT, "%s", why);
}

static uint64_t message_max(const struct imap *im)
{
    uint64_t max = imap_mail_app(im)->message_size_max;
    return max < MESSAGE_SIZE_MAX ? max : MESSAGE_SIZE_MAX;
}

/* So many octets more are to come or have come. */
static enum status count_octets(struct imap *im, struct imap_call *call, uint64_t size, struct err *err)
{
    struct imap_append *append = im->append;
    uint64_t max = message_max(im), all_max = max > APPEND_OCTETS_MAX ? max : APPEND_OCTETS_MAX;
    if (size > max) {
        call->no_code = "TOOBIG";
        return err_set(err, ST_LIMIT, "the message is larger than %llu octets", (unsigned long long)max);
    }
    if (append->octets + size > all_max)
        return too_big(call, err, "too much for one command");
    append->octets += size;
    return ST_OK;
}

static enum status count_message(struct imap *im, struct imap_call *call, struct err *err)
{
    uint32_t max = imap_save_limit(im);
    if (!max || max > APPEND_MESSAGES_MAX)
        max = APPEND_MESSAGES_MAX;
    if (im->append->count >= max)
        return too_big(call, err, "too much for one command");
    im->append->count++;
    return ST_OK;
}

static enum status no_octets(struct err *err)
{
    /* RFC 3502 §6.3.11: the client takes the whole command back */
    return err_set(err, ST_UNSUPPORTED, "a message of no octets is not kept");
}

/* ---- URLs ------------------------------------------------------------------------------------------------------ */

/* RFC 4469 §3: of this server and this session's user, so a URL with a server in it is none of ours. */
static enum status copy_url(struct imap *im, struct imap_call *call, struct span text, struct body *to, struct err *err)
{
    struct imap_url url;
    AUTO_PLACE place = {0};
    struct mailbox m;
    TRY(imap_url_parse(&call->arena, text, &url, err));
    if (url.has_server || url.access != URL_ACCESS_NONE)
        return err_set(err, ST_UNSUPPORTED, "only URLs without a server can be appended");
    if (!url.mailbox.len && im->state == IMAP_SELECTED) {
        TRY(imap_need_rights(im, call, ACL_READ, err));
        return section_append(im->owner, imap_reader(im, im->owner), im->mailbox, &url, to, err);
    }
    if (!url.mailbox.len)
        return err_set(err, ST_SYNTAX, "the URL names no mailbox, and none is selected");
    TRY(imap_place_find(im, call, url.mailbox, ACL_READ, &place, err));
    {
        AUTO(txn) txn = NULL;
        TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
        TRY(mailbox_find(txn, place.name, &call->arena, &m, err));
    }
    return section_append(place.account, imap_reader(im, place.account), m.id, &url, to, err);
}

static enum status add_url(struct imap *im, struct imap_call *call, struct span text, struct err *err)
{
    struct body *to = im->append->current->body;
    uint64_t before = body_size(to);
    enum status st = copy_url(im, call, text, to, err);
    if (st == ST_OK)
        return count_octets(im, call, body_size(to) - before, err);
    if (st == ST_LIMIT && text.len <= IMAP_URL_MAX)
        return too_big(call, err, "the message is too large");
    if (st == ST_IO || st == ST_TEMPORARY || st == ST_BUG)
        return st;
    AUTO_STRBUF code = STRBUF_INIT;
    strbuf_add_cstr(&code, "BADURL ");
    imap_url_write_quoted(text, &code);
    call->no_code = arena_cstr(&call->arena, strbuf_span(&code));
    err->status = ST_NOTFOUND; /* RFC 4469 §4.1: a NO, whatever is wrong with it */
    return ST_NOTFOUND;
}

/* ---- what stands between literals ------------------------------------------------------------------------------- */

/* "UTF8 (", of which a literal8 is a part. */
static enum status begin_utf8(struct imap_args *args, struct imap_append *append, struct err *err)
{
    TRY(args_sp(args, err));
    TRY(args_char(args, '(', err));
    if (!args_at_end(args) || !append->current->is_binary)
        return args_expected(args, "a literal8", err);
    append->is_in_utf8 = true;
    return ST_OK;
}

static enum status begin_text(struct imap *im, struct imap_call *call, struct err *err)
{
    struct append_message *m = im->append->current;
    m->is_binary |= im->is_binary_next;
    if (im->literal_left > message_max(im) - body_size(m->body))
        return too_big(call, err, "the message is too large");
    return count_octets(im, call, im->literal_left, err);
}

/* cat-part. True in *is_open: its literal follows, at the end of this segment. */
static enum status read_part(struct imap *im, struct imap_call *call, struct imap_args *args, bool is_literal_next,
                             bool *is_open, struct err *err)
{
    struct imap_append *append = im->append;
    struct span url;
    *is_open = false;
    if (++append->parts > APPEND_PARTS_MAX)
        return too_big(call, err, "too many parts for one command");
    if (args_take_word(args, "URL")) {
        TRY(args_sp(args, err));
        *is_open = args_at_end(args) && is_literal_next;
        if (!*is_open) {
            TRY(args_astring(args, &url, err));
            return add_url(im, call, url, err);
        }
        append->part = APPEND_CATENATE_URL;
        strbuf_clear(&append->url);
        return im->literal_left <= IMAP_URL_MAX ? ST_OK : too_big(call, err, "the URL is too long");
    }
    *is_open = true;
    if (args_take_word(args, "UTF8")) { /* RFC 6855 §4 */
        append->current->is_binary = im->is_binary_next;
        TRY(begin_utf8(args, append, err));
        return begin_text(im, call, err);
    }
    if (!args_take_word(args, "TEXT"))
        return args_expected(args, "TEXT or URL", err);
    TRY(args_sp(args, err));
    if (!args_at_end(args) || !is_literal_next)
        return args_expected(args, "the text as a literal", err);
    return begin_text(im, call, err);
}

/* The parts up to the next literal, or to ")". */
static enum status read_parts(struct imap *im, struct imap_call *call, struct imap_args *args, bool is_literal_next,
                              bool is_first, bool *is_open, struct err *err)
{
    struct imap_append *append = im->append;
    *is_open = false;
    for (; !*is_open; is_first = false) {
        if (!is_first && args_take(args, ')')) {
            append->part = APPEND_MESSAGE;
            return body_size(append->current->body) ? ST_OK : no_octets(err);
        }
        if (!is_first)
            TRY(args_sp(args, err));
        TRY(read_part(im, call, args, is_literal_next, is_open, err));
    }
    return ST_OK;
}

/* [SP flag-list] [SP date-time] SP, up to the literal; "UTF8 (", of which the literal is a part; or CATENATE's list. */
static enum status begin_message(struct imap *im, struct imap_call *call, struct imap_args *args, bool is_literal_next,
                                 bool *is_open, struct err *err)
{
    struct imap_append *append = im->append;
    struct append_message *m = mem_alloc(sizeof *m);
    *append->end = m;
    append->end = &m->next;
    append->current = m;
    if (args_next_is(args, '(')) {
        TRY(args_flags(args, false, &m->flags, err));
        TRY(args_sp(args, err));
    }
    m->received = (struct mail_date){.utc = clock_wall_ms() / 1000};
    if (args_next_is(args, '"')) {
        TRY(args_date_time(args, &m->received, err));
        TRY(args_sp(args, err));
    }
    TRY(count_message(im, call, err));
    if (args_take_word(args, "CATENATE")) {
        TRY(args_sp(args, err));
        TRY(args_char(args, '(', err));
        append->part = APPEND_CATENATE;
        m->body = body_new(message_max(im));
        return read_parts(im, call, args, is_literal_next, true, is_open, err);
    }
    *is_open = true;
    m->is_binary = im->is_binary_next;
    if (args_take_word(args, "UTF8"))
        TRY(begin_utf8(args, append, err));
    if (!args_at_end(args) || !is_literal_next)
        return args_expected(args, "the message as a literal", err);
    if (im->literal_left == 0)
        return no_octets(err);
    TRY(count_octets(im, call, im->literal_left, err));
    m->body = body_new(im->literal_left);
    return ST_OK;
}

/* The messages from here up to the next literal, or to the command's end. */
static enum status read_messages(struct imap *im, struct imap_call *call, struct imap_args *args, bool is_literal_next,
                                 bool is_open, struct err *err)
{
    struct imap_append *append = im->append;
    while (!is_open && !(args_at_end(args) && !is_literal_next)) {
        if (append->replaced && append->first)
            return args_expected(args, "the end of the command", err);
        if (append->first)
            TRY(args_sp(args, err));
        TRY(begin_message(im, call, args, is_literal_next, &is_open, err));
    }
    return ST_OK;
}

static enum status check_mailbox(struct imap *im, struct imap_call *call, struct span name, struct err *err)
{
    AUTO_PLACE place = {0};
    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(imap_place_find(im, call, name, ACL_INSERT, &place, err));
    TRY(imap_place_begin(im, &place, TXN_READ, &txn, err));
    TRY(append_find_mailbox(txn, call, place.name, &m, err));
    /* A client need not send what cannot be kept. REPLACE makes room, so only its transaction knows. */
    return im->append->replaced ? ST_OK : account_has_room(place.account, im->append->octets, err);
}

enum status append_read_first(struct imap *im, struct imap_call *call, const struct seqset *replaced, struct err *err)
{
    struct imap_args *args = &call->args;
    struct imap_append *append = append_new(im);
    append->replaced = replaced;
    TRY(args_sp(args, err));
    TRY(args_mailbox(args, &append->mailbox, err));
    TRY(args_sp(args, err));
    if (args_at_end(args) && !im->is_message_next)
        return args_expected(args, "the message as a literal", err);
    TRY(read_messages(im, call, args, im->is_message_next, false, err));
    return check_mailbox(im, call, append->mailbox, err);
}

enum status imap_append_read(struct imap *im, struct imap_call *call, struct span text, bool is_literal_next,
                             struct err *err)
{
    struct imap_append *append = im->append;
    struct imap_args args = call->args;
    bool is_open = false;
    args.rest = text;
    if (append->is_in_utf8)
        TRY(args_char(&args, ')', err));
    append->is_in_utf8 = false;
    if (append->part == APPEND_CATENATE_URL) {
        append->part = APPEND_CATENATE;
        TRY(add_url(im, call, strbuf_span(&append->url), err));
    }
    if (append->part == APPEND_CATENATE)
        TRY(read_parts(im, call, &args, is_literal_next, false, &is_open, err));
    return read_messages(im, call, &args, is_literal_next, is_open, err);
}

enum status imap_append_octets(struct imap *im, struct span octets, struct err *err)
{
    struct imap_append *append = im->append;
    if (append->part == APPEND_CATENATE_URL) {
        strbuf_add(&append->url, octets);
        return ST_OK;
    }
    const struct append_message *m = append->current;
    if (!m->is_binary && span_find_byte(octets, '\0', 0) != SPAN_NPOS) /* RFC 3501 §9: CHAR8 is anything but NUL */
        return err_set(err, ST_SYNTAX, "a message must not contain NUL");
    return body_append(m->body, octets, err);
}
