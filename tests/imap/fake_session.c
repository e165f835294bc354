/*
 * fake_session.c - net/session.h over two buffers, and a vault that knows one password. Each function of the protocol
 * is called as net/ would call it, on the test's own thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include "auth/handover.h"
#include "base/mem.h"
#include "harness.h"

struct session {
    const struct protocol *protocol;
    void *state;
    void *app;
    struct strbuf in, out, sent, taken;
    size_t in_at; /* what is before was consumed; it stays where it is until input() returns, as in net/ */
    size_t input_max;
    size_t largest_output;
    bool is_poked, is_running, is_producing, is_closed, is_tls, is_tls_possible, is_carrying, is_compressed;
    struct peer peer;
    void (*between)(void *arg);
    void *between_arg;
};

struct span session_input(const struct session *s)
{
    return span_skip(strbuf_span(&s->in), s->in_at);
}
void session_consume(struct session *s, size_t n)
{
    if (n > s->in.len - s->in_at)
        panic("session_consume beyond the input");
    s->in_at += n;
}
struct strbuf *session_output(struct session *s)
{
    return &s->out;
}
void *session_state(const struct session *s)
{
    return s->state;
}
void session_set_state(struct session *s, void *state)
{
    s->state = state;
}
void session_set_protocol(struct session *s, const struct protocol *p)
{
    s->protocol = p;
}
void *session_app(const struct session *s)
{
    return s->app;
}
const char *session_id(const struct session *s)
{
    (void)s;
    return "test";
}
void session_set_peer(struct session *s, const struct peer *p)
{
    s->peer = *p;
}
const struct peer *session_peer(const struct session *s)
{
    return &s->peer;
}
bool session_is_tls(const struct session *s)
{
    return s->is_tls;
}
bool session_is_compressed(const struct session *s)
{
    return s->is_compressed;
}

bool session_tls_exporter(const struct session *s, uint8_t out[SESSION_EXPORTER_BYTES])
{
    (void)s, (void)out;
    return false;
}

bool session_can_tls(const struct session *s)
{
    return s->is_tls_possible;
}
void session_set_timeouts(struct session *s, int64_t idle_ms, int64_t command_ms)
{
    (void)s, (void)idle_ms, (void)command_ms;
}
void session_set_in_body(struct session *s, bool in_body)
{
    (void)s, (void)in_body;
}
void session_got_on(struct session *s)
{
    (void)s;
}

void session_pause(struct session *s, int64_t ms)
{
    (void)s, (void)ms;
}
void session_set_input_max(struct session *s, size_t bytes)
{
    s->input_max = bytes;
}
void session_log_begin(const struct session *s, struct log_line *l, enum log_level level, const char *event)
{
    (void)s;
    log_begin(l, level, event);
}

/* ---- the engine ----------------------------------------------------------------------------------------------- */

static void drain(struct session *s)
{
    if (s->out.len > s->largest_output)
        s->largest_output = s->out.len;
    strbuf_add(&s->sent, strbuf_span(&s->out));
    strbuf_clear(&s->out);
}

static enum next step(struct session *s, enum next next)
{
    if (next == NEXT_PRODUCE) {
        drain(s);
        if (s->between)
            s->between(s->between_arg);
        return s->protocol->produce(s);
    }
    strbuf_consume(&s->in, s->in_at);
    s->in_at = 0;
    if (s->in.len)
        return s->protocol->input(s);
    return NEXT_INPUT;
}

/* Until the session would be parked. */
static void run(struct session *s, enum next next)
{
    s->is_running = true;
    while (next == NEXT_AGAIN || next == NEXT_PRODUCE)
        next = step(s, next);
    if (next == NEXT_INPUT && s->in.len - s->in_at >= s->input_max) {
        s->protocol->goodbye(s, BYE_INPUT_TOO_LONG);
        next = NEXT_CLOSE;
    }
    drain(s);
    s->is_running = false;
    if (next == NEXT_STARTTLS) {
        strbuf_clear(&s->in);
        s->in_at = 0;
        s->is_tls = true;
        run(s, s->protocol->secured(s));
    }
    if (next == NEXT_COMPRESS)
        s->is_compressed = true; /* only said: what a test sends is plain */
    if (next == NEXT_CARRY)
        s->is_carrying = true;
    if (next == NEXT_RETURN) /* what the client has said for gate stays in s->in */
        strbuf_addf(&s->sent, "<given back, unread %zu>\r\n", s->in.len - s->in_at);
    if (next == NEXT_CLOSE || next == NEXT_CARRY || next == NEXT_RETURN)
        s->is_closed = true;
}

static void run_pokes(struct session *s)
{
    while (s->is_poked && !s->is_closed) {
        s->is_poked = false;
        run(s, s->protocol->poke(s));
    }
}

void session_poke(struct session *s)
{
    s->is_poked = true;
    if (!s->is_running)
        run_pokes(s);
}

void session_poke_with(struct pokes *pokes, struct session *s)
{
    (void)pokes;
    session_poke(s);
}

void fake_send(struct session *s, struct span bytes)
{
    if (s->is_closed)
        return;
    strbuf_add(&s->in, bytes);
    run(s, NEXT_AGAIN);
    run_pokes(s);
}

static struct session *new_session(void *app)
{
    struct session *s = mem_alloc(sizeof *s);
    s->input_max = SESSION_INPUT_DEFAULT;
    s->app = app;
    snprintf(s->peer.address, sizeof s->peer.address, "192.0.2.1");
    return s;
}

struct session *fake_new_as(struct world *w, struct span account)
{
    struct session *s = new_session(world_app(w));
    const struct handover h = {fake_door.handover, account, SPAN("in")};
    run(s, fake_door.accept(s, &h));
    return s;
}

struct session *fake_new(struct world *w, bool is_gate)
{
    if (!is_gate)
        return fake_new_as(w, SPAN("alice@example.test"));
    struct session *s = new_session(world_gate(w));
    s->protocol = fake_door.gate;
    s->is_tls_possible = true;
    run(s, s->protocol->start(s));
    return s;
}

void fake_free(struct session **sp)
{
    struct session *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    if (s->protocol)
        s->protocol->free(s);
    strbuf_free(&s->in);
    strbuf_free(&s->out);
    strbuf_free(&s->sent);
    strbuf_free(&s->taken);
    free(s);
}

const char *fake_take(struct session *s)
{
    strbuf_clear(&s->taken);
    strbuf_add(&s->taken, strbuf_span(&s->sent));
    strbuf_clear(&s->sent);
    return strbuf_cstr(&s->taken);
}

void fake_set_between(struct session *s, void (*between)(void *arg), void *arg)
{
    s->between = between;
    s->between_arg = arg;
}

bool fake_is_closed(const struct session *s)
{
    return s->is_closed;
}

void fake_say_goodbye(struct session *s, enum bye why)
{
    s->protocol->goodbye(s, why);
    drain(s);
    s->is_closed = true;
}

void fake_set_tls(struct session *s, bool is_tls)
{
    s->is_tls = is_tls;
}

size_t fake_largest_output(const struct session *s)
{
    return s->largest_output;
}

/* ---- the gate's services: alice's password is "secret" -------------------------------------------------------- */

struct sasl_exchange {
    bool has_user;
    struct strbuf user;
};

bool gate_may_login(const struct session *s)
{
    return s->is_tls;
}

enum status gate_hand_over(struct session *s, enum handover_protocol protocol, const uint8_t ticket[VAULT_TICKET_BYTES],
                           struct span tag, struct err *err)
{
    if (protocol != fake_door.handover || ticket[0] != 'T')
        return err_set(err, ST_BUG, "wrong hand-over");
    strbuf_addf(&s->out, "<handed over %.*s, unread %zu>\r\n", SPAN_ARG(tag), s->in.len - s->in_at);
    return ST_OK;
}

bool gate_login_failed(struct session *s, unsigned *failures, const struct err *err)
{
    (void)s, (void)err;
    return ++*failures < 3;
}

void sasl_exchange_free(struct sasl_exchange **x)
{
    if (*x)
        strbuf_free(&(*x)->user);
    free(*x);
    *x = NULL;
}

static enum sasl_result judge(struct sasl_exchange **x, bool is_good, uint8_t *ticket, struct err *err)
{
    sasl_exchange_free(x);
    if (is_good)
        memset(ticket, 'T', VAULT_TICKET_BYTES);
    else
        err_set(err, ST_DENIED, "wrong");
    return is_good ? SASL_DONE : SASL_FAILED;
}

static bool is_plain_good(struct span message)
{
    return span_eq(message, span_of("\0alice@example.test\0secret", 26));
}

enum sasl_result vault_sasl_start(struct vault_client *c, struct span mechanism, struct span initial,
                                  const char *peer_address, struct span binding, struct sasl_exchange **x,
                                  struct strbuf *challenge, uint8_t ticket[VAULT_TICKET_BYTES], struct err *err)
{
    (void)c, (void)peer_address, (void)binding;
    *x = NULL;
    bool is_login = span_ieq(mechanism, SPAN("LOGIN"));
    if (!is_login && !span_ieq(mechanism, SPAN("PLAIN"))) {
        err_set(err, ST_UNSUPPORTED, "no such mechanism");
        return SASL_FAILED;
    }
    if (!is_login && initial.p)
        return judge(x, is_plain_good(initial), ticket, err);
    *x = mem_alloc(sizeof **x);
    if (is_login)
        strbuf_add_cstr(challenge, "Username:");
    (*x)->has_user = false;
    return SASL_CONTINUE;
}

enum sasl_result vault_sasl_next(struct vault_client *c, struct sasl_exchange **x, struct span response,
                                 struct strbuf *challenge, uint8_t ticket[VAULT_TICKET_BYTES], struct err *err)
{
    (void)c;
    if (span_find_byte(response, '\0', 0) != SPAN_NPOS)
        return judge(x, is_plain_good(response), ticket, err);
    if (!(*x)->has_user) {
        (*x)->has_user = true;
        strbuf_add(&(*x)->user, response);
        strbuf_add_cstr(challenge, "Password:");
        return SASL_CONTINUE;
    }
    bool is_good = span_eq(strbuf_span(&(*x)->user), SPAN("alice@example.test")) && span_eq(response, SPAN("secret"));
    return judge(x, is_good, ticket, err);
}
