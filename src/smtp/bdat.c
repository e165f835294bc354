/*
 * bdat.c - BDAT: a message in chunks whose sizes are told (RFC 3030 §2).
 *
 * A chunk that cannot be taken is read to its end all the same, because the client may have sent what follows it
 * already; only then comes the answer. Where its size cannot be read nobody knows where the next command begins, so the
 * connection ends.
 */
#include "smtp/filter.h"
#include "smtp/session.h"
#include "base/banned.h"

static enum next chunk_end(struct smtp *sm)
{
    struct smtp_chunk *c = &sm->chunk;
    sm->input = INPUT_COMMAND;
    session_set_in_body(sm->session, false);
    if (c->why)
        smtp_reply(sm, c->refusal.code, c->refusal.enhanced, "%s", c->why);
    else if (c->is_first && !filter_data(sm)) /* what DATA is to filters; answered only now, behind the chunk */
        smtp_transaction_end(sm);
    else if (c->is_last)
        smtp_data_finish(sm);
    else if (smtp_data_is_acceptable(sm))
        smtp_reply(sm, 250, "2.0.0", "%llu octets received", (unsigned long long)c->size);
    else /* RFC 3030 §4.2: the transaction is over, further chunks are refused */
        smtp_transaction_end(sm);
    return NEXT_AGAIN;
}

static void refuse(struct smtp_chunk *c, unsigned code, const char *enhanced, const char *why)
{
    c->refusal = (struct smtp_code){code, enhanced};
    c->why = why;
}

static bool parse(struct span args, struct smtp_chunk *c)
{
    struct span size;
    bool has_more = span_cut(&args, ' ', &size);
    *c = (struct smtp_chunk){.is_last = has_more};
    return span_to_u64(size, SMTP_CHUNK_MAX, &c->size) && (!has_more || span_ieq(span_trim(args), SPAN("LAST")));
}

enum next smtp_bdat_begin(struct smtp *sm, struct span args)
{
    struct smtp_chunk *c = &sm->chunk;
    if (!parse(args, c)) {
        smtp_reply(sm, 501, "5.5.4", "BDAT takes a number of octets and maybe LAST; closing connection");
        return NEXT_CLOSE;
    }
    c->left = c->size;
    if (!(sm->state & (STATE_MAIL | STATE_RCPT | STATE_CHUNKS)))
        refuse(c, 503, "5.5.1", "MAIL first");
    else if (sm->state == STATE_MAIL)
        refuse(c, sm->mode->bit == MODE_LMTP ? 503 : 554, "5.5.1", "No valid recipients");
    c->is_first = !c->why && sm->state == STATE_RCPT;
    if (c->is_first)
        smtp_data_open(sm);
    if (!c->why)
        sm->state = STATE_CHUNKS;
    if (c->left == 0)
        return chunk_end(sm);
    sm->input = INPUT_CHUNK;
    session_set_in_body(sm->session, true);
    return NEXT_AGAIN;
}

enum next smtp_bdat_input(struct smtp *sm)
{
    struct smtp_chunk *c = &sm->chunk;
    struct span text = session_input(sm->session);
    if (text.len > c->left)
        text = span_take(text, (size_t)c->left);
    if (c->why)
        sm->chunk_dropped += text.len;
    else
        smtp_data_take_chunk(sm, text);
    c->left -= text.len;
    session_consume(sm->session, text.len);
    if (sm->chunk_dropped > SMTP_DROPPED_MAX || (!c->why && sm->transaction->dropped > SMTP_DROPPED_MAX)) {
        smtp_reply(sm, 552, "5.3.4", "Far too much of what was refused, closing connection");
        smtp_log_refused(sm, SPAN_NONE, 552, "refused chunks do not end");
        return NEXT_CLOSE;
    }
    return c->left ? NEXT_INPUT : chunk_end(sm);
}
