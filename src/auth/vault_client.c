/*
 * vault_client.c - see vault_client.h.
 *
 * A call takes an idle connection (or makes one), writes its frame, reads the reply, and puts the connection back. A
 * connection that turns out closed, because the vault was restarted meanwhile, is replaced and the question asked once
 * more: no verb does harm when asked twice, and the vault has forgotten what it was asked before. A SASL exchange keeps
 * its connection.
 */
#include "auth/vault_client.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "auth/vault_frame.h"
#include "base/mem.h"
#include "sys/channel.h"
#include "base/banned.h"

enum {
    IDLE_MAX = 16,
    CALL_MS = 10 * 1000,
    SASL_MS = 60 * 1000, /* hashing waits its turn */
};

/* What a TLS context's signer knows: which key id its chains have. */
struct key_ids {
    struct key_ids *next;
    struct vault_client *client;
    uint32_t ids[TLS_CHAINS_MAX];
    size_t count;
};

struct vault_client {
    int channel;
    pthread_mutex_t lock;
    int idle[IDLE_MAX];
    size_t idle_count;
    struct key_ids *contexts; /* as long as the client, since TLS contexts are shared */
};

struct sasl_exchange {
    struct vault_client *client;
    int fd;          /* -1: the vault has said all */
    bool has_ticket; /* the mechanism's last words are on their way; the client's empty response is awaited */
    uint8_t ticket[VAULT_TICKET_BYTES];
};

struct vault_client *vault_client_new(int channel)
{
    struct vault_client *c = mem_alloc(sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->channel = channel;
    return c;
}

void vault_client_free(struct vault_client **c)
{
    if (!*c)
        return;
    for (size_t i = 0; i < (*c)->idle_count; i++)
        close((*c)->idle[i]);
    while ((*c)->contexts) {
        struct key_ids *k = (*c)->contexts;
        (*c)->contexts = k->next;
        free(k);
    }
    pthread_mutex_destroy(&(*c)->lock);
    free(*c);
    *c = NULL;
}

/* ---- connections
 * ------------------------------------------------------------------------------------------------------ */

static int take_idle(struct vault_client *c)
{
    pthread_mutex_lock(&c->lock);
    int fd = c->idle_count > 0 ? c->idle[--c->idle_count] : -1;
    pthread_mutex_unlock(&c->lock);
    return fd;
}

static void put_idle(struct vault_client *c, int fd)
{
    pthread_mutex_lock(&c->lock);
    bool has_room = c->idle_count < IDLE_MAX;
    if (has_room)
        c->idle[c->idle_count++] = fd;
    pthread_mutex_unlock(&c->lock);
    if (!has_room)
        close(fd);
}

/* A vault that was restarted has closed them all. */
static void close_idle(struct vault_client *c)
{
    for (int fd; (fd = take_idle(c)) >= 0;)
        close(fd);
}

static enum status read_reply(int fd, int64_t timeout_ms, size_t max, struct strbuf *reply, struct err *err)
{
    uint32_t length;
    TRY(fd_read_exact(fd, &length, sizeof length, timeout_ms, err));
    if (length < 1 || length > max)
        return err_set(err, ST_BUG, "the vault's answer is malformed");
    strbuf_clear(reply);
    return fd_read_exact(fd, strbuf_extend(reply, length), length, timeout_ms, err);
}

static enum status ask_on(int fd, struct span request, int64_t timeout_ms, size_t max, struct strbuf *reply,
                          struct err *err)
{
    TRY(fd_write_all(fd, request.p, request.len, timeout_ms, err));
    return read_reply(fd, timeout_ms, max, reply, err);
}

/* On ST_OK *fd is the connection that answered, the caller's. */
static enum status ask(struct vault_client *c, struct span request, int64_t timeout_ms, size_t max,
                       struct strbuf *reply, int *fd, struct err *err)
{
    *fd = take_idle(c);
    if (*fd >= 0) {
        enum status st = ask_on(*fd, request, timeout_ms, max, reply, err);
        if (st == ST_OK)
            return ST_OK;
        close(*fd);
        *fd = -1;
        if (st != ST_CLOSED)
            return st;
        close_idle(c);
    }
    TRY(channel_connect(c->channel, true, fd, err));
    enum status st = ask_on(*fd, request, timeout_ms, max, reply, err);
    if (st != ST_OK) {
        close(*fd);
        *fd = -1;
        if (st == ST_CLOSED)
            return err_set(err, ST_TEMPORARY, "the vault is restarting, try again later");
    }
    return st;
}

/* The status of a reply; *fields are what follows. A status that the vault cannot have sent is a bug. */
static enum status reply_status(const struct strbuf *reply, struct span *fields, struct err *err)
{
    uint8_t code = (uint8_t)reply->p[0];
    struct span text;
    *fields = span_skip(strbuf_span(reply), 1);
    if (code == ST_OK)
        return ST_OK;
    if (code >= ST_COUNT || !vault_field(fields, sizeof err->client, &text))
        return err_set(err, ST_BUG, "the vault's answer is malformed");
    return err_set(err, (enum status)code, "%.*s", SPAN_ARG(text));
}

static enum status malformed(struct err *err)
{
    return err_set(err, ST_BUG, "the vault's answer is malformed");
}

/* ask(), for questions whose connection goes straight back to the pool. */
static enum status ask_once(struct vault_client *c, struct span request, size_t max, struct strbuf *reply,
                            struct span *fields, struct err *err)
{
    int fd;
    TRY(ask(c, request, CALL_MS, max, reply, &fd, err));
    enum status st = reply_status(reply, fields, err);
    if (st == ST_DENIED || st == ST_SYNTAX || st == ST_BUG)
        close(fd); /* the vault may have closed it */
    else
        put_idle(c, fd);
    return st;
}

/* ---- SASL
 * --------------------------------------------------------------------------------------------------------------- */

void sasl_exchange_free(struct sasl_exchange **x)
{
    if (!*x)
        return;
    if ((*x)->fd >= 0)
        close((*x)->fd); /* in the middle: the vault forgets it */
    free(*x);
    *x = NULL;
}

/* The exchange is over with its connection in good order. */
static void exchange_done(struct sasl_exchange **x)
{
    put_idle((*x)->client, (*x)->fd);
    (*x)->fd = -1;
    sasl_exchange_free(x);
}

static enum sasl_result unavailable(struct sasl_exchange **x)
{
    sasl_exchange_free(x);
    return SASL_UNAVAILABLE;
}

static enum sasl_result take_sasl_reply(struct sasl_exchange **x, const struct strbuf *reply, struct strbuf *challenge,
                                        uint8_t ticket[VAULT_TICKET_BYTES], struct err *err)
{
    struct span fields, data, last;
    uint8_t result = 0;
    enum status st = reply_status(reply, &fields, err);
    if (st == ST_UNSUPPORTED) {
        exchange_done(x);
        return SASL_FAILED;
    }
    if (st != ST_OK || !vault_field_u8(&fields, &result)) {
        if (st == ST_OK)
            malformed(err);
        return unavailable(x);
    }
    if (result == VAULT_SASL_CONTINUE && vault_field(&fields, VAULT_SASL_RESPONSE_MAX, &data)) {
        strbuf_clear(challenge);
        strbuf_add(challenge, data);
        return SASL_CONTINUE;
    }
    if (result == VAULT_SASL_DONE && vault_field(&fields, VAULT_TICKET_BYTES, &data) &&
        data.len == VAULT_TICKET_BYTES && vault_field(&fields, VAULT_SASL_RESPONSE_MAX, &last)) {
        strbuf_clear(challenge);
        strbuf_add(challenge, last);
        if (last.len) {
            (*x)->has_ticket = true;
            memcpy((*x)->ticket, data.p, VAULT_TICKET_BYTES);
            return SASL_CONTINUE;
        }
        memcpy(ticket, data.p, VAULT_TICKET_BYTES);
        exchange_done(x);
        return SASL_DONE;
    }
    if (result == VAULT_SASL_FAILED) {
        err_set(err, ST_DENIED, "wrong user name or password");
        exchange_done(x);
        return SASL_FAILED;
    }
    malformed(err);
    return unavailable(x);
}

static void wipe(struct strbuf *b)
{
    if (b->p)
        mem_wipe(b->p, b->cap);
}

enum sasl_result vault_sasl_start(struct vault_client *c, struct span mechanism, struct span initial,
                                  const char *peer_address, struct span binding, struct sasl_exchange **x,
                                  struct strbuf *challenge, uint8_t ticket[VAULT_TICKET_BYTES], struct err *err)
{
    AUTO_STRBUF request = STRBUF_INIT, reply = STRBUF_INIT;
    *x = NULL;
    if (initial.len > VAULT_SASL_RESPONSE_MAX || mechanism.len > 20) {
        err_set(err, ST_DENIED, "the response is too long");
        return SASL_FAILED;
    }
    strbuf_reserve(&request, initial.len + 256); /* so that no half of it is left behind by growing */
    size_t start = vault_frame_begin(&request, VAULT_SASL_START);
    vault_frame_field(&request, mechanism);
    vault_frame_field(&request, span_cstr(peer_address));
    vault_frame_field(&request, binding);
    vault_frame_u8(&request, initial.p != NULL);
    vault_frame_field(&request, initial);
    vault_frame_end(&request, start);
    int fd;
    enum status st = ask(c, strbuf_span(&request), SASL_MS, VAULT_FRAME_MAX, &reply, &fd, err);
    wipe(&request);
    if (st != ST_OK)
        return SASL_UNAVAILABLE;
    *x = mem_alloc(sizeof **x);
    **x = (struct sasl_exchange){.client = c, .fd = fd};
    enum sasl_result result = take_sasl_reply(x, &reply, challenge, ticket, err);
    wipe(&reply);
    return result;
}

/* RFC 4422 §5: protocols that have no room for the last words beside the outcome get an empty response to them. */
static enum sasl_result take_last_response(struct sasl_exchange **x, struct span response,
                                           uint8_t ticket[VAULT_TICKET_BYTES], struct err *err)
{
    bool is_good = response.len == 0;
    memcpy(ticket, (*x)->ticket, VAULT_TICKET_BYTES);
    exchange_done(x);
    if (!is_good)
        err_set(err, ST_DENIED, "nothing was to be said any more");
    return is_good ? SASL_DONE : SASL_FAILED;
}

enum sasl_result vault_sasl_next(struct vault_client *c, struct sasl_exchange **x, struct span response,
                                 struct strbuf *challenge, uint8_t ticket[VAULT_TICKET_BYTES], struct err *err)
{
    (void)c;
    AUTO_STRBUF request = STRBUF_INIT, reply = STRBUF_INIT;
    if (response.len > VAULT_SASL_RESPONSE_MAX) {
        err_set(err, ST_DENIED, "the response is too long");
        sasl_exchange_free(x);
        return SASL_FAILED;
    }
    if ((*x)->has_ticket)
        return take_last_response(x, response, ticket, err);
    strbuf_reserve(&request, response.len + 64);
    size_t start = vault_frame_begin(&request, VAULT_SASL_NEXT);
    vault_frame_field(&request, response);
    vault_frame_end(&request, start);
    enum status st = ask_on((*x)->fd, strbuf_span(&request), SASL_MS, VAULT_FRAME_MAX, &reply, err);
    wipe(&request);
    if (st != ST_OK)
        return unavailable(x);
    enum sasl_result result = take_sasl_reply(x, &reply, challenge, ticket, err);
    wipe(&reply);
    return result;
}

/* ---- the other verbs
 * ------------------------------------------------------------------------------------------------------ */

enum status vault_redeem(struct vault_client *c, const uint8_t ticket[VAULT_TICKET_BYTES], struct strbuf *account,
                         struct err *err)
{
    AUTO_STRBUF request = STRBUF_INIT, reply = STRBUF_INIT;
    struct span fields, address;
    size_t start = vault_frame_begin(&request, VAULT_REDEEM);
    vault_frame_field(&request, span_of(ticket, VAULT_TICKET_BYTES));
    vault_frame_end(&request, start);
    TRY(ask_once(c, strbuf_span(&request), VAULT_FRAME_MAX, &reply, &fields, err));
    if (!vault_field(&fields, VAULT_FRAME_MAX, &address) || address.len == 0)
        return malformed(err);
    strbuf_add(account, address);
    return ST_OK;
}

enum status vault_sign(struct vault_client *c, uint32_t key, enum tls_sign_scheme scheme, struct span input,
                       struct strbuf *out, struct err *err)
{
    AUTO_STRBUF request = STRBUF_INIT, reply = STRBUF_INIT;
    struct span fields, signature;
    if (input.len > VAULT_FRAME_MAX / 2)
        return err_set(err, ST_LIMIT, "too long to sign");
    size_t start = vault_frame_begin(&request, VAULT_SIGN);
    vault_frame_u32(&request, key);
    vault_frame_u8(&request, (uint8_t)scheme);
    vault_frame_field(&request, input);
    vault_frame_end(&request, start);
    TRY(ask_once(c, strbuf_span(&request), VAULT_FRAME_MAX, &reply, &fields, err));
    if (!vault_field(&fields, VAULT_FRAME_MAX, &signature))
        return malformed(err);
    strbuf_add(out, signature);
    return ST_OK;
}

static enum status sign_by_index(void *ctx, uint32_t key, enum tls_sign_scheme scheme, struct span input,
                                 struct strbuf *out, struct err *err)
{
    const struct key_ids *k = ctx;
    if (key >= k->count)
        return err_set(err, ST_BUG, "no such certificate");
    return vault_sign(k->client, k->ids[key], scheme, input, out, err);
}

static struct key_ids *key_ids_new(struct vault_client *c)
{
    struct key_ids *k = mem_alloc(sizeof *k);
    k->client = c;
    pthread_mutex_lock(&c->lock);
    k->next = c->contexts;
    c->contexts = k;
    pthread_mutex_unlock(&c->lock);
    return k;
}

enum status vault_tls_context(struct vault_client *c, struct tls_context **out, struct err *err)
{
    AUTO_STRBUF request = STRBUF_INIT, reply = STRBUF_INIT;
    struct span fields, chains[TLS_CHAINS_MAX];
    vault_frame_end(&request, vault_frame_begin(&request, VAULT_CERTIFICATES));
    TRY(ask_once(c, strbuf_span(&request), VAULT_CERTIFICATES_MAX, &reply, &fields, err));
    struct key_ids *k = key_ids_new(c);
    while (fields.len > 0 && k->count < TLS_CHAINS_MAX) {
        if (!vault_field_u32(&fields, &k->ids[k->count]) || !vault_field(&fields, UINT16_MAX, &chains[k->count]))
            return malformed(err);
        k->count++;
    }
    const struct tls_signer signer = {.sign = sign_by_index, .ctx = k};
    return tls_context_new(chains, k->count, &signer, out, err);
}
