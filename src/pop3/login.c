/*
 * login.c - POP3's AUTHORIZATION state, in the role gate: STLS, USER and PASS, AUTH. A good login is handed over to `mail`, which
 * answers it.
 */
#include "pop3/session.h"
#include <stdlib.h>
#include "base/mem.h"
#include "text/codec.h"
#include "base/banned.h"

enum status pop3_stls(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    struct session *s = p->session;
    if (argument.len)
        return err_set(err, ST_SYNTAX, "STLS takes no argument");
    if (session_is_tls(s))
        return err_set(err, ST_STATE, "TLS is active already");
    if (!session_can_tls(s))
        return err_set(err, ST_UNSUPPORTED, "TLS is not available");
    if (session_input(s).len) { /* somebody in the middle put words in the client's mouth (RFC 2595 §4) */
        session_consume(s, session_input(s).len);
        *next = NEXT_CLOSE;
        return err_set(err, ST_SYNTAX, "nothing may follow STLS before the handshake");
    }
    pop3_ok(p, "begin TLS");
    *next = NEXT_STARTTLS;
    return ST_OK;
}

static enum status may_login(struct pop3 *p, struct err *err)
{
    if (!gate_may_login(p->session))
        return err_set(err, ST_STATE, "use STLS first");
    return ST_OK;
}

enum status pop3_user(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    (void)next;
    TRY(may_login(p, err));
    if (argument.len == 0 || argument.len > POP3_USER_MAX)
        return err_set(err, ST_SYNTAX, "USER takes a name");
    free(p->user);
    p->user = mem_cstr(argument.p, argument.len);
    pop3_ok(p, "send PASS");
    return ST_OK;
}

/* What a step of the exchange led to: the next challenge, the hand-over, or a refusal. */
static enum status after_step(struct pop3 *p, enum sasl_result result, const struct strbuf *challenge,
                              const uint8_t ticket[VAULT_TICKET_BYTES], enum next *next, struct err *err)
{
    switch (result) {
    case SASL_CONTINUE: {
        struct strbuf *out = session_output(p->session);
        strbuf_add_cstr(out, "+ ");
        base64_encode(strbuf_span(challenge), out);
        strbuf_add_cstr(out, "\r\n");
        return ST_OK;
    }
    case SASL_DONE:
        TRY(gate_hand_over(p->session, HANDOVER_POP3, ticket, SPAN_NONE, err));
        *next = NEXT_CARRY;
        return ST_OK;
    case SASL_FAILED:
        if (err->status == ST_UNSUPPORTED)
            return ST_UNSUPPORTED;
        if (!gate_login_failed(p->session, &p->login_failures, err))
            *next = NEXT_CLOSE;
        return err_set(err, ST_DENIED, "wrong user name or password");
    case SASL_UNAVAILABLE:
        session_pause(p->session, GATE_UNAVAILABLE_PAUSE_MS);
        return err_set(err, ST_TEMPORARY, "login is not available, try again later");
    }
    return err_set(err, ST_BUG, "internal error");
}

/* USER and PASS are a PLAIN exchange in one step (RFC 4616 §2). A password may hold spaces: it is all that follows "PASS ". */
enum status pop3_pass(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    TRY(may_login(p, err));
    if (!p->user)
        return err_set(err, ST_STATE, "send USER first");

    AUTO_STRBUF plain = STRBUF_INIT;
    AUTO_STRBUF challenge = STRBUF_INIT;
    uint8_t ticket[VAULT_TICKET_BYTES];
    strbuf_reserve(&plain, POP3_USER_MAX + POP3_LINE_MAX); /* one piece, so that wiping it wipes all */
    strbuf_add_char(&plain, '\0');
    strbuf_add_cstr(&plain, p->user);
    strbuf_add_char(&plain, '\0');
    strbuf_add(&plain, argument);
    free(p->user);
    p->user = NULL;

    struct gate_app *app = session_app(p->session);
    enum sasl_result result = gate_sasl_start(p->session, app->vault, SPAN("PLAIN"), strbuf_span(&plain), &p->exchange,
                                              &challenge, ticket, err);
    mem_wipe(plain.p, plain.len);
    return after_step(p, result, &challenge, ticket, next, err);
}

enum status pop3_auth(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    struct gate_app *app = session_app(p->session);
    struct span mechanism, initial = argument;
    TRY(may_login(p, err));
    bool has_initial = span_cut(&initial, ' ', &mechanism);
    if (mechanism.len == 0) { /* the old way of asking what there is */
        strbuf_add_cstr(session_output(p->session), "+OK mechanisms follow");
        gate_write_mechanisms(p->session, "\r\n", session_output(p->session));
        strbuf_add_cstr(session_output(p->session), "\r\n.\r\n");
        return ST_OK;
    }
    AUTO_STRBUF decoded = STRBUF_INIT;
    strbuf_reserve(&decoded, POP3_SASL_LINE_MAX);
    /* RFC 5034 §4: "=" is an initial response of no bytes. */
    if (has_initial && !span_eq(initial, SPAN("=")) && !base64_decode_strict(initial, &decoded))
        return err_set(err, ST_SYNTAX, "not base64");

    AUTO_STRBUF challenge = STRBUF_INIT;
    uint8_t ticket[VAULT_TICKET_BYTES];
    enum sasl_result result =
        gate_sasl_start(p->session, app->vault, mechanism, has_initial ? span_of(decoded.p, decoded.len) : SPAN_NONE,
                        &p->exchange, &challenge, ticket, err);
    mem_wipe(decoded.p, decoded.len);
    return after_step(p, result, &challenge, ticket, next, err);
}

enum status pop3_auth_line(struct pop3 *p, struct span line, enum next *next, struct err *err)
{
    struct gate_app *app = session_app(p->session);
    if (span_eq(line, SPAN("*"))) { /* RFC 5034 §4: the client cancels */
        sasl_exchange_free(&p->exchange);
        return err_set(err, ST_SYNTAX, "authentication cancelled");
    }
    AUTO_STRBUF decoded = STRBUF_INIT;
    strbuf_reserve(&decoded, POP3_SASL_LINE_MAX);
    if (!base64_decode_strict(line, &decoded)) {
        sasl_exchange_free(&p->exchange);
        return err_set(err, ST_SYNTAX, "not base64");
    }
    AUTO_STRBUF challenge = STRBUF_INIT;
    uint8_t ticket[VAULT_TICKET_BYTES];
    enum sasl_result result =
        vault_sasl_next(app->vault, &p->exchange, strbuf_span(&decoded), &challenge, ticket, err);
    mem_wipe(decoded.p, decoded.len);
    return after_step(p, result, &challenge, ticket, next, err);
}
