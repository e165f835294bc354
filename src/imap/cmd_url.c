/*
 * cmd_url.c - GENURLAUTH, RESETKEY, URLFETCH (RFC 4467 §7), the last also with what RFC 5524 adds: URLs that carry
 * their own authorization (policy/url_auth.h).
 *
 * URLs are made for the user's own mailboxes only. URLFETCH answers a URL after the other, each in a response of its
 * own, and streams large ones as FETCH does. It never says why a URL is not good: NIL.
 */
#include "imap/commands.h"
#include "imap/fetch.h"
#include "imap/place.h"
#include "policy/url_auth.h"
#include "text/imap_body_part.h"
#include "text/imap_structure.h"
#include "base/banned.h"

/* ---- GENURLAUTH ------------------------------------------------------------------------------------------------ */

/* RFC 4467 §7: what is not right is BAD, before anything is made. */
static enum status check_rump(struct imap *im, struct imap_call *call, struct span text, struct imap_url *url,
                              struct err *err)
{
    struct span owner, user;
    TRY(imap_url_parse(&call->arena, text, url, err));
    if (!url->has_server || url->access == URL_ACCESS_NONE || url->token.len)
        return err_set(err, ST_SYNTAX, "a URL with user, server and access identifier, and no token, is wanted");
    TRY(url_user(&call->arena, url->user, &owner, err));
    if (url->access_user.len)
        TRY(url_user(&call->arena, url->access_user, &user, err));
    if (!span_eq(owner, account_address(im->account)))
        return err_set(err, ST_SYNTAX, "URLs are made for your own mailboxes only");
    return ST_OK;
}

static enum status find_key(struct imap *im, struct imap_call *call, const struct imap_url *url, enum txn_mode mode,
                            uint8_t key[URL_KEY_BYTES], struct err *err)
{
    AUTO(txn) txn = NULL;
    struct mailbox m;
    TRY(store_begin(im->account, mode, &txn, err));
    enum status st = mailbox_find(txn, url->mailbox, &call->arena, &m, err);
    if (st == ST_NOTFOUND)
        return err_set(err, ST_SYNTAX, "no mailbox of yours has this name");
    TRY(st);
    if (mode == TXN_READ)
        return url_key_get(txn, m.id, key, err);
    TRY(url_key_make(txn, m.id, key, err));
    return store_commit(&txn, err);
}

static enum status generate(struct imap *im, struct imap_call *call, struct strbuf *out, struct err *err)
{
    struct span text, mechanism;
    struct imap_url url;
    uint8_t key[URL_KEY_BYTES];
    char token[URL_TOKEN_CHARS + 1];
    TRY(args_sp(&call->args, err));
    TRY(args_astring(&call->args, &text, err));
    TRY(args_sp(&call->args, err));
    TRY(args_atom(&call->args, &mechanism, err));
    if (!span_ieq(mechanism, SPAN("INTERNAL")))
        return err_set(err, ST_SYNTAX, "the only mechanism is INTERNAL");
    TRY(check_rump(im, call, text, &url, err));
    enum status st = find_key(im, call, &url, TXN_READ, key, err);
    if (st == ST_NOTFOUND)
        st = find_key(im, call, &url, TXN_WRITE, key, err);
    TRY(st);
    url_token_write(key, url.rump, token);
    strbuf_add_char(out, ' ');
    imap_string_write(arena_printf(&call->arena, "%.*s:internal:%s", SPAN_ARG(text), token), out);
    return ST_OK;
}

enum status cmd_genurlauth(struct imap *im, struct imap_call *call, struct err *err)
{
    AUTO_STRBUF urls = STRBUF_INIT;
    do
        TRY(generate(im, call, &urls, err));
    while (!args_at_end(&call->args));
    imap_untagged(im, "GENURLAUTH%.*s", SPAN_ARG(strbuf_span(&urls)));
    return ST_OK;
}

/* ---- RESETKEY -------------------------------------------------------------------------------------------------- */

static enum status read_mechanisms(struct imap_call *call, struct err *err)
{
    struct span mechanism;
    while (!args_at_end(&call->args)) {
        TRY(args_sp(&call->args, err));
        TRY(args_atom(&call->args, &mechanism, err));
        if (!span_ieq(mechanism, SPAN("INTERNAL")))
            return err_set(err, ST_UNSUPPORTED, "the only mechanism is INTERNAL");
    }
    return ST_OK;
}

enum status cmd_resetkey(struct imap *im, struct imap_call *call, struct err *err)
{
    AUTO(txn) txn = NULL;
    AUTO_PLACE place = {0};
    struct span name;
    struct mailbox m;
    if (args_at_end(&call->args)) {
        TRY(store_begin(im->account, TXN_WRITE, &txn, err));
        TRY(url_key_forget_all(txn, err));
        return store_commit(&txn, err);
    }
    TRY(args_sp(&call->args, err));
    TRY(args_mailbox(&call->args, &name, err));
    TRY(read_mechanisms(call, err));
    TRY(imap_place_find(im, call, name, 0, &place, err));
    if (!imap_place_is_own(im, &place))
        return err_set(err, ST_DENIED, "only the owner's own URLs have keys");
    TRY(store_begin(im->account, TXN_WRITE, &txn, err));
    TRY(mailbox_find(txn, name, &call->arena, &m, err));
    TRY(url_key_forget(txn, m.id, err));
    TRY(store_commit(&txn, err));
    imap_set_code(call, "URLMECH INTERNAL");
    return ST_OK;
}

/* ---- URLFETCH -------------------------------------------------------------------------------------------------- */

enum { URL_PARAM_BODY = 1, URL_PARAM_BINARY = 2, URL_PARAM_STRUCTURE = 4 };

struct url_asked {
    struct span text;
    unsigned params; /* of the extended form; 0: the simple one */
};

struct url_job {
    struct url_asked *asked;
    size_t count, at;
    struct fetch_job body; /* the one that is being sent: body.message is not NULL */
    struct fetch_item item;
    struct fetch_octets octets;
    struct url_target target;
    struct view *view;
    bool is_pinned;
};

static void close_url(struct url_job *job)
{
    if (job->is_pinned)
        content_unpin(job->target.account, job->body.pinned);
    job->is_pinned = false;
    view_free(&job->view);
    url_target_free(&job->target);
    job->body.message = NULL;
}

static void release(struct imap_call *call)
{
    close_url(call->work);
}

/* Finds the message and pins its content; what is found is read in a transaction that begins later. */
static enum status open_url(struct imap *im, struct imap_call *call, struct url_job *job, const struct url_asked *asked,
                            struct arena *a, struct err *err)
{
    uint32_t seq;
    bool is_decoded = asked->params & URL_PARAM_BINARY;
    struct url_target *t = &job->target;
    TRY(url_authorize(imap_mail_app(im)->store, account_address(im->account), URL_USE_IMAP, asked->text, a, t, err));
    TRY(imap_url_item(&call->arena, &t->url, is_decoded, &job->item, err));
    TRY(section_find_message(t->account, 0, t->mailbox, &t->url, &job->view, &seq, err));
    job->body.message = view_message(job->view, seq);
    job->body.pinned = job->body.message->content;
    content_pin(t->account, job->body.pinned);
    job->is_pinned = true;
    return ST_OK;
}

/* " (BODYPARTSTRUCTURE …)" (RFC 5524 §3.2). Headers and texts of messages are no parts and have none. */
static enum status write_structure(const struct url_job *job, const struct url_asked *asked,
                                   const struct fetch_source *src, struct strbuf *out, struct err *err)
{
    struct span part;
    const struct fetch_item *item = &job->item;
    bool is_decoded = asked->params & URL_PARAM_BINARY && job->octets.exists;
    if (item->section != MIME_SECTION_WHOLE || !imap_body_part(src->forms.body, item->numbers, item->depth, &part))
        return err_set(err, ST_NOTFOUND, "the section is no part");
    strbuf_add_cstr(out, " (BODYPARTSTRUCTURE ");
    if (is_decoded)
        imap_body_write_decoded(part, job->octets.size, job->octets.lines, out);
    else
        strbuf_add(out, part);
    strbuf_add_char(out, ')');
    return ST_OK;
}

/* Has the octets streamed, behind what is written of the response. */
static void begin_octets(struct url_job *job, unsigned params)
{
    struct fetch_job *body = &job->body;
    job->item.label = !params ? SPAN_NONE : params & URL_PARAM_BINARY ? SPAN(" (BINARY") : SPAN(" (BODY");
    body->what = (struct fetch_args){.items = &job->item, .count = 1};
    body->octets = &job->octets;
    body->item = 0;
    body->left = 0;
    body->end = params ? ")\r\n" : "\r\n";
}

/* Where the section is. What cannot be decoded is NIL where BINARY was asked for (RFC 5524 §3.2). */
static enum status locate(struct url_job *job, const struct fetch_source *src, struct err *err)
{
    job->octets = fetch_locate_whole(src, &job->item);
    if (!job->octets.exists)
        return err_set(err, ST_NOTFOUND, "the message has no such part");
    enum status st = fetch_locate(src, &job->item, &job->octets, err);
    if (st == ST_UNSUPPORTED)
        job->octets = (struct fetch_octets){0};
    return st == ST_UNSUPPORTED ? ST_OK : st;
}

/* The response up to the octets that are streamed, or all of it. */
static enum status write_url(struct imap *im, struct url_job *job, const struct url_asked *asked, struct arena *a,
                             struct err *err)
{
    AUTO(txn) txn = NULL;
    struct strbuf *out = imap_out(im);
    struct fetch_source src = {.message = job->body.message, .arena = a};
    unsigned forms = fetch_forms_of(&job->item) | (asked->params & URL_PARAM_STRUCTURE ? CONTENT_BODY : 0);
    TRY(store_begin(job->target.account, TXN_READ, &txn, err));
    src.txn = txn;
    TRY(fetch_source_load(&src, forms, err));
    TRY(locate(job, &src, err));
    if (asked->params & URL_PARAM_STRUCTURE)
        TRY(write_structure(job, asked, &src, out, err));
    if (asked->params == URL_PARAM_STRUCTURE) {
        strbuf_add_cstr(out, "\r\n");
        job->body.message = NULL;
    } else if (job->item.fields_mode != FETCH_FIELDS_ALL) {
        strbuf_add_cstr(out, asked->params ? " (BODY " : " ");
        TRY(fetch_write_fields(&src, &job->item, out, err));
        strbuf_add_cstr(out, asked->params ? ")\r\n" : "\r\n");
        job->body.message = NULL;
    } else {
        begin_octets(job, asked->params);
    }
    return ST_OK;
}

static void next_url(struct imap *im, struct imap_call *call, struct url_job *job)
{
    const struct url_asked *asked = &job->asked[job->at++];
    AUTO_ARENA a = ARENA_INIT;
    struct strbuf *out = imap_out(im);
    struct err err;
    strbuf_add_cstr(out, "* URLFETCH ");
    imap_string_write(asked->text, out);
    size_t mark = out->len;
    enum status st = open_url(im, call, job, asked, &a, &err);
    if (st == ST_OK)
        st = write_url(im, job, asked, &a, &err);
    if (st != ST_OK) {
        strbuf_truncate(out, mark);
        strbuf_add_cstr(out, " NIL\r\n");
        job->body.message = NULL;
    }
    if (!job->body.message)
        close_url(job);
}

static enum status stream(struct imap *im, struct url_job *job, struct err *err)
{
    AUTO(txn) txn = NULL;
    TRY(store_begin(job->target.account, TXN_READ, &txn, err));
    return fetch_stream(&job->body, txn, imap_out(im), err);
}

static enum status produce(struct imap *im, struct imap_call *call, bool *is_done, struct err *err)
{
    struct url_job *job = call->work;
    *is_done = false;
    while (imap_out(im)->len < SESSION_OUT_HIGH) {
        if (job->body.message) {
            if (stream(im, job, err) != ST_OK) {
                fetch_hang_up(im, call, err);
                *is_done = true;
                return ST_OK;
            }
            if (!job->body.message)
                close_url(job);
        } else if (job->at < job->count) {
            next_url(im, call, job);
        } else {
            *is_done = true;
            return ST_OK;
        }
    }
    return ST_OK;
}

/* SP url-fetch-param. Each once, and not BINARY with BODY (RFC 5524 §3.1). */
static enum status read_param(struct imap_args *args, unsigned *params, struct err *err)
{
    unsigned param = 0;
    TRY(args_sp(args, err));
    if (args_take_word(args, "BODYPARTSTRUCTURE"))
        param = URL_PARAM_STRUCTURE;
    else if (args_take_word(args, "BINARY"))
        param = URL_PARAM_BINARY;
    else if (args_take_word(args, "BODY"))
        param = URL_PARAM_BODY;
    else
        return args_expected(args, "BODY, BINARY or BODYPARTSTRUCTURE", err);
    if (*params & param)
        return err_set(err, ST_SYNTAX, "every parameter is said once");
    *params |= param;
    if ((*params & URL_PARAM_BODY) && (*params & URL_PARAM_BINARY))
        return err_set(err, ST_SYNTAX, "BODY and BINARY are not asked for together");
    return ST_OK;
}

/* url-full; in the extended form "(" url-full *(SP url-fetch-param) ")" (RFC 5524 §5). */
static enum status read_asked(struct imap_call *call, struct url_asked *out, struct err *err)
{
    struct imap_args *args = &call->args;
    *out = (struct url_asked){0};
    TRY(args_sp(args, err));
    if (!args_next_is(args, '('))
        return args_astring(args, &out->text, err);
    TRY(args_list_open(args, err));
    TRY(args_astring(args, &out->text, err));
    while (!args_next_is(args, ')'))
        TRY(read_param(args, &out->params, err));
    return args_list_close(args, err);
}

enum status cmd_urlfetch(struct imap *im, struct imap_call *call, struct err *err)
{
    struct url_job *job = arena_alloc(&call->arena, sizeof *job);
    size_t cap = 0;
    (void)im;
    do {
        if (job->count == cap) {
            cap = cap ? cap * 2 : 4;
            struct url_asked *asked = arena_array(&call->arena, cap, sizeof *asked);
            if (job->count)
                memcpy(asked, job->asked, job->count * sizeof *asked);
            job->asked = asked;
        }
        TRY(read_asked(call, &job->asked[job->count++], err));
    } while (!args_at_end(&call->args));
    call->work = job;
    call->release = release;
    call->produce = produce;
    return ST_OK;
}
