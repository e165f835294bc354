/*
 * input.c - the bytes of the client: which of them are a command, a message, an answer, or refused and thrown away.
 *
 * A command waits in session_input() until it is complete, literals and all; that is small (IMAP_COMMAND_MAX). A
 * synchronizing literal is invited by "+" only if it will fit, a non-synchronizing one that will not is thrown away as
 * it comes (RFC 7888 §4). APPEND's message is the exception: its octets go into a body as they come, and the command is
 * checked before the first of them.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "imap/internal.h"
#include "base/banned.h"

static void invite(struct imap *im)
{
    strbuf_add_cstr(imap_out(im), "+ Ready for the literal\r\n");
}

static void consume(struct imap *im, size_t n)
{
    session_consume(im->session, n);
    im->framing = (struct framing){0};
}

static void set_mode(struct imap *im, enum imap_mode mode)
{
    im->mode = mode;
    session_set_in_body(im->session, mode == IMAP_MODE_BODY || mode == IMAP_MODE_DISCARD);
}

/* ---- refusing ------------------------------------------------------------------------------------------------- */

static enum next finish_refused(struct imap *im)
{
    set_mode(im, IMAP_MODE_COMMAND);
    imap_append_free(&im->append);
    return imap_call_finish(im, im->call->status, &im->call->failure);
}

/* im->call has failed at a literal. A client that waits for "+" gets the tagged response in its place; one that does
 * not wait sends the octets and the rest of its command anyway. */
static enum next refuse_literal(struct imap *im, const struct framing_found *found, enum status st,
                                const struct err *err)
{
    im->call->status = st;
    if (err != &im->call->failure)
        im->call->failure = *err;
    if (found->is_synchronizing)
        return finish_refused(im);
    if (found->size > IMAP_DISCARD_MAX || im->state == IMAP_NOT_AUTHENTICATED) {
        im->call->bye = "[TOOBIG] The literal is too large";
        return finish_refused(im);
    }
    im->literal_left = found->size;
    set_mode(im, IMAP_MODE_DISCARD);
    return NEXT_AGAIN;
}

static struct span text_before(struct span input, const struct framing_found *literal)
{
    return span_take(input, literal->brace - literal->is_binary);
}

static enum next receive_message(struct imap *im, const struct framing_found *found)
{
    if (found->is_synchronizing)
        invite(im);
    im->literal_left = found->size;
    set_mode(im, IMAP_MODE_BODY);
    return NEXT_AGAIN;
}

/* Behind a message: the end of the command, or another one. */
static enum next read_behind_message(struct imap *im)
{
    struct framing_found found;
    struct imap_call *call = im->call;
    struct span input = session_input(im->session);
    enum framing_result r = framing_step(&im->framing, input, &found);
    if (r == FRAMING_MORE)
        return NEXT_INPUT;
    bool is_end = r == FRAMING_COMMAND;
    struct span text = is_end ? span_take(input, found.length - 2) : text_before(input, &found);
    call->status = imap_append_more(im, call, text, is_end ? NULL : &found, &call->failure);
    consume(im, is_end ? found.length : found.octets);
    if (call->status != ST_OK)
        return is_end ? finish_refused(im) : refuse_literal(im, &found, call->status, &call->failure);
    if (!is_end)
        return receive_message(im, &found);
    set_mode(im, IMAP_MODE_COMMAND);
    enum status st = imap_append_finish(im, call, &call->failure);
    imap_append_free(&im->append);
    return imap_call_finish(im, st, &call->failure);
}

/* Behind a literal that was thrown away: the rest of the command. */
static enum next read_tail(struct imap *im)
{
    struct framing_found found;
    enum framing_result r = framing_step(&im->framing, session_input(im->session), &found);
    if (r == FRAMING_MORE)
        return NEXT_INPUT;
    consume(im, r == FRAMING_COMMAND ? found.length : found.octets);
    return r == FRAMING_LITERAL ? refuse_literal(im, &found, im->call->status, &im->call->failure) : finish_refused(im);
}

static enum next read_discarded(struct imap *im)
{
    if (!im->literal_left)
        return read_tail(im);
    size_t n = session_input(im->session).len;
    if (n > im->literal_left)
        n = (size_t)im->literal_left;
    consume(im, n);
    im->literal_left -= n;
    return NEXT_AGAIN;
}

/* ---- APPEND's message ----------------------------------------------------------------------------------------- */

static enum next read_body(struct imap *im)
{
    if (!im->literal_left)
        return read_behind_message(im);
    struct imap_call *call = im->call;
    struct span octets = session_input(im->session);
    if (octets.len > im->literal_left)
        octets = span_take(octets, (size_t)im->literal_left);
    call->status = imap_append_octets(im, octets, &call->failure);
    if (call->status != ST_OK)
        set_mode(im, IMAP_MODE_DISCARD);
    im->literal_left -= octets.len;
    consume(im, octets.len);
    return NEXT_AGAIN;
}

/* Only the first bytes are looked at, so that many literals cost no more than few. */
static bool is_message_literal(const struct imap *im, struct span input, const struct framing_found *found)
{
    struct err err;
    struct span tag, name;
    struct imap_args args;
    args_init(&args, NULL,
              span_take(input, found->brace < HANDOVER_TAG_MAX + 16 ? found->brace : HANDOVER_TAG_MAX + 16));
    if (args_tag(&args, &tag, &err) != ST_OK || args_sp(&args, &err) != ST_OK || args_atom(&args, &name, &err) != ST_OK)
        return false;
    const struct imap_command *c = imap_command_find(name);
    size_t behind_name = (size_t)(name.p + name.len - input.p);
    return c && (c->flags & IMAP_HAS_BODY) && (c->states & im->state) && found->brace > behind_name + 1;
}

static enum next begin_message(struct imap *im, struct span input, const struct framing_found *found)
{
    struct err err;
    enum status st = imap_call_begin(im, text_before(input, found), &err);
    consume(im, found->octets);
    if (st == ST_OK) {
        imap_append_announce(im, found);
        st = imap_call_prepare(im, &err);
    }
    return st == ST_OK ? receive_message(im, found) : refuse_literal(im, found, st, &err);
}

/* ---- commands and lines --------------------------------------------------------------------------------------- */

static enum next run_command(struct imap *im, struct span input, size_t length)
{
    struct err err;
    enum status st = imap_call_begin(im, span_take(input, length - 2), &err);
    consume(im, length);
    return st == ST_OK ? imap_call_run(im) : imap_call_finish(im, st, &err);
}

static enum next refuse_large(struct imap *im, struct span input, const struct framing_found *found)
{
    struct err err;
    if (imap_call_begin(im, span_take(input, found->brace), &err) == ST_OK)
        im->call->no_code = "TOOBIG";
    consume(im, found->octets);
    return refuse_literal(im, found, err_set(&err, ST_LIMIT, "the literal is too large"), &err);
}

static bool is_too_large(const struct imap *im, const struct framing_found *found)
{
    size_t max = im->state == IMAP_NOT_AUTHENTICATED ? IMAP_LOGIN_COMMAND_MAX : IMAP_COMMAND_MAX;
    return found->size > max || found->octets + 2 > max - found->size;
}

static enum next read_command(struct imap *im)
{
    struct span input = session_input(im->session);
    for (;;) {
        struct framing_found found;
        switch (framing_step(&im->framing, input, &found)) {
        case FRAMING_MORE:
            return NEXT_INPUT;
        case FRAMING_COMMAND:
            return run_command(im, input, found.length);
        case FRAMING_LITERAL:
            if (is_message_literal(im, input, &found))
                return begin_message(im, input, &found);
            if (is_too_large(im, &found))
                return refuse_large(im, input, &found);
            framing_accept(&im->framing, &found);
            if (found.is_synchronizing)
                invite(im);
        }
    }
}

/* A line that is no command: DONE, or an answer to AUTHENTICATE. It may hold a password, so no copy of it stays. */
static enum next read_line(struct imap *im)
{
    struct framing_found found;
    struct span input = session_input(im->session);
    enum framing_result r = framing_step(&im->framing, input, &found);
    if (r == FRAMING_MORE)
        return NEXT_INPUT;
    size_t length = r == FRAMING_COMMAND ? found.length : found.octets;
    char *line = mem_copy(input.p, length - 2);
    consume(im, length);
    enum imap_mode mode = im->mode;
    im->mode = IMAP_MODE_COMMAND;
    enum next next = mode == IMAP_MODE_IDLE ? imap_idle_line(im, span_of(line, length - 2))
                                            : imap_sasl_line(im, span_of(line, length - 2));
    mem_wipe(line, length - 2);
    free(line);
    return next;
}

enum next imap_input(struct session *s)
{
    struct imap *im = session_state(s);
    switch (im->mode) {
    case IMAP_MODE_COMMAND:
        return read_command(im);
    case IMAP_MODE_RESPONSE:
    case IMAP_MODE_IDLE:
        return read_line(im);
    case IMAP_MODE_BODY:
        return read_body(im);
    case IMAP_MODE_DISCARD:
        break;
    }
    return read_discarded(im);
}
