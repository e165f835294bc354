/*
 * session.c - SMTP's lines: finding them in the unread bytes, handing them to the command table, and writing replies.
 *
 * A line ends with CRLF and with nothing else. A client that ends one with a bare LF is told so and let go: what two
 * servers cut differently is how commands are smuggled.
 */
#include "smtp/session.h"
#include <stdlib.h>
#include "auth/vault_client.h"
#include "base/mem.h"
#include "smtp/filter.h"
#include "base/banned.h"

/* ---- replies ------------------------------------------------------------------------------------------------ */

void smtp_reply(struct smtp *sm, unsigned code, const char *enhanced, const char *fmt, ...)
{
    AUTO_STRBUF text = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&text, fmt, ap);
    va_end(ap);

    struct strbuf *out = session_output(sm->session);
    struct span rest = strbuf_span(&text), line;
    for (bool is_last = false; !is_last;) {
        is_last = !span_cut(&rest, '\n', &line);
        strbuf_add_u64(out, code);
        strbuf_add_char(out, is_last ? ' ' : '-');
        if (enhanced) { /* RFC 2034 §4 */
            strbuf_add_cstr(out, enhanced);
            strbuf_add_char(out, ' ');
        }
        strbuf_add(out, line);
        strbuf_add(out, SPAN("\r\n"));
    }
    if (code >= 500 && code < 550)
        sm->errors++;
}

struct smtp_code smtp_code_of(enum status st)
{
    static const struct smtp_code codes[ST_COUNT] = {
        [ST_OK] = {250, "2.0.0"},          [ST_SYNTAX] = {501, "5.5.4"},   [ST_STATE] = {503, "5.5.1"},
        [ST_DENIED] = {550, "5.7.1"},      [ST_NOTFOUND] = {550, "5.1.1"}, [ST_EXISTS] = {554, "5.5.0"},
        [ST_LIMIT] = {552, "5.3.4"},       [ST_QUOTA] = {552, "5.2.2"},    [ST_TEMPORARY] = {451, "4.3.2"},
        [ST_UNSUPPORTED] = {554, "5.6.0"}, [ST_CLOSED] = {451, "4.3.0"},   [ST_IO] = {451, "4.3.0"},
        [ST_BUG] = {451, "4.3.5"},
    };
    return codes[(unsigned)st < ST_COUNT ? st : ST_BUG];
}

void smtp_reply_err(struct smtp *sm, const struct err *err)
{
    struct smtp_code c = smtp_code_of(err->status);
    smtp_reply(sm, c.code, c.enhanced, "%s", err->client);
}

/* ---- logging ------------------------------------------------------------------------------------------------ */

void smtp_log_begin(const struct smtp *sm, struct log_line *l, enum log_level level, const char *event)
{
    session_log_begin(sm->session, l, level, event);
    if (sm->transaction)
        log_str(l, "trace", sm->transaction->trace);
    log_str(l, "account", sm->account);
    log_str(l, "user", sm->user);
}

void smtp_log_client(const struct smtp *sm, struct log_line *l)
{
    const struct peer *peer = session_peer(sm->session);
    if (smtp_is_internal(sm))
        return;
    log_str(l, "helo", sm->hello);
    log_str(l, "tls", peer->tls_version[0] ? peer->tls_version : NULL);
    log_str(l, "cipher", peer->tls_cipher[0] ? peer->tls_cipher : NULL);
}

/* As many as fit well into a line; recipients= says how many there are. */
static void log_recipients(const struct smtp *sm, struct log_line *l)
{
    char text[SMTP_LOGGED_RECIPIENTS_MAX];
    size_t n = 0;
    const struct smtp_transaction *t = sm->transaction;
    for (size_t i = 0; t && i < t->count; i++) {
        struct span one = t->recipients[i].text;
        if (n + 1 + one.len > sizeof text)
            break;
        if (n)
            text[n++] = ',';
        memcpy(text + n, one.p, one.len);
        n += one.len;
    }
    log_span(l, "to", span_of(text, n));
}

void smtp_log_refused(const struct smtp *sm, struct span who, unsigned code, const char *why)
{
    struct log_line l;
    smtp_log_begin(sm, &l, LOG_INFO, "refused");
    if (sm->transaction)
        log_span(&l, "from", sm->transaction->from);
    log_span(&l, "to", who);
    if (!who.len)
        log_recipients(sm, &l);
    log_u64(&l, "code", code);
    log_str(&l, "reason", why);
    smtp_log_client(sm, &l);
    log_end(&l);
}

void smtp_log_accepted(const struct smtp *sm, struct span header_from, struct span message_id)
{
    struct smtp_transaction *t = sm->transaction;
    struct log_line l;
    smtp_log_begin(sm, &l, LOG_INFO, "accepted");
    log_span(&l, "from", t->from);
    log_span(&l, "header_from", header_from);
    log_u64(&l, "recipients", t->count);
    log_u64(&l, "size", body_size(t->body));
    if (t->mail.priority) /* RFC 6710 §4.1 */
        log_i64(&l, "priority", t->mail.priority);
    smtp_log_client(sm, &l);
    log_span(&l, "message_id", span_take(message_id, SMTP_LOGGED_ID_MAX));
    log_recipients(sm, &l);
    log_end(&l);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

bool smtp_is_internal(const struct smtp *sm)
{
    return session_is_from_role(sm->session) && (sm->mode->bit & (MODE_LMTP | MODE_QUEUE));
}

void smtp_set_hello(struct smtp *sm, struct span name, bool is_extended)
{
    free(sm->hello);
    sm->hello = mem_cstr(name.p, name.len);
    sm->is_extended = is_extended;
    sm->state = STATE_READY;
}

struct smtp *smtp_new(struct session *s, const struct smtp_mode *mode)
{
    struct smtp *sm = mem_alloc(sizeof *sm);
    sm->session = s;
    sm->mode = mode;
    sm->state = STATE_START;
    session_set_state(s, sm);
    session_set_timeouts(s, smtp_is_internal(sm) ? SMTP_INTERNAL_IDLE_MS : SMTP_IDLE_MS, SMTP_COMMAND_MS);
    session_set_input_max(s, SMTP_INPUT_MAX);
    return sm;
}

enum next smtp_greet(struct smtp *sm)
{
    smtp_reply(sm, 220, NULL, "%s %s Tassis", sm->mode->hostname(sm->session), sm->mode->greeting);
    struct log_line l;
    smtp_log_begin(sm, &l, LOG_DEBUG, "connect");
    log_end(&l);
    return NEXT_INPUT;
}

enum next smtp_start(struct session *s, const struct smtp_mode *mode)
{
    return smtp_greet(smtp_new(s, mode));
}

void smtp_free(struct session *s)
{
    struct smtp *sm = session_state(s);
    if (!sm)
        return;
    smtp_transaction_end(sm);
    if (sm->sasl)
        sasl_exchange_free(&sm->sasl);
    filter_close(sm);
    free(sm->hello);
    free(sm->account);
    free(sm->user);
    free(sm);
    session_set_state(s, NULL);
}

void smtp_begin_anew(struct smtp *sm)
{
    smtp_transaction_end(sm);
    free(sm->hello);
    sm->hello = NULL;
    sm->is_extended = false;
    sm->state = STATE_START;
}

/* RFC 3207 §4.2: nothing that was learnt in plain text is kept. */
enum next smtp_secured(struct session *s)
{
    smtp_begin_anew(session_state(s));
    return NEXT_INPUT;
}

void smtp_goodbye(struct session *s, enum bye why)
{
    static const char *const words[] = {
        [BYE_TIMEOUT] = "421 4.4.2 Timeout, closing connection\r\n",
        [BYE_SHUTDOWN] = "421 4.3.2 Service is shutting down, try again\r\n",
        [BYE_LIMIT] = "421 4.7.0 Too many connections, try again later\r\n",
        [BYE_INPUT_TOO_LONG] = "500 5.5.2 Line too long, closing connection\r\n",
    };
    strbuf_add_cstr(session_output(s), words[why]);
}

/* ---- lines -------------------------------------------------------------------------------------------------- */

static size_t line_max(const struct smtp *sm)
{
    return sm->mode->bit & (MODE_GATE | MODE_SUBMISSION) ? SMTP_AUTH_LINE_MAX : SMTP_LINE_MAX;
}

/* An AUTH that it was part of is over, too (RFC 4954 §4). */
static void line_too_long(struct smtp *sm)
{
    smtp_reply(sm, 500, "5.5.2", "Line too long");
    if (sm->sasl)
        sasl_exchange_free(&sm->sasl);
    sm->input = INPUT_COMMAND;
}

/* What has no line end yet. */
static enum next partial_line(struct smtp *sm, struct span in)
{
    if (in.len <= line_max(sm))
        return NEXT_INPUT;
    if (sm->input != INPUT_SKIP_LINE)
        line_too_long(sm);
    sm->input = INPUT_SKIP_LINE;
    session_consume(sm->session, in.len);
    return NEXT_INPUT;
}

/* A line is copied out of the input before it is acted upon: STARTTLS and the hand-over look at what is unread behind
 * it. */
static enum next whole_line(struct smtp *sm, struct span line, size_t with_end)
{
    AUTO_STRBUF copy = STRBUF_INIT;
    strbuf_add(&copy, line);
    session_consume(sm->session, with_end);
    struct span own = strbuf_span(&copy);
    enum next next = sm->input == INPUT_AUTH ? smtp_auth_line(sm, own) : smtp_command_run(sm, own);
    if (sm->mode->bit == MODE_GATE && copy.p)
        mem_wipe(copy.p, copy.len); /* it may hold a password */
    return next;
}

static enum next line_input(struct smtp *sm)
{
    struct span in = session_input(sm->session);
    size_t lf = span_find_byte(in, '\n', 0);
    if (lf == SPAN_NPOS)
        return partial_line(sm, in);
    if (sm->input == INPUT_SKIP_LINE) {
        sm->input = INPUT_COMMAND;
        session_consume(sm->session, lf + 1);
        return NEXT_AGAIN;
    }
    if (lf == 0 || in.p[lf - 1] != '\r') {
        smtp_reply(sm, 521, "5.5.2", "A line ends with CR LF, not with LF; closing connection");
        smtp_log_refused(sm, SPAN_NONE, 521, "bare LF in a command");
        return NEXT_CLOSE;
    }
    if (lf + 1 > line_max(sm)) {
        line_too_long(sm);
        session_consume(sm->session, lf + 1);
        return NEXT_AGAIN;
    }
    return whole_line(sm, span_take(in, lf - 1), lf + 1);
}

/* Who only makes errors is slowed down, then let go. */
static enum next after(struct smtp *sm, unsigned errors_before, enum next next)
{
    if (sm->is_closing)
        return NEXT_CLOSE;
    if (sm->errors == errors_before || next == NEXT_CLOSE)
        return next;
    if (sm->errors >= SMTP_ERRORS_MAX) {
        smtp_reply(sm, 421, "4.7.0", "Too many errors, closing connection");
        smtp_log_refused(sm, SPAN_NONE, 421, "too many errors");
        return NEXT_CLOSE;
    }
    if (sm->errors > SMTP_ERRORS_BEFORE_PAUSE)
        session_pause(sm->session, SMTP_PAUSE_MS);
    return next;
}

enum next smtp_input(struct session *s)
{
    struct smtp *sm = session_state(s);
    unsigned errors = sm->errors;
    enum next next = sm->input == INPUT_BODY    ? smtp_data_input(sm)
                     : sm->input == INPUT_CHUNK ? smtp_bdat_input(sm)
                                                : line_input(sm);
    if (next == NEXT_CARRY || session_state(s) != sm)
        return next;
    return after(sm, errors, next);
}
