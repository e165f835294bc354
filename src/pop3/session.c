/*
 * session.c - POP3's command table and the loop that reads lines and runs them. What a command may do when is in the table;
 * the functions are in login.c (role gate) and maildrop.c (role mail).
 */
#include "pop3/session.h"
#include <stdarg.h>
#include <stdlib.h>
#include "base/mem.h"
#include "pop3/pop3.h"
#include "store/mail_app.h"
#include "base/banned.h"

static enum status cmd_capa(struct pop3 *p, struct span argument, enum next *next, struct err *err);
static enum status cmd_noop(struct pop3 *p, struct span argument, enum next *next, struct err *err);
static enum status cmd_quit(struct pop3 *p, struct span argument, enum next *next, struct err *err);

static const struct pop3_command commands[] = {
    /* name    states              RFC          function */
    {"CAPA", POP3_ANY,           "2449 §5",   cmd_capa},
    {"STLS", POP3_AUTHORIZATION, "2595 §4",   pop3_stls},
    {"USER", POP3_AUTHORIZATION, "1939 §7",   pop3_user},
    {"PASS", POP3_AUTHORIZATION, "1939 §7",   pop3_pass},
    {"AUTH", POP3_AUTHORIZATION, "5034 §4",   pop3_auth},
    {"STAT", POP3_TRANSACTION,   "1939 §5",   pop3_stat},
    {"LIST", POP3_TRANSACTION,   "1939 §5",   pop3_list},
    {"RETR", POP3_TRANSACTION,   "1939 §5",   pop3_retr},
    {"DELE", POP3_TRANSACTION,   "1939 §5",   pop3_dele},
    {"NOOP", POP3_TRANSACTION,   "1939 §5",   cmd_noop},
    {"RSET", POP3_TRANSACTION,   "1939 §5",   pop3_rset},
    {"TOP",  POP3_TRANSACTION,   "1939 §7",   pop3_top},
    {"UIDL", POP3_TRANSACTION,   "1939 §7",   pop3_uidl},
    {"QUIT", POP3_ANY,           "1939 §4, §6", cmd_quit},
};

/* ---- answers ------------------------------------------------------------------------------------------------ */

void pop3_ok(struct pop3 *p, const char *fmt, ...)
{
    struct strbuf *out = session_output(p->session);
    va_list ap;
    va_start(ap, fmt);
    strbuf_add_cstr(out, "+OK ");
    strbuf_vaddf(out, fmt, ap);
    strbuf_add_cstr(out, "\r\n");
    va_end(ap);
}

/* RFC 2449 §8.1, RFC 3206 §4. */
static const char *response_code(enum status st)
{
    switch (st) {
    case ST_DENIED:
        return "[AUTH] ";
    case ST_TEMPORARY:
    case ST_QUOTA:
    case ST_CLOSED:
        return "[SYS/TEMP] ";
    case ST_IO:
    case ST_BUG:
        return "[SYS/PERM] ";
    default:
        return "";
    }
}

void pop3_err(struct session *s, const struct err *err)
{
    strbuf_addf(session_output(s), "-ERR %s%s\r\n", response_code(err->status), err->client);
}

/* ---- commands of both states ----------------------------------------------------------------------------------- */

static enum status cmd_capa(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    (void)argument, (void)next, (void)err;
    struct strbuf *out = session_output(p->session);
    strbuf_add_cstr(out, "+OK capabilities follow\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
                         "EXPIRE NEVER\r\n");
    if (p->state == POP3_AUTHORIZATION) {
        if (session_can_tls(p->session) && !session_is_tls(p->session))
            strbuf_add_cstr(out, "STLS\r\n");
        if (gate_may_login(p->session)) {
            strbuf_add_cstr(out, "USER\r\nSASL");
            gate_write_mechanisms(p->session, " ", out);
            strbuf_add_cstr(out, "\r\n");
        }
    }
    strbuf_add_cstr(out, "IMPLEMENTATION Tassis\r\n.\r\n");
    return ST_OK;
}

static enum status cmd_noop(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    (void)argument, (void)next, (void)err;
    pop3_ok(p, "nothing done");
    return ST_OK;
}

static enum status cmd_quit(struct pop3 *p, struct span argument, enum next *next, struct err *err)
{
    (void)argument;
    *next = NEXT_CLOSE;
    uint32_t removed = p->drop.deleted_count;
    if (p->state == POP3_TRANSACTION)
        TRY(maildrop_update(&p->drop, err));

    struct log_line l;
    session_log_begin(p->session, &l, LOG_INFO, "logout");
    if (p->drop.account)
        log_span(&l, "account", account_address(p->drop.account));
    log_u64(&l, "removed", removed);
    log_end(&l);
    pop3_ok(p, "goodbye");
    return ST_OK;
}

/* ---- the session ------------------------------------------------------------------------------------------------- */

struct pop3 *pop3_new(struct session *s, enum pop3_states state)
{
    struct pop3 *p = mem_alloc(sizeof *p);
    p->session = s;
    p->state = state;
    session_set_state(s, p);
    session_set_timeouts(s, POP3_IDLE_MS, POP3_COMMAND_MS);
    session_set_input_max(s, POP3_SASL_LINE_MAX);
    return p;
}

void pop3_free(struct session *s)
{
    struct pop3 *p = session_state(s);
    if (!p)
        return;
    free(p->user);
    sasl_exchange_free(&p->exchange);
    maildrop_close(&p->drop);
    free(p);
    session_set_state(s, NULL);
}

void pop3_goodbye(struct session *s, enum bye why)
{
    static const char *const words[] = {
        [BYE_TIMEOUT] = "-ERR idle for too long\r\n",
        [BYE_SHUTDOWN] = "-ERR [SYS/TEMP] the server is shutting down\r\n",
        [BYE_LIMIT] = "-ERR [IN-USE] too many connections\r\n",
        [BYE_INPUT_TOO_LONG] = "-ERR line too long\r\n",
    };
    strbuf_add_cstr(session_output(s), words[why]);
}

static const struct pop3_command *find_command(struct span name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (span_ieq(name, span_cstr(commands[i].name)))
            return &commands[i];
    return NULL;
}

static enum status run_line(struct pop3 *p, struct span line, enum next *next, struct err *err)
{
    struct span name, argument = line;
    if (p->exchange)
        return pop3_auth_line(p, line, next, err);
    if (line.len + 2 > POP3_LINE_MAX && !span_istarts(line, SPAN("AUTH ")))
        return err_set(err, ST_LIMIT, "line too long");
    span_cut(&argument, ' ', &name);
    const struct pop3_command *c = find_command(name);
    if (!c)
        return err_set(err, ST_SYNTAX, "unknown command");
    if (!(c->states & p->state))
        return err_set(err, ST_STATE, "not in this state");
    return c->run(p, argument, next, err);
}

/* Takes the first line out of the input. Lines end with CRLF and nothing else; they hold no NUL and no bare CR or LF. */
static bool take_line(struct session *s, struct span *line, bool *is_clean)
{
    struct span in = session_input(s);
    size_t end = span_find_byte(in, '\n', 0);
    if (end == SPAN_NPOS)
        return false;
    *is_clean = end > 0 && in.p[end - 1] == '\r' && span_find_byte(in, '\r', 0) == end - 1 &&
                span_find_byte(span_take(in, end), '\0', 0) == SPAN_NPOS;
    *line = span_take(in, end > 0 ? end - 1 : 0);
    session_consume(s, end + 1);
    return true;
}

static void log_failure(struct pop3 *p, const struct err *err)
{
    if (err->status != ST_IO && err->status != ST_BUG)
        return;
    struct log_line l;
    session_log_begin(p->session, &l, LOG_ERROR, "command-failed");
    log_err(&l, err);
    log_end(&l);
}

enum next pop3_input(struct session *s)
{
    struct pop3 *p = session_state(s);
    struct span line;
    bool is_clean;
    if (!take_line(s, &line, &is_clean))
        return NEXT_INPUT;

    struct err err;
    enum next next = NEXT_AGAIN;
    enum status st = is_clean ? run_line(p, line, &next, &err)
                              : err_set(&err, ST_SYNTAX, "lines end with CRLF and hold no control characters");
    if (st == ST_OK) {
        p->bad_commands = 0;
        return next;
    }
    pop3_err(s, &err);
    log_failure(p, &err);
    if (!is_clean || ++p->bad_commands >= POP3_BAD_COMMANDS_MAX)
        return NEXT_CLOSE;
    return next;
}

/* ---- role gate ----------------------------------------------------------------------------------------------------- */

static enum next gate_start(struct session *s)
{
    struct gate_app *app = session_app(s);
    pop3_ok(pop3_new(s, POP3_AUTHORIZATION), "%s Tassis POP3 ready", app->hostname);
    return NEXT_INPUT;
}

/* RFC 2595 §4: nothing said before TLS counts after it. */
static enum next gate_secured(struct session *s)
{
    struct pop3 *p = session_state(s);
    free(p->user);
    p->user = NULL;
    return NEXT_INPUT;
}

const struct protocol pop3_gate_protocol = {
    .name = "pop3",
    .start = gate_start,
    .input = pop3_input,
    .secured = gate_secured,
    .goodbye = pop3_goodbye,
    .free = pop3_free,
};

/* ---- role mail ----------------------------------------------------------------------------------------------------- */

const struct protocol pop3_mail_protocol = {
    .name = "pop3",
    .input = pop3_input,
    .produce = pop3_produce,
    .goodbye = pop3_goodbye,
    .free = pop3_free,
};

enum next pop3_accept(struct session *s, const struct handover *h)
{
    struct mail_app *app = session_app(s);
    struct account *account = NULL;
    struct err err;
    session_set_protocol(s, &pop3_mail_protocol);
    struct pop3 *p = pop3_new(s, POP3_TRANSACTION);
    if (account_open(app->store, h->account, &account, &err) != ST_OK ||
        maildrop_open(&p->drop, account, &err) != ST_OK) {
        pop3_err(s, &err);
        log_failure(p, &err);
        return NEXT_CLOSE;
    }
    pop3_ok(p, "%u messages (%llu octets)", view_count(p->drop.view), (unsigned long long)p->drop.octets);
    return NEXT_AGAIN;
}

void pop3_refuse(struct session *s, const struct handover *h, const struct err *err)
{
    (void)h;
    strbuf_addf(session_output(s), "-ERR [%s] %s\r\n", err->status == ST_LIMIT ? "IN-USE" : "SYS/TEMP", err->client);
}
