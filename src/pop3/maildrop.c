/*
 * maildrop.c - POP3's TRANSACTION and UPDATE states, in the role mail, over the INBOX (RFC 1939 §5-§7).
 *
 * The maildrop is the snapshot of INBOX taken at login, so message numbers stand still whatever other sessions do. DELE
 * only marks; the marked messages are removed in one flushed transaction when QUIT is reached, and never otherwise.
 * Long answers are produced piece by piece while output has room, with no transaction held between the pieces.
 *
 * "+OK" cannot be taken back, and there is no other way to say that a message is not whole than to hang up. So a
 * message's first piece is read before "+OK" is said: what another session has removed is refused. What is longer than
 * a piece is pinned, and stays until all of it is sent.
 */
#include "pop3/session.h"
#include <stdlib.h>
#include "base/mem.h"
#include "base/banned.h"

enum { BODY_PIECE = 64 * 1024 };

enum status maildrop_open(struct maildrop *d, struct account *account, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO(txn) t = NULL;
    struct mailbox inbox;
    d->account = account;
    TRY(store_begin(account, TXN_READ, &t, err));
    TRY(mailbox_find(t, SPAN("INBOX"), &a, &inbox, err));
    txn_free(&t);
    d->inbox = inbox.id;
    d->uidvalidity = inbox.uidvalidity;
    TRY(view_get(account, inbox.id, &d->view, err));
    for (uint32_t n = 1; n <= view_count(d->view); n++)
        d->octets += view_message(d->view, n)->size;
    return ST_OK;
}

/* Nothing is being sent any more. */
static void end_body(struct maildrop *d)
{
    if (d->is_pinned)
        content_unpin(d->account, view_message(d->view, d->next)->content);
    d->is_pinned = false;
    d->job = POP3_JOB_NONE;
}

void maildrop_close(struct maildrop *d)
{
    end_body(d);
    view_free(&d->view);
    account_free(&d->account);
    free(d->deleted);
    d->deleted = NULL;
}

static bool is_deleted(const struct maildrop *d, uint32_t n)
{
    return d->deleted && (d->deleted[(n - 1) / 8] >> ((n - 1) % 8) & 1);
}

/* Reads a message number that exists and is not marked. */
static enum status read_number(const struct maildrop *d, struct span text, uint32_t *n, struct err *err)
{
    uint64_t v;
    if (!span_to_u64(text, UINT32_MAX, &v))
        return err_set(err, ST_SYNTAX, "a message number is needed");
    if (v == 0 || v > view_count(d->view))
        return err_set(err, ST_NOTFOUND, "no such message");
    if (is_deleted(d, (uint32_t)v))
        return err_set(err, ST_NOTFOUND, "that message is marked as deleted");
    *n = (uint32_t)v;
    return ST_OK;
}

static void write_line(const struct maildrop *d, enum pop3_job what, uint32_t n, struct strbuf *out)
{
    const struct view_message *m = view_message(d->view, n);
    strbuf_add_u64(out, n);
    strbuf_add_char(out, ' ');
    if (what == POP3_JOB_LIST) {
        strbuf_add_u64(out, m->size);
    } else { /* UIDs are never used again in a mailbox of this UIDVALIDITY, so this names the message for ever */
        strbuf_add_u64(out, d->uidvalidity);
        strbuf_add_char(out, '.');
        strbuf_add_u64(out, m->uid);
    }
    strbuf_add_cstr(out, "\r\n");
}

enum status pop3_stat(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    (void)argument, (void)next, (void)err;
    struct maildrop *d = &p->drop;
    pop3_ok(p, "%u %llu", view_count(d->view) - d->deleted_count, (unsigned long long)(d->octets - d->deleted_octets));
    return ST_OK;
}

static enum status list(struct pop3 *p, enum pop3_job what, struct span argument, enum next *next, struct err *err)
{
    struct maildrop *d = &p->drop;
    if (argument.len) {
        uint32_t n = 0;
        TRY(read_number(d, argument, &n, err));
        strbuf_add_cstr(session_output(p->session), "+OK ");
        write_line(d, what, n, session_output(p->session));
        return ST_OK;
    }
    pop3_ok(p, "%u messages", view_count(d->view) - d->deleted_count);
    d->job = what;
    d->next = 1;
    *next = NEXT_PRODUCE;
    return ST_OK;
}

enum status pop3_list(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    return list(p, POP3_JOB_LIST, argument, next, err);
}

enum status pop3_uidl(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    return list(p, POP3_JOB_UIDL, argument, next, err);
}

/* For TOP: cuts the piece that starts at `offset` behind the last line wanted. True where that ends the message. */
static bool cut_lines(struct maildrop *d, uint64_t offset, struct span *piece)
{
    if (offset + piece->len <= d->top_from)
        return false;
    size_t at = offset < d->top_from ? (size_t)(d->top_from - offset) : 0;
    while (d->lines_left > 0) {
        size_t end = span_find_byte(*piece, '\n', at);
        if (end == SPAN_NPOS)
            return false;
        at = end + 1;
        d->lines_left--;
    }
    *piece = span_take(*piece, at);
    return true;
}

static enum status read_piece(struct maildrop *d, struct strbuf *piece, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    AUTO(txn) t = NULL;
    content_id content = view_message(d->view, d->next)->content;
    TRY(store_begin(d->account, TXN_READ, &t, err));
    if (d->is_top && d->offset == 0) {
        struct content_forms forms;
        TRY(content_load(t, content, 0, &a, &forms, err));
        d->top_from = forms.header_size;
    }
    TRY(content_read(t, content, d->offset, BODY_PIECE, piece, err));
    /* A CRLF is not cut in two: the dot behind it would not be seen to begin a line. */
    if (piece->len > 1 && piece->p[piece->len - 1] == '\r' && d->offset + piece->len < d->end)
        strbuf_truncate(piece, piece->len - 1);
    return ST_OK;
}

/* RFC 1939 §3: lines that begin with a dot get a second one. */
static void write_stuffed(struct maildrop *d, struct span text, struct strbuf *out)
{
    while (text.len) {
        bool needs_dot;
        strbuf_add(out, dotstuff_encode(&text, &d->at_line_start, &needs_dot));
        if (needs_dot)
            strbuf_add_char(out, '.');
    }
}

/* Writes what was read, and the end where that was the last of it. */
static enum next write_piece(struct maildrop *d, struct span piece, struct strbuf *out)
{
    uint64_t behind = d->offset + piece.len;
    bool is_last = d->is_top && cut_lines(d, d->offset, &piece);
    write_stuffed(d, piece, out);
    d->offset = is_last ? d->end : behind;
    if (d->offset < d->end)
        return NEXT_PRODUCE;
    strbuf_add_cstr(out, d->at_line_start ? ".\r\n" : "\r\n.\r\n");
    end_body(d);
    return NEXT_AGAIN;
}

/* Sends message n, which is in d->next, or begins to. */
static enum status begin_body(struct pop3 *p, enum next *next, struct err *err)
{
    struct maildrop *d = &p->drop;
    const struct view_message *m = view_message(d->view, d->next);
    AUTO_STRBUF piece = STRBUF_INIT;
    d->job = POP3_JOB_BODY;
    d->offset = 0;
    d->end = m->size;
    d->at_line_start = true;
    d->is_pinned = m->size > BODY_PIECE;
    if (d->is_pinned)
        content_pin(d->account, m->content);
    enum status st = read_piece(d, &piece, err);
    if (st != ST_OK) {
        end_body(d);
        return st;
    }
    pop3_ok(p, "%u octets", m->size);
    *next = write_piece(d, strbuf_span(&piece), session_output(p->session));
    return ST_OK;
}

enum status pop3_retr(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    struct maildrop *d = &p->drop;
    TRY(read_number(d, argument, &d->next, err));
    d->is_top = false;
    return begin_body(p, next, err);
}

/* RFC 1939 §7: the header, the blank line, and that many lines of the body. */
enum status pop3_top(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    struct maildrop *d = &p->drop;
    struct span number, count = argument;
    span_cut(&count, ' ', &number);
    TRY(read_number(d, number, &d->next, err));
    if (!span_to_u64(count, UINT32_MAX, &d->lines_left))
        return err_set(err, ST_SYNTAX, "TOP takes a message number and a number of lines");
    d->is_top = true;
    return begin_body(p, next, err);
}

enum status pop3_dele(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    (void)next;
    struct maildrop *d = &p->drop;
    uint32_t n = 0;
    TRY(read_number(d, argument, &n, err));
    if (!d->deleted)
        d->deleted = mem_alloc(view_count(d->view) / 8 + 1);
    d->deleted[(n - 1) / 8] |= (uint8_t)(1u << ((n - 1) % 8));
    d->deleted_count++;
    d->deleted_octets += view_message(d->view, n)->size;
    pop3_ok(p, "message %u marked as deleted", n);
    return ST_OK;
}

enum status pop3_rset(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    (void)argument, (void)next, (void)err;
    struct maildrop *d = &p->drop;
    free(d->deleted);
    d->deleted = NULL;
    d->deleted_count = 0;
    d->deleted_octets = 0;
    pop3_ok(p, "%u messages", view_count(d->view));
    return ST_OK;
}

enum status maildrop_update(struct maildrop *d, struct err *err)
{
    if (d->deleted_count == 0)
        return ST_OK;
    AUTO_ARENA a = ARENA_INIT;
    struct seqset *uids = seqset_new(&a);
    for (uint32_t n = 1; n <= view_count(d->view); n++)
        if (is_deleted(d, n))
            seqset_add(&a, uids, view_message(d->view, n)->uid, view_message(d->view, n)->uid);
    AUTO(txn) t = NULL;
    TRY(store_begin(d->account, TXN_WRITE, &t, err));
    TRY(message_expunge(t, d->inbox, uids, false, &a, NULL, err));
    return store_commit(&t, err);
}

/* ---- long answers -------------------------------------------------------------------------------------------------
 */

static enum next produce_list(struct pop3 *p, struct strbuf *out)
{
    struct maildrop *d = &p->drop;
    while (d->next <= view_count(d->view)) {
        if (out->len >= SESSION_OUT_HIGH)
            return NEXT_PRODUCE;
        if (!is_deleted(d, d->next))
            write_line(d, d->job, d->next, out);
        d->next++;
    }
    strbuf_add_cstr(out, ".\r\n");
    d->job = POP3_JOB_NONE;
    return NEXT_AGAIN;
}

static enum next produce_body(struct pop3 *p, struct strbuf *out)
{
    struct maildrop *d = &p->drop;
    enum next next = NEXT_PRODUCE;
    while (next == NEXT_PRODUCE && out->len < SESSION_OUT_HIGH) {
        AUTO_STRBUF piece = STRBUF_INIT;
        struct err err;
        enum status st = read_piece(d, &piece, &err);
        if (st == ST_OK && piece.len == 0) /* shorter than its row says; what is not there never ends */
            st = err_set(&err, ST_IO, "the message is damaged");
        if (st != ST_OK) {
            struct log_line l;
            session_log_begin(p->session, &l, LOG_WARN, "message-broken-off");
            log_err(&l, &err);
            log_end(&l);
            end_body(d);
            return NEXT_CLOSE;
        }
        next = write_piece(d, strbuf_span(&piece), out);
    }
    return next;
}

enum next pop3_produce(struct session *s)
{
    struct pop3 *p = session_state(s);
    if (p->drop.job == POP3_JOB_BODY)
        return produce_body(p, session_output(s));
    if (p->drop.job != POP3_JOB_NONE)
        return produce_list(p, session_output(s));
    return NEXT_AGAIN;
}
