/*
 * cmd_login.c - STARTTLS, AUTHENTICATE and LOGIN, which only `gate` runs. The vault judges the password; a good login
 * is answered by `mail`, to which the client is handed over with its tag still open.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "imap/commands.h"
#include "imap/internal.h"
#include "text/codec.h"
#include "base/banned.h"

/* One AUTHENTICATE between its lines. */
struct imap_login {
    struct sasl_exchange *exchange;
    uint8_t ticket[VAULT_TICKET_BYTES];
};

void imap_login_free(struct imap_login **lp)
{
    struct imap_login *login = *lp;
    *lp = NULL;
    if (!login)
        return;
    sasl_exchange_free(&login->exchange);
    mem_wipe(login, sizeof *login);
    free(login);
}

enum status cmd_starttls(struct imap *im, struct imap_call *call, struct err *err)
{
    TRY(args_end(&call->args, err));
    if (session_is_tls(im->session))
        return err_set(err, ST_STATE, "TLS is active already");
    if (!session_can_tls(im->session))
        return err_set(err, ST_STATE, "TLS is not available here");
    /* What was sent in the clear behind STARTTLS could be taken for something said under TLS. */
    if (session_input(im->session).len)
        return err_set(err, ST_STATE, "nothing may follow STARTTLS before the answer");
    call->text = "Begin TLS now";
    call->next = NEXT_STARTTLS;
    return ST_OK;
}

static void wipe(struct span secret) /* our own copy of it */
{
    if (secret.len)
        mem_wipe((char *)secret.p, secret.len);
}

/* ---- the end of a login --------------------------------------------------------------------------------------- */

static enum status hand_over(struct imap *im, struct imap_call *call, const uint8_t ticket[VAULT_TICKET_BYTES],
                             struct err *err)
{
    TRY(gate_hand_over(im->session, HANDOVER_IMAP, ticket, call->tag, err));
    call->is_answered = true;
    call->next = NEXT_CARRY;
    return ST_OK;
}

static enum status refuse(struct imap *im, struct imap_call *call, struct err *err)
{
    if (err->status == ST_UNSUPPORTED)
        return ST_UNSUPPORTED;
    call->no_code = "AUTHENTICATIONFAILED";
    if (!gate_login_failed(im->session, &im->failures, err))
        call->bye = "Too many failed logins";
    return err_set(err, ST_DENIED, "Wrong user name or password");
}

/* Mechanisms that show the password are for TLS only (RFC 3501 §6.2.3, §11.1). */
static enum status check_privacy(const struct imap *im, struct imap_call *call, struct err *err)
{
    if (gate_may_login(im->session))
        return ST_OK;
    call->no_code = "PRIVACYREQUIRED";
    return err_set(err, ST_DENIED, "Use TLS before you log in");
}

/* ---- AUTHENTICATE --------------------------------------------------------------------------------------------- */

/* The client's next line belongs to the exchange. */
static void challenge_client(struct imap *im, struct imap_call *call, const struct strbuf *challenge)
{
    struct strbuf *out = imap_out(im);
    strbuf_add_cstr(out, "+ ");
    base64_encode(strbuf_span(challenge), out);
    strbuf_add_cstr(out, "\r\n");
    im->tag = mem_cstr(call->tag.p, call->tag.len);
    im->mode = IMAP_MODE_RESPONSE;
    call->is_answered = true;
}

/* What the vault says to a step of the exchange. im->login stays only while it goes on. */
static enum status answer_step(struct imap *im, struct imap_call *call, enum sasl_result result,
                               const struct strbuf *challenge, struct err *err)
{
    struct imap_login *login = im->login;
    enum status st = ST_OK;
    switch (result) {
    case SASL_CONTINUE:
        challenge_client(im, call, challenge);
        return ST_OK;
    case SASL_DONE:
        st = hand_over(im, call, login->ticket, err);
        break;
    case SASL_FAILED:
        st = refuse(im, call, err);
        break;
    case SASL_UNAVAILABLE:
        session_pause(im->session, GATE_UNAVAILABLE_PAUSE_MS);
        st = err_set_operator(err, ST_TEMPORARY, "Logging in is not possible right now", "%s", err->operator_text);
        break;
    }
    imap_login_free(&im->login);
    return st;
}

static enum status start(struct imap *im, struct imap_call *call, struct span mechanism, struct span initial,
                         struct err *err)
{
    const struct gate_app *app = session_app(im->session);
    AUTO_STRBUF challenge = STRBUF_INIT;
    im->login = mem_alloc(sizeof *im->login);
    enum sasl_result r = gate_sasl_start(im->session, app->vault, mechanism, initial, &im->login->exchange, &challenge,
                                         im->login->ticket, err);
    return answer_step(im, call, r, &challenge, err);
}

/* RFC 4959: "=" is an initial response of no octets. */
static enum status read_initial(struct imap_args *args, struct strbuf *initial, bool *has, struct err *err)
{
    *has = !args_at_end(args);
    if (!*has)
        return ST_OK;
    TRY(args_sp(args, err));
    if (span_eq(args->rest, SPAN("=")))
        return ST_OK;
    if (!base64_decode_strict(args->rest, initial))
        return err_set(err, ST_SYNTAX, "the initial response is not base64");
    return ST_OK;
}

static enum status authenticate(struct imap *im, struct imap_call *call, struct strbuf *initial, struct err *err)
{
    struct span mechanism;
    bool has_initial;
    TRY(args_sp(&call->args, err));
    TRY(args_atom(&call->args, &mechanism, err));
    TRY(read_initial(&call->args, initial, &has_initial, err));
    TRY(check_privacy(im, call, err));
    struct span octets = has_initial ? span_of(initial->p ? initial->p : "", initial->len) : SPAN_NONE;
    return start(im, call, mechanism, octets, err);
}

enum status cmd_authenticate(struct imap *im, struct imap_call *call, struct err *err)
{
    AUTO_STRBUF initial = STRBUF_INIT;
    struct span typed = call->args.rest;
    enum status st = authenticate(im, call, &initial, err);
    wipe(strbuf_span(&initial));
    wipe(typed);
    return st;
}

static enum status next_step(struct imap *im, struct span line, struct strbuf *response, struct err *err)
{
    const struct gate_app *app = session_app(im->session);
    struct imap_call *call = im->call;
    struct imap_login *login = im->login;
    if (span_eq(line, SPAN("*"))) {
        imap_login_free(&im->login);
        return err_set(err, ST_SYNTAX, "AUTHENTICATE was cancelled"); /* RFC 3501 §6.2.2: BAD */
    }
    if (!base64_decode_strict(line, response)) {
        imap_login_free(&im->login);
        return err_set(err, ST_SYNTAX, "the response is not base64");
    }
    AUTO_STRBUF challenge = STRBUF_INIT;
    enum sasl_result r =
        vault_sasl_next(app->vault, &login->exchange, strbuf_span(response), &challenge, login->ticket, err);
    return answer_step(im, call, r, &challenge, err);
}

enum next imap_sasl_line(struct imap *im, struct span line)
{
    AUTO_STRBUF response = STRBUF_INIT;
    struct err err;
    imap_call_resume(im, span_cstr(im->tag), "AUTHENTICATE");
    free(im->tag);
    im->tag = NULL;
    enum status st = next_step(im, line, &response, &err);
    wipe(strbuf_span(&response));
    return imap_call_finish(im, st, &err);
}

/* ---- LOGIN ---------------------------------------------------------------------------------------------------- */

static enum status login(struct imap *im, struct imap_call *call, struct strbuf *plain, struct err *err)
{
    struct span user, password;
    TRY(args_sp(&call->args, err));
    TRY(args_astring(&call->args, &user, err));
    TRY(args_sp(&call->args, err));
    TRY(args_astring(&call->args, &password, err));
    TRY(args_end(&call->args, err));
    TRY(check_privacy(im, call, err));
    strbuf_reserve(plain, user.len + password.len + 2); /* so that growing leaves no copy */
    strbuf_add_char(plain, '\0');
    strbuf_add(plain, user);
    strbuf_add_char(plain, '\0');
    strbuf_add(plain, password);
    wipe(password);
    return start(im, call, SPAN("PLAIN"), strbuf_span(plain), err);
}

/* RFC 3501 §6.2.3, as SASL PLAIN (RFC 4616). */
enum status cmd_login(struct imap *im, struct imap_call *call, struct err *err)
{
    AUTO_STRBUF plain = STRBUF_INIT;
    struct span typed = call->args.rest;
    enum status st = login(im, call, &plain, err);
    wipe(strbuf_span(&plain));
    wipe(typed);
    return st;
}
