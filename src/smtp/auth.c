/*
 * auth.c - AUTH in the role gate (RFC 4954): the client's words to the vault, and after a good last one the client to
 * `mail`.
 */
#include "smtp/session.h"
#include "auth/handover.h"
#include "base/mem.h"
#include "text/codec.h"
#include "base/banned.h"

static enum next answer(struct smtp *sm, unsigned code, const char *enhanced, const char *text)
{
    sm->input = INPUT_COMMAND;
    if (sm->sasl)
        sasl_exchange_free(&sm->sasl);
    smtp_reply(sm, code, enhanced, "%s", text);
    return NEXT_AGAIN;
}

static enum next failed(struct smtp *sm, const struct err *err)
{
    if (err->status == ST_UNSUPPORTED)
        return answer(sm, 504, "5.5.4", "Mechanism not known");
    bool may_try_again = gate_login_failed(sm->session, &sm->auth_failures, err);
    answer(sm, 535, "5.7.8", "Wrong user name or password");
    if (may_try_again)
        return NEXT_AGAIN;
    smtp_reply(sm, 421, "4.7.0", "Too many failed logins, closing connection");
    return NEXT_CLOSE;
}

/* The client is logged in: `mail` answers 235 itself. */
static enum next hand_over(struct smtp *sm, const uint8_t ticket[VAULT_TICKET_BYTES])
{
    struct err err;
    sm->input = INPUT_COMMAND;
    if (gate_hand_over(sm->session, HANDOVER_SUBMISSION, ticket, span_cstr(sm->hello), &err) == ST_OK)
        return NEXT_CARRY;
    struct log_line l;
    smtp_log_begin(sm, &l, LOG_WARN, "handover");
    log_err(&l, &err);
    log_end(&l);
    return answer(sm, 454, "4.7.0", "Try again later");
}

static enum next proceed(struct smtp *sm, enum sasl_result result, struct strbuf *challenge,
                         const uint8_t ticket[VAULT_TICKET_BYTES], const struct err *err)
{
    switch (result) {
    case SASL_CONTINUE: {
        AUTO_STRBUF text = STRBUF_INIT;
        base64_encode(strbuf_span(challenge), &text);
        sm->input = INPUT_AUTH;
        smtp_reply(sm, 334, NULL, "%s", strbuf_cstr(&text));
        return NEXT_AGAIN;
    }
    case SASL_DONE:
        return hand_over(sm, ticket);
    case SASL_FAILED:
        return failed(sm, err);
    default:
        session_pause(sm->session, GATE_UNAVAILABLE_PAUSE_MS);
        return answer(sm, 454, "4.7.0", "Authentication is not possible now, try again later");
    }
}

/* "AUTH PLAIN", "AUTH PLAIN =", "AUTH PLAIN AGFsaWNl…" */
enum next smtp_auth_begin(struct smtp *sm, struct span args)
{
    const struct gate_app *app = session_app(sm->session);
    if (!gate_may_login(sm->session))
        return answer(sm, 538, "5.7.11", "Encryption required: STARTTLS first");
    struct span mechanism;
    bool has_initial = span_cut(&args, ' ', &mechanism);
    struct span text = span_trim(args);
    if (mechanism.len == 0)
        return answer(sm, 501, "5.5.4", "AUTH with which mechanism?");

    AUTO_STRBUF initial = STRBUF_INIT;
    bool is_empty = span_eq(text, SPAN("=")); /* RFC 4954 §4: an initial response of no octets */
    if (has_initial && !is_empty && !base64_decode_strict(text, &initial))
        return answer(sm, 501, "5.5.2", "Not base64");
    struct span response = has_initial ? span_of(strbuf_cstr(&initial), initial.len) : SPAN_NONE;

    AUTO_STRBUF challenge = STRBUF_INIT;
    uint8_t ticket[VAULT_TICKET_BYTES];
    struct err err = {.status = ST_DENIED};
    enum sasl_result r =
        gate_sasl_start(sm->session, app->vault, mechanism, response, &sm->sasl, &challenge, ticket, &err);
    if (initial.p)
        mem_wipe(initial.p, initial.len);
    return proceed(sm, r, &challenge, ticket, &err);
}

enum next smtp_auth_line(struct smtp *sm, struct span line)
{
    const struct gate_app *app = session_app(sm->session);
    if (span_eq(line, SPAN("*")))
        return answer(sm, 501, "5.7.0", "Authentication cancelled");
    AUTO_STRBUF response = STRBUF_INIT;
    if (!base64_decode_strict(line, &response))
        return answer(sm, 501, "5.5.2", "Not base64");

    AUTO_STRBUF challenge = STRBUF_INIT;
    uint8_t ticket[VAULT_TICKET_BYTES];
    struct err err = {.status = ST_DENIED};
    enum sasl_result r =
        vault_sasl_next(app->vault, &sm->sasl, span_of(strbuf_cstr(&response), response.len), &challenge, ticket, &err);
    if (response.p)
        mem_wipe(response.p, response.len);
    return proceed(sm, r, &challenge, ticket, &err);
}

/* ---- the door ----------------------------------------------------------------------------------------------- */

static const char *gate_hostname(const struct session *s)
{
    const struct gate_app *app = session_app(s);
    return app->hostname;
}

static uint64_t gate_size_max(const struct session *s)
{
    const struct gate_app *app = session_app(s);
    return app->message_size_max;
}

const struct smtp_mode smtp_mode_gate = {
    .name = "submission",
    .bit = MODE_GATE,
    .greeting = "ESMTP",
    .hostname = gate_hostname,
    .message_size_max = gate_size_max,
};

static enum next gate_start(struct session *s)
{
    return smtp_start(s, &smtp_mode_gate);
}

const struct protocol submission_gate_protocol = {
    .name = "submission",
    .start = gate_start,
    .input = smtp_input,
    .secured = smtp_secured,
    .goodbye = smtp_goodbye,
    .free = smtp_free,
};
