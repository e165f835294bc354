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
#include "imap/commands.h"
#include "imap/internal.h"
#include "imap/metadata.h"
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

/* Behind a literal that was thrown away: the rest of the command. */
static enum next read_tail(struct imap *im)
{
    struct framing_found found;
    enum framing_result r = framing_step(&im->framing, session_input(im->session), &found);
    if (r == FRAMING_MORE)
        return NEXT_INPUT;
    consume(im, r == FRAMING_COMMAND ? found.length : found.octets);
    if (r == FRAMING_LITERAL)
        return refuse_literal(im, &found, im->call->status, &im->call->failure);
    return finish_refused(im);
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

/* ---- APPEND's messages ---------------------------------------------------------------------------------------- */

/* "4 " of "REPLACE 4 {6}": it is the mailbox that follows. */
static bool is_number_alone(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!ascii_is_digit(s.p[i]) && s.p[i] != ' ' && s.p[i] != '*')
            return false;
    return true;
}

/* Only the first bytes are looked at, so that many literals cost no more than few. */
static bool is_message_literal(const struct imap *im, struct span input, const struct framing_found *found)
{
    struct err err;
    struct span tag, name;
    struct imap_args args;
    size_t most = HANDOVER_TAG_MAX + 32; /* octets up to the end of the name */
    args_init(&args, NULL, span_take(input, found->brace < most ? found->brace : most));
    if (args_tag(&args, &tag, &err) != ST_OK || args_sp(&args, &err) != ST_OK ||
        imap_command_name(&args, &name, &err) != ST_OK)
        return false;
    const struct imap_command *c = imap_command_find(name);
    size_t behind_name = (size_t)(name.p + name.len - input.p);
    if (!c || !(c->flags & IMAP_HAS_BODY) || !(c->states & im->state) || found->brace <= behind_name + 1)
        return false;
    bool has_number = c->states == IMAP_SELECTED; /* REPLACE */
    return !has_number || !is_number_alone(span_slice(input, behind_name, found->brace));
}

/* im->call has read what stands before the literal, and this came of it. */
static enum next begin_octets(struct imap *im, const struct framing_found *found, enum status st, const struct err *err)
{
    if (st != ST_OK)
        return refuse_literal(im, found, st, err);
    if (found->is_synchronizing)
        invite(im);
    set_mode(im, IMAP_MODE_BODY);
    return NEXT_AGAIN;
}

static enum next begin_message(struct imap *im, struct span input, const struct framing_found *found)
{
    struct err err;
    enum status st = imap_call_begin(im, span_take(input, found->brace), &err);
    consume(im, found->octets);
    im->literal_left = found->size;
    im->is_binary_next = found->is_binary;
    im->is_message_next = true;
    if (st == ST_OK)
        st = imap_call_prepare(im, &err);
    im->is_message_next = false;
    return begin_octets(im, found, st, &err);
}

/* Whether the next command is an APPEND of one message, and all of it is in the buffer. */
static bool is_append_next(const struct imap *im)
{
    struct framing framing = {0};
    struct framing_found found;
    struct span input = session_input(im->session);
    if (framing_step(&framing, input, &found) != FRAMING_LITERAL || found.is_synchronizing ||
        !is_message_literal(im, input, &found) || found.size > input.len)
        return false;
    return span_starts(span_skip(input, found.octets + (size_t)found.size), SPAN("\r\n"));
}

static enum next finish_message(struct imap *im)
{
    struct imap_call *call = im->call;
    set_mode(im, IMAP_MODE_COMMAND);
    enum status st = imap_append_finish(im, call, is_append_next(im), &call->failure);
    imap_append_free(&im->append);
    if (!im->call && im->waiting)
        return NEXT_AGAIN;
    if (!im->call)
        imap_call_resume(im, SPAN_NONE, NULL); /* answered with the others of its run; there may be news */
    return imap_call_finish(im, st, &im->call->failure);
}

/* Behind a message: the next one, or the command's end. */
static enum next read_between(struct imap *im)
{
    struct framing_found found;
    struct imap_call *call = im->call;
    struct span input = session_input(im->session);
    enum framing_result r = framing_step(&im->framing, input, &found);
    if (r == FRAMING_MORE)
        return NEXT_INPUT;
    bool is_literal = r == FRAMING_LITERAL;
    struct span text = arena_copy(&call->arena, span_take(input, is_literal ? found.brace : found.length - 2));
    consume(im, is_literal ? found.octets : found.length);
    im->literal_left = found.size;
    im->is_binary_next = found.is_binary;
    call->status = imap_append_read(im, call, text, is_literal, &call->failure);
    if (is_literal)
        return begin_octets(im, &found, call->status, &call->failure);
    return call->status == ST_OK ? finish_message(im) : finish_refused(im);
}

static enum next read_body(struct imap *im)
{
    if (!im->literal_left)
        return read_between(im);
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
        im->call->no_code = im->call->command->run == cmd_setmetadata ? imap_metadata_maxsize : "TOOBIG";
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
