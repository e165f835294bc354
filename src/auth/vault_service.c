/*
 * vault_service.c - see vault_service.h.
 *
 * A table of verbs: each reads its fields (all of them, each against its limit), acts, and appends the fields of its
 * reply. A connection that says anything else than its listener allows is another role's that has been taken over: it
 * is told "denied" and closed.
 */
#include "auth/vault_service.h"
#include <pthread.h>
#include <stdlib.h>
#include "auth/login_guard.h"
#include "auth/sasl.h"
#include "auth/ticket.h"
#include "auth/vault_frame.h"
#include "base/mem.h"
#include "base/banned.h"

enum {
    MECHANISM_MAX = 20, /* RFC 4422 §3.1 */
    ADDRESS_TEXT_MAX = 45,
    SIGN_INPUT_MAX = 2048, /* RSA of 16384 bits */
    SASL_STEPS_MAX = 6,
    IDLE_MS = 10 * 60 * 1000, /* a pooled connection; the client opens another */
    FRAME_MS = 10 * 1000,
};

struct vault {
    struct credentials *credentials;
    struct tickets *tickets;
    struct login_guard *guard;
    pthread_rwlock_t keys_lock;
    struct tls_keys *keys, *keys_before;
    pthread_mutex_t hash_lock;
    pthread_cond_t hash_free;
    unsigned hashers_max, hashers, hash_waiters;
};

struct vault_exchange {
    struct sasl sasl;
    unsigned steps;
    char peer[ADDRESS_TEXT_MAX + 1];
    uint8_t binding[SCRAM_BINDING_BYTES];
    bool is_running;
};

struct vault *vault_new(struct credentials **c, unsigned hashers)
{
    struct vault *v = mem_alloc(sizeof *v);
    v->credentials = *c;
    *c = NULL;
    v->tickets = tickets_new();
    v->guard = login_guard_new();
    v->hashers_max = hashers > 0 ? hashers : 1;
    pthread_rwlock_init(&v->keys_lock, NULL);
    pthread_mutex_init(&v->hash_lock, NULL);
    pthread_cond_init(&v->hash_free, NULL);
    return v;
}

void vault_free(struct vault **v)
{
    if (!*v)
        return;
    credentials_free(&(*v)->credentials);
    tickets_free(&(*v)->tickets);
    login_guard_free(&(*v)->guard);
    tls_keys_free(&(*v)->keys);
    tls_keys_free(&(*v)->keys_before);
    pthread_rwlock_destroy(&(*v)->keys_lock);
    pthread_mutex_destroy(&(*v)->hash_lock);
    pthread_cond_destroy(&(*v)->hash_free);
    free(*v);
    *v = NULL;
}

void vault_set_keys(struct vault *v, struct tls_keys **keys)
{
    pthread_rwlock_wrlock(&v->keys_lock);
    tls_keys_free(&v->keys_before);
    v->keys_before = v->keys;
    v->keys = *keys;
    *keys = NULL;
    pthread_rwlock_unlock(&v->keys_lock);
}

void vault_exchange_free(struct vault_exchange **x)
{
    if (!*x)
        return;
    sasl_end(&(*x)->sasl);
    free(*x);
    *x = NULL;
}

/* ---- passwords -----------------------------------------------------------------------------------------------------
 */

static bool hash_enter(struct vault *v)
{
    pthread_mutex_lock(&v->hash_lock);
    bool has_room = v->hash_waiters < VAULT_HASH_WAITERS_MAX;
    if (has_room) {
        v->hash_waiters++;
        while (v->hashers >= v->hashers_max)
            pthread_cond_wait(&v->hash_free, &v->hash_lock);
        v->hash_waiters--;
        v->hashers++;
    }
    pthread_mutex_unlock(&v->hash_lock);
    return has_room;
}

static void hash_leave(struct vault *v)
{
    pthread_mutex_lock(&v->hash_lock);
    v->hashers--;
    pthread_cond_signal(&v->hash_free);
    pthread_mutex_unlock(&v->hash_lock);
}

static enum status check_password(struct vault *v, struct span peer, struct span account, struct span password,
                                  struct err *err)
{
    bool allows = login_guard_allows(v->guard, peer);
    if (!allows && !login_guard_knows(v->guard, peer, account))
        return err_set(err, ST_TEMPORARY, "too many wrong logins from your address, try again later");
    enum status st = ST_OK;
    if (!credentials_is_cached(v->credentials, account, password)) {
        if (!allows)
            return err_set(err, ST_TEMPORARY, "too many wrong logins from your address, try again later");
        if (!hash_enter(v))
            return err_set(err, ST_TEMPORARY, "too many logins at once, try again later");
        st = credentials_check(v->credentials, account, password, err);
        hash_leave(v);
    }
    if (st == ST_OK)
        login_guard_succeeded(v->guard, peer, account);
    else if (st == ST_DENIED)
        login_guard_failed(v->guard, peer);
    return st;
}

/* ---- SASL_START, SASL_NEXT
 * ------------------------------------------------------------------------------------------- */

static void reply_sasl(struct strbuf *out, enum vault_sasl_result result, struct span data)
{
    vault_frame_u8(out, (uint8_t)result);
    if (result == VAULT_SASL_CONTINUE)
        vault_frame_field(out, data);
}

static enum status admit(struct vault *v, struct span account, struct span last_words, struct strbuf *out,
                         struct err *err)
{
    uint8_t ticket[VAULT_TICKET_BYTES];
    TRY(ticket_issue(v->tickets, account, ticket, err));
    reply_sasl(out, VAULT_SASL_DONE, SPAN_NONE);
    vault_frame_field(out, span_of(ticket, sizeof ticket));
    vault_frame_field(out, last_words);
    mem_wipe(ticket, sizeof ticket);
    return ST_OK;
}

/* The mechanism has a name and a password: are they right? */
static enum status conclude(struct vault *v, struct vault_exchange *x, struct strbuf *out, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span account;
    /* What is no address is looked up all the same, in vain, for the same work. */
    if (sasl_canonical_account(&a, strbuf_span(&x->sasl.user), &account, err) != ST_OK)
        account = strbuf_span(&x->sasl.user);
    enum status st = check_password(v, span_cstr(x->peer), account, strbuf_span(&x->sasl.password), err);
    if (st == ST_DENIED) {
        reply_sasl(out, VAULT_SASL_FAILED, SPAN_NONE);
        return ST_OK;
    }
    TRY(st);
    return admit(v, account, SPAN_NONE, out, err);
}

/* What is no address is looked up all the same, in vain. */
static struct span account_of(struct arena *a, const struct vault_exchange *x)
{
    struct err ignored;
    struct span account;
    return sasl_canonical_account(a, strbuf_span(&x->sasl.user), &account, &ignored) == ST_OK
               ? account
               : strbuf_span(&x->sasl.user);
}

/* The mechanism has a name and wants its keys. Who has guessed too often gets none, whatever the name. */
static enum status give_keys(struct vault *v, struct vault_exchange *x, struct strbuf *out, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct scram_keys keys;
    struct span account = account_of(&a, x), peer = span_cstr(x->peer), challenge;
    if (!login_guard_allows(v->guard, peer) && !login_guard_knows(v->guard, peer, account))
        return err_set(err, ST_TEMPORARY, "too many wrong logins from your address, try again later");
    TRY(credentials_scram(v->credentials, account, &keys, err));
    sasl_give_keys(&x->sasl, &keys, &challenge);
    mem_wipe(&keys, sizeof keys);
    reply_sasl(out, VAULT_SASL_CONTINUE, challenge);
    return ST_OK;
}

/* The client has proven that it knows the password. */
static enum status conclude_proof(struct vault *v, struct vault_exchange *x, struct strbuf *out, struct err *err)
{
    AUTO_ARENA a = ARENA_INIT;
    struct span account = account_of(&a, x);
    login_guard_succeeded(v->guard, span_cstr(x->peer), account);
    return admit(v, account, strbuf_span(&x->sasl.answer), out, err);
}

static enum status take_response(struct vault *v, struct vault_exchange *x, struct span response, bool is_absent,
                                 struct strbuf *out, struct err *err)
{
    struct span challenge;
    enum sasl_step step =
        ++x->steps > SASL_STEPS_MAX ? SASL_STEP_BAD : sasl_take(&x->sasl, response, is_absent, &challenge);
    enum status st = ST_OK;
    if (step == SASL_STEP_CHALLENGE) {
        reply_sasl(out, VAULT_SASL_CONTINUE, challenge);
        return ST_OK;
    }
    if (step == SASL_STEP_KEYS) {
        st = give_keys(v, x, out, err);
        if (st == ST_OK)
            return ST_OK;
    } else if (step == SASL_STEP_COMPLETE) {
        st = x->sasl.is_proof ? conclude_proof(v, x, out, err) : conclude(v, x, out, err);
    } else {
        if (x->sasl.scram.nonce.len) /* a wrong proof is a guess */
            login_guard_failed(v->guard, span_cstr(x->peer));
        reply_sasl(out, VAULT_SASL_FAILED, SPAN_NONE);
    }
    sasl_end(&x->sasl);
    x->is_running = false;
    return st;
}

static enum status verb_sasl_start(struct vault *v, struct vault_exchange *x, struct span fields, struct strbuf *out,
                                   struct err *err)
{
    struct span mechanism, peer, binding, initial;
    uint8_t has_initial;
    if (!vault_field(&fields, MECHANISM_MAX, &mechanism) || !vault_field(&fields, ADDRESS_TEXT_MAX, &peer) ||
        !vault_field(&fields, SCRAM_BINDING_BYTES, &binding) || (binding.len && binding.len != SCRAM_BINDING_BYTES) ||
        !vault_field_u8(&fields, &has_initial) || !vault_field(&fields, VAULT_SASL_RESPONSE_MAX, &initial) ||
        fields.len)
        return err_set(err, ST_SYNTAX, "bad fields");
    const struct sasl_mechanism *m = sasl_find(mechanism);
    if (!m)
        return err_set(err, ST_UNSUPPORTED, "unknown mechanism");
    sasl_end(&x->sasl); /* one that was given up */
    *x = (struct vault_exchange){.sasl = {.mechanism = m}, .is_running = true};
    memcpy(x->peer, peer.p, peer.len);
    if (binding.len)
        memcpy(x->binding, binding.p, binding.len);
    x->sasl.binding = span_of(x->binding, binding.len);
    return take_response(v, x, initial, has_initial == 0, out, err);
}

static enum status verb_sasl_next(struct vault *v, struct vault_exchange *x, struct span fields, struct strbuf *out,
                                  struct err *err)
{
    struct span response;
    if (!vault_field(&fields, VAULT_SASL_RESPONSE_MAX, &response) || fields.len)
        return err_set(err, ST_SYNTAX, "bad fields");
    if (!x->is_running)
        return err_set(err, ST_STATE, "no exchange is under way");
    return take_response(v, x, response, false, out, err);
}

/* ---- the others
 * -------------------------------------------------------------------------------------------------------- */

static enum status verb_redeem(struct vault *v, struct vault_exchange *x, struct span fields, struct strbuf *out,
                               struct err *err)
{
    (void)x;
    struct span ticket;
    AUTO_STRBUF account = STRBUF_INIT;
    if (!vault_field(&fields, VAULT_TICKET_BYTES, &ticket) || ticket.len != VAULT_TICKET_BYTES || fields.len)
        return err_set(err, ST_SYNTAX, "bad fields");
    TRY(ticket_redeem(v->tickets, (const uint8_t *)ticket.p, &account, err));
    vault_frame_field(out, strbuf_span(&account));
    return ST_OK;
}

static enum status verb_sign(struct vault *v, struct vault_exchange *x, struct span fields, struct strbuf *out,
                             struct err *err)
{
    (void)x;
    uint32_t id;
    uint8_t scheme;
    struct span input;
    AUTO_STRBUF signature = STRBUF_INIT;
    if (!vault_field_u32(&fields, &id) || !vault_field_u8(&fields, &scheme) ||
        !vault_field(&fields, SIGN_INPUT_MAX, &input) || fields.len)
        return err_set(err, ST_SYNTAX, "bad fields");
    pthread_rwlock_rdlock(&v->keys_lock);
    const struct tls_keys *keys = v->keys_before && !tls_keys_has(v->keys, id) ? v->keys_before : v->keys;
    enum status st =
        keys ? tls_keys_sign(keys, id, scheme, input, &signature, err) : err_set(err, ST_TEMPORARY, "no keys yet");
    pthread_rwlock_unlock(&v->keys_lock);
    if (st == ST_OK)
        vault_frame_field(out, strbuf_span(&signature));
    return st;
}

static enum status verb_certificates(struct vault *v, struct vault_exchange *x, struct span fields, struct strbuf *out,
                                     struct err *err)
{
    (void)x;
    if (fields.len)
        return err_set(err, ST_SYNTAX, "bad fields");
    size_t start = out->len;
    pthread_rwlock_rdlock(&v->keys_lock);
    for (size_t i = 0; v->keys && i < tls_keys_count(v->keys); i++) {
        vault_frame_u32(out, tls_keys_id(v->keys, i));
        vault_frame_field(out, tls_keys_chain(v->keys, i));
    }
    pthread_rwlock_unlock(&v->keys_lock);
    if (out->len == start)
        return err_set(err, ST_TEMPORARY, "no certificates yet");
    if (out->len - start >= VAULT_CERTIFICATES_MAX)
        return err_set(err, ST_LIMIT, "the certificates are larger than %d octets together", VAULT_CERTIFICATES_MAX);
    return ST_OK;
}

static const struct verb {
    const char *name;
    enum status (*run)(struct vault *v, struct vault_exchange *x, struct span fields, struct strbuf *out,
                       struct err *err);
} verbs[] = {
    [VAULT_SASL_START] = {"sasl-start", verb_sasl_start},
    [VAULT_SASL_NEXT] = {"sasl-next", verb_sasl_next},
    [VAULT_REDEEM] = {"redeem", verb_redeem},
    [VAULT_SIGN] = {"sign", verb_sign},
    [VAULT_CERTIFICATES] = {"certificates", verb_certificates},
};
enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

static void log_failure(const char *verb, enum log_level level, const struct err *err)
{
    struct log_line l;
    log_begin(&l, level, "vault-refused");
    log_str(&l, "verb", verb);
    log_err(&l, err);
    log_end(&l);
}

/* A reply that is a failure: the status, and the text a client may read. */
static void reply_failure(struct strbuf *out, size_t start, const struct err *err)
{
    strbuf_truncate(out, start);
    size_t frame = vault_frame_begin(out, (uint8_t)err->status);
    vault_frame_field(out, span_cstr(err->client));
    vault_frame_end(out, frame);
}

bool vault_answer(const struct vault_listener *l, struct vault_exchange **x, uint8_t verb, struct span fields,
                  struct strbuf *out)
{
    struct err err;
    size_t start = out->len;
    bool is_known = verb < VERB_COUNT && verbs[verb].run;
    if (!is_known || !(l->verbs >> verb & 1)) {
        err_set(&err, ST_DENIED, "this role may not do that");
        log_failure(is_known ? verbs[verb].name : "unknown", LOG_ERROR, &err);
        reply_failure(out, start, &err);
        return false;
    }
    if (!*x)
        *x = mem_alloc(sizeof **x);
    size_t frame = vault_frame_begin(out, ST_OK);
    if (verbs[verb].run(l->vault, *x, fields, out, &err) == ST_OK) {
        vault_frame_end(out, frame);
        return true;
    }
    if (err.status == ST_IO || err.status == ST_BUG || err.status == ST_SYNTAX)
        log_failure(verbs[verb].name, LOG_ERROR, &err);
    reply_failure(out, start, &err);
    return err.status != ST_SYNTAX;
}

/* ---- the protocol
 * ------------------------------------------------------------------------------------------------------ */

static enum next start(struct session *s)
{
    session_set_input_max(s, VAULT_FRAME_MAX + VAULT_HEAD_BYTES);
    session_set_timeouts(s, IDLE_MS, FRAME_MS);
    return NEXT_INPUT;
}

static enum next input(struct session *s)
{
    uint8_t verb;
    struct span fields;
    size_t size;
    switch (vault_frame_next(session_input(s), VAULT_FRAME_MAX, &verb, &fields, &size)) {
    case VAULT_FRAME_PARTIAL:
        return NEXT_INPUT;
    case VAULT_FRAME_BAD:
        return NEXT_CLOSE;
    case VAULT_FRAME_WHOLE:
        break;
    }
    struct vault_exchange *x = session_state(s);
    bool goes_on = vault_answer(session_app(s), &x, verb, fields, session_output(s));
    session_set_state(s, x);
    session_consume(s, size);
    return goes_on ? NEXT_AGAIN : NEXT_CLOSE;
}

static void end(struct session *s)
{
    struct vault_exchange *x = session_state(s);
    vault_exchange_free(&x);
    session_set_state(s, NULL);
}

const struct protocol vault_protocol = {.name = "vault", .start = start, .input = input, .free = end};
