/*
 * data.c - a message on its way in (RFC 5321 §4.1.1.4), and the life of a transaction.
 *
 * The body comes in pieces as the client sends them. What cannot be accepted any more (too large, no memory) is read
 * to its end and dropped, because only then may we answer. After the end the message is judged by what every mode
 * refuses (RFC 5321 §2.3.8: a bare CR or LF; NUL; too many hops), and then given to the mode.
 */
#include "smtp/session.h"
#include <stdlib.h>
#include "smtp/filter.h"
#include "smtp/trace.h"
#include "base/banned.h"

void smtp_transaction_begin(struct smtp *sm, struct smtp_transaction *t)
{
    smtp_transaction_end(sm);
    sm->transaction = t;
}

void smtp_transaction_end(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    if (!t)
        return;
    filter_end(sm);
    if (sm->mode->end)
        sm->mode->end(sm);
    sm->transaction = NULL;
    if (sm->state != STATE_START)
        sm->state = STATE_READY;
    if (t->body)
        body_free(&t->body);
    arena_free(&t->arena);
    free(t);
}

void smtp_data_open(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    t->body = body_new(sm->mode->message_size_max(sm->session));
    t->decoder = (struct dotstuff)DOTSTUFF_INIT;
}

enum next smtp_data_begin(struct smtp *sm)
{
    smtp_data_open(sm);
    smtp_reply(sm, 354, NULL, "End with <CR><LF>.<CR><LF>");
    sm->input = INPUT_BODY;
    session_set_in_body(sm->session, true);
    return NEXT_AGAIN;
}

static bool is_dropping(const struct smtp_transaction *t)
{
    return t->is_too_large || t->is_broken || t->decoder.has_bare_cr || t->decoder.has_bare_lf || t->decoder.has_nul;
}

static void take(struct smtp *sm, struct span text)
{
    struct smtp_transaction *t = sm->transaction;
    struct err err;
    if (is_dropping(t)) {
        body_free(&t->body); /* whoever goes on sending does not keep memory */
        t->dropped += text.len;
        return;
    }
    if (body_append(t->body, text, &err) == ST_OK)
        return;
    if (err.status == ST_LIMIT) {
        t->is_too_large = true;
        return;
    }
    t->is_broken = true;
    struct log_line l;
    smtp_log_begin(sm, &l, LOG_ERROR, "body");
    log_err(&l, &err);
    log_end(&l);
}

void smtp_data_take_chunk(struct smtp *sm, struct span text)
{
    if (!sm->transaction->mail.is_binary)
        dotstuff_check(&sm->transaction->decoder, text);
    take(sm, text);
}

/* LMTP answers the message once for each recipient (RFC 2033 §4.2). */
static void refuse(struct smtp *sm, unsigned code, const char *enhanced, const char *why)
{
    bool is_whole = sm->state != STATE_CHUNKS || sm->chunk.is_last;
    size_t n = sm->mode->bit == MODE_LMTP && is_whole ? sm->transaction->count : 1;
    for (size_t i = 0; i < n; i++)
        smtp_reply(sm, code, enhanced, "%s", why);
    smtp_log_refused(sm, SPAN_NONE, code, why);
}

bool smtp_data_is_acceptable(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    if (t->decoder.has_bare_cr || t->decoder.has_bare_lf)
        refuse(sm, 550, "5.6.11", "Message has a bare CR or LF"); /* RFC 5321 §2.3.8 */
    else if (t->decoder.has_nul)
        refuse(sm, 550, "5.6.0", "Message has a NUL");
    else if (t->is_too_large)
        refuse(sm, 552, "5.3.4", "Message is too large"); /* RFC 1870 §6.3 */
    else if (smtp_wishes_is_over(t))
        refuse(sm, 554, "5.4.7", "The time by which it must be there is over");
    else if (t->is_broken)
        refuse(sm, 451, "4.3.0", "Internal error, try again later");
    else
        return true;
    return false;
}

void smtp_data_finish(struct smtp *sm)
{
    sm->input = INPUT_COMMAND;
    session_set_in_body(sm->session, false);
    dotstuff_check_end(&sm->transaction->decoder);
    if (smtp_data_is_acceptable(sm) && filter_message(sm))
        sm->mode->message(sm);
    smtp_transaction_end(sm);
}

enum next smtp_data_input(struct smtp *sm)
{
    struct smtp_transaction *t = sm->transaction;
    struct span in = session_input(sm->session);
    size_t had = in.len;
    while (in.len && !dotstuff_is_end(&t->decoder)) {
        struct span text;
        dotstuff_decode(&t->decoder, &in, &text);
        take(sm, text);
    }
    session_consume(sm->session, had - in.len);
    if (!dotstuff_is_end(&t->decoder)) {
        if (t->dropped <= SMTP_DROPPED_MAX)
            return NEXT_INPUT;
        smtp_reply(sm, 552, "5.3.4", "Message is far too large, closing connection");
        smtp_log_refused(sm, SPAN_NONE, 552, "a refused message does not end");
        return NEXT_CLOSE;
    }
    smtp_data_finish(sm);
    return NEXT_AGAIN;
}
